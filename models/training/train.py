"""A training run from photos to a weights folder: start, show, stop, resume, finish."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

import models
from models.images import Preprocessing
from models.nn.rate import is_collapsed
from models.strokes import StrokePreprocessing
from models.training.checkpoint import (
    STATE,
    Weights,
    WeightsError,
    halve,
    load_state,
    save_state,
    save_weights,
)
from models.training.config import from_json, to_json
from models.training.loop import Run, Step, moving_mean
from models.training.photos import PhotoTensors
from models.training.processes import Processes
from models.training.protocols import GenerativeModel
from models.training.recipe import Recipe
from models.training.refining import refine
from models.training.strokes import StrokeTensors

HISTORY = "history.jsonl"
MIN_PHOTOS = 2
SAVE_SECONDS = 60.0
LOG_STEPS = 25


class Curves(Protocol):
    """Where training curves go; tensorboard's SummaryWriter is one."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note one point of one curve."""

    def close(self) -> None:
        """Write what is left."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: False if it was stopped and can be resumed.
        steps: Steps made, over all sittings.
        metrics: What stands in metrics.json; the means of the last steps if it was stopped.
    """

    finished: bool
    steps: int
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be trained: registry name, the model's configuration and the recipe."""

    name: str
    config: Any
    recipe: Recipe

    def build(self, init: Weights | None = None) -> GenerativeModel:
        """The model with fresh weights, the same for the same seed in every process.

        Args:
            init: Copy these weights instead.

        Raises:
            WeightsError: They are of another model or shape.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = models.create(self.name, config=to_json(self.config))
        if init is not None:
            fresh = {k: v for k, v in model.state_dict().items() if k.startswith(model.heads)}
            given = init.model.state_dict()
            unused = {
                k
                for k in given
                if k.startswith(model.heads)
                and (k not in fresh or given[k].shape != fresh[k].shape)
            }
            try:
                model.load_state_dict(fresh | {k: given[k] for k in given.keys() - unused})
            except RuntimeError as error:
                raise WeightsError(
                    f"The {self.name} to be trained cannot start from {init.folder}, a "
                    f"{init.name} of another shape. Use the preset those weights were made with, "
                    "or leave --init out."
                ) from error
        return model

    def preprocessing(
        self, data: PhotoTensors | StrokeTensors
    ) -> Preprocessing | StrokePreprocessing:
        """What the encoder expects of a photo, or of a drawing: that says the training data."""
        if isinstance(data, StrokeTensors):
            return data.preprocessing
        return Preprocessing(size=self.config.size, channels=self.config.channels)

    @property
    def sides(self) -> tuple[int, int]:
        """Sides of the views and of the pictures a decoder draws; drawings have none."""
        if models.modality(self.name) == "strokes":
            return 0, 0
        return int(self.config.size), int(self.config.target_size)

    @property
    def load_side(self) -> int:
        """The side at which photos are kept: a little more than a view's, for crops."""
        if self.recipe.views.scale == (1.0, 1.0):
            return int(self.config.size)
        return int(self.config.size * 1.25)


def train(
    plan: Plan,
    photos: PhotoTensors | StrokeTensors,
    out: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    processes: Processes | None = None,
    curves: Curves | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    show: Callable[[Step, Mapping[str, float]], None] = lambda _step, _means: None,
    init: Weights | None = None,
) -> Outcome:
    """Train to the recipe's end, or until told to stop; either way nothing is lost.

    Args:
        plan: What to train.
        photos: What to train on.
        out: The weights folder to make.
        resume: Go on with the unfinished run in ``out``.
        device: Where torch computes.
        processes: The processes that share the work.
        curves: Where curves go, besides ``history.jsonl``.
        should_stop: Asked after each step; True stops with all that was done kept.
        show: Called after each step with the means over the last steps.
        init: Weights to start from instead of fresh ones.

    Raises:
        WeightsError: ``out`` holds an unfinished run and ``resume`` is false, or the reverse.
        ValueError: The photos changed since the run began.
    """
    processes = processes or Processes()
    _check_beginning(photos, out, resume=resume)
    model = plan.build(init).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(photos, PhotoTensors):
        photos = refine(photos, init if plan.recipe.refine else None)
    run = Run(model, plan.recipe, photos, *plan.sides, processes)
    if resume:
        run.restore(*load_state(out))
    means: Mapping[str, float] = {}
    saved_at = run.elapsed
    with _history(out, processes, resume=resume) as history:
        for step, means in moving_mean(run.train()):
            if step.number % LOG_STEPS == 0:
                _log(step, means, history, curves)
            show(step, means)
            stop = processes.any(should_stop())
            if stop or run.elapsed - saved_at > SAVE_SECONDS:
                saved_at = run.elapsed
                _save_state(plan, run, out)
            if stop and run.progress < 1.0:
                return Outcome(finished=False, steps=run.step, metrics=dict(means))
    return _finish(plan, run, out, means)


