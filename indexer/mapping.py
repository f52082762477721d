"""A map of the catalogue: items in the plane, those that look alike beside each other.

Exact t-SNE (van der Maaten & Hinton, 2008) of some landmarks; every other item stands among the
landmarks that it is most like. A picture to wander in, not a measure: only near neighbours mean
something, and of a large catalogue it shows a sample.
"""

import numpy as np
import numpy.typing as npt

from indexer.protocols import Vectors

Places = npt.NDArray[np.float32]  # (N, 2) in [0, 1]

MOST = 3000  # items on a map: more can be neither sent nor looked at
LANDMARKS = 700
PERPLEXITY = 20.0
STEPS = 160
EXAGGERATED = 50  # steps at the start in which neighbours pull four times as hard
NEAREST = 3  # landmarks that say where another item stands


def choose_rows(count: int, *, most: int = MOST, seed: int = 0) -> npt.NDArray[np.int64]:
    """Which of ``count`` items stand on the map, ascending; all of them if there are few."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def lay_out(vectors: Vectors, *, landmarks: int = LANDMARKS, seed: int = 0) -> Places:
    """Places for items, the same for the same vectors.

    Args:
        vectors: (N, dim) of unit length.
        landmarks: So many of them are laid out; the others follow.
        seed: Of the choice of landmarks.

    Returns:
        (N, 2) in [0, 1].
    """
    count = len(vectors)
    if count < 4:
        line = (
            np.linspace(0.25, 0.75, count, dtype=np.float32) if count > 1 else np.full(count, 0.5)
        )
        return np.stack([line, np.full(count, 0.5)], 1).astype(np.float32)
    chosen = choose_rows(count, most=landmarks, seed=seed)
    marks = tsne(vectors[chosen])
    places = np.empty((count, 2), np.float32)
    places[chosen] = marks
    others = np.setdiff1d(np.arange(count), chosen)
    if len(others):
        places[others] = beside(vectors[others], vectors[chosen], marks)
    low, high = places.min(0), places.max(0)
    scaled: Places = (places - low) / np.maximum(high - low, 1e-9)
    return scaled.astype(np.float32)


def beside(vectors: Vectors, landmarks: Vectors, marks: Places) -> Places:
    """(N, 2) places of further items: the mean of the nearest landmarks', the nearer the more."""
    scores = vectors @ landmarks.T  # (N, L)
    nearest = np.argpartition(-scores, min(NEAREST, len(landmarks)) - 1, axis=1)[:, :NEAREST]
    weights = np.exp(20 * (np.take_along_axis(scores, nearest, 1) - 1))
    weights /= weights.sum(1, keepdims=True)
    found: Places = (marks[nearest] * weights[..., None]).sum(1).astype(np.float32)
    return found


def tsne(vectors: Vectors, *, perplexity: float = PERPLEXITY, steps: int = STEPS) -> Places:
    """(N, 2): Kullback-Leibler descent with momentum and gains, from the first two components."""
    p = affinities(vectors, perplexity=min(perplexity, (len(vectors) - 1) / 3))
    y = principal(vectors)
    velocity, gains = np.zeros_like(y), np.ones_like(y)
    rate = max(len(y) / 4, 5.0)
    pull = np.float32(4.0) * p
    kernel, force = np.empty_like(p), np.empty_like(p)  # in place: most of the time is memory's
    one = np.ones(len(y), np.float32)
    for step in range(steps):
        if step == EXAGGERATED:
            pull = p
        squares, places = (y**2).sum(1), np.column_stack([y, one])
        # 1 + the squared distance, (N, N), as one product: -2 y y' + (1 + |y|²) + |y'|²
        left = np.column_stack([np.float32(-2) * y, 1 + squares, one])
        np.matmul(left, np.column_stack([y, one, squares]).T, out=kernel)
        np.reciprocal(kernel, out=kernel)
        np.fill_diagonal(kernel, 0)
        total = kernel.sum()
        np.multiply(kernel, pull, out=force)
        drawn = force @ places
        np.square(kernel, out=kernel)
        drawn -= kernel @ places / total
        gradient = 4 * (drawn[:, 2:] * y - drawn[:, :2])
        same = np.sign(gradient) == np.sign(velocity)
        gains = np.where(same, np.maximum(gains * 0.8, 0.01), gains + 0.2).astype(np.float32)
        velocity = (0.5 if step < EXAGGERATED else 0.8) * velocity - rate * gains * gradient
        y = y + velocity
        y -= y.mean(0)
    found: Places = y
    return found


def affinities(vectors: Vectors, *, perplexity: float) -> Vectors:
    """(N, N) symmetric, summing to 1: how much each item is each other's neighbour.

    The width of each item's neighbourhood is found by halving, so that it has ``perplexity``
    neighbours; only the three times as many that are nearest count (van der Maaten, 2014).
    """
    count = len(vectors)
    distances = np.maximum(2 - 2 * vectors @ vectors.T, 0).astype(np.float32)
    np.fill_diagonal(distances, np.inf)
    most = min(count - 1, int(3 * perplexity) + 1)
    near = np.argpartition(distances, most - 1, axis=1)[:, :most]
    distances = np.take_along_axis(distances, near, 1)
    distances -= distances.min(1, keepdims=True)
    low, high = np.zeros(count, np.float32), np.full(count, 1e6, np.float32)
    beta = np.full(count, 10.0, np.float32)
    for _ in range(40):
        p = np.exp(-distances * beta[:, None])
        total = p.sum(1)
        entropy = np.log(total) + beta * (p * distances).sum(1) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(high > 1e5, 2 * beta, (low + high) / 2)
    shares = np.zeros((count, count), np.float32)
    np.put_along_axis(shares, near, p / p.sum(1, keepdims=True), 1)
    shares = np.maximum((shares + shares.T) / (2 * count), 1e-12)
    return shares.astype(np.float32, copy=False)


def principal(vectors: Vectors) -> Places:
    """(N, 2): the first two principal components, small; signs are fixed."""
    centred = vectors - vectors.mean(0)
    _, values = np.linalg.eigh(centred.T @ centred)
    axes = values[:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    flat = centred @ axes
    scaled: Places = (flat / max(float(flat[:, 0].std()), 1e-9) * 1e-2).astype(np.float32)
    return scaled
