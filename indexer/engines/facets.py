"""Counting what attributes hold, and how long counts are told."""

import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from indexer.protocols import Facet, Scalar

KEPT = 32
# Counts that took longer than this many seconds are told for so many times as long, whatever
# changes: a million items take seconds, and a shop changes some every second.
SLOW, GOOD = 0.1, 20.0


@dataclass(slots=True)
class Counted:
    """Counts, and who makes them anew.

    Attributes:
        counting: Held by who counts.
        change: The change number that they are of; None before the first.
        facets: The counts.
        seconds: That they took.
        at: When they were made, in seconds of some clock.
    """

    counting: Lock = field(default_factory=Lock)
    change: int | None = None
    facets: dict[str, Facet] = field(default_factory=dict)
    seconds: float = 0.0
    at: float = 0.0

    @property
    def slow(self) -> bool:
        """Whether there are counts, and they took long."""
        return self.seconds > SLOW


class KeptFacets:
    """The counts that were asked for lately. Thread-safe.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Counted] = OrderedDict()

    def get(
        self, change: int, name: Hashable, count: Callable[[], dict[str, Facet]]
    ) -> dict[str, Facet]:
        """Counts of a change number; where they take long, perhaps of an earlier one.

        Args:
            change: The change number.
            name: What is counted.
            count: Counts it.
        """
        with self._lock:
            kept = self._kept.setdefault(name, Counted())
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if kept.slow and self.clock() - kept.at < GOOD * kept.seconds:
            return kept.facets
        # Who finds another counting waits for that one, or takes what there is if it takes long.
        if not kept.counting.acquire(blocking=not kept.slow):
            return kept.facets
        try:
            if kept.change != change:
                begun = self.clock()
                kept.facets, kept.at = count(), self.clock()
                kept.change, kept.seconds = change, kept.at - begun
            return kept.facets
        finally:
            kept.counting.release()


def count_facets(items: Iterable[Mapping[str, Scalar]], most: int) -> dict[str, Facet]:
    """Of each attribute, what it holds; see ``Engine.facets``.

    Args:
        items: The attributes of each item.
        most: Values to name of each attribute.
    """
    counts: dict[str, Counter[str]] = {}
    for attributes in items:
        for key, value in attributes.items():
            if value is not None:
                counts.setdefault(key, Counter())[json.dumps(value, ensure_ascii=False)] += 1
    return {
        key: Facet(
            sum(found.values()),
            len(found),
            [
                (json.loads(said), items)
                for said, items in sorted(found.items(), key=lambda each: (-each[1], each[0]))
            ][:most],
        )
        for key, found in sorted(counts.items())
    }
