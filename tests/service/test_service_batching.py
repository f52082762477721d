"""Joining what is asked for at once: same answers, bounded batches, errors to whom they belong."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.batching import Admission, Batcher
from service.errors import OverloadedError


class Recorder:
    """Work that doubles numbers, notes its batches, can be held up, and fails when it meets one."""

    def __init__(self):
        self.sizes = []
        self.most = self.running = 0
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.go.set()
        self.bad = {}

    def __call__(self, numbers):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.go.wait(5)
        with self.lock:
            self.sizes.append(len(numbers))
            self.running -= 1
        for number in numbers:
            if number in self.bad:
                raise self.bad[number]
        return [2 * number for number in numbers]


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as executor:
        yield executor


async def ask_all(batcher, numbers):
    """What comes of each of them, asked for at the same time."""
    done = await asyncio.gather(*map(batcher.ask, numbers), return_exceptions=True)
    return [one if isinstance(one, BaseException) else one.made for one in done]


def test_a_lone_thing_is_made_at_once(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    done = asyncio.run(batcher.ask(3))

    assert done.made == 6
    assert done.seconds >= 0
    assert recorder.sizes == [1]


def test_what_arrives_meanwhile_forms_the_next_batches_in_order(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    async def run():
        recorder.go.clear()
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.02)
        rest = [asyncio.create_task(batcher.ask(n)) for n in range(1, 11)]
        await asyncio.sleep(0.02)
        recorder.go.set()
        return await asyncio.gather(first, *rest)

    answers = asyncio.run(run())

    assert [answer.made for answer in answers] == [2 * n for n in range(11)]
    assert recorder.sizes == [1, 4, 4, 2]


def test_no_more_batches_are_worked_on_at_once_than_asked(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=2, at_once=2)

    async def run():
        recorder.go.clear()
        tasks = [asyncio.create_task(batcher.ask(n)) for n in range(9)]
        await asyncio.sleep(0.05)
        assert len(batcher.waiting) == 5  # two batches of two are being worked on
        recorder.go.set()
        return await asyncio.gather(*tasks)

    assert [answer.made for answer in asyncio.run(run())] == [2 * n for n in range(9)]
    assert recorder.most == 2
    assert sorted(recorder.sizes) == [1, 2, 2, 2, 2]
    assert not batcher.workers


def test_the_failure_of_one_reaches_no_other(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)
    recorder.bad = {1: FloatingPointError("overflow"), 2: KeyError("gone")}

    first = asyncio.run(ask_all(batcher, range(4)))
    after = asyncio.run(ask_all(batcher, [5]))

    assert first == [0, recorder.bad[1], recorder.bad[2], 6]
    assert after == [10]
    assert recorder.sizes == [4, 1, 1, 1, 1, 1]


def test_a_failure_that_holds_for_all_is_not_tried_for_each(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4, common=(OSError,))
    recorder.bad = {1: FileNotFoundError("no disk")}

    failed = asyncio.run(ask_all(batcher, range(3)))

    assert failed == [recorder.bad[1]] * 3
    assert recorder.sizes == [3]


def test_a_request_that_was_given_up_costs_nothing(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    async def run():
        recorder.go.clear()
        tasks = [asyncio.create_task(batcher.ask(n)) for n in range(4)]
        await asyncio.sleep(0.02)
        late = [asyncio.create_task(batcher.ask(n)) for n in (10, 11)]
        await asyncio.sleep(0.02)
        late[0].cancel()  # while it waits
        tasks[0].cancel()  # while it is being worked on
        await asyncio.sleep(0)
        recorder.go.set()
        return await asyncio.gather(*tasks, *late, return_exceptions=True)

    answers = asyncio.run(run())

    given_up = [isinstance(answer, asyncio.CancelledError) for answer in answers]
    assert given_up == [True, False, False, False, True, False]
    assert recorder.sizes == [4, 1]


def test_a_batcher_outlives_an_event_loop(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    for _ in range(2):
        assert asyncio.run(batcher.ask(1)).made == 2


def test_admission_counts_in_and_out():
    admission = Admission(2)
    with admission:
        with admission:
            with pytest.raises(OverloadedError, match="2 requests are being worked on") as refusal:
                admission.__enter__()
            assert refusal.value.headers == {"Retry-After": "1"}
        with pytest.raises(ZeroDivisionError), admission:
            raise ZeroDivisionError
        with admission:
            pass
    assert admission.active == 0
