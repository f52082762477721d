"""How the clients send: trying again, waiting, going on with a stream; scripted, without time."""

import asyncio
import json
from itertools import count

import httpx
import pytest

from service.client import (
    AsyncClient,
    Client,
    ClientError,
    ConflictError,
    NoAnswerError,
    OverloadedError,
    Retry,
    ServerError,
    UnavailableError,
    UnexpectedAnswerError,
    calls_models,
)
from tests.service.clients import Awaited

ITEM = {"id": "a", "sha256": "0", "attributes": {}, "image": "/v1/items/a/image"}
JOB = {
    "id": "j", "kind": "samples", "subject": "vae", "state": "waiting", "done": 0, "total": 0,
    "stage": "", "created": "2026", "started": None, "finished": None, "problem": None,
    "url": "/v1/jobs/j", "events": "/v1/jobs/j/events", "result": None,
}  # fmt: skip


def problem(status, slug, **headers):
    told = {"type": f"urn:niteru:problem:{slug}", "title": slug, "status": status, "detail": "So."}
    given = {"content-type": "application/problem+json", **headers}
    return httpx.Response(status, content=json.dumps(told), headers=given)


def ok(content=ITEM):
    return httpx.Response(200, json=content)


BUSY = {"retry-after": "3"}


class Script:
    """Answers as it is written, an answer or an error for each request, and notes what came."""

    def __init__(self, *outcomes):
        self.outcomes, self.requests, self.slept = list(outcomes), [], []

    def __call__(self, request):
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        # A copy, for a test is run with both clients.
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    def sleep(self, seconds):
        self.slept.append(seconds)

    async def nap(self, seconds):
        self.slept.append(seconds)


@pytest.fixture(params=["blocking", "awaiting"])
def play(request):
    """A client whose server answers as a script says: ``play(script, retry=...)``."""
    runner = asyncio.Runner()

    def make(script, **given):
        given = {"address": "http://niteru.test", "chance": lambda: 1.0, **given}
        transport = httpx.MockTransport(script)
        if request.param == "blocking":
            return Client(transport=transport, sleep=script.sleep, **given)
        return Awaited(AsyncClient(transport=transport, sleep=script.nap, **given), runner)

    yield make
    runner.close()


def test_pauses_double_and_the_server_may_ask_for_more(play):
    script = Script(
        problem(429, "overloaded"),
        problem(503, "store-unavailable"),
        problem(429, "overloaded", **BUSY),
        ok(),
    )
    assert play(script).item("a").id == "a"
    assert script.slept == [0.25, 0.5, 3.0]
    assert len(script.requests) == 4


def test_chance_shortens_a_pause_by_half_at_most(play):
    script = Script(problem(429, "overloaded"), ok())
    play(script, chance=lambda: 0.0).item("a")
    assert script.slept == [0.125]


def test_a_pause_may_be_given_as_a_date(play):
    date = {
        "date": "Thu, 26 Nov 2026 00:00:00 GMT",
        "retry-after": "Thu, 26 Nov 2026 00:00:07 GMT",
    }
    script = Script(problem(503, "not-ready", **date), ok())
    play(script).item("a")
    assert script.slept == [7.0]


@pytest.mark.parametrize("given", ["soon", "-1", "1.5", "Thu, 26 Nov"])
def test_a_pause_that_cannot_be_read_is_none(play, given):
    script = Script(problem(429, "overloaded", **{"retry-after": given}), ok())
    play(script).item("a")
    assert script.slept == [0.25]


def test_a_server_that_asks_for_too_long_is_not_tried_again(play):
    script = Script(problem(429, "too-many-requests", **{"retry-after": "60"}))
    with pytest.raises(OverloadedError) as refused:
        play(script).item("a")
    assert refused.value.retry_after == 60
    assert script.slept == []


def test_attempts_come_to_an_end(play):
    script = Script(*[problem(503, "not-ready") for _ in range(3)])
    with pytest.raises(UnavailableError, match="503 not-ready: So"):
        play(script, retry=Retry(attempts=3)).item("a")
    assert script.slept == [0.25, 0.5]


