"""One training loop for every model: players take turns, and a run can stop and go on.

Everything random in a step is drawn from a generator seeded with (seed, step), so a run that was
stopped and resumed ends with the same weights as one that was not.
"""

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from models.training.parts import Part, items_of_step
from models.training.photos import PhotoTensors
from models.training.processes import Processes
from models.training.protocols import Batch, GenerativeModel, Player, StrokeBatch
from models.training.recipe import Recipe
from models.training.recording import Recording
from models.training.strokes import StrokeTensors
from models.training.views import draw_view, to_float

SETTLE_STEPS = 48  # batches from which a model fits what no gradient learns


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in a step: its number, how far the run is, and the losses' parts."""

    number: int
    progress: float
    elapsed: float
    learning_rate: float
    parts: dict[str, float]


@dataclass
class Run:
    """A training run in progress.

    Attributes:
        model: The model, changed in place.
        recipe: How to train.
        photos: What to train on; drawings for a stroke model.
        size: Side of the views; 0 for drawings, which have none.
        target_size: Side of the pictures a decoder draws.
        processes: The processes that share the work.
        clock: Seconds; injected so that tests need not wait.
    """

    model: GenerativeModel
    recipe: Recipe
    photos: PhotoTensors | StrokeTensors
    size: int
    target_size: int
    processes: Processes = field(default_factory=Processes)
    clock: Callable[[], float] = time.monotonic
    step: int = 0
    elapsed: float = 0.0

    def __post_init__(self) -> None:
        """Build optimisers and the averaged weights."""
        self.players: tuple[Player, ...] = self.model.players()
        self.optimisers = [_optimiser(player, self.recipe) for player in self.players]
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.recordings: dict[str, Recording | None] = {}  # None where it cannot be recorded
        self.bf16 = _use_bf16(self.recipe, next(self.model.parameters()).device)

    @property
    def progress(self) -> float:
        """How much of the run has passed, 0 to 1."""
        if self.recipe.steps is not None:
            return min(1.0, self.step / self.recipe.steps)
        assert self.recipe.minutes is not None
        return min(1.0, self.elapsed / (60 * self.recipe.minutes))

    def train(self) -> Iterator[Step]:
        """Step until the recipe's end; stop by no longer asking for the next step."""
        self.model.train()
        while self.progress < 1.0:
            started = self.clock()
            rate = self._learning_rate()
            parts: dict[str, float] = {}
            batch = self._batch()
            for player, optimiser in zip(self.players, self.optimisers, strict=True):
                if (self.step + 1) % player.every:  # told by the step alone, so a run can go on
                    continue
                parts |= self._turn(player, optimiser, batch, rate)
            self.step += 1
            self._update_average()
            self.elapsed = self.processes.agree(self.elapsed + self.clock() - started)
            yield Step(self.step, self.progress, self.elapsed, rate, parts)

    def _turn(
        self, player: Player, optimiser: AdamW, batch: Batch | StrokeBatch, rate: float
    ) -> dict[str, float]:
        for group in optimiser.param_groups:
            group["lr"] = rate
        recording = self._recording(player, batch)
        if recording is not None:
            parts = recording.repeat(batch)
        else:
            device = next(self.model.parameters()).device.type
            with torch.autocast(device, torch.bfloat16, enabled=self.bf16):
                parts = player.loss(batch)
            optimiser.zero_grad()
            parts["loss"].backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients(player.parameters())
        norm = torch.nn.utils.clip_grad_norm_(player.parameters(), self.recipe.clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"The gradient of {player.name} is {norm.item()} at step {self.step + 1}: "
                f"{ {key: value.item() for key, value in parts.items()} }. "
                "Train with a lower learning rate (--learning-rate), or with --precision fp32."
            )
        optimiser.step()
        # One transfer for all of them: each waits until an accelerator has done what it was given.
        told = torch.stack([value.detach().float() for value in (*parts.values(), norm)]).tolist()
        return dict(zip((*parts, "gradient"), told, strict=True))

    def _recording(self, player: Player, batch: Batch | StrokeBatch) -> Recording | None:
        """The player's step as one piece of work, on an accelerator that takes such."""
        if not player.repeats or next(self.model.parameters()).device.type != "cuda":
            return None
        if player.name not in self.recordings:
            try:
                self.recordings[player.name] = Recording(
                    self.model, player.parameters(), player.loss, batch, bf16=self.bf16
                )
            except RuntimeError as error:
                warnings.warn(f"Steps are not recorded, so slower: {error}", stacklevel=2)
                self.recordings[player.name] = None
        return self.recordings[player.name]

    def _learning_rate(self) -> float:
        """Linear warm-up by steps, cosine descent by progress."""
        warm = min(1.0, (self.step + 1) / max(1, self.recipe.warmup_steps))
        return self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * self.progress))

    def _batch(self) -> Batch | StrokeBatch:
        """The views and targets of this step, the same whenever the step is run."""
        rank, world = self.processes.rank, self.processes.world
        seed = step_seed(self.recipe.seed, self.step, rank)
        generator = torch.Generator().manual_seed(seed)
        shares = photos_of_step(self.photos.groups, self.recipe, self.step, self.photos.parts)
        share = shares[rank::world]
        device = next(self.model.parameters()).device
        if isinstance(self.photos, StrokeTensors):
            return StrokeBatch(self.photos.draw(share, seed).to(device), seed, self.progress)
        views = self.recipe.views
        pictures, targets, shapes, labels = [], [], [], []
        for _ in range(views.count):
            index = pick_photos(share, self.photos.groups, generator)
            view = draw_view(self.photos, index, self.size, views, generator)
            pictures.append(view)
            canonical = to_float(self.photos.targets[index])
            targets.append(canonical if views.canonical else shrink(view, self.target_size))
            if self.photos.shapes is not None:
                shapes.append(self.photos.shapes[index])
            if self.photos.labels is not None:
                labels.append(self.photos.labels[index])
        return Batch(
            torch.stack(pictures).to(device),
            torch.stack(targets).to(device),
            seed,
            self.progress,
            torch.stack(shapes).to(device) if shapes else None,
            torch.stack(labels).to(device) if labels else None,
        )

    def pictures(self) -> Iterator[Tensor]:
        """Photos as the encoder sees them in use, weighted as in the training: (B, C, S, S).

        Drawings are (B, N_max, 5).
        """
        device = next(self.model.parameters()).device
        for pictures in pictures_in_use(self.photos, self.recipe, self.size):
            yield pictures.to(device)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the averaged weights a little; faster in the beginning, when all is new."""
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        moved: tuple[list[Tensor], list[Tensor]] = ([], [])
        for key, value in self.model.state_dict().items():
            if value.is_floating_point():
                moved[0].append(self.average[key])
                moved[1].append(value)
            else:
                self.average[key].copy_(value)
        torch._foreach_lerp_(*moved, 1 - decay)

    # -- stop and go on ------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything needed to go on: tensors and facts."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            for number, slots in optimiser.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"optimiser.{player.name}.{number}.{slot}"] = torch.as_tensor(value)
        shapes = self.photos.shapes if isinstance(self.photos, PhotoTensors) else None
        if shapes is not None:  # they may have been refined by weights not at hand then
            tensors["shapes"] = shapes
        return tensors, {"step": self.step, "elapsed": self.elapsed, "digest": self.photos.digest}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from ``state()``.

        Raises:
            ValueError: The photos are not the ones the run began with.
        """
        if facts["digest"] != self.photos.digest:
            raise ValueError(
                "The photos have changed since this run began, so it cannot be resumed to the "
                "same result. Give the same --data, --masks and --labels, or start a new run with "
                "another --out."
            )
        self.model.load_state_dict(_part(tensors, "model."))
        for key, value in _part(tensors, "average.").items():
            self.average[key].copy_(value)
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            slots: dict[int, dict[str, Tensor]] = {}
            moved = [p for group in optimiser.param_groups for p in group["params"]]
            for key, value in _part(tensors, f"optimiser.{player.name}.").items():
                number, slot = key.split(".")
                like = moved[int(number)]
                # In the same order in memory as the weights, which a fused step insists on.
                laid = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
                slots.setdefault(int(number), {})[slot] = laid
            optimiser.load_state_dict(optimiser.state_dict() | {"state": slots})
        if "shapes" in tensors and isinstance(self.photos, PhotoTensors):
            self.photos = replace(self.photos, shapes=tensors["shapes"])
        self.step, self.elapsed = int(facts["step"]), float(facts["elapsed"])


