"""Jobs by themselves: their order, their end in each way, who follows them, what is forgotten."""

import asyncio
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from service.errors import (
    NoResultError,
    OverloadedError,
    UnknownItemError,
    UnknownJobError,
)
from service.job import EVENTS, StoppedError
from service.jobs import Jobs

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Made(NamedTuple):
    """A result."""

    what: str
    nbytes: int = 1


@pytest.fixture
def jobs():
    found = Jobs(waiting=2, keep=3, keep_bytes=100, clock=lambda: NOON)
    yield found
    found.close()


def ended(job):
    """Wait for the end of a job."""
    assert asyncio.run(job.wait(10)), job.state
    return job


def held(jobs, **given):
    """A job that works until the event is set, once it has begun."""
    begun, done = threading.Event(), threading.Event()

    def work(job):
        begun.set()
        while not done.wait(0.01):
            job.check()
        return Made("held")

    job = jobs.submit("hold", "x", work, **given)
    assert begun.wait(10)
    return job, done


def kinds(job):
    async def run():
        return [event.kind async for event in job.follow()]

    return asyncio.run(run())


def test_a_job_tells_how_it_went(jobs):
    def work(job):
        job.progress(1, 2, "draw")
        job.show({"number": 0})
        job.progress(2, 2, "draw")
        return Made("pictures")

    job = ended(jobs.submit("samples", "vae", work))
    assert (job.state, job.done, job.total, job.stage) == ("done", 2, 2, "draw")
    assert job.answer() == Made("pictures")
    assert (job.created, job.started, job.finished) == (NOON, NOON, NOON)
    assert kinds(job) == ["state", "progress", "picture", "progress", "end"]
    assert jobs.get(job.id) is job


def test_jobs_of_a_lane_come_one_after_the_other_and_lanes_do_not_wait(jobs):
    first, done = held(jobs)
    order = []

    def note(name):
        return lambda _: order.append(name) or Made(name)

    later = [jobs.submit("b", "x", note("b")), jobs.submit("c", "x", note("c"))]
    other = ended(jobs.submit("d", "x", note("d"), lane="index"))
    assert [job.state for job in later] == ["waiting", "waiting"]
    assert not first.ended
    done.set()
    for job in later:
        ended(job)
    assert order == ["d", "b", "c"]
    assert other.state == "done"


def test_a_full_lane_refuses_and_another_does_not(jobs):
    _, done = held(jobs)
    waiting = [jobs.submit("b", "x", lambda _: Made("b")) for _ in range(2)]
    with pytest.raises(OverloadedError) as error:
        jobs.submit("c", "x", lambda _: Made("c"))
    assert int(error.value.headers["Retry-After"]) > 0
    jobs.submit("d", "x", lambda _: Made("d"), lane="index")
    jobs.cancel(waiting[0])
    assert waiting[0].state == "cancelled"
    jobs.submit("e", "x", lambda _: Made("e"))
    done.set()


def test_a_running_job_is_stopped_at_its_next_step(jobs):
    job, _ = held(jobs)
    jobs.cancel(job)
    assert ended(job).state == "cancelled"
    assert kinds(job)[-2:] == ["state", "end"]
    with pytest.raises(NoResultError, match="cancelled"):
        job.answer()


def test_a_job_that_waits_is_never_begun_once_it_is_cancelled(jobs):
    _, done = held(jobs)
    ran = []
    job = jobs.submit("b", "x", lambda _: ran.append(1) or Made("b"))
    jobs.cancel(job)
    assert job.state == "cancelled"
    done.set()
    ended(jobs.submit("c", "x", lambda _: Made("c")))
    assert not ran


def test_an_ended_job_is_forgotten_when_it_is_cancelled_again(jobs):
    job = ended(jobs.submit("a", "x", lambda _: Made("a")))
    jobs.cancel(job)
    with pytest.raises(UnknownJobError):
        jobs.get(job.id)


