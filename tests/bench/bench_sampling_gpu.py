"""How much sooner are the ways of sampling done on a GPU, for the same pictures?

    PYTHONPATH=. python tests/bench/bench_sampling_gpu.py [--device cuda] [--json FILE]

Three models with fresh weights of unit gain (twice that for binary pictures), so that pixels depend
on one another as after a training: a PixelCNN++ of the preset ``cifar10``, a gated PixelCNN of
binary pictures of 28 x 28, and the decoder of a PixelVAE of the preset ``cpu``. Then, while there
is time, the PixelCNN++ of the preset ``gpu``. For each and every batch:

one pass
    Over all pictures, in float64 as all sampling is, and in float32.
naive
    A pass for each value. It is drawn whole where that takes no longer than ``--naive`` seconds,
    and at ``--whole`` pictures only; otherwise its time is that of the last few pixels, multiplied
    (``~``).
jacobi, rows
    Whole pictures. ``rows`` is given without graphs, and with: the whole call, building and
    capturing included, and the drawing alone at several numbers of passes between two looks.

A way that fails is reported with its traceback, and the others go on. What would take longer than
what is left of ``--seconds`` is left out. It needs torch and what ``import models`` needs, no
installation. Without the device it says so and measures nothing.
"""

import argparse
import json
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import models
from models import pixelcnn, pixelcnn_pp, pixelvae
from models.sampling import row_stacks
from models.sampling.graphed import RowDrawing, RowWalk
from models.sampling.methods import in_double
from models.sampling.row_strided import StridedRows

PIXELS = 3  # drawn naively where the rest is multiplied
BURSTS = (1, 2, 4)

MODELS: dict[str, tuple[str, str]] = {  # by a name: model and preset
    "pixelcnn_pp-cifar10": ("pixelcnn_pp", "cifar10"),
    "pixelcnn-mnist-gated": ("pixelcnn", "mnist-gated"),
    "pixelvae-cpu": ("pixelvae", "cpu"),
    "pixelcnn_pp-gpu": ("pixelcnn_pp", "gpu"),
}


