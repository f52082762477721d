"""Where items come from: a directory tree of photos, or a manifest in CSV, JSONL or Parquet."""

from pathlib import Path

from indexer.catalogues.delimited import CsvCatalogue
from indexer.catalogues.directory import SUFFIXES, DirectoryCatalogue
from indexer.catalogues.jsonlines import JsonLinesCatalogue
from indexer.catalogues.memory import MemoryCatalogue
from indexer.catalogues.parquet import ParquetCatalogue
from indexer.errors import CatalogueError
from indexer.protocols import Catalogue

__all__ = [
    "SUFFIXES",
    "CsvCatalogue",
    "DirectoryCatalogue",
    "JsonLinesCatalogue",
    "MemoryCatalogue",
    "ParquetCatalogue",
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
            return CsvCatalogue(path)
        case ".jsonl" | ".ndjson":
            return JsonLinesCatalogue(path)
        case ".parquet":
            return ParquetCatalogue(path)
        case other:
            raise CatalogueError(
                f"'{path}' ends in '{other}', which is no catalogue. Give a folder of photos, or "
                "a manifest ending in .csv, .jsonl or .parquet."
            )
