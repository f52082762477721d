"""Measuring embedders: does the nearest photo show the same item, or the same background?"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.evaluation.answers import judge_answers
from indexer.evaluation.comparators import (
    COMPONENTS,
    REFERENCE,
    HOGEmbedder,
    RawPixelEmbedder,
    fit_pca,
)
from indexer.evaluation.embedding import PixelCache, Progress, embed_photos, ignore_progress
from indexer.evaluation.loading import load_gallery, load_queries
from indexer.evaluation.measures import Figure, summarise
from indexer.evaluation.neighbours import Codes
from indexer.evaluation.pasting import paste_on_backgrounds
from indexer.evaluation.photos import ArrayImages, PhotoSet
from indexer.evaluation.report import RetrievalReport
from indexer.evaluation.truth import Name, PerQuery, Truth, chance, match_sets, query_values
from indexer.protocols import Embedder, Pixels
from models.images import Preprocessing
from models.images.gradients import CELL

# Enough for 64 components; more would only take longer.
PCA_PHOTOS = 5000


def compare_retrieval(
    embedders: Mapping[str, Embedder],
    gallery: Path,
    queries: Path,
    *,
    comparators: bool = False,
    backgrounds: Path | None = None,
    seed: int = 0,
    answers: bool = False,
    workers: int | None = None,
    progress: Progress = ignore_progress,
) -> list[RetrievalReport]:
    """Measure several embedders on the same photos; what the command line calls.

    Args:
        embedders: By the name they have in the report.
        gallery: Photos to be found, see ``indexer.evaluation.loading`` for the forms.
        queries: Photos to search with.
        comparators: Whether raw pixels, principal components and HOG are measured as well.
        backgrounds: Photos on whose backgrounds the queries (idx images) are pasted.
        seed: Of the bootstrap and of the pasting.
        answers: Whether the reports keep what was found for each query, to be looked at.
        workers: Threads that decode; by default one for each processor.
        progress: Called with what is being done, how much is done, and of how much.

    Returns:
        A report for each embedder, comparators first.

    Raises:
        EvaluationError: The photos cannot be read, or have nothing in common.
        ValueError: No embedder, or one with the name of a comparator.
    """
    cache = PixelCache(workers=workers)
    gallery_set = load_gallery(gallery)
    query_set = load_queries(queries, gallery_set)
    if backgrounds is not None:
        photos = load_gallery(backgrounds)
        query_set = paste_on_backgrounds(query_set, photos, seed=seed, cache=cache)
    truth = match_sets(gallery_set, query_set)
    peers = make_comparators(gallery_set, truth, seed=seed, cache=cache) if comparators else {}
    twice = sorted(peers.keys() & embedders.keys())
    if twice or not (peers or embedders):
        what = f"two embedders named '{twice[0]}'" if twice else "no embedder"
        raise ValueError(f"Expected embedders of different names to measure; found {what}.")
    by_lot = chance(truth)
    return [
        _report(
            embedder, gallery_set, query_set, truth, by_lot,
            name=name, cache=cache, seed=seed, answers=answers, progress=progress,
        )
        for name, embedder in {**peers, **embedders}.items()
    ]  # fmt: skip


def evaluate_retrieval(
    embedder: Embedder,
    gallery: PhotoSet,
    queries: PhotoSet,
    *,
    name: str = "embedder",
    cache: PixelCache | None = None,
    seed: int = 0,
    progress: Progress = ignore_progress,
) -> RetrievalReport:
    """Measure one embedder: every figure that can be known from what the two sets know.

    Args:
        embedder: Whose vectors are measured.
        gallery: Photos to be found.
        queries: Photos to search with.
        name: The embedder's name in the report.
        cache: Decoded photos, shared with other calls; by default a new one.
        seed: Of the bootstrap.
        progress: Called with what is being done, how much is done, and of how much.

    Raises:
        EvaluationError: The sets have nothing in common, or a photo cannot be decoded.
        EmbedderError: The embedder breaks its promise.
    """
    truth = match_sets(gallery, queries)
    return _report(
        embedder, gallery, queries, truth, chance(truth),
        name=name, cache=cache or PixelCache(), seed=seed, answers=False, progress=progress,
    )  # fmt: skip


def _report(
    embedder: Embedder,
    gallery: PhotoSet,
    queries: PhotoSet,
    truth: Truth,
    by_lot: Mapping[Name, float],
    *,
    name: str,
    cache: PixelCache,
    seed: int,
    answers: bool,
    progress: Progress,
) -> RetrievalReport:
    asked = embed_photos(embedder, queries, cache, step=f"{name}: queries", progress=progress)
    held = embed_photos(embedder, gallery, cache, step=f"{name}: gallery", progress=progress)
    found = query_values(truth, asked, held)
    return RetrievalReport(
        embedder=name,
        fingerprint=embedder.fingerprint,
        dim=embedder.dim,
        gallery=gallery.name,
        gallery_size=len(gallery),
        queries=queries.name,
        query_count=len(queries),
        left_out_of_classes=tuple(truth.left_out_of_classes) if truth.labels is not None else (),
        figures={figure: summarise(v.values[v.known], seed=seed) for figure, v in found.items()},
        by_factor=_by_factor(truth, found, seed=seed),
        chance=by_lot,
        answers=judge_answers(gallery, queries, truth, asked, held) if answers else None,
    )


def _by_factor(
    truth: Truth, found: Mapping[Name, PerQuery], *, seed: int
) -> dict[str, dict[Name, Figure]]:
    if truth.factors is None:
        return {}
    result: dict[str, dict[Name, Figure]] = {}
    for factor in np.unique(truth.factors[truth.factors != ""]):
        chosen = {
            name: (v.values, v.known & (truth.factors == factor)) for name, v in found.items()
        }
        result[str(factor)] = {
            name: summarise(values[rows], seed=seed)
            for name, (values, rows) in chosen.items()
            if rows.any()
        }
    return result


def make_comparators(
    gallery: PhotoSet, truth: Truth, *, seed: int, cache: PixelCache
) -> dict[str, Embedder]:
    """Raw pixels, whitened principal components and HOG, as the reference figures have them.

    Grey images in memory are taken at their own size. The components are fitted on the gallery's
    training photos: those in its folder ``train`` if it has one, else those whose item no query
    asks for; if every item is asked for, on all, and the name says so.
    """
    preprocessing = REFERENCE
    if isinstance(gallery.images, ArrayImages):
        preprocessing = Preprocessing(max(gallery.images.pixels.shape[1:]), 1, "edge")
    rows, on = _training_rows(gallery, truth)
    if len(rows) > PCA_PHOTOS:
        chosen = np.random.default_rng(seed).choice(len(rows), PCA_PHOTOS, replace=False)
        rows = rows[np.sort(chosen)]
    pixels = _chosen_pixels(gallery, rows, preprocessing, cache)
    whole_cells = -(-preprocessing.size // CELL) * CELL  # rounded up: HOG ignores what is left over
    return {
        "raw pixels": RawPixelEmbedder(preprocessing),
        f"PCA, whitened{on}": fit_pca(pixels, preprocessing),
        "HOG": HOGEmbedder(replace(preprocessing, size=whole_cells)),
    }


def _training_rows(gallery: PhotoSet, truth: Truth) -> tuple[Codes, str]:
    """Rows to fit components on, and what to add to the name if they are no fair choice."""
    in_train = np.flatnonzero(np.char.startswith(gallery.ids, "train/"))
    if len(in_train):
        return in_train, ""
    asked = np.isin(truth.same_photo.gallery, truth.same_photo.queries)
    if truth.items is not None:
        asked |= np.isin(truth.items.gallery, truth.items.queries)
    free = np.flatnonzero(~asked)
    if len(free) > COMPONENTS:
        return free, ""
    return np.arange(len(gallery)), " (fitted on the gallery)"


def _chosen_pixels(
    gallery: PhotoSet, rows: Codes, preprocessing: Preprocessing, cache: PixelCache
) -> Pixels:
    """The photos of these rows, (N, size, size, channels), without holding all of the gallery."""
    start, chosen = 0, []
    for batch in cache.batches(gallery, preprocessing):
        here = rows[(rows >= start) & (rows < start + len(batch))]
        chosen.append(batch[here - start])
        start += len(batch)
    return np.concatenate(chosen)
