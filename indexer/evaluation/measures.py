"""The figures of a retrieval: each takes what was found and gives one value for every query.

``found`` are always the codes of the neighbours, (Q, k), best first, -1 where nothing is known or
nothing was left; ``wanted`` are the queries' codes, (Q,).
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from indexer.evaluation.neighbours import Codes

Values = npt.NDArray[np.float64]


def recall(found: Codes, wanted: Codes) -> Values:
    """1 where the wanted item is among the found ones, else 0."""
    hits: Values = (found == wanted[:, None]).any(axis=1).astype(np.float64)
    return hits


def share(found: Codes, wanted: Codes, neighbours: Codes) -> Values:
    """The part of the neighbours that agree with the query.

    ``neighbours`` (Q, k) are their rows: where fewer than k were left (-1), the share is of those,
    and it is 0 where none was.
    """
    agree = ((found == wanted[:, None]) & (found >= 0)).sum(axis=1)
    part: Values = agree / np.maximum((neighbours >= 0).sum(axis=1), 1)
    return part


def majority(found: Codes) -> Codes:
    """The commonest known code of each row; of equally common ones that of the nearest neighbour.

    Returns:
        (Q,) codes, -1 for a row in which nothing is known.
    """
    votes = (found[:, :, None] == found[:, None, :]).sum(
        axis=2
    )  # (Q, k): votes for each one's code
    votes[found < 0] = 0
    winner = votes.argmax(axis=1)  # the first, that is the nearest, of the largest
    return np.take_along_axis(found, winner[:, None], axis=1)[:, 0]


def vote_accuracy(found: Codes, wanted: Codes) -> Values:
    """1 where the plain majority of the neighbours (one vote each) has the wanted code, else 0."""
    voted = majority(found)
    right: Values = ((voted == wanted) & (voted >= 0)).astype(np.float64)
    return right


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries.

    Attributes:
        mean: In [0, 1].
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
        queries: How many queries the mean is over.
    """

    mean: float
    low: float
    high: float
    queries: int

    def to_json(self) -> dict[str, float | int]:
        """The fields by name."""
        return asdict(self)


def summarise(values: Values, *, seed: int, resamples: int = 1000) -> Figure:
    """Mean of (Q,) values with the 95 % percentile bootstrap interval over the queries.

    Each value counts as an independent draw. Photos of one sender are not, so the true interval
    over other shops is wider.
    """
    generator = np.random.default_rng(seed)
    Q = len(values)
    means = np.array([values[generator.integers(Q, size=Q)].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(mean=float(values.mean()), low=float(low), high=float(high), queries=Q)
