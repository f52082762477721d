"""The command line. Each command imports what it needs when it is called: ``--help`` is instant."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from indexer.engines.choice import MILVUS_NAME, MILVUS_URI, EngineName
from indexer.runtime import Runtime
from service.cli_models import (
    arithmetic,
    complete,
    enlarge,
    frames,
    interpolate,
    reconstruct,
    sample,
)
from service.cli_search import Seed, embed, explain, search
from service.cli_sketch import app as sketch
from service.cli_store import (
    WEIGHTS,
    Json,
    WeightsName,
    doctor,
    gc,
    generations,
    index,
    rollback,
)
from service.cli_training import average, masks, train

app = typer.Typer(
    help="Finds the items of a catalogue that look like a photo.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
evaluate = typer.Typer(help="Measure weights.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(evaluate, name="evaluate")
app.add_typer(sketch, name="sketch")


@app.command()
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End after the queries; exit 0 only if they were right.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the catalogue and the store go.")] = Path(
        "demo"
    ),
    items: Annotated[int, typer.Option(min=100, help="Items in the catalogue.")] = 2400,
    queries: Annotated[int, typer.Option(min=1, max=100, help="Photos to search with.")] = 40,
    port: Annotated[
        int, typer.Option(envvar="NITERU_PORT", help="Port to serve on; 0 takes a free one.")
    ] = 8000,
    weights: WeightsName = WEIGHTS,
) -> None:
    """Render the sample catalogue, index it, serve it, and query it over HTTP."""
    from service.commands.demo import run_demo

    run_demo(folder, items=items, queries=queries, port=port, weights=weights, once=once)


@app.command("sample-catalogue")
def sample_catalogue(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    items: Annotated[int, typer.Option(min=1, help="How many items.")] = 2400,
    photos_per_item: Annotated[
        int, typer.Option(min=1, help="Photos of each item, each in another scene.")
    ] = 1,
    masks: Annotated[bool, typer.Option("--masks", help="Write item masks as well.")] = False,
    queries: Annotated[
        int, typer.Option(min=0, help="Also photograph this many items again, into OUT-FACTOR.")
    ] = 0,
    factor: Annotated[
        Literal["background", "wearer", "both"], typer.Option(help="What changes in a query.")
    ] = "background",
    size: Annotated[int, typer.Option(min=16, help="Side of the photos in pixels.")] = 256,
    seed: Seed = 0,
) -> None:
    """Render clothes and accessories: a catalogue that needs no data."""
    from service.commands.demo import run_sample_catalogue

    run_sample_catalogue(
        out, items=items, photos_per_item=photos_per_item, masks=masks, queries=queries,
        factor=factor, size=size, seed=seed,
    )  # fmt: skip


app.command()(train)
app.command()(masks)
app.command()(average)


for of_a_store in (index, generations, rollback, gc, doctor):
    app.command()(of_a_store)


app.command()(search)
app.command()(embed)


@app.command()
def serve(
    *,
    store: Annotated[Path | None, typer.Option(help="Folder of the store.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help=f"A folder of weights, or a name below weights/; else the index's, or {WEIGHTS}."
        ),
    ] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(help="What embeds; else auto, which is onnx, or torch without an export."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else 8000.")] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="What holds the index, faiss or milvus; else faiss.")
    ] = None,
    milvus_uri: Annotated[
        str | None, typer.Option(help=f"Address of the Milvus server; else {MILVUS_URI}.")
    ] = None,
    milvus_name: Annotated[
        str | None, typer.Option(help=f"Alias there; else {MILVUS_NAME}.")
    ] = None,
) -> None:
    """Serve a store over HTTP. What no option says, NITERU_ variables do: see service/README.md."""
    from service.commands.serving import run_serve
    from service.settings import load_settings

    settings = load_settings(
        WEIGHTS, store=store, weights=weights, runtime=runtime, host=host, port=port,
        engine=engine, milvus_uri=milvus_uri, milvus_name=milvus_name,
    )  # fmt: skip
    run_serve(settings, named=weights)


@app.command()
def export(
    weights: Annotated[str, typer.Argument(help="A weights folder, or a name below weights/.")],
    *,
    json: Json = False,
) -> None:
    """Make weights ready to be served, as train does at its end."""
    from service.commands.exporting import run_export

    run_export(weights, as_json=json)


@app.command("models")
def list_models(*, json: Json = False) -> None:
    """List every model, its presets, the weights there are of it, and their figures."""
    from service.commands.looking import run_models

    run_models(as_json=json)


for command in (sample, complete, enlarge, reconstruct, interpolate, arithmetic, frames):
    app.command()(command)


app.command()(explain)


@evaluate.command()
def retrieval(
    weights: Annotated[list[str], typer.Argument(help="Weights to measure.")],
    *,
    gallery: Annotated[Path, typer.Option(help="Photos to be found.")],
    queries: Annotated[Path, typer.Option(help="Photos to search with.")],
    comparators: Annotated[
        bool, typer.Option("--comparators", help="Measure raw pixels, PCA and HOG as well.")
    ] = False,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Paste the queries on the backgrounds of these photos.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Add the figures to the weights' metrics.json.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw some queries and what was found.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many queries to draw.")] = 6,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Does the embedding see the item? docs/measuring.md says how it is measured."""
    from service.commands.looking import run_retrieval

    run_retrieval(
        weights, gallery, queries, comparators=comparators, backgrounds=backgrounds, seed=seed,
        record=record, picture=picture, rows=rows, as_json=json,
    )  # fmt: skip


