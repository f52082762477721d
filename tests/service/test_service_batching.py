"""Joining embeddings: same vectors, bounded batches, one failure told to all it concerns."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.batching import Admission, Batcher
from service.errors import OverloadedError


class Recorder:
    """An embedding that doubles its pixels, notes its batches and can be held up or fail."""

    def __init__(self):
        self.sizes = []
        self.go = threading.Event()
        self.go.set()
        self.fail = False

    def __call__(self, pixels):
        self.go.wait(5)
        self.sizes.append(len(pixels))
        if self.fail:
            raise FloatingPointError("overflow")
        return pixels.reshape(len(pixels), -1).astype(np.float32) * 2


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def pixels(value):
    return np.full((1, 1, 3), value, np.uint8)


def test_a_lone_image_is_embedded_at_once(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    embedded = asyncio.run(batcher.embed(pixels(3)))

    assert embedded.vector.tolist() == [6, 6, 6]
    assert embedded.seconds >= 0
    assert recorder.sizes == [1]


def test_what_arrives_meanwhile_forms_the_next_batches_in_order(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    async def run():
        recorder.go.clear()
        first = asyncio.create_task(batcher.embed(pixels(0)))
        await asyncio.sleep(0.02)
        rest = [asyncio.create_task(batcher.embed(pixels(n))) for n in range(1, 11)]
        await asyncio.sleep(0.02)
        recorder.go.set()
        return await asyncio.gather(first, *rest)

    answers = asyncio.run(run())

    assert [int(answer.vector[0]) for answer in answers] == [2 * n for n in range(11)]
    assert recorder.sizes == [1, 4, 4, 2]


def test_a_failure_reaches_everyone_in_the_batch_and_no_one_after(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    async def run():
        recorder.fail = True
        failed = await asyncio.gather(
            *(batcher.embed(pixels(n)) for n in range(3)), return_exceptions=True
        )
        recorder.fail = False
        return failed, await batcher.embed(pixels(5))

    failed, after = asyncio.run(run())

    assert [type(error) for error in failed] == [FloatingPointError] * 3
    assert after.vector[0] == 10


def test_a_request_that_was_given_up_costs_nothing(recorder, executor):
    batcher = Batcher(recorder, executor, max_batch=4)

    async def run():
        recorder.go.clear()
        tasks = [asyncio.create_task(batcher.embed(pixels(n))) for n in range(4)]
        await asyncio.sleep(0.02)
        late = [asyncio.create_task(batcher.embed(pixels(n))) for n in (10, 11)]
        await asyncio.sleep(0.02)
        late[0].cancel()  # while it waits
        tasks[0].cancel()  # while it is being embedded
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
        assert asyncio.run(batcher.embed(pixels(1))).vector[0] == 2


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
