"""Where items come from: a tree of photos, a manifest, or shards; here, or where fsspec reaches."""

from functools import partial
from pathlib import Path, PurePosixPath

from indexer.catalogues.delimited import csv_lines, find_kinds
from indexer.catalogues.directory import SUFFIXES, DirectoryCatalogue
from indexer.catalogues.jsonlines import json_lines
from indexer.catalogues.manifest import ManifestCatalogue
from indexer.catalogues.memory import MemoryCatalogue
from indexer.catalogues.parquet import parquet_lines
from indexer.catalogues.places import is_folder, is_remote
from indexer.catalogues.remote import RemoteCatalogue, fetch
from indexer.catalogues.shards import ShardCatalogue, is_shards, open_shards
from indexer.errors import CatalogueError
from indexer.protocols import Catalogue

__all__ = [
    "SUFFIXES",
    "DirectoryCatalogue",
    "ManifestCatalogue",
    "MemoryCatalogue",
    "RemoteCatalogue",
    "ShardCatalogue",
    "open_catalogue",
]


def open_catalogue(place: Path | str) -> Catalogue:
    """Open a catalogue by what its path or URL is: a folder, or a file by its ending.

    A manifest and shards are read through once, so that line 90,000 is not refused after an hour.

    Args:
        place: A folder of photos; a ``.csv``, ``.jsonl`` (``.ndjson``) or ``.parquet`` manifest;
            or ``.tar`` shards, of which a pattern may mean several (``shards/{000..017}.tar``).

    Raises:
        CatalogueError: Nothing there, an unknown ending, or not what its ending says.
    """
    text = str(place)
    if is_remote(text):
        return open_remote(text)
    path = Path(text).absolute()
    if path.is_dir():
        return DirectoryCatalogue(path)
    if is_shards(text):
        return open_shards(str(path))
    if not path.is_file():
        raise CatalogueError(
            f"There is no catalogue at '{path}'. Give a folder of photos or a manifest file."
        )
    return open_manifest(path)


def open_remote(url: str) -> Catalogue:
    """As ``open_catalogue``, of a URL."""
    if is_shards(url):
        return open_shards(url)
    if PurePosixPath(url).suffix.lower() in (".csv", ".jsonl", ".ndjson", ".parquet"):
        return open_manifest(fetch(url), url=url)
    try:
        there = is_folder(url)
    except OSError as error:
        raise CatalogueError(f"'{url}' cannot be read: {error.strerror or error}.") from error
    if not there:
        raise CatalogueError(
            f"There is no catalogue at '{url}'. Give a folder of photos, a manifest ending in "
            ".csv, .jsonl or .parquet, or .tar shards."
        )
    return RemoteCatalogue(url)


def open_manifest(path: Path, *, url: str | None = None) -> Catalogue:
    """A manifest by its ending; ``url`` is where it was fetched from.

    Raises:
        CatalogueError: An unknown ending, or a manifest that is not one.
    """
    match path.suffix.lower():
        case ".csv":
            return ManifestCatalogue(path, partial(csv_lines, kinds=find_kinds(path)), url=url)
        case ".jsonl" | ".ndjson":
            return ManifestCatalogue(path, json_lines, url=url)
        case ".parquet":
            return ManifestCatalogue(path, parquet_lines, unit="row", url=url)
        case other:
            raise CatalogueError(
                f"'{path}' ends in '{other}', which is no catalogue. Give a folder of photos, or "
                "a manifest ending in .csv, .jsonl or .parquet, or .tar shards."
            )
