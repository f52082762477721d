"""Writing sample catalogues and the query photos that go with them."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from indexer.sample.item import draw_items
from indexer.sample.scene import Scene, change_background, change_wearer, draw_scene, nudge_camera
from indexer.sample.settings import (
    IMAGES,
    ITEMS_FILE,
    CatalogueSettings,
    SampleError,
    claim_folder,
    holds_files,
    read_settings,
    write_atomically,
)
from indexer.sample.shots import Progress, Shot, take_all

Factor = Literal["background", "wearer", "both"]

MASKS = "masks"
QUERIES_FILE = "queries.csv"
QUERY_SETTINGS_FILE = "queries.json"
ITEM_COLUMNS = ("id", "path", "item", "kind", "colour", "pattern", "background", "wearer", "price")
QUERY_COLUMNS = ("query", "item_id", "item_path", "factor", "kind")
QUERY_STREAM = 3


def write_catalogue(
    folder: Path,
    *,
    items: int = 2400,
    seed: int = 0,
    size: int = 256,
    photos_per_item: int = 1,
    masks: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CatalogueSettings:
    """Render a sample catalogue into a folder, or finish or lengthen the one that is there.

    Writes ``images/<id>.jpg``, ``catalogue.json`` and, last, ``items.csv`` with a row for each
    photo: id, path (relative to the CSV), item, kind, colour, pattern, background, wearer, price,
    and mask if masks are written.
    With several photos for each item their ids are ``<item>_<j>``.

    Args:
        folder: Is made if it does not exist. One process may write to it at a time.
        items: How many items; the first n are the same in every catalogue of a seed.
        seed: Of items and scenes.
        size: Side of the images in pixels.
        photos_per_item: Photos of each item, each in another scene.
        masks: Also write ``masks/<id>.png``, 255 where the photo shows the item.
        workers: Processes; None for one on each core that may be used.
        progress: Called with (photos done, photos in all).

    Raises:
        SampleError: The folder holds something else, or a setting makes no sense.
        OSError: A file cannot be written; what is written stays and the next call goes on.
    """
    settings = CatalogueSettings(items, seed, size, photos_per_item)
    drawn = draw_items(seed, items)
    claim_folder(folder, settings)
    if masks:
        (folder / MASKS).mkdir(exist_ok=True)
    shots = [
        Shot(
            item,
            draw_scene(seed, item.number, photo),
            size,
            folder / settings.photo_path(item.id, photo),
            folder / MASKS / f"{settings.photo_id(item.id, photo)}.png" if masks else None,
        )
        for item in drawn
        for photo in range(photos_per_item)
    ]
    take_all(shots, workers, progress)
    rows = [catalogue_row(shot) for shot in shots]
    columns = (*ITEM_COLUMNS, "mask") if masks else ITEM_COLUMNS
    write_atomically(folder / ITEMS_FILE, table(columns, rows))
    return settings


def write_queries(
    folder: Path,
    catalogue: Path | CatalogueSettings,
    *,
    factor: Factor = "background",
    queries: int = 400,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Photograph items of a catalogue again, with one factor changed and the camera moved a little.

    Writes ``<number>.jpg``, ``queries.json`` and, last, ``queries.csv``: query (file name),
    item_id and item_path of the one photo in the catalogue that shows the item with the factor
    unchanged, factor, kind.

    Args:
        folder: Where to; not the catalogue's own folder.
        catalogue: The folder of a written catalogue, or the settings of one.
        factor: What is changed: the background, the wearer or both.
        queries: How many, each of another item; at most as many as there are items.
        seed: Chooses the items and what replaces the factor.
        workers: Processes; None for one on each core that may be used.
        progress: Called with (photos done, photos in all).

    Returns:
        How many queries were written.

    Raises:
        SampleError: No catalogue there, other queries in the folder, or too many asked for.
        OSError: A file cannot be written.
    """
    settings = settings_of(catalogue)
    if seed < 0:
        raise SampleError(f"seed is {seed}; give a whole number of at least 0.")
    if factor not in ("background", "wearer", "both"):
        raise SampleError(f"The factor is {factor!r}; give 'background', 'wearer' or 'both'.")
    if not 1 <= queries <= settings.items:
        raise SampleError(
            f"{queries} queries of {settings.items} items: give 1 to {settings.items}."
        )
    claim_queries(
        folder, {**asdict(settings), "factor": factor, "queries": queries, "query_seed": seed}
    )
    shots = plan_queries(folder, settings, factor, queries, seed)
    take_all(shots, workers, progress)
    rows = []
    for shot in shots:
        item = shot.item
        photo = settings.photo_id(item.id, 0), settings.photo_path(item.id, 0)
        rows.append((shot.path.name, *photo, factor, item.kind))
    write_atomically(folder / QUERIES_FILE, table(QUERY_COLUMNS, rows))
    return len(rows)


def plan_queries(
    folder: Path, settings: CatalogueSettings, factor: Factor, queries: int, seed: int
) -> list[Shot]:
    """The query photos to be taken, each of another item."""
    drawn = draw_items(settings.seed, settings.items)
    order = np.random.default_rng((QUERY_STREAM, seed)).permutation(settings.items)[:queries]
    return [
        Shot(
            drawn[number],
            change_scene(settings.seed, int(number), factor, seed),
            settings.size,
            folder / f"{place:05d}.jpg",
        )
        for place, number in enumerate(order)
    ]


def settings_of(catalogue: Path | CatalogueSettings) -> CatalogueSettings:
    """The settings themselves, or those of the catalogue in a folder."""
    if isinstance(catalogue, CatalogueSettings):
        return catalogue
    settings = read_settings(catalogue)
    if settings is None:
        raise SampleError(
            f"There is no sample catalogue in {catalogue}: it has no catalogue.json. "
            "Write one there first."
        )
    return settings


def change_scene(seed: int, number: int, factor: Factor, query_seed: int) -> Scene:
    """The scene of an item's first photo with a factor changed and the camera nudged."""
    rng = np.random.default_rng((QUERY_STREAM, query_seed, number))
    scene = draw_scene(seed, number)
    if factor in ("background", "both"):
        scene = change_background(scene, rng)
    if factor in ("wearer", "both"):
        scene = change_wearer(scene, rng)
    return nudge_camera(scene, rng)


def claim_queries(folder: Path, record: dict[str, object]) -> None:
    """Make the folder one of these queries, or raise SampleError if it is one of others."""
    path = folder / QUERY_SETTINGS_FILE
    if (folder / IMAGES).exists():
        raise SampleError(f"{folder} is a catalogue's folder; write the queries beside it.")
    if path.exists():
        try:
            found = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise SampleError(f"{path} is not JSON ({error}). Delete the folder.") from error
        if found != record:
            raise SampleError(
                f"{folder} holds queries made with {found}, not with {record}. "
                "Choose another folder or delete this one."
            )
    elif holds_files(folder):
        raise SampleError(f"{folder} is not empty and holds no {path.name}. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record, indent=2).encode() + b"\n")


def catalogue_row(shot: Shot) -> tuple[str, ...]:
    """The row of a photo in items.csv."""
    item, scene = shot.item, shot.scene
    return (
        shot.path.stem,
        f"{IMAGES}/{shot.path.name}",
        item.id,
        item.kind,
        item.colours[0].name,
        item.pattern.kind,
        scene.background.kind,
        scene.wearer.kind,
        f"{item.price:.2f}",
        *(() if shot.mask is None else (f"{MASKS}/{shot.mask.name}",)),
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV file."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8")