@pytest.mark.parametrize(
    "outcome",
    [problem(500, "internal-error"), problem(504, "took-too-long", **BUSY),
     problem(409, "store-busy", **BUSY), httpx.ReadTimeout("slow")],
)  # fmt: skip
def test_what_would_not_help_is_not_tried_again(play, outcome):
    script = Script(outcome)
    with pytest.raises(ClientError):
        play(script).item("a")
    assert len(script.requests) == 1


# Calls that might do something twice, and how each is made.
ONCE = {
    "delete_item": lambda client: client.delete_item("a"),
    "write_items": lambda client: client.write_items(delete=["a"]),
    "activate": lambda client: client.activate("one"),
    "samples": lambda client: client.samples("vae"),
    "start": lambda client: client.start(calls_models.samples("vae")),
    "reindex": lambda client: client.reindex(),
    "collect": lambda client: client.collect(),
    "cancel": lambda client: client.cancel("j"),
}


@pytest.mark.parametrize("call", ONCE)
@pytest.mark.parametrize(
    "outcome", [httpx.ReadError("reset"), httpx.RemoteProtocolError("gone"),
                problem(503, "store-unavailable"), problem(503, "proxy")],
)  # fmt: skip
def test_what_may_have_been_done_is_not_done_twice(play, call, outcome):
    script = Script(outcome)
    with pytest.raises(ClientError) as failed:
        ONCE[call](play(script))
    assert len(script.requests) == 1
    assert getattr(failed.value, "perhaps_done", True)


@pytest.mark.parametrize("call", ONCE)
@pytest.mark.parametrize(
    "outcome",
    [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full"),
     problem(429, "overloaded"), problem(503, "not-ready")],
)  # fmt: skip
def test_what_was_not_begun_is_tried_again(play, call, outcome):
    script = Script(outcome, problem(404, "unknown-item"))
    with pytest.raises(ClientError, match="unknown-item"):
        ONCE[call](play(script))
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    "call",
    [lambda c: c.item("a"), lambda c: c.put_item("a", b"photo", {"n": 1}),
     lambda c: c.change_item("a", {})],
)  # fmt: skip
def test_what_does_nothing_more_the_second_time_is_tried_again_as_it_was(play, call):
    script = Script(httpx.ReadError("reset"), ok())
    assert call(play(script)).id == "a"
    first, second = script.requests
    assert (first.method, first.url) == (second.method, second.url)
    if first.method == "PUT":
        assert b"photo" in first.content
        assert b"photo" in second.content


def test_a_server_that_is_not_there_is_told_of(play):
    script = Script(*[httpx.ConnectError("refused") for _ in range(4)])
    with pytest.raises(NoAnswerError, match=r"http://niteru.test could not be reached") as failed:
        play(script).ready()
    assert not failed.value.perhaps_done


def test_a_proxy_in_words_of_its_own_is_an_error_like_others(play):
    page = httpx.Response(502, content="<h1>Bad</h1>", headers={"x-request-id": "r"})
    with pytest.raises(ServerError, match="<h1>Bad") as failed:
        play(Script(page)).item("a")
    assert (failed.value.slug, failed.value.request_id) == ("bad-gateway", "r")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, content="<html>", headers={"content-type": "text/html"}), "text/html"),
        (httpx.Response(301, headers={"location": "https://a/"}), "redirects to https://a/"),
        (ok([ITEM]), "expected an object"),
        (ok({"id": "a"}), "has no 'sha256'"),
        (ok({**ITEM, "id": 3}), "id: expected str, found '3'"),
        (ok({**ITEM, "attributes": []}), "attributes: expected Mapping"),
    ],
)
def test_answers_of_something_else_are_told_apart(play, answer, message):
    with pytest.raises(UnexpectedAnswerError, match=message):
        play(Script(answer)).item("a")


def test_a_newer_server_may_tell_more(play):
    assert play(Script(ok({**ITEM, "new": 1}))).item("a").id == "a"


