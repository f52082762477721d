"""Work in threads: what is ready at the same time is handed on in the order it was begun."""

from threading import Event

import pytest

from indexer.workers import in_threads


def test_results_that_are_ready_together_come_in_the_order_they_were_begun() -> None:
    go = [Event() for _ in range(4)]

    def work(entries):
        assert go[entries].wait(10)
        return entries

    results = in_threads(work, range(4), 2, lambda: False)
    go[1].set()  # the first one has to wait: the second comes first
    assert next(results) == 1
    for event in go:
        event.set()
    assert sorted(results) == [0, 2, 3]


def test_one_thread_keeps_the_order() -> None:
    assert list(in_threads(lambda n: n, range(200), 1, lambda: False)) == list(range(200))


def test_what_was_begun_is_ended_when_it_is_asked_to_stop() -> None:
    done = []
    results = in_threads(lambda n: done.append(n) or n, range(50), 1, lambda: len(done) >= 3)
    assert list(results) == done
    assert len(done) < 10


def test_what_fails_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda n: 1 // n, [1, 0], 2, lambda: False))