def pictures_in_use(
    photos: PhotoTensors | StrokeTensors, recipe: Recipe, size: int
) -> Iterator[Tensor]:
    """Photos as an encoder sees them in use, weighted as in the training: (B, C, size, size).

    Drawings are (B, N_max, 5).
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    for step in range(min(SETTLE_STEPS, -(-len(photos) // recipe.batch_size))):
        items = photos_of_step(photos.groups, recipe, step, photos.parts)
        index = pick_photos(items, photos.groups, generator)
        if isinstance(photos, StrokeTensors):
            yield photos.plain(index)
        else:
            yield shrink(to_float(photos.pixels[index]), size)


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for one process's share of one step, unlike its neighbours'."""
    return (seed * 1_000_003 + step) * 64 + rank


def photos_of_step(
    groups: Tensor, recipe: Recipe, step: int, parts: tuple[Part, ...] = ()
) -> Tensor:
    """The items (numbers of groups) of a step: epochs of a fresh permutation each.

    Where no part has a weight, the items are one source, each seen once in an epoch.
    """
    if all(part.weight is None for part in parts):
        parts = (Part(int(groups.max()) + 1),)
    return items_of_step(parts, recipe.batch_size, recipe.seed, step)


def pick_photos(items: Tensor, groups: Tensor, generator: torch.Generator) -> Tensor:
    """One random photo of each item: (B,) items -> (B,) numbers of photos."""
    order, counts, starts = _places(groups)
    offset = (torch.rand(len(items), generator=generator) * counts[items]).long()
    return order[starts[items] + offset]