@dataclass
class Place:
    """What was measured of a model at a batch: seconds unless named otherwise."""

    model: str
    batch: int
    parameters: int
    seconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    equal: dict[str, bool] = field(default_factory=dict)
    passes_of_a_row: dict[str, float] = field(default_factory=dict)
    pass_of_a_row: dict[str, float] = field(default_factory=dict)
    naive_is_multiplied: bool = True
    failed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class Clock:
    """Measures on a device, and knows how much time is left."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self._device, self._end = device, time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.perf_counter()

    def of(self, work: Callable[[], Any], rounds: int = 1) -> tuple[float, Any]:
        """Seconds, the least of some rounds, and what came out."""
        found, out = [], None
        for _ in range(rounds):
            self._wait()
            started = time.perf_counter()
            out = work()
            self._wait()
            found.append(time.perf_counter() - started)
        return min(found), out

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class Subject:
    """A model of which pictures are drawn, a batch of noise, and its parts.

    Args:
        name: Of ``MODELS``.
        batch: B.
        device: Where it lies.
    """

    def __init__(self, name: str, batch: int, device: torch.device) -> None:
        which, preset = MODELS[name]
        torch.manual_seed(0)
        made = models.create(which, preset=preset).eval()
        self.net = made.pixelcnn if isinstance(made, pixelvae.Model) else made
        gain = 2.0 if made.config.likelihood == "bernoulli" else 1.0
        for parameter in self.net.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            torch.nn.init.normal_(parameter, std=gain * inputs**-0.5)
        self.model = made.to(device)
        assert isinstance(self.model, pixelcnn.Model | pixelcnn_pp.Model | pixelvae.Model)
        c, self.likelihood = self.model.config, self.model.likelihood
        side = c.target_size
        self.steps = c.channels // self.likelihood.channels
        numbers = self.steps * self.likelihood.noise
        g = torch.Generator().manual_seed(1)
        self.noise = torch.rand(batch, numbers, side, side, generator=g).to(device)
        self.x = torch.zeros(batch, c.channels, side, side, dtype=torch.float64, device=device)
        self.known = torch.zeros_like(self.x[:, :1], dtype=torch.bool)
        self.z: list[Tensor] = []
        self.condition: list[Tensor] = []
        if isinstance(self.model, pixelvae.Model):
            self.z = [torch.randn(batch, c.latent, generator=g).to(device)]
            twin = in_double(self.model)
            self.condition = [twin.condition(self.z[0].double())]
        self.twin = in_double(self.net)

    def draw(self, method: str) -> Tensor:
        """All pictures."""
        drawn: Tensor = self.model.draw(*self.z, self.noise, method=method)
        return drawn

    def one_pass(self) -> Tensor:
        """Parameters of all values, in float64."""
        params: Tensor = self.twin(self.x, *self.condition)
        return params

    def one_pass_in_float32(self) -> Tensor:
        """The same, as a sampler would take that need not draw the same pictures."""
        params: Tensor = self.net(self.x.float(), *[c.float() for c in self.condition])
        return params

    def few_pixels(self) -> None:
        """What the naive way does for the last few pixels."""
        numbers = self.noise.double().unflatten(1, (self.steps, -1))
        for _ in range(PIXELS):
            for step in range(self.steps):
                params = self.one_pass().unflatten(1, (self.steps, -1))[:, step]
                self.likelihood.draw(params[..., -1:, -1:], numbers[:, step, :, -1:, -1:])

    def walk(self) -> RowWalk:
        """What draws row by row."""
        if isinstance(self.model, pixelvae.Model):
            return row_stacks.gated_decoder(self.net, self.condition[0])
        if isinstance(self.model, pixelcnn.Model):
            return row_stacks.gated_pixelcnn(self.model, len(self.x), None)
        return StridedRows(self.model, len(self.x), None)

    def rows(self, *, graphs: bool, burst: int) -> RowDrawing:
        """A drawing of rows, built and captured."""
        return RowDrawing(
            self.walk(), self.likelihood, self.noise.double(), self.x.clone(), self.known,
            steps=self.steps, graphs=graphs, burst=burst,
        )  # fmt: skip


class Measuring:
    """Of one model at one batch.

    Args:
        place: Where figures go.
        clock: Measures.
        subject: The model.
    """

    def __init__(self, place: Place, clock: Clock, subject: Subject) -> None:
        self.place, self.clock, self.subject = place, clock, subject
        self.pictures: dict[str, Tensor] = {}

    def attempt(self, name: str, work: Callable[[], None], expected: float = 0.0) -> None:
        """Measure, unless time does not suffice; a failure is reported, and no more."""
        if self.clock.left < expected:
            self.place.left_out.append(name)
            return
        try:
            work()
        except Exception:  # noqa: BLE001 - the others are still worth measuring
            self.place.failed[name] = traceback.format_exc()
            print(f"-- {self.place.model}, batch {self.place.batch}: {name} failed")
            print(self.place.failed[name], flush=True)

    def one_pass(self) -> None:
        """The pass, and the naive way by its last pixels."""
        s, seconds = self.subject, self.place.seconds
        s.one_pass()
        seconds["one pass"], _ = self.clock.of(s.one_pass, 3)
        s.one_pass_in_float32()
        seconds["one pass in float32"], _ = self.clock.of(s.one_pass_in_float32, 3)
        s.few_pixels()
        part, _ = self.clock.of(s.few_pixels)
        seconds["naive"] = part * s.x[0, 0].numel() / PIXELS

    def whole(self, method: str) -> Callable[[], None]:
        """All pictures by a method, in one call."""

        def work() -> None:
            self.place.seconds[method], self.pictures[method] = self.clock.of(
                lambda: self.subject.draw(method),
                2 if method == "rows" else 1,  # the first one loads the kernels
            )
            if method == "naive":
                self.place.naive_is_multiplied = False

        return work

    def rows(self, name: str, *, graphs: bool, burst: int) -> Callable[[], None]:
        """All pictures by rows, and how long it took to build the way."""

        def work() -> None:
            built, drawing = self.clock.of(lambda: self.subject.rows(graphs=graphs, burst=burst))
            # Eager calls are many and alike; graphs are over soon, and may be run again.
            taken, drawn = self.clock.of(drawing.run, 2 if graphs else 1)
            self.place.seconds |= {name: taken, f"{name}, built": built}
            self.place.passes_of_a_row[name] = sum(drawing.passes) / len(drawing.passes)
            self.place.pass_of_a_row[name] = taken / sum(drawing.passes)
            self.pictures[name] = drawn.to(self.subject.noise)

        return work

    def conclude(self) -> None:
        """Ratios, and which pictures are the same."""
        p = self.place
        if "naive" in p.seconds:
            p.ratios = {
                f"naive / {name}": p.seconds["naive"] / seconds
                for name, seconds in p.seconds.items()
                if name != "naive"
                and not name.startswith("one pass")
                and not name.endswith("built")
            }
        for base in ("naive", "jacobi"):
            if base in self.pictures:
                p.equal |= {
                    f"{name} is {base}": torch.equal(drawn, self.pictures[base])
                    for name, drawn in self.pictures.items()
                    if name != base and not (base == "jacobi" and name == "naive")
                }


def measure(name: str, batch: int, device: torch.device, clock: Clock, options: Any) -> Place:
    """All ways of drawing a batch of a model's pictures."""
    place = Place(name, batch, 0)
    try:
        subject = Subject(name, batch, device)
    except Exception:  # noqa: BLE001 - the other models are still worth measuring
        place.failed["model"] = traceback.format_exc()
        print(place.failed["model"], flush=True)
        return place
    place.parameters = sum(p.numel() for p in subject.net.parameters())
    m, graphs = Measuring(place, clock, subject), device.type == "cuda"
    m.attempt("one pass", m.one_pass)
    if graphs:
        m.attempt("rows", m.whole("rows"))
        for burst in BURSTS:
            way = f"rows replayed, burst {burst}"
            m.attempt(way, m.rows(way, graphs=True, burst=burst), place.seconds.get("rows", 0))
    naive, side = place.seconds.get("naive", 0.0), subject.x.shape[3]
    of_rows = naive / side  # Jacobi by rows takes some passes, of a row, for each row
    m.attempt("rows eager", m.rows("rows eager", graphs=False, burst=1), of_rows)
    # Fresh weights of unit gain: found to need as many passes as some rows have pixels.
    m.attempt("jacobi", m.whole("jacobi"), place.seconds.get("one pass", 0) * 4 * side)
    if batch == options.whole and naive <= options.naive:
        m.attempt("naive", m.whole("naive"), naive * 1.2)
    m.conclude()
    return place


