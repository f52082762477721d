"""Values that are kept: found once, for the last keys, and not if finding them failed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from indexer.engines.remembered import Remembered


def test_a_value_is_found_once_and_the_oldest_makes_room():
    kept, asked = Remembered(2), []

    def of(key):
        return kept.get(key, lambda: asked.append(key) or key * 10)

    assert [of(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    # 1 was in use when 3 came, so 2 made room.
    assert asked == [1, 2, 3, 2]
    assert len(kept) == 2


def test_what_fails_is_tried_again():
    kept, outcomes = Remembered(2), [OSError("busy"), 7]

    def find():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(OSError, match="busy"):
        kept.get("a", find)
    assert (kept.get("a", find), kept.get("a", find)) == (7, 7)


def test_many_who_ask_at_once_wait_for_the_first():
    kept, begun, go, asked = Remembered(2), threading.Event(), threading.Event(), []

    def find():
        asked.append(1)
        begun.set()
        assert go.wait(20)
        return 7

    with ThreadPoolExecutor(5) as threads:
        answers = [threads.submit(kept.get, "a", find) for _ in range(5)]
        assert begun.wait(20)
        assert kept.get("b", lambda: 8) == 8  # another key waits for nobody
        go.set()
        assert [answer.result(20) for answer in answers] == [7] * 5
    assert asked == [1]


def test_what_was_not_asked_for_the_longest_makes_room() -> None:
    kept, asked = Remembered(9, room=10, size=int), []

    def get(number):
        return kept.get(number, lambda: asked.append(number) or number)

    assert [get(4), get(5), get(4), get(1)] == [4, 5, 4, 1]
    assert asked == [4, 5, 1]  # 10 bytes in all: they fit
    get(3)  # 5 was not asked for the longest
    assert [get(4), get(1), get(3)] == [4, 1, 3]
    assert asked == [4, 5, 1, 3]
    get(50)  # too large for all, and kept alone until the next comes
    assert [get(50), len(kept)] == [50, 1]


def test_of_the_same_thing_only_the_last_is_kept_and_told_to_who_finds_the_next():
    kept, told = Remembered(9, name=lambda key: key[1]), []

    def get(*key):
        return kept.get(key, lambda: told.append(kept.earlier(key)) or sum(map(ord, key[1])))

    get(1, "a"), get(1, "b"), get(2, "a"), get(2, "a"), get(3, "a")
    assert told == [None, None, ((1, "a"), 97), ((2, "a"), 97)]
    assert len(kept) == 2
    assert kept.earlier((3, "b")) == ((1, "b"), 98)
    assert kept.earlier((3, "a")) is None
