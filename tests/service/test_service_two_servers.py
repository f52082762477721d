"""Two server processes over one store: what is done through one, the other answers with."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Thread

import httpx
import pytest

from tests.served import running

SECONDS = 1.0  # within which the other has to know


@pytest.fixture
def two(tmp_path, publish, entries, embedder, request):
    """Clients of two servers over one store, and the generation that both serve."""
    store = tmp_path / "store"
    folder = request.getfixturevalue(getattr(request, "param", "folder"))
    generation = publish(store, entries, embedder)
    with ExitStack() as stack:
        clients = []
        for _ in range(2):
            server = running(store, catalogue=str(folder), decoders=1)
            address, process = stack.enter_context(server)
            # Its log is read, so that it never waits for somebody who does.
            reader = Thread(target=process.stderr.read, daemon=True)
            reader.start()
            stack.callback(reader.join, 10)
            stack.callback(process.kill)
            clients.append(stack.enter_context(httpx.Client(base_url=address, timeout=100)))
        for client in clients:
            assert client.get("/readyz").json()["generation"] == generation
        yield clients[0], clients[1], generation


def until(client, call, expected):
    """Ask until the answer is the expected one, which has to be soon."""
    started = time.monotonic()
    while (found := call(client)) != expected:
        assert time.monotonic() - started < SECONDS, f"{found!r} instead of {expected!r}"
        time.sleep(0.02)


def nearest(photo):
    """The id of the item nearest to a photo."""

    def call(client):
        found = client.post("/v1/search?limit=1", content=photo)
        assert found.status_code == 200, found.text
        return found.json()["items"][0]["id"]

    return call


def serving(client):
    found = client.get("/readyz").json()
    assert found["status"] == "ready", found
    return found["generation"]


def current(client):
    """The generation that the store points at, whatever is served."""
    listed = client.get("/v1/generations").json()["generations"]
    return next(generation["id"] for generation in listed if generation["current"])


def job_done(client, path):
    """The end of a job."""
    deadline = time.monotonic() + 200
    while (job := client.get(path).json())["state"] in ("waiting", "running", "cancelling"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


def test_an_item_put_through_one_is_found_by_the_other(two, picture):
    one, other, _ = two
    photo, again = picture(1001), picture(1002)
    for client in (one, other):
        assert nearest(photo)(client) != "new/1"  # so that both have searched before

    assert one.put("/v1/items/new/1", content=photo).status_code == 201
    until(other, nearest(photo), "new/1")
    assert other.get("/v1/items/new/1/image").content == photo

    # And back: the photo is replaced through the other, and found by the first.
    assert other.put("/v1/items/new/1", content=again).status_code == 200
    until(one, nearest(again), "new/1")
    assert one.get("/v1/items/new/1/image").content == again

    changed = {"attributes": {"price": 5}}
    assert one.patch("/v1/items/new/1", json=changed).status_code == 200
    until(other, lambda c: c.get("/v1/items/new/1").json()["attributes"], {"price": 5})

    assert other.delete("/v1/items/new/1").status_code == 204
    until(one, lambda c: c.get("/v1/items/new/1").status_code, 404)
    assert nearest(again)(one) != "new/1"


def test_a_generation_made_or_chosen_through_one_is_served_by_the_other(two, picture):
    one, other, first = two
    assert one.put("/v1/items/new/1", content=picture(1001)).status_code == 201

    job = one.post("/v1/reindex").json()
    assert job_done(one, job["url"])["state"] == "done"
    second = current(one)
    assert second != first
    for client in (other, one):
        until(client, serving, second)
    assert nearest(picture(1001))(other) == "new/1"  # now from the index

    chosen = other.post(f"/v1/generations/{first}/activate")
    assert chosen.status_code == 200, chosen.text
    assert serving(other) == first
    until(one, serving, first)


def test_no_search_fails_while_the_other_writes_and_publishes(two, picture, photos):
    one, other, first = two
    job = one.post("/v1/reindex").json()
    generations, finished = set(), False
    while not finished:
        finished = one.get(job["url"]).json()["state"] not in ("waiting", "running")
        found = other.post("/v1/search?limit=3", content=photos["hats/03"])
        assert found.status_code == 200, found.text
        assert "hats/03" in {item["id"] for item in found.json()["items"]}
        generations.add(found.json()["generation"])
    assert generations <= {first, current(one)}


def at_once(*calls):
    """Make calls at the same time, each in a thread; their answers in order."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [made.result() for made in [threads.submit(call) for call in calls]]


def test_the_same_request_to_both_is_done_once_or_told_so(two, picture):
    one, other, first = two
    photo = picture(1001)
    for number in range(3):
        path = f"/v1/items/new/{number}"
        put = at_once(*(partial(client.put, path, content=photo) for client in (one, other)))
        assert sorted(answer.status_code for answer in put) == [200, 201]
        assert one.get(path).json() == other.get(path).json()
    deleted = at_once(*(partial(client.delete, "/v1/items/new/1") for client in (one, other)))
    assert sorted(answer.status_code for answer in deleted) == [204, 404]
    activate = f"/v1/generations/{first}/activate"
    chosen = at_once(*(partial(client.post, activate) for client in (one, other)))
    assert [answer.status_code for answer in chosen] == [200, 200]


@pytest.mark.parametrize("two", ["many"], indirect=True)
def test_one_of_two_indexes_and_the_other_says_which_job_that_is(two):
    one, other, _ = two
    job = one.post("/v1/reindex").json()
    deadline = time.monotonic() + 200
    while one.get(job["url"]).json()["done"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for _ in range(3):
        refused = other.post("/v1/reindex")
        assert refused.status_code == 409, refused.text
        assert refused.json()["type"] == "urn:niteru:problem:reindex-running"
        assert refused.json()["job"] == job["url"]
    assert other.get("/v1/jobs").json()["jobs"] == []  # it is none of its own
    unknown = other.get(job["url"])
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:niteru:problem:unknown-job")
    assert one.delete(job["url"]).status_code == 200
    assert job_done(one, job["url"])["state"] == "cancelled"
    assert other.post("/v1/reindex").status_code == 202


def test_of_two_indexings_begun_at_once_one_comes_to_its_end(two):
    one, other, _ = two
    begun = at_once(*(partial(client.post, "/v1/reindex") for client in (one, other)))
    ends = [
        job_done(client, answer.json()["url"])
        for client, answer in zip((one, other), begun, strict=True)
        if answer.status_code == 202
    ]
    lost = [answer.json() for answer in begun if answer.status_code != 202]
    lost += [end["problem"] for end in ends if end["state"] != "done"]
    assert "done" in [end["state"] for end in ends]
    assert {problem["type"] for problem in lost} <= {"urn:niteru:problem:reindex-running"}