@lru_cache(maxsize=2)
def _places(groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The photos by item (N,), and how many each item has and where they begin, two of (items,).

    Remembered: it is the same for all steps of a training.
    """
    counts = torch.bincount(groups)
    return torch.argsort(groups, stable=True), counts, counts.cumsum(0) - counts


def shrink(pictures: Tensor, side: int) -> Tensor:
    """(B, C, S, S) -> (B, C, side, side) by averaging."""
    if pictures.shape[-1] == side:
        return pictures
    return torch.nn.functional.adaptive_avg_pool2d(pictures, side)


def _optimiser(player: Player, recipe: Recipe) -> AdamW:
    parameters = list(player.parameters())
    on_cuda = all(p.device.type == "cuda" for p in parameters)
    return AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=player.betas,
        # One kernel over weights and moments instead of one for each of a dozen operations.
        fused=on_cuda,
    )


def _use_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether convolutions run in bfloat16: asked for, or the processor has instructions for it."""
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without tile instructions bfloat16 convolutions are slower than float32.
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def moving_mean(steps: Iterator[Step], window: int = 50) -> Iterator[tuple[Step, dict[str, float]]]:
    """Each step with the mean of its parts over the last ``window`` steps."""
    recent: list[dict[str, float]] = []
    for step in steps:
        recent = [*recent[-(window - 1) :], step.parts]
        keys = set(itertools.chain.from_iterable(recent))
        means = {k: [p[k] for p in recent if k in p] for k in sorted(keys)}
        yield step, {k: sum(v) / len(v) for k, v in means.items()}
