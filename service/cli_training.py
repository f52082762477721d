"""The commands that train, for ``service.cli``; they too import what they need when called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    list[Path],
    typer.Option(
        help="Folder, manifest, idx prefix or .npz (for sketches: this); may be repeated. "
        "PATH@3000 counts as 3000."
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        help="Switch off in views: background, white, mirror, crop, rotate, light, colour, "
        "occlusion or noise. May be repeated."
    ),
]
KeyValues = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: layers=3, recipe.clip=1, views.mirror=0 ..."),
]
Labels = Annotated[
    list[Path] | None,
    typer.Option(
        help="Of a model with classes=N: .npz or idx prefix with the labels of each --data."
    ),
]
Masks = Annotated[Path | None, typer.Option("--masks", help="Folder of your own item masks.")]

Cache = Annotated[Path, typer.Option(help="Folder that remembers item masks.")]
MASK_CACHE = Path("~/.cache/niteru/masks")


def train(
    model: Annotated[str, typer.Argument(help="What to train; niteru models lists them.")],
    *,
    data: Data,
    out: Annotated[Path, typer.Option(help="The weights folder to make.")],
    preset: Annotated[str, typer.Option(help="Size of model and training.")] = "cpu",
    minutes: Annotated[float | None, typer.Option(min=0.01, help="How long to train.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How long to train, exactly.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Nats that the latent vector holds.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Items in a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-7, help="At its peak.")] = None,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"] | None, typer.Option(help="Of the convolutions.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    swap: Annotated[
        bool, typer.Option("--swap/--no-swap", help="No: as --without background --without white.")
    ] = True,
    without: Without = None,
    settings: KeyValues = None,
    own: Masks = None,
    labels: Labels = None,
    init: Annotated[
        str | None, typer.Option(help="Weights to start from instead of fresh ones.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    cache: Cache = MASK_CACHE,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
) -> None:
    """Train a model on the photos of a catalogue; most models need no labels.

    Interrupt it and run it again with --resume: it ends with the same weights.
    """
    from service.commands.training import Wishes, make_plan, resume_plan, run_training

    wishes = Wishes(
        minutes, steps, batch_size, learning_rate, precision, seed, rate, swap,
        tuple(settings or ()), tuple(without or ()),
    )  # fmt: skip
    if resume and wishes != Wishes():
        raise typer.BadParameter(
            "a resumed run keeps the settings it began with; give only --data, --masks, --labels "
            "and --out.",
            param_hint="--resume",
        )
    plan = resume_plan(model, out) if resume else make_plan(model, preset, wishes)
    outcome = run_training(
        plan, data, out, resume=resume, cache=cache.expanduser(), device=device, init=init,
        masks=own, labels=tuple(labels or ()),
    )  # fmt: skip
    if not outcome.finished:
        raise typer.Exit(130)  # what a shell expects of an interrupted command


def average(
    weights: Annotated[list[str], typer.Argument(help="Weights folders, or names below weights/.")],
    *,
    data: Data,
    out: Annotated[Path, typer.Option(help="The weights folder to make.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE: metric.emphasis=1 ...")
    ] = None,
    cache: Cache = MASK_CACHE,
) -> None:
    """Make one of several weights that started from the same: their mean.

    One alone keeps its weights; only its metric is fitted anew, with what --set says.
    """
    from service.commands.averaging import run_average

    run_average(weights, data, out, words=tuple(settings or ()), cache=cache.expanduser())


def masks(
    *,
    data: Annotated[list[Path], typer.Option(help="Folder or manifest; may be repeated.")],
    out: Annotated[Path, typer.Option(help="The sheet to write.")] = Path("masks.png"),
    own: Masks = None,
    count: Annotated[int, typer.Option(min=1, help="Photos to show, drawn by lot.")] = 64,
    side: Annotated[
        int, typer.Option(min=16, help="Side at which photos are cut; the preset cpu's is 80.")
    ] = 80,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Show how a training cuts items out of their photos: trusted green, refused red."""
    from service.commands.masks import run_masks

    run_masks(data, out, masks=own, count=count, side=side, seed=seed)
