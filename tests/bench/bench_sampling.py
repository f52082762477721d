"""How much sooner are the fast ways of sampling done than the naive one, for the same pictures?

    python tests/bench/bench_sampling.py [--sizes 8 16 32 64] [--batches 1 4 16 64] [--json FILE]

The model is a PixelCNN++ of the preset ``--preset``, with fresh weights, or with those of
``--sampler NAME``; being convolutions it draws pictures of any size. The naive way takes one pass
over the picture for every pixel: its time is that of the last ``--pixels`` pixels of the picture,
multiplied. The cached way and one pass over the pictures, in float64 as all sampling is and in
float32, are measured whole, and so are the compiled way (where Numba is installed) and, where it
takes no minutes (few small pictures), Jacobi's. How many passes that one needs depends on the
weights: fresh ones need few.

Beside them, at sides that are ``--base`` doubled, draws a Parallel Multiscale model with fresh
weights, about as many as the other's at the side nearest to 32; for each doubling it has networks
of its own. It draws other pictures, and in float32, as there is no other way that it has to agree
with.

Sizes are compared at the batch nearest to 16, batches at the size nearest to 32. Then comes how far
the cached numbers, and those in float32, are from a whole pass in float64, and how many values
would be drawn otherwise (fresh weights are made larger for it). Last comes the decoder of the
PixelVAE ``--weights``.

Times are of the processor, on one thread, so other work on the machine disturbs little; every
figure is the least of the rounds, and ratios are of figures.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from measuring import Target, parser, positive, report

import models
from models import multiscale
from models.pixelcnn_pp import Model
from models.pixelvae import Model as PixelVAE
from models.sampling import compiled
from models.sampling.calls import NumpyCalls
from models.sampling.methods import in_double
from models.sampling.strided import StridedWalk
from models.training.checkpoint import find_weights, load_weights

JACOBI_VALUES = 4 * 32 * 32  # the most pixels, over all pictures, for which Jacobi is measured
LEAST_BATCH_16, LEAST_BATCH_1, MOST_PASSES = 600, 400, 1.0


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds that some pictures take; None where it was not measured.

    ``passes`` are those of the multiscale model's networks.
    """

    naive: float
    cached: float
    compiled: float | None
    jacobi: float | None
    double: float
    single: float
    multiscale: float | None = None
    passes: int = 0