def show(place: Place) -> None:
    """One line for each way."""
    print(f"\n{place.model}, batch {place.batch}, {place.parameters:,} parameters")
    for name, seconds in place.seconds.items():
        mark = "~" if name == "naive" and place.naive_is_multiplied else " "
        ratio = place.ratios.get(f"naive / {name}")
        same = [
            f"{'=' if equal else 'NOT'} {told.rsplit(' is ', 1)[1]}"
            for told, equal in place.equal.items()
            if told.startswith(f"{name} is ")
        ]
        of_row = ""
        if name in place.passes_of_a_row:
            passes, each = place.passes_of_a_row[name], 1000 * place.pass_of_a_row[name]
            of_row = f"{passes:>5.1f} passes a row, {each:.3f} ms each"
        times = "" if ratio is None else f"naive / it {ratio:>8.1f}"
        print(f"  {name:<28}{mark}{seconds:>10.4f} s  {times}  {of_row}  {', '.join(same)}")
    for name in place.left_out:
        print(f"  {name:<28} left out: no time")
    for name in place.failed:
        print(f"  {name:<28} FAILED")


def told(device: str, places: list[Place]) -> dict[str, Any]:
    """What is written as JSON: figures by their names, as of every benchmark, and all details."""
    figures = {
        f"{place.model}, batch {place.batch}: {name}, ms": 1000 * seconds
        for place in places
        for name, seconds in place.seconds.items()
    }
    return {
        "about": {"device": device, "torch": torch.__version__},
        "figures": figures,
        "targets": [],
        "places": [asdict(place) for place in places],
    }


@torch.no_grad()
def main() -> None:
    """Measure and report."""
    about, form = __doc__, argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=form)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seconds", type=float, default=55.0, help="for everything")
    parser.add_argument("--naive", type=float, default=7.0, help="seconds that it may take whole")
    parser.add_argument("--whole", type=int, default=16, help="the batch where it may")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options, _ = parser.parse_known_args()  # what the other benchmarks take is none of its business
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing to measure")
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    print(f"{name}, torch {torch.__version__}", flush=True)
    clock, places = Clock(device, options.seconds), []
    for model in options.models:
        for batch in options.batches:
            if clock.left <= 0:
                print(f"{model}, batch {batch}: left out, no time")
                continue
            places.append(measure(model, batch, device, clock, options))
            show(places[-1])
            if options.json is not None:  # each time: whoever ends it has what there is
                options.json.write_text(json.dumps(told(name, places), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
