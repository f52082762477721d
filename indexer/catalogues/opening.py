"""Which catalogue a path or a URL is: a folder, a manifest, shards; here or elsewhere."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from indexer.catalogues.delimited import csv_lines, find_kinds
from indexer.catalogues.directory import SUFFIXES, DirectoryCatalogue
from indexer.catalogues.jsonlines import json_lines
from indexer.catalogues.listing import Listing, list_folder, list_remote
from indexer.catalogues.manifest import ManifestCatalogue, Reach, Source
from indexer.catalogues.parquet import parquet_lines
from indexer.catalogues.places import folder_of, is_remote, join, suffix_of
from indexer.catalogues.remote import RemoteCatalogue, RemoteFile
from indexer.catalogues.shards import ENDING, ShardCatalogue, is_shards, open_shards
from indexer.errors import CatalogueError
from indexer.protocols import Catalogue

MANIFESTS = (".csv", ".jsonl", ".ndjson", ".parquet")
EXPECTED = "Give a folder of photos, a manifest ending in .csv, .jsonl or .parquet, or .tar shards."


def open_catalogue(place: Path | str, *, photos_from: Sequence[str] = ()) -> Catalogue:
    """Open a catalogue by what its path or URL is: a folder, or a file by its ending.

    A manifest and shards are read through once, so that line 90,000 is not refused after an hour.

    Args:
        place: A folder of photos; a ``.csv``, ``.jsonl`` (``.ndjson``) or ``.parquet`` manifest;
            ``.tar`` shards, of which a pattern may mean several (``shards/{000..017}.tar``), or a
            folder of nothing but these.
        photos_from: URLs of the buckets and hosts that a manifest may lead to beside its own.

    Raises:
        CatalogueError: Nothing there, an unknown ending, or not what its ending says.
    """
    for url in photos_from:
        if not is_remote(url):
            raise CatalogueError(
                f"'{url}' is no place that photos may come from. Give a bucket or a host, such as "
                "s3://bucket or https://cdn.shop.example."
            )
    text = str(place)
    if is_remote(text):
        return open_remote(text if text.endswith("://") else text.rstrip("/"), photos_from)
    path = Path(text).absolute()
    if path.is_dir():
        return open_folder(path)
    if is_shards(text):
        return open_shards(str(path))
    if not path.is_file():
        raise CatalogueError(f"There is no catalogue at '{path}'. {EXPECTED}")
    return open_manifest(path, Reach(path.parent, photos_from))


def open_folder(folder: Path) -> Catalogue:
    """A folder of shards if it holds them and neither photos nor folders, else one of photos."""
    shards = shards_in(list_folder(str(folder)))
    if not shards:
        return DirectoryCatalogue(folder)
    return ShardCatalogue(tuple(str(folder / name) for name in shards), str(folder))


def open_remote(url: str, photos_from: Sequence[str]) -> Catalogue:
    """As ``open_catalogue``, of a URL without a slash at its end."""
    if is_shards(url):
        return open_shards(url)
    if suffix_of(url) in MANIFESTS:
        return open_manifest(RemoteFile(url), Reach(folder_of(url), photos_from))
    try:
        found = list_remote(url)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CatalogueError(
            f"There is no catalogue at '{url}': {error.strerror}. {EXPECTED}"
        ) from error
    except OSError as error:
        raise CatalogueError(f"'{url}' cannot be read: {error.strerror or error}.") from error
    if shards := shards_in(found):
        return ShardCatalogue(tuple(join(url, name) for name in shards), url)
    return RemoteCatalogue(url)


def shards_in(found: Listing) -> list[str]:
    """The shards of a folder that holds no photos and no folders; none of any other."""
    names = [file.name for file in found.files]
    if found.folders or any(suffix_of(name) in SUFFIXES for name in names):
        return []
    return [name for name in names if suffix_of(name) == ENDING]


def open_manifest(source: Source, reach: Reach) -> ManifestCatalogue:
    """A manifest by its ending.

    Raises:
        CatalogueError: An unknown ending, or a manifest that is not one.
    """
    match suffix_of(str(source)):
        case ".csv":
            kinds = find_kinds(source)
            return ManifestCatalogue(source, partial(csv_lines, kinds=kinds), reach)
        case ".jsonl" | ".ndjson":
            return ManifestCatalogue(source, json_lines, reach)
        case ".parquet":
            return ManifestCatalogue(source, parquet_lines, reach, unit="row")
        case other:
            raise CatalogueError(f"'{source}' ends in '{other}', which is no catalogue. {EXPECTED}")
