"""Counts of attributes that are kept: exact where they are cheap, of a little earlier if not."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from indexer.engines.facets import GOOD, KEPT, SLOW, KeptFacets
from indexer.protocols import Facet


class Clock:
    """Seconds that pass only when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def counts(total: int) -> dict[str, Facet]:
    return {"colour": Facet(total, 1, [("red", total)])}


def asking(seconds: float):
    """Facets, their clock, what they were counted for, and a way to ask for a change number."""
    clock = Clock()
    kept, counted = KeptFacets(clock), []

    def ask(change: int, name: str = "all") -> int:
        def count() -> dict[str, Facet]:
            counted.append((name, change))
            clock.now += seconds
            return counts(change)

        return kept.get(change, name, count)["colour"].items

    return clock, counted, ask


def test_what_is_cheap_is_counted_anew_at_each_change():
    _, counted, ask = asking(SLOW / 2)
    assert [ask(change) for change in (1, 1, 2, 2, 3)] == [1, 1, 2, 2, 3]
    assert counted == [("all", 1), ("all", 2), ("all", 3)]


def test_what_takes_long_is_told_for_a_while_and_then_counted_anew():
    clock, counted, ask = asking(2.0)
    assert [ask(1), ask(2), ask(3)] == [1, 1, 1]
    clock.now += GOOD * 2.0 + 0.1
    assert [ask(3), ask(4)] == [3, 3]
    assert counted == [("all", 1), ("all", 3)]


def test_what_was_not_asked_for_the_longest_makes_room():
    _, counted, ask = asking(0.0)
    for number in range(KEPT):
        ask(1, f"{number}")
    ask(1, "0")
    ask(1, "another")  # in the place of 1
    counted.clear()
    assert [ask(1, "0"), counted] == [1, []]
    assert [ask(1, "1"), counted] == [1, [("1", 1)]]


def test_meanwhile_what_there_is_is_told_and_only_one_counts():
    clock, begun, go = Clock(), Event(), Event()
    kept, counted = KeptFacets(clock), []

    def slowly(change: int) -> dict[str, Facet]:
        counted.append(change)
        if change > 1:
            begun.set()
            assert go.wait(20)
        clock.now += 1.0
        return counts(change)

    kept.get(1, "all", lambda: slowly(1))
    clock.now += GOOD + 1.0
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(kept.get, 2, "all", lambda: slowly(2))
        assert begun.wait(20)
        assert kept.get(3, "all", lambda: slowly(3)) == counts(1)
        go.set()
        assert second.result(20) == counts(2)
    assert counted == [1, 2]


def test_counting_that_fails_is_tried_again():
    clock, outcomes = Clock(), [OSError("busy"), counts(7)]
    kept = KeptFacets(clock)

    def count() -> dict[str, Facet]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(OSError, match="busy"):
        kept.get(1, "all", count)
    assert kept.get(1, "all", count) == counts(7)
