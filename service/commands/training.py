"""``niteru train``: from a catalogue to a weights folder."""

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

import models
from models.training.checkpoint import WeightsError, find_weights, load_weights
from models.training.config import SettingError, change, read_text, settings, unknown_setting
from models.training.export import export_encoder
from models.training.loop import Step
from models.training.photos import PhotoTensors
from models.training.processes import Processes
from models.training.recipe import switched_off
from models.training.strokes import StrokeTensors
from models.training.train import Curves, Outcome, Plan, read_plan, train
from service.commands.console import Bar, check_device, say, stop_on_signal, use_one_thread
from service.commands.label_data import add_labels, check_labels
from service.commands.training_data import load_data

RECIPE, VIEWS = "recipe.", "recipe.views."  # how settings that are not the model's own begin
# In a bar's small room.
SHOWN = ("loss", "contrast", "bits_per_dim", "mse", "l_r", "l_kl", "kl", "active_units")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for beyond the preset; None leaves the preset's.

    ``settings`` are ``KEY=VALUE`` for any field of the model's config (``rate.target=20``), of the
    recipe (``recipe.clip=1``) or of the views (``views.mirror=0``); ``without`` names families of
    views.
    """

    minutes: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: Literal["auto", "bf16", "fp32"] | None = None
    seed: int | None = None
    rate: float | None = None
    swap: bool = True
    settings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def make_plan(model: str, preset: str, wishes: Wishes) -> Plan:
    """A preset with the wishes applied.

    Raises:
        models.UnknownModelError: No such model or preset.
        ValueError: A wish that the model cannot fulfil.
    """
    config, recipe = models.find_preset(model, preset)
    known = {**settings(config), **{f"{RECIPE}{n}": kind for n, kind in settings(recipe).items()}}
    if models.modality(model) == "strokes":
        known = {name: kind for name, kind in known.items() if not name.startswith(VIEWS)}
        if wishes.without or not wishes.swap:
            raise ValueError(
                f"A {model} takes strokes, which have no views of photos: --without and --no-swap "
                "say nothing to it. Its drawings change by augment.scale and augment.drop (--set)."
            )
    if wishes.rate is not None and "rate.target" not in known:
        raise ValueError(f"{model} has no latent rate, so --rate says nothing to it.")
    changes = _read_options(wishes)
    if wishes.rate is not None and config.rate.mode == "beta":  # which has no target
        changes["rate.mode"] = "target"
    for name, value in read_settings(wishes.settings, known).items():
        if changes.get(name, value) != value:
            raise SettingError(
                f"{name} is given twice: {value} by --set, and {changes[name]} by another option."
            )
        changes[name] = value
    for length, other in (("steps", "minutes"), ("minutes", "steps")):
        if changes.get(f"{RECIPE}{length}") is not None:  # one of the two replaces the other
            changes.setdefault(f"{RECIPE}{other}", None)
    of_recipe = {n.removeprefix(RECIPE): v for n, v in changes.items() if n.startswith(RECIPE)}
    of_config = {n: v for n, v in changes.items() if not n.startswith(RECIPE)}
    return Plan(model, change(config, of_config), change(recipe, of_recipe))


def read_settings(words: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """``KEY=VALUE`` words as values by full name.

    Args:
        words: As they are given; ``views.`` is short for ``recipe.views.``.
        known: Every setting there is, with its type.

    Raises:
        SettingError: No such setting, no value for it, or one that is given twice.
    """
    shown = [name.replace(VIEWS, "views.", 1) for name in known]
    read: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        name = f"{RECIPE}{key}" if key.startswith("views.") else key
        if not equals:
            raise SettingError(f"--set {word} sets nothing: expected KEY=VALUE, like layers=3.")
        if name not in known:
            raise unknown_setting(key, shown)
        if name in read:
            raise SettingError(f"{key} is set twice. Give it once.")
        read[name] = read_text(known[name], text, key)
    return read


def _read_options(wishes: Wishes) -> dict[str, Any]:
    """The options that have a name of their own, as settings."""
    if wishes.minutes is not None and wishes.steps is not None:
        raise ValueError("Give --minutes or --steps, not both: they both say how long to train.")
    off = (*wishes.without, *(() if wishes.swap else ("background", "white")))
    changes = {f"{VIEWS}{name}": value for name, value in switched_off(off).items()}
    named = ("minutes", "steps", "batch_size", "learning_rate", "precision", "seed")
    given = {n: getattr(wishes, n) for n in named if getattr(wishes, n) is not None}
    changes |= {f"{RECIPE}{name}": value for name, value in given.items()}
    if wishes.rate is not None:
        changes["rate.target"] = wishes.rate
    return changes


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
    masks: Path | None = None,
    labels: Sequence[Path] = (),
) -> Outcome:
    """Train, showing how it goes; stop politely when interrupted."""
    check_labels(plan, data, labels)
    use_one_thread()
    check_device(device)
    if device.startswith("cuda"):  # matrix products as convolutions are: with tensor cores
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True  # all steps are of one shape
    processes = Processes.join()
    leader = processes.rank == 0
    start = None if init is None else load_weights(find_weights(init))
    photos = load_data(plan, data, cache=cache, processes=processes, masks=masks)
    if labels and isinstance(photos, PhotoTensors):
        photos = add_labels(photos, data, labels, plan.config.classes)
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
    if masks is not None:
        given += f" --masks {shlex.quote(str(masks))}"
    given += "".join(f" --labels {shlex.quote(str(path))}" for path in labels)
    again = f"niteru train {plan.name} {given} --out {shlex.quote(str(out))} --resume"
    _report(outcome, photos, out, again, model=plan.name)
    return outcome


def _curves(out: Path) -> Curves | None:
    """Tensorboard's writer, if its extra is installed; history.jsonl is written in any case."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    curves: Curves = SummaryWriter(str(out / "curves"))
    return curves


def _report(
    outcome: Outcome, photos: PhotoTensors | StrokeTensors, out: Path, again: str, *, model: str
) -> None:
    if isinstance(photos, StrokeTensors):
        _report_sketches(outcome, photos, out, again)
        return
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
    if models.unrolls(model):
        say(
            f"A {model} is not exported unasked: every step of it would be written out, which "
            f"takes minutes. Torch embeds with it. "
            f"To export it: niteru export {shlex.quote(str(out))}"
        )
    else:
        _export(out)
    if facts["collapsed"]:
        say(
            "WARNING: the latent vector has collapsed: it holds "
            f"{facts['last_steps']['kl']:.2g} nats, so searching by it finds nothing. Raise the "
            "rate (--rate 60) or the auxiliary weight, or train longer."
        )


def _report_sketches(outcome: Outcome, sketches: StrokeTensors, out: Path, again: str) -> None:
    """The same for a stroke model, which is not exported: nothing is searched by it."""
    if not outcome.finished:
        say(f"Stopped at step {outcome.steps:,}; go on with: {again}")
        return
    facts: dict[str, Any] = outcome.metrics["training"]
    left_out = f"; {sketches.left_out:,} with more points left out" if sketches.left_out else ""
    say(
        f"{out}: {facts['steps']:,} steps in {facts['minutes']} minutes on {len(sketches):,} "
        f"sketches of up to {sketches.preprocessing.max_points} points{left_out}."
    )


def _export(out: Path) -> None:
    """Make the encoder that is served; the weights are safe and usable if that fails."""
    say("Exporting the encoder, with which searches embed ...")
    try:
        export_encoder(out)
    except (WeightsError, OSError) as error:
        say(f"WARNING: no encoder.onnx was made, so {out} will embed with torch: {error}")
