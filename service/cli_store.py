"""The commands for a store's life: index, list, go back, examine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from indexer.engines.choice import MILVUS_NAME, MILVUS_URI
from indexer.runtime import Runtime
from service.cli_engine import Engine, MilvusName, MilvusUri, choose_engine

WEIGHTS = "pixelvae-clothing"
RAY: Literal["ray"] = "ray"

Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
Store = Annotated[Path, typer.Option(help="Folder of the store.")]
WeightsName = Annotated[
    str, typer.Option(help="A weights folder, or a name below weights/.", show_default=True)
]
WeightsOfStore = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help=f"A folder of weights, or a name below weights/; else the index's, or {WEIGHTS}.",
    ),
]
RuntimeName = Annotated[
    Runtime,
    typer.Option(
        envvar="NITERU_RUNTIME", help="What embeds; auto is onnx, or torch without a usable export."
    ),
]


Recall = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        max=1.0,
        help="Of ten true neighbours, the share to be found; else as before, at first .95.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(help="The most an index of faiss may take: 500MB, 2GB, or any; else as before."),
]


def index(
    catalogue: Annotated[
        str,
        typer.Argument(
            help="A folder of photos, a manifest, or .tar shards; a path, or a URL such as s3://..."
        ),
    ],
    *,
    store: Store,
    weights: WeightsOfStore = None,
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
    photos_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="A bucket or a host that a manifest may lead to beside its own; repeatable.",
        ),
    ] = None,
    recall: Recall = None,
    memory: Memory = None,
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """Embed a catalogue and publish an index of it. Run again, it embeds only what changed."""
    from indexer.demands import Demands
    from service.commands.indexing import run_index

    choice = choose_engine(engine, milvus_uri, milvus_name)
    if memory is not None and engine != "faiss":
        raise typer.BadParameter("is for the engine faiss alone.", param_hint="--memory")
    demands = Demands(recall, None if memory is None else read_memory(memory))
    report = run_index(
        catalogue, store, weights=weights, usual=WEIGHTS, runtime=runtime,
        workers=read_workers(workers),
        prune=prune, demands=demands, choice=choice, as_json=json,
        photos_from=photos_from or (),
    )  # fmt: skip
    if report.stopped:
        raise typer.Exit(130)


def read_memory(text: str) -> int | str:
    """What ``--memory`` says."""
    from indexer.demands import parse_memory

    try:
        return parse_memory(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--memory") from error


def read_workers(word: str | None) -> int | Literal["ray"] | None:
    """What ``--workers`` says."""
    if word is None or word == RAY:
        return word
    if not word.isdecimal() or int(word) < 1:
        raise typer.BadParameter(
            f"{word!r} is neither a number of threads, from 1, nor ray.", param_hint="--workers"
        )
    return int(word)


def generations(
    *,
    store: Store,
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """List the published indexes of a store; the one that answers is marked."""
    from service.commands.indexing import run_generations

    run_generations(store, choice=choose_engine(engine, milvus_uri, milvus_name), as_json=json)


def rollback(
    generation: Annotated[str, typer.Argument(help="Id from: niteru generations.")],
    *,
    store: Store,
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
) -> None:
    """Let an earlier index answer again."""
    from service.commands.indexing import run_rollback

    run_rollback(generation, store, choice=choose_engine(engine, milvus_uri, milvus_name))


def gc(
    *,
    store: Store,
    keep: Annotated[
        int, typer.Option(min=1, help="Newest generations to leave; the current one stays.")
    ] = 3,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished",
            help="Also vectors of weights by which an indexing was begun and nothing published.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go, and how many bytes.")
    ] = False,
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """Collect garbage: old indexes, vectors of weights that have none left, leftovers of crashes.

    What a kept index or a running server needs stays.
    """
    from service.commands.collecting import run_gc

    stopped = run_gc(
        store, keep=keep, unfinished=unfinished, dry_run=dry_run,
        choice=choose_engine(engine, milvus_uri, milvus_name), as_json=json,
    )  # fmt: skip
    if stopped:
        raise typer.Exit(130)


def doctor(
    *,
    store: Store,
    weights: Annotated[
        str | None, typer.Option(help="Also check that the index was made with these weights.")
    ] = None,
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """Check everything of a store and say what to do. Changes nothing; exits with 1 for errors."""
    from service.commands.doctoring import run_doctor

    choice = choose_engine(engine, milvus_uri, milvus_name)
    if not run_doctor(store, weights=weights, choice=choice, as_json=json):
        raise typer.Exit(1)