def _check_beginning(photos: PhotoTensors | StrokeTensors, out: Path, *, resume: bool) -> None:
    """Enough photos, and nothing in the way; else an error that says what to do."""
    if len(photos) < MIN_PHOTOS:
        raise ValueError(
            f"There is only {len(photos)} usable {photos.noun}; a training compares at least "
            f"{MIN_PHOTOS}, and learns something from a few hundred on."
        )
    if not resume and (out / STATE).exists():
        raise WeightsError(
            f"{out} holds an unfinished run. Go on with --resume, or choose another --out, "
            f"or delete {out / STATE}."
        )


def read_plan(out: Path) -> Plan:
    """The plan of an unfinished run."""
    _, facts = load_state(out)
    name = facts["model"]
    kind = type(models.presets(name)["tiny"].config)
    return Plan(name, from_json(kind, facts["config"]), from_json(Recipe, facts["recipe"]))


def _save_state(plan: Plan, run: Run, out: Path) -> None:
    tensors, facts = run.state()
    if run.processes.rank == 0:
        facts |= {"model": plan.name, "config": to_json(plan.config)}
        save_state(out, tensors, facts | {"recipe": to_json(plan.recipe)})


def _finish(plan: Plan, run: Run, out: Path, means: Mapping[str, float]) -> Outcome:
    run.processes.average_buffers(run.average)
    metrics = describe_run(plan, run, means)
    if run.processes.rank == 0:
        run.model.load_state_dict(run.average)
        run.model.eval()
        run.model.settle(run.pictures())
        save_weights(
            out,
            plan.name,
            run.model,
            state=halve(run.model.state_dict()),
            config=plan.config,
            preprocessing=plan.preprocessing(run.photos),
            recipe=plan.recipe,
            metrics=metrics,
        )
        (out / STATE).unlink(missing_ok=True)
    return Outcome(finished=True, steps=run.step, metrics=metrics)


def describe_run(plan: Plan, run: Run, means: Mapping[str, float]) -> dict[str, Any]:
    """What metrics.json says of a training: figures, and what gave them."""
    collapsed = "kl" in means and is_collapsed(means["kl"])
    return {
        "training": {
            "last_steps": dict(means),
            "collapsed": collapsed,
            "steps": run.step,
            "minutes": round(run.elapsed / 60, 2),
            **run.photos.describe(),
            "seed": plan.recipe.seed,
            "parameters": sum(p.numel() for p in run.model.parameters()),
            "processes": run.processes.world,
            "precision": "bf16" if run.bf16 else "fp32",
            "device": _device_name(next(run.model.parameters()).device),
            "machine": f"{platform.machine()}, torch {torch.__version__}, "
            f"{torch.get_num_threads()} threads a process",
        }
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _log(
    step: Step, means: Mapping[str, float], history: "Writer | None", curves: Curves | None
) -> None:
    if history is not None:
        line = {"step": step.number, "elapsed": round(step.elapsed, 1), "progress": step.progress}
        history.write(json.dumps(line | {k: round(v, 5) for k, v in means.items()}) + "\n")
        history.flush()
    if curves is not None:
        for key, value in means.items():
            curves.add_scalar(key, value, step.number)
        curves.add_scalar("learning_rate", step.learning_rate, step.number)


class Writer(Protocol):
    """The part of a text file that a history needs."""

    def write(self, text: str, /) -> int:
        """Append text."""

    def flush(self) -> None:
        """Hand it to the system."""


def _history(
    out: Path, processes: Processes, *, resume: bool
) -> AbstractContextManager[Writer | None]:
    if processes.rank != 0:
        return nullcontext(None)
    out.mkdir(parents=True, exist_ok=True)
    return (out / HISTORY).open("a" if resume else "w")


def read_history(out: Path) -> Iterator[dict[str, float]]:
    """The lines of a run's history."""
    with (out / HISTORY).open() as file:
        yield from map(json.loads, file)