def test_the_prefix_of_a_proxy_is_kept(play):
    script = Script(ok())
    play(script, address="http://shop.test/niteru/", key="a b").item("x/y")
    (request,) = script.requests
    assert request.url.raw_path == b"/niteru/v1/items/x%2Fy"
    assert request.headers["authorization"] == "Bearer a b"


def events(*told, first=1):
    lines = (
        f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for number, (kind, data) in enumerate(told, first)
    )
    return "".join(lines)


def stream(text):
    return httpx.Response(200, content=text, headers={"content-type": "text/event-stream"})


END = ("end", {**JOB, "state": "done"})


def test_a_stream_that_breaks_off_is_gone_on_with(play):
    whole = events(
        ("state", {"state": "running"}), ("progress", {"done": 1, "total": 2, "stage": ""})
    )
    script = Script(
        stream(whole + "id: 3\nevent: pro"),
        httpx.ReadError("reset"),
        stream(": still here\n\n" + events(("news", {"of": "a newer server"}), END, first=3)),
    )
    told = list(play(script).events("j"))
    assert [(event.number, event.kind) for event in told] == [
        (1, "state"), (2, "progress"), (3, "news"), (4, "end"),
    ]  # fmt: skip
    assert [r.headers.get("last-event-id") for r in script.requests] == [None, "2", "2"]
    assert script.slept == [0.25, 0.5]


def test_a_stream_that_only_breaks_off_is_given_up(play):
    script = Script(*[stream("") for _ in range(4)])
    with pytest.raises(NoAnswerError, match="ended before the job did"):
        list(play(script).events("j"))
    gone = Script(problem(404, "unknown-job"))
    with pytest.raises(ClientError, match="unknown-job"):
        play(gone).wait("j")


def test_waiting_has_an_end(play):
    news = [("progress", {"done": n, "total": 9, "stage": "draw"}) for n in range(9)]
    told, ticks = [], count()
    client = play(Script(stream(events(*news))), clock=lambda: float(next(ticks)))
    with pytest.raises(TimeoutError, match=r"cancel\('j'\) ends it"):
        client.wait("j", timeout=5, progress=told.append)
    assert 0 < len(told) < 9


def test_a_job_that_ended_while_the_time_ran_out_has_ended(play):
    ticks = count(0, 100)
    client = play(Script(stream(events(END))), clock=lambda: float(next(ticks)))
    assert client.wait("j", timeout=1).state == "done"


def test_a_result_that_is_late_is_waited_for(play):
    drawing = {"model": "vae", "weights": "w", "fingerprint": "f", "seed": 0, "temperature": 1.0,
               "pictures": ["UE5H"], "photos": []}  # fmt: skip
    script = Script(
        httpx.Response(202, json=JOB), problem(429, "overloaded"), stream(events(END)), ok(drawing)
    )
    assert play(script).samples("vae").pictures == (b"PNG",)
    assert [request.url.path for request in script.requests] == [
        "/v1/models/vae/samples", "/v1/jobs/j/events", "/v1/jobs/j/events", "/v1/jobs/j/result",
    ]  # fmt: skip


def test_a_failed_job_says_why(play):
    why = {"type": "t", "title": "t", "status": 409, "detail": "The store is busy."}
    script = Script(stream(events(("end", {**JOB, "state": "failed", "problem": why}))))
    with pytest.raises(ClientError, match="is failed: The store is busy"):
        play(script).wait("j")


def test_a_conflict_says_when_to_come_back(play):
    with pytest.raises(ConflictError) as busy:
        play(Script(problem(409, "store-busy", **BUSY))).put_item("a", b"photo")
    assert busy.value.retry_after == 3


def test_connections_are_closed_with_the_client():
    with Client(transport=httpx.MockTransport(Script(ok()))) as client:
        client.item("a")
    with pytest.raises(RuntimeError, match="closed"):
        client.item("a")

    async def run():
        async with AsyncClient(transport=httpx.MockTransport(Script(ok()))) as client:
            await client.item("a")
        with pytest.raises(RuntimeError, match="closed"):
            await client.item("a")

    asyncio.run(run())
