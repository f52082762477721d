"""The commands that index, for ``service.cli``; they import what they need when called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from indexer.runtime import Runtime

WEIGHTS = "pixelvae-clothing"
RAY: Literal["ray"] = "ray"

Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
Store = Annotated[Path, typer.Option(help="Folder of the store.")]
WeightsName = Annotated[
    str, typer.Option(help="A weights folder, or a name below weights/.", show_default=True)
]
RuntimeName = Annotated[
    Runtime,
    typer.Option(
        envvar="NITERU_RUNTIME", help="What embeds; auto is onnx, or torch without a usable export."
    ),
]


def index(
    catalogue: Annotated[Path, typer.Argument(help="A folder of photos, or a manifest file.")],
    *,
    store: Store,
    weights: WeightsName = WEIGHTS,
    runtime: RuntimeName = "auto",
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|ray",
            help="Threads; without it, one for each core. Or ray: the machines of a Ray cluster.",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete items that the catalogue has no more.")
    ] = False,
    json: Json = False,
) -> None:
    """Embed a catalogue and publish an index of it. Run again, it embeds only what changed."""
    from service.commands.indexing import run_index

    report = run_index(
        catalogue, store, weights=weights, runtime=runtime, workers=read_workers(workers),
        prune=prune, as_json=json,
    )  # fmt: skip
    if report.stopped:
        raise typer.Exit(130)


def read_workers(word: str | None) -> int | Literal["ray"] | None:
    """What ``--workers`` says."""
    if word is None or word == RAY:
        return word
    if not word.isdecimal() or int(word) < 1:
        raise typer.BadParameter(
            f"{word!r} is neither a number of threads, from 1, nor ray.", param_hint="--workers"
        )
    return int(word)


def generations(*, store: Store, json: Json = False) -> None:
    """List the published indexes of a store; the one that answers is marked."""
    from service.commands.indexing import run_generations

    run_generations(store, as_json=json)


def rollback(
    generation: Annotated[str, typer.Argument(help="Id from: niteru generations.")], *, store: Store
) -> None:
    """Let an earlier index answer again."""
    from service.commands.indexing import run_rollback

    run_rollback(generation, store)
