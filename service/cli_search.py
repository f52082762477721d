"""The commands that ask with photos: what is like them, their vectors, what those kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.engines.choice import MILVUS_NAME, MILVUS_URI
from service.cli_engine import Engine, MilvusName, MilvusUri, choose_engine
from service.cli_store import WEIGHTS, Json, RuntimeName, Store, WeightsName, WeightsOfStore

if TYPE_CHECKING:  # it loads numpy and Pillow
    from models.images import Crop

Seed = Annotated[int, typer.Option(help="Of everything random.")]
CropBox = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="The part of each photo that counts, of the photo as it stands upright.",
    ),
]
CropUnit = Annotated[
    Literal["fractions", "pixels"],
    typer.Option(help="Of --crop: fractions of the photo's sides, 0 to 1, or pixels."),
]


def search(
    images: Annotated[list[Path], typer.Argument(help="Photos to search with.")],
    *,
    store: Store,
    limit: Annotated[int, typer.Option(min=1, help="How many items.")] = 10,
    conditions: Annotated[
        str | None,
        typer.Option(
            "--filter",
            help="Conditions on attributes, as JSON: "
            '{"must": [{"key": "category", "match": "shoes"}]}; or @FILE that holds them.',
        ),
    ] = None,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the best.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Only items of at least this score.")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(help="An attribute: one item of each of its values.")
    ] = None,
    group_size: Annotated[int, typer.Option(min=1, help="So many instead of one.")] = 1,
    collapse: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Fold items that are so alike (.98) into the best."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="An id that is not answered; may be repeated.")
    ] = None,
    crop: CropBox = None,
    crop_unit: CropUnit = "fractions",
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every item.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the photos and what was found.")
    ] = None,
    weights: WeightsOfStore = None,
    runtime: RuntimeName = "auto",
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """Print the items nearest to a photo, or to each of several."""
    from service.commands.searching import read_filter, run_search
    from service.selection import Selection

    wanted = Selection(
        limit, offset, exact=exact, exclude=tuple(exclude or ()), where=read_filter(conditions),
        score_threshold=threshold, group_by=group_by, group_size=group_size, collapse=collapse,
    )  # fmt: skip
    run_search(
        images, store, wanted, crop=read_crop(crop, crop_unit), weights=weights, usual=WEIGHTS,
        runtime=runtime,
        choice=choose_engine(engine, milvus_uri, milvus_name), picture=picture, as_json=json,
    )  # fmt: skip


def embed(
    images: Annotated[list[Path], typer.Argument(help="Photos.")],
    *,
    crop: CropBox = None,
    crop_unit: CropUnit = "fractions",
    weights: WeightsName = WEIGHTS,
    runtime: RuntimeName = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Array to write (.npy); without it, print.")
    ] = None,
    json: Json = False,
) -> None:
    """The vectors of photos."""
    from service.commands.searching import run_embed

    part = read_crop(crop, crop_unit)
    run_embed(images, crop=part, weights=weights, runtime=runtime, out=out, as_json=json)


def explain(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    *,
    store: Annotated[
        Path | None, typer.Option(help="Folder of a store: also show the nearest items.")
    ] = None,
    weights: WeightsOfStore = None,
    crop: CropBox = None,
    crop_unit: CropUnit = "fractions",
    draws: Annotated[int, typer.Option(min=1, max=16, help="Pictures to draw.")] = 4,
    nearest: Annotated[int, typer.Option(min=1, max=20, help="Items to show.")] = 5,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("explain.png"),
    engine: Engine = "faiss",
    milvus_uri: MilvusUri = MILVUS_URI,
    milvus_name: MilvusName = MILVUS_NAME,
    json: Json = False,
) -> None:
    """Show what the embedding kept of a photo: its vector, drawn again."""
    from service.commands.explaining import run_explain

    run_explain(
        image, store, crop=read_crop(crop, crop_unit), weights=weights, usual=WEIGHTS, draws=draws,
        nearest=nearest, seed=seed, out=out,
        choice=choose_engine(engine, milvus_uri, milvus_name), as_json=json,
    )  # fmt: skip


def read_crop(text: str | None, unit: Literal["fractions", "pixels"]) -> "Crop | None":
    """The crop of ``--crop``.

    Raises:
        ValueError: It cannot be read as one.
    """
    from models.images import Crop

    if text is None:
        return None
    try:
        return Crop.parse(text, unit)
    except ValueError as error:
        raise ValueError(f"--crop: {error}") from error