def test_a_job_that_fails_says_why_and_the_lane_goes_on(jobs, caplog):
    def refuse(_):
        raise UnknownItemError("x")

    def break_down(_):
        raise ZeroDivisionError("by zero")

    with caplog.at_level(logging.ERROR, logger="service.jobs"):
        refused, broken = (ended(jobs.submit("a", "x", w)) for w in (refuse, break_down))
    assert (refused.state, broken.state) == ("failed", "failed")
    with pytest.raises(UnknownItemError):
        refused.answer()
    with pytest.raises(ZeroDivisionError):
        broken.answer()
    assert broken.id in caplog.text
    assert refused.id not in caplog.text
    assert ended(jobs.submit("b", "x", lambda _: Made("b"))).state == "done"


def test_the_oldest_results_are_forgotten_by_number_and_by_size(jobs):
    made = [ended(jobs.submit("a", "x", lambda _: Made("a"))) for _ in range(5)]
    ended(jobs.submit("z", "x", lambda _: Made("z")))  # after it, the fifth has been counted
    kept = {job.id for job in jobs.newest()}
    assert not kept & {job.id for job in made[:2]}
    assert len(kept) <= 4
    big = ended(jobs.submit("big", "x", lambda _: Made("big", 100)))
    ended(jobs.submit("z", "x", lambda _: Made("z", 1)))
    ended(jobs.submit("z", "x", lambda _: Made("z", 1)))
    assert big.id not in {job.id for job in jobs.newest()}


def test_followers_get_every_event_once_whenever_they_come(jobs):
    job, done = held(jobs)

    async def run():
        async def follow(after=0):
            return [event.number async for event in job.follow(after)]

        early = [asyncio.create_task(follow()) for _ in range(3)]
        await asyncio.sleep(0)
        job.progress(1, 2)
        done.set()
        found = [await task for task in early]
        return [*found, await follow(), await follow(2)]

    *all_of_it, rest = asyncio.run(run())
    assert all(numbers == all_of_it[0] for numbers in all_of_it)
    assert all_of_it[0] == list(range(1, len(all_of_it[0]) + 1))
    assert rest == all_of_it[0][2:]


def test_a_follower_without_news_gets_a_beat(jobs):
    job, done = held(jobs)

    async def run():
        found = []
        async for event in job.follow(beat=0.01):
            found.append(event)
            if event is None:
                done.set()
        return found

    found = asyncio.run(run())
    assert None in found
    assert found[-1].kind == "end"


def test_old_events_make_room_for_new_ones(jobs):
    def work(job):
        for number in range(2 * EVENTS):
            job.progress(number, 2 * EVENTS)
        return Made("a")

    job = ended(jobs.submit("a", "x", work))

    async def run():
        return [event.number async for event in job.follow()]

    assert asyncio.run(run()) == list(range(EVENTS + 3, 2 * EVENTS + 3))


def test_waiting_ends_when_the_time_is_over(jobs):
    job, done = held(jobs)
    assert asyncio.run(job.wait(0.01)) is False
    with pytest.raises(NoResultError, match="yet"):
        job.answer()
    done.set()
    assert asyncio.run(job.wait(10)) is True


def test_closing_stops_what_runs_and_drops_what_waits():
    jobs = Jobs(waiting=2)
    job, _ = held(jobs)
    waiting = jobs.submit("b", "x", lambda _: Made("b"))
    jobs.close()
    assert (job.state, waiting.state) == ("cancelled", "cancelled")


def test_a_stopped_job_need_not_have_asked(jobs):
    """Work may notice by itself, as a callback of another package does."""

    def work(job):
        while not job.stopping:
            threading.Event().wait(0.01)
        raise StoppedError

    job = jobs.submit("a", "x", work)
    while job.state == "waiting":
        threading.Event().wait(0.01)
    jobs.cancel(job)
    assert ended(job).state == "cancelled"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
def test_a_lane_lets_others_go_first(jobs):
    found = []

    def work(_):
        found.append(os.sched_getscheduler(0))
        started = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        started.start()
        started.join()
        return Made("a")

    mine = os.sched_getscheduler(0)
    ended(jobs.submit("a", "x", work))
    assert found == [os.SCHED_IDLE] * 2
    assert os.sched_getscheduler(0) == mine
