"""Measuring whether an embedding follows the item, or the background and the wearer."""

from indexer.evaluation.embedding import PixelCache
from indexer.evaluation.errors import (
    EvaluationError,
    NothingToMeasureError,
    PhotoSetError,
    UnreadablePhotoError,
)
from indexer.evaluation.loading import load_gallery, load_queries
from indexer.evaluation.measures import Figure
from indexer.evaluation.pasting import paste_on_backgrounds
from indexer.evaluation.photos import PhotoSet
from indexer.evaluation.report import RetrievalReport, format_table
from indexer.evaluation.retrieval import compare_retrieval, evaluate_retrieval

__all__ = [
    "EvaluationError",
    "Figure",
    "NothingToMeasureError",
    "PhotoSet",
    "PhotoSetError",
    "PixelCache",
    "RetrievalReport",
    "UnreadablePhotoError",
    "compare_retrieval",
    "evaluate_retrieval",
    "format_table",
    "load_gallery",
    "load_queries",
    "paste_on_backgrounds",
]