def least(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the processor: the least of some rounds, after a call that is not counted."""
    work()
    found = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        found.append(1000 * (time.process_time() - started))
    return min(found)


def resized(model: Model, size: int) -> Model:
    """The same weights for pictures of another side."""
    other = Model(replace(model.config, size=size)).eval()
    other.load_state_dict(model.state_dict())
    return other


def rival_of(model: Model, sizes: Sequence[int], base: int) -> multiscale.Config | None:
    """A multiscale model with about as many weights; None if no side is the base doubled."""
    sides = [n for n in sizes if n in doubled(base)]
    if not sides:
        return None
    c, side = model.config, min(sides, key=lambda n: abs(n - 32))
    wanted = sum(p.numel() for p in model.parameters())

    def off(config: multiscale.Config) -> int:
        with torch.device("meta"):  # they are counted only
            found = multiscale.Model(config)
        return abs(sum(p.numel() for p in found.parameters()) - wanted)

    of = partial(multiscale.Config, channels=c.channels, size=side, base=base, levels=c.levels)
    return min((of(width=width) for width in range(8, 257, 4)), key=off)


def doubled(base: int) -> list[int]:
    """Sides that doublings of a base reach."""
    return [base << k for k in range(12)]


def measure_rival(
    config: multiscale.Config | None, size: int, batch: int, rounds: int
) -> tuple[float | None, int]:
    """Milliseconds and passes of a multiscale model; None and 0 if it has no such side."""
    if config is None or size not in doubled(config.base):
        return None, 0
    model = multiscale.Model(replace(config, size=size)).eval()
    noise = torch.rand(batch, config.channels, size, size)
    passes = config.base**2 + 3 * model.config.doublings
    return least(lambda: model.draw(noise), rounds), passes


@torch.no_grad()
def measure(
    model: Model, batch: int, rounds: int, pixels: int, rival: multiscale.Config | None
) -> Times:
    """All ways of drawing ``batch`` pictures."""
    c, twin = model.config, in_double(model)
    g = torch.Generator().manual_seed(0)
    noise = torch.rand(batch, model.likelihood.noise, c.size, c.size, generator=g)
    x = torch.rand(batch, c.channels, c.size, c.size, generator=g) * 2 - 1
    pixels = min(pixels, c.size**2)
    known = torch.ones(batch, 1, c.size**2, dtype=torch.bool)
    known[:, :, -pixels:] = False
    known = known.view(batch, 1, c.size, c.size)
    wide, wider = noise.double(), x.double()
    part = least(
        lambda: twin.draw(wide, x=wider, known=known, method="naive"), rounds
    )  # fmt: skip
    few = batch * c.size**2 <= JACOBI_VALUES
    other, passes = measure_rival(rival, c.size, batch, rounds)
    return Times(
        naive=part * c.size**2 / pixels,
        cached=least(lambda: model.draw(noise, method="cached"), rounds),
        compiled=(
            least(lambda: model.draw(noise, method="compiled"), rounds)
            if compiled.is_installed()
            else None
        ),
        jacobi=least(lambda: model.draw(noise, method="jacobi"), rounds) if few else None,
        double=least(lambda: twin(wider), rounds),
        single=least(lambda: model(x), rounds),
        multiscale=other,
        passes=passes,
    )


@torch.no_grad()
def measure_decoder(weights: str, rounds: int) -> dict[str, float]:
    """The decoder of a PixelVAE, 16 pictures at once."""
    model = load_weights(find_weights(weights)).model
    if not isinstance(model, PixelVAE):
        return {}
    side = model.config.target_size
    z, noise = (
        torch.randn(16, model.config.latent),
        torch.rand(16, model.likelihood.noise, side, side),
    )
    net, wide = in_double(model.pixelcnn), model.condition(z).double()
    x = torch.zeros(16, model.config.channels, side, side, dtype=torch.float64)
    cached = least(lambda: model.draw(z, noise, method="cached"), rounds)
    one = least(lambda: net(x, wide), rounds)
    return {
        "PixelVAE, batch 16: cached, ms": cached,
        "PixelVAE, batch 16: one pass in float64, ms": one,
        "PixelVAE, batch 16: naive / cached": one * side**2 / cached,
    }


@torch.no_grad()
def lively(model: Model) -> Model:
    """The same with weights of unit gain: pixels depend on one another as after a training."""
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        inputs = parameter[0].numel() if parameter.ndim > 1 else 4
        torch.nn.init.normal_(parameter, std=inputs**-0.5)
    return other


@torch.no_grad()
def rounding(model: Model, batch: int, draws: int = 100) -> dict[str, float]:
    """How far the cached numbers, and those in float32, are from a whole pass in float64.

    All are given the same pictures, and draw from their numbers by the same noise. Of the cached
    ones the rule of ``models.sampling.methods`` says that no value may differ.
    """
    c, likelihood = model.config, model.likelihood
    g = torch.Generator().manual_seed(0)
    level = torch.randint(c.levels, (batch, c.channels, c.size, c.size), generator=g)
    x = level.double() / ((c.levels - 1) / 2) - 1
    pixels, walk, told = (
        x.permute(2, 3, 0, 1).numpy(),
        StridedWalk(model, batch, None, NumpyCalls()),
        [],
    )
    for i in range(c.size):
        walk.begin_row(i)
        for j in range(c.size):
            told.append(torch.from_numpy(walk.at(j, 0).copy()))
            walk.put(j, 0, pixels[i, j])
    cached = torch.stack(told).view(c.size, c.size, batch, -1).permute(2, 3, 0, 1).contiguous()
    double, single = in_double(model)(x), model(x.float()).double()
    differ = {"cached": 0, "float32": 0}
    for _ in range(draws):
        noise = torch.rand(batch, likelihood.noise, c.size, c.size, generator=g).double()
        expected = likelihood.draw(double, noise)
        differ["cached"] += int((likelihood.draw(cached, noise) != expected).sum())
        differ["float32"] += int((likelihood.draw(single, noise) != expected).sum())
    million = 1e6 / (draws * x.numel())
    return {
        "rounding: cached, largest difference in 1e-15": 1e15
        * float((cached - double).abs().max()),
        "rounding: float32, largest difference in 1e-6": 1e6 * float((single - double).abs().max()),
        "rounding: cached, values in a million that differ": million * differ["cached"],
        "rounding: float32, values in a million that differ": million * differ["float32"],
    }


def table(found: dict[tuple[int, int], Times]) -> None:
    """Print all that was measured, in seconds, with ratios."""
    print(f"\n{'side':>5}{'batch':>6}{'naive':>11}{'cached':>9}{'jacobi':>9}"
          f"{'naive/cached':>14}{'naive/compiled':>16}{'naive/jacobi':>14}{'cached/pass':>13}"
          f"{'f32':>11}{'multiscale':>12}{'passes':>8}")  # fmt: skip
    for (size, batch), t in found.items():
        jacobi = "-" if t.jacobi is None else f"{t.jacobi / 1000:.2f}"
        ratio = "-" if t.jacobi is None else f"{t.naive / t.jacobi:.1f}"
        listed = "-" if t.compiled is None else f"{t.naive / t.compiled:.0f}"
        other = "-" if t.multiscale is None else f"{t.multiscale / 1000:.3f}"
        ratios = f"{t.cached / t.double:>13.2f}{t.cached / t.single:>11.2f}"
        print(f"{size:>5}{batch:>6}{t.naive / 1000:>11.2f}{t.cached / 1000:>9.3f}{jacobi:>9}"
              f"{t.naive / t.cached:>14.0f}{listed:>16}{ratio:>14}{ratios}{other:>12}"
              f"{t.passes or '-':>8}", flush=True)  # fmt: skip


def figures_of(found: dict[tuple[int, int], Times]) -> dict[str, float]:
    """Every number by its name."""
    figures: dict[str, float] = {}
    for (size, batch), t in found.items():
        name = f"{size} px, batch {batch}"
        figures |= {
            f"{name}: naive, ms": t.naive,
            f"{name}: cached, ms": t.cached,
            f"{name}: one pass in float64, ms": t.double,
            f"{name}: one pass in float32, ms": t.single,
            f"{name}: naive / cached": t.naive / t.cached,
            f"{name}: naive in float32 / cached": size**2 * t.single / t.cached,
            f"{name}: cached / one pass": t.cached / t.double,
        }
        if t.compiled is not None:
            figures |= {
                f"{name}: compiled, ms": t.compiled,
                f"{name}: naive / compiled": t.naive / t.compiled,
            }
        if t.jacobi is not None:
            figures |= {
                f"{name}: jacobi, ms": t.jacobi,
                f"{name}: naive / jacobi": t.naive / t.jacobi,
            }
        if t.multiscale is not None:
            figures |= {
                f"{name}: multiscale, ms": t.multiscale,
                f"{name}: naive / multiscale": t.naive / t.multiscale,
                f"{name}: cached / multiscale": t.cached / t.multiscale,
            }
    return figures


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--sizes", type=positive, nargs="+", default=[8, 16, 32, 64])
    options.add_argument("--batches", type=positive, nargs="+", default=[1, 4, 16, 64])
    options.add_argument("--preset", default="cifar10", help="of pixelcnn_pp")
    options.add_argument("--sampler", help="weights of a pixelcnn_pp instead")
    options.add_argument("--pixels", type=positive, default=2, help="drawn naively")
    options.add_argument("--base", type=positive, default=8, help="of the multiscale model")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if chosen.sampler:
        model = load_weights(find_weights(chosen.sampler)).model
    else:
        model = models.create("pixelcnn_pp", preset=chosen.preset).eval()
    assert isinstance(model, Model), "--sampler has to be a pixelcnn_pp"
    size = min(chosen.sizes, key=lambda n: abs(n - 32))
    batch = min(chosen.batches, key=lambda n: abs(n - 16))
    places = [(n, batch) for n in chosen.sizes] + [(size, n) for n in chosen.batches]
    rival = rival_of(model, chosen.sizes, chosen.base)
    found: dict[tuple[int, int], Times] = {}
    for n, count in dict.fromkeys(places):
        found[n, count] = measure(resized(model, n), count, chosen.rounds, chosen.pixels, rival)
        print(f"side {n}, batch {count} measured", flush=True)
    table(found)
    figures = figures_of(found)
    bounds = [
        ("32 px, batch 16: naive / cached", LEAST_BATCH_16, False),
        ("32 px, batch 1: naive / cached", LEAST_BATCH_1, False),
        ("32 px, batch 1: naive / compiled", LEAST_BATCH_1, False),
        ("32 px, batch 16: cached / one pass", MOST_PASSES, True),
    ]
    figures |= rounding(resized(model if chosen.sampler else lively(model), size), min(batch, 4))
    report(
        figures | measure_decoder(chosen.weights, chosen.rounds),
        [Target(n, figures[n], bound, most=most) for n, bound, most in bounds if n in figures],
        unit="",
        about={
            "model": chosen.sampler or f"pixelcnn_pp {chosen.preset}",
            "parameters": sum(p.numel() for p in model.parameters()),
            "multiscale": "none" if rival is None else f"width {rival.width}, base {rival.base}",
            "threads": 1,
        },
        json_file=chosen.json,
    )


if __name__ == "__main__":
    main()
