"""``niteru train``: from a catalogue to a weights folder."""

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import models
from models.training.checkpoint import WeightsError, find_weights, load_weights
from models.training.export import export_encoder
from models.training.loop import Step
from models.training.photos import PhotoTensors
from models.training.processes import Processes
from models.training.train import Curves, Outcome, Plan, read_plan, train
from service.commands.console import Bar, say, stop_on_signal, use_one_thread
from service.commands.training_data import load_data

SHOWN = ("loss", "contrast", "bits_per_dim", "mse", "kl", "active_units")  # in a bar's small room


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for beyond the preset; None leaves the preset's."""

    minutes: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: Literal["auto", "bf16", "fp32"] | None = None
    seed: int | None = None
    rate: float | None = None
    swap: bool = True


def make_plan(model: str, preset: str, wishes: Wishes) -> Plan:
    """A preset with the wishes applied.

    Raises:
        models.UnknownModelError: No such model or preset.
        ValueError: A wish that the model cannot fulfil.
    """
    config, recipe = models.find_preset(model, preset)
    if wishes.minutes is not None and wishes.steps is not None:
        raise ValueError("Give --minutes or --steps, not both: they both say how long to train.")
    if wishes.minutes is not None:
        recipe = replace(recipe, minutes=wishes.minutes, steps=None)
    if wishes.steps is not None:
        recipe = replace(recipe, steps=wishes.steps, minutes=None)
    named = ("batch_size", "learning_rate", "precision", "seed")
    given = {n: getattr(wishes, n) for n in named if getattr(wishes, n) is not None}
    recipe = replace(recipe, **given)
    if not wishes.swap:
        recipe = replace(recipe, views=replace(recipe.views, swap=0.0, canonical=False))
    if wishes.rate is not None:
        if "rate" not in {f.name for f in fields(config)}:
            raise ValueError(f"{model} has no latent rate, so --rate says nothing to it.")
        config = replace(config, rate=replace(config.rate, target=wishes.rate))
    return Plan(model, config, recipe)


def resume_plan(model: str, out: Path) -> Plan:
    """The plan of the unfinished run in ``out``.

    Raises:
        WeightsError: There is none, or it is of another model.
    """
    plan = read_plan(out)
    if plan.name != model:
        raise WeightsError(
            f"{out} holds an unfinished {plan.name}, not a {model}. "
            f"Go on with: niteru train {plan.name} --data DATA --out {out} --resume"
        )
    return plan


def run_training(
    plan: Plan,
    data: Sequence[Path],
    out: Path,
    *,
    resume: bool,
    cache: Path,
    device: str,
    init: str | None,
) -> Outcome:
    """Train, showing how it goes; stop politely when interrupted."""
    use_one_thread()
    processes = Processes.join()
    leader = processes.rank == 0
    start = None if init is None else load_weights(find_weights(init))
    photos = load_data(plan, data, cache=cache, processes=processes)
    curves = _curves(out) if leader else None
    display = Bar(" % ")
    with closing(curves) if curves else nullcontext(), stop_on_signal() as should_stop:

        def show(step: Step, means: Mapping[str, float]) -> None:
            if leader:
                figures = (f"{key} {means[key]:.3g}" for key in SHOWN if key in means)
                note = f"step {step.number:,}  {'  '.join(figures)}"
                display.show(f"train {plan.name}", int(100 * step.progress), 100, note)

        outcome = train(
            plan, photos, out, resume=resume, device=device, processes=processes, curves=curves,
            should_stop=should_stop, show=show, init=start,
        )  # fmt: skip
    display.close()
    processes.leave()
    if not leader:
        os._exit(0)  # a follower is done; tearing down its threads aborts now and then
    given = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    again = f"niteru train {plan.name} {given} --out {shlex.quote(str(out))} --resume"
    _report(outcome, photos, out, again)
    return outcome


def _curves(out: Path) -> Curves | None:
    """Tensorboard's writer, if its extra is installed; history.jsonl is written in any case."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    curves: Curves = SummaryWriter(str(out / "curves"))
    return curves


def _report(outcome: Outcome, photos: PhotoTensors, out: Path, again: str) -> None:
    for skipped in photos.skipped[:10]:
        say(f"left out {skipped.id}: {skipped.reason}")
    if len(photos.skipped) > 10:
        say(f"... and {len(photos.skipped) - 10} more were left out.")
    if not outcome.finished:
        say(f"Stopped at step {outcome.steps:,}; go on with: {again}")
        return
    facts: dict[str, Any] = outcome.metrics["training"]
    say(
        f"{out}: {facts['steps']:,} steps in {facts['minutes']} minutes on {facts['photos']:,} "
        f"photos, {facts['photos_with_mask']:,} of them cut out."
    )
    _export(out)
    if facts["collapsed"]:
        say(
            "WARNING: the latent vector has collapsed: it holds "
            f"{facts['last_steps']['kl']:.2g} nats, so searching by it finds nothing. Raise the "
            "rate (--rate 60) or the auxiliary weight, or train longer."
        )


def _export(out: Path) -> None:
    """Make the encoder that is served; the weights are safe and usable if that fails."""
    try:
        export_encoder(out)
    except (WeightsError, OSError) as error:
        say(f"WARNING: no encoder.onnx was made, so {out} will embed with torch: {error}")
