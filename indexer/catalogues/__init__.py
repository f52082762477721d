"""Where items come from: a tree of photos, a manifest, or shards; here, or where fsspec reaches."""

from indexer.catalogues.directory import SUFFIXES, DirectoryCatalogue
from indexer.catalogues.manifest import ManifestCatalogue
from indexer.catalogues.memory import MemoryCatalogue
from indexer.catalogues.opening import open_catalogue
from indexer.catalogues.remote import RemoteCatalogue
from indexer.catalogues.shards import ShardCatalogue

__all__ = [
    "SUFFIXES",
    "DirectoryCatalogue",
    "ManifestCatalogue",
    "MemoryCatalogue",
    "RemoteCatalogue",
    "ShardCatalogue",
    "open_catalogue",
]