@evaluate.command()
def nll(
    weights: Annotated[str, typer.Argument(help="A weights folder, or a name below weights/.")],
    *,
    data: Annotated[
        Path,
        typer.Option(help="Photos, a prefix of idx files, or an .npz of packed bits or sketches."),
    ],
    split: Annotated[str, typer.Option(help="Of an .npz: train, valid or test.")] = "test",
    samples: Annotated[int, typer.Option(min=1, help="Importance samples of a picture.")] = 50,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many pictures, drawn at random.")
    ] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Add the figures to the weights' metrics.json, and let a server compare photos "
            "with these: see service/README.md.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """How well a model predicts pictures or sketches it has not seen, in nats."""
    from service.commands.likelihood import run_nll

    run_nll(
        weights, data, split=split, samples=samples, limit=limit, seed=seed, record=record,
        device=device, as_json=json,
    )  # fmt: skip


@evaluate.command()
def kid(
    weights: Annotated[str, typer.Argument(help="A weights folder, or a name below weights/.")],
    *,
    data: Annotated[
        Path, typer.Option(help="A prefix of idx files, an .npz of packed bits, or photos.")
    ],
    features: Annotated[str, typer.Option(help="Weights whose embedding compares pictures.")],
    split: Annotated[str, typer.Option(help="Of an .npz: train, valid or test.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=4, help="Only so many pictures, drawn at random.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Add the figures to the weights' metrics.json.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """How like real pictures a model's are; for models without a likelihood."""
    from service.commands.likeness import run_kid

    run_kid(
        weights, data, features=features, split=split, limit=limit, seed=seed, record=record,
        as_json=json,
    )  # fmt: skip


@evaluate.command()
def served(
    address: Annotated[str, typer.Argument(help="A running server: http://127.0.0.1:8000")],
    *,
    gallery: Annotated[Path, typer.Option(help="The folder that the server's store indexes.")],
    queries: Annotated[Path, typer.Option(help="Photos to search with.")],
    picture: Annotated[Path | None, typer.Option(help="Also draw some of the answers.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many of them, evenly spread.")] = 6,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The same through a running server over HTTP, and how long the answers took."""
    from service.commands.served import run_served

    run_served(address, gallery, queries, picture=picture, rows=rows, seed=seed, as_json=json)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; what a user can cause ends in a sentence, not in a traceback.

    Args:
        words: The command and its options; without them, those of the process.
    """
    from indexer.errors import IndexerError
    from models import UnknownModelError
    from service.commands.console import in_words

    # The rest of what we refuse derives from one of these: weights, images and settings are
    # ValueErrors, a missing extra is an ImportError, a diverging run a FloatingPointError.
    causes = (IndexerError, UnknownModelError, ValueError, OSError, ImportError, ArithmeticError)
    try:
        app(words)
    except causes as error:
        sys.stderr.write(f"niteru: {in_words(error)}\n")
        sys.exit(1)
