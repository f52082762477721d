"""``niteru evaluate served``: the same measure as ``retrieval``, through a running server."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from statistics import median, quantiles

import numpy as np

from indexer.evaluation.errors import PhotoSetError
from indexer.evaluation.loading import load_gallery, load_queries
from indexer.evaluation.measures import Figure, summarise
from indexer.evaluation.neighbours import Codes
from indexer.evaluation.photos import FileImages, PhotoSet
from indexer.evaluation.truth import item_values, match_sets
from service.commands.console import Bar, print_json, say
from service.commands.pictures import Row, draw_results
from service.commands.requesting import search

DEPTH = 10  # neighbours that the figures look at
SHOWN = 5  # of them in a picture


def run_served(
    address: str,
    gallery: Path,
    queries: Path,
    *,
    picture: Path | None,
    rows: int,
    seed: int,
    as_json: bool,
) -> None:
    """Search with every query over HTTP, and print how often the item was found."""
    photos, asked = load_gallery(gallery), load_queries(queries, load_gallery(gallery))
    truth = match_sets(photos, asked)
    near, milliseconds = search_all(address, photos, asked)
    values = item_values(truth, near)
    figures = {name: summarise(v.values[v.known], seed=seed) for name, v in values.items()}
    times = {"median_ms": median(milliseconds), "p95_ms": quantiles(milliseconds, n=20)[-1]}
    if picture is not None:
        draw_results(some_rows(photos, asked, near, rows)).save(picture)
        say(f"{picture}: {rows} queries and what was found for them.")
    if as_json:
        told = {name: figure.to_json() for name, figure in figures.items()}
        print_json({"queries": len(asked), "figures": told, "times": times})
        return
    for name, figure in figures.items():
        print(f"{name:<18} {in_words(figure)}")
    print(
        f"one request        median {times['median_ms']:.1f} ms, 95 % in {times['p95_ms']:.1f} ms"
    )


def search_all(address: str, gallery: PhotoSet, queries: PhotoSet) -> tuple[Codes, list[float]]:
    """What the server finds for every query: (Q, 10) rows of the gallery, and milliseconds.

    Raises:
        PhotoSetError: The server knows an item that the gallery does not have.
    """
    row_of = {name: row for row, name in enumerate(gallery.ids.tolist())}
    # A folder's items are named after their path without its ending.
    row_of |= {str(PurePosixPath(name).with_suffix("")): row for name, row in row_of.items()}
    near = np.full((len(queries), DEPTH), -1, dtype=np.int64)
    milliseconds = []
    bar = Bar(" queries")
    for number, photo in enumerate(paths(queries)):
        items, taken = search(address, photo, DEPTH)
        milliseconds.append(taken)
        for place, item in enumerate(items):
            if item["id"] not in row_of:
                raise PhotoSetError(
                    f"The server at {address} found '{item['id']}', which is not in the gallery "
                    f"'{gallery.name}'. Give the folder that its store was made from."
                )
            near[number, place] = row_of[item["id"]]
        bar.show("search", number + 1, len(queries))
    bar.close()
    return near, milliseconds


def some_rows(gallery: PhotoSet, queries: PhotoSet, near: Codes, count: int) -> list[Row]:
    """Evenly spread queries with what was found for them."""
    files, asked = paths(gallery), paths(queries)
    rows = []
    for number in np.linspace(0, len(queries) - 1, count).astype(int):
        found = [int(row) for row in near[number, :SHOWN] if row >= 0]
        right = None
        if queries.items is not None and gallery.items is not None:
            right = next(
                (p for p, row in enumerate(found) if gallery.items[row] == queries.items[number]),
                None,
            )
        rows.append(Row(asked[number], tuple(files[row] for row in found), right))
    return rows


def paths(photos: PhotoSet) -> Sequence[Path]:
    """Where the photos of a set lie.

    Raises:
        PhotoSetError: They lie in no files.
    """
    if not isinstance(photos.images, FileImages):
        raise PhotoSetError(f"'{photos.name}' has no image files, so a server cannot be asked.")
    return photos.images.paths


def in_words(figure: Figure) -> str:
    """A figure with its interval."""
    return (
        f"{figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f}) over {figure.queries} queries"
    )
