"""Where items come from: a directory tree of photos, or a manifest in CSV, JSONL or Parquet."""

from functools import partial
from pathlib import Path

from indexer.catalogues.delimited import csv_lines, find_kinds
from indexer.catalogues.directory import SUFFIXES, DirectoryCatalogue
from indexer.catalogues.jsonlines import json_lines
from indexer.catalogues.manifest import ManifestCatalogue
from indexer.catalogues.memory import MemoryCatalogue
from indexer.catalogues.parquet import parquet_lines
from indexer.errors import CatalogueError
from indexer.protocols import Catalogue

__all__ = [
    "SUFFIXES",
    "DirectoryCatalogue",
    "ManifestCatalogue",
    "MemoryCatalogue",
    "open_catalogue",
]


def open_catalogue(path: Path) -> Catalogue:
    """Open a catalogue by what its path is: a folder, or a file by its ending.

    A manifest is read through once, so that line 90,000 is not refused after an hour of work.

    Args:
        path: A folder of photos, or a ``.csv``, ``.jsonl`` (``.ndjson``) or ``.parquet`` file.

    Raises:
        CatalogueError: Nothing there, an unknown ending, or a manifest that is not one.
    """
    path = path.absolute()
    if path.is_dir():
        return DirectoryCatalogue(path)
    if not path.is_file():
        raise CatalogueError(
            f"There is no catalogue at '{path}'. Give a folder of photos or a manifest file."
        )
    match path.suffix.lower():
        case ".csv":
            return ManifestCatalogue(path, partial(csv_lines, kinds=find_kinds(path)))
        case ".jsonl" | ".ndjson":
            return ManifestCatalogue(path, json_lines)
        case ".parquet":
            return ManifestCatalogue(path, parquet_lines, unit="row")
        case other:
            raise CatalogueError(
                f"'{path}' ends in '{other}', which is no catalogue. Give a folder of photos, or "
                "a manifest ending in .csv, .jsonl or .parquet."
            )
