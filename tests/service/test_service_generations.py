"""Generations published while the server runs, refused ones, and none at all."""

import logging
import threading
import time

import numpy as np
import pytest

from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import FingerprintMismatchError, NoGenerationError, NoStoreError
from indexer.generations import activate
from indexer.protocols import Item
from service.app import open_engine
from service.awaited import AwaitedEngine
from service.searcher import Searcher
from service.selection import Selection
from service.settings import Settings


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def found(client, photo, limit=3):
    response = client.post(f"/v1/search?limit={limit}", content=photo)
    assert response.status_code == 200, response.text
    return response.json()


def test_generations_are_listed_newest_first(serve, store, publish, entries, embedder):
    first = publish(store, entries[:5], embedder)
    engine = FaissEngine.open(store)
    client = serve(engine=engine, store=store)
    second = publish(store, entries[:9], embedder)

    answer = client.get("/v1/generations").json()

    assert answer["refused"] is None
    newest, oldest = answer["generations"]
    assert (newest["id"], oldest["id"]) == (second, first)
    assert (newest["items"], oldest["items"]) == (9, 5)
    assert (newest["current"], oldest["current"]) == (True, False)
    assert (newest["serving"], oldest["serving"]) == (True, False)
    assert newest["fingerprint"] == embedder.fingerprint
    assert newest["dim"] == embedder.dim
    assert newest["recall_at_10"] == 1.0
    assert newest["build_seconds"] >= 0
    assert newest["created"].startswith("20")
    assert newest["index"]


def test_a_damaged_generation_is_listed_with_what_is_known(
    serve, store, publish, entries, embedder
):
    first = publish(store, entries[:5], embedder)
    publish(store, entries[:9], embedder)
    (store / "generations" / first / "manifest.json").write_text("{")
    client = serve(engine=FaissEngine.open(store), store=store)

    damaged = client.get("/v1/generations").json()["generations"][1]

    assert damaged["id"] == first
    assert damaged["items"] is damaged["fingerprint"] is None


def test_a_publication_and_a_rollback_are_taken_up_without_restart(
    serve, store, publish, entries, photos, embedder
):
    first = publish(store, entries[:5], embedder)
    client = serve(engine=FaissEngine.open(store), store=store)
    assert found(client, photos[entries[7].id])["generation"] == first

    second = publish(store, entries[:9], embedder)
    answer = found(client, photos[entries[7].id])
    assert answer["generation"] == second
    assert answer["items"][0]["id"] == entries[7].id
    assert client.get(f"/v1/items/{entries[7].id}").status_code == 200
    assert client.get("/readyz").json()["generation"] == second

    activate(store, first)
    assert found(client, photos[entries[0].id])["generation"] == first


def test_searches_are_whole_while_generations_come_and_go(
    serve, store, publish, entries, photos, embedder
):
    publish(store, entries[:6], embedder)
    client = serve(engine=FaissEngine.open(store), store=store)
    wanted = entries[2].id
    stop = threading.Event()

    def republish():
        turn = 0
        while not stop.is_set():
            turn += 1
            publish(store, entries[: 6 + turn % 2], embedder)

    publisher = threading.Thread(target=republish)
    publisher.start()
    seen = set()
    try:
        deadline = time.monotonic() + 20
        while len(seen) < 4 and time.monotonic() < deadline:
            answer = found(client, photos[wanted], limit=6)
            seen.add(answer["generation"])
            assert answer["items"][0]["id"] == wanted
            assert len(answer["items"]) == 6
    finally:
        stop.set()
        publisher.join()
    assert len(seen) == 4


def test_an_item_deleted_in_the_middle_of_a_search_does_not_shorten_the_answer(
    embedder, exact, vectors
):
    """The items are read after the search: one that went in between is made up for by the next."""

    class Deleting:
        times = 2

        def __getattr__(self, name):
            return getattr(exact, name)

        def __len__(self):
            return len(exact)

        def get(self, ids):
            if self.times and len(ids) > 1:
                self.times -= 1
                exact.delete([ids[1]])
            return exact.get(ids)

    engine = Deleting()
    query = vectors["hats/03"]
    before = [hit.id for hit in exact.search(query[np.newaxis], 8)[0]]
    answer = Searcher(embedder, engine, max_pixels=10).search(query, Selection(6))

    assert engine.times == 0
    assert [match.item.id for match in answer.matches] == [before[0], *before[3:8]]


def test_another_fingerprint_is_not_taken_up_and_is_named(
    serve, exact, embedder, photos, vectors, caplog
):
    client = serve(engine=exact)
    strange = [(Item("x", "x.png", "0" * 64), vectors["hats/03"])]

    exact.publish(strange, generation="two", fingerprint="other-weights")
    assert found(client, photos["hats/03"])["generation"] == "one"
    ready = client.get("/readyz")

    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert ready.json()["generation"] == "one"
    assert "'other-weights'" in ready.json()["refused"]
    assert f"'{embedder.fingerprint}'" in ready.json()["refused"]
    assert client.get("/v1/generations").json()["refused"] == ready.json()["refused"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1  # and not one with every request
    assert "other-weights" in errors[0].getMessage()

    exact.publish(strange, generation="three", fingerprint=embedder.fingerprint)
    assert found(client, photos["hats/03"])["generation"] == "three"
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.get("/readyz").json()["refused"] is None


def test_other_weights_in_a_real_store_are_not_taken_up(
    serve, store, publish, entries, photos, embedder
):
    first = publish(store, entries[:5], embedder)
    other = type(embedder)(grid=2)
    client = serve(engine=FaissEngine.open(store), store=store)
    second = publish(store, entries[:5], other)

    assert found(client, photos[entries[0].id])["generation"] == first
    assert client.get("/readyz").json()["status"] == "degraded"
    assert other.fingerprint in client.get("/readyz").json()["refused"]
    newest, oldest = client.get("/v1/generations").json()["generations"]
    assert (newest["id"], newest["current"], newest["serving"]) == (second, True, False)
    assert (oldest["current"], oldest["serving"]) == (False, True)


def test_a_damaged_publication_is_not_taken_up_and_names_no_path(
    serve, store, publish, entries, photos, embedder, caplog
):
    first = publish(store, entries[:5], embedder)
    client = serve(engine=FaissEngine.open(store), store=store, refresh_interval=0)
    second = publish(store, entries[:9], embedder)
    index = store / "generations" / second / "index.faiss"
    index.write_bytes(index.read_bytes()[:-10])

    assert found(client, photos[entries[0].id])["generation"] == first
    refused = client.get("/readyz").json()["refused"]
    assert refused.startswith("The newest generation is damaged")
    assert str(store) not in refused
    assert second in caplog.text


def test_the_server_looks_for_generations_only_so_often(embedder, exact):
    now, looks = 0.0, []

    class Counting:
        def __getattr__(self, name):
            return getattr(exact, name)

        def __len__(self):
            return len(exact)

        def refresh(self):
            looks.append(now)
            return False

    searcher = Searcher(
        embedder, Counting(), max_pixels=10, refresh_interval=0.25, clock=lambda: now
    )
    for step in range(128):  # of a power of two, so that sums are exact
        now = step / 128
        searcher.refresh()

    assert looks == [0.25, 0.5, 0.75]


def test_weights_that_do_not_fit_the_store_stop_the_start(store, publish, entries, embedder):
    publish(store, entries[:5], embedder)
    other = type(embedder)(grid=2)

    with pytest.raises(FingerprintMismatchError) as refusal:
        open_engine(Settings(store=store), other)

    assert embedder.fingerprint in str(refusal.value)
    assert other.fingerprint in str(refusal.value)


def test_without_a_generation_the_answer_is_503_until_there_is_one(
    serve, store, publish, entries, photos, embedder, check_problem
):
    client = serve(engine=open_engine(Settings(store=store), embedder), store=store)

    for response in (
        client.post("/v1/search", content=photos[entries[0].id]),
        client.post("/v1/search", json={"item_id": "a"}),
        client.get("/v1/items/a"),
        client.get("/readyz"),
    ):
        problem = check_problem(response, 503, "not-ready")
        assert "Run: niteru index CATALOGUE --store STORE" in problem["detail"]
        assert str(store) not in problem["detail"]
        assert response.headers["retry-after"] == "10"
    assert client.get("/v1/generations").json() == {"generations": [], "refused": None}
    assert client.get("/livez").json() == client.get("/healthz").json() == {"status": "ok"}
    assert client.post("/v1/embed", content=photos[entries[0].id]).status_code == 200

    generation = publish(store, entries[:5], embedder)
    assert found(client, photos[entries[0].id])["generation"] == generation
    assert client.get("/readyz").json() == {
        "status": "ready",
        "generation": generation,
        "items": 5,
        "fingerprint": embedder.fingerprint,
        "refused": None,
    }


def test_a_first_generation_of_other_weights_is_refused_by_name(
    serve, store, publish, entries, embedder, check_problem
):
    client = serve(engine=open_engine(Settings(store=store), embedder), store=store)
    other = type(embedder)(grid=2)
    publish(store, entries[:5], other)

    problem = check_problem(client.get("/readyz"), 503, "not-ready")

    assert other.fingerprint in problem["detail"]
    assert embedder.fingerprint in problem["detail"]


def test_an_awaited_engine_is_the_engine_once_it_is_open(exact, vectors, store):
    answers = [NoStoreError(store), NoGenerationError(store), exact]

    def open_next():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    awaited = AwaitedEngine(open_next, fingerprint=exact.fingerprint)
    assert (len(awaited), awaited.refresh()) == (0, False)
    assert awaited.refresh() is True
    assert awaited.refresh() is False

    query = vectors["hats/03"][np.newaxis]
    assert awaited.search(query, 3, exclude=["x"]) == exact.search(query, 3)
    assert awaited.get(["hats/03"]) == exact.get(["hats/03"])
    np.testing.assert_array_equal(awaited.vectors(["hats/03"])[0], vectors["hats/03"])
    assert (len(awaited), awaited.generation) == (len(exact), "one")
    awaited.close()
    assert len(awaited) == 0


def test_a_generation_is_activated_over_http(serve, store, publish, entries, embedder):
    first = publish(store, entries, embedder)
    second = publish(store, entries[:5], embedder)
    engine = open_engine(Settings(store=store), embedder)
    clients = [serve(engine=open_engine(Settings(store=store), embedder), store=store)
               for _ in range(2)]  # fmt: skip
    engine.close()

    response = clients[0].post(f"/v1/generations/{first}/activate")

    assert response.status_code == 200
    told = {g["id"]: (g["current"], g["serving"]) for g in response.json()["generations"]}
    assert told == {first: (True, True), second: (False, False)}
    # Pruned items stay deleted: a generation is an index of the items, no copy of them.
    time.sleep(0.3)
    for client in clients:
        assert client.get("/readyz").json()["generation"] == first
        assert client.get("/readyz").json()["items"] == 5


def test_what_cannot_be_activated_is_said(serve, store, publish, entries, embedder, check_problem):
    damaged = publish(store, entries[:5], embedder)
    current = publish(store, entries, embedder)
    client = serve(engine=open_engine(Settings(store=store), embedder), store=store)
    (store / "generations" / damaged / "index.faiss").write_bytes(b"x")

    problem = check_problem(
        client.post("/v1/generations/nothing/activate"), 404, "unknown-generation"
    )
    assert str(store) not in problem["detail"]
    check_problem(client.post("/v1/generations/..x/activate"), 404, "unknown-generation")
    problem = check_problem(
        client.post(f"/v1/generations/{damaged}/activate"), 409, "unfit-generation"
    )
    assert str(store) not in problem["detail"]
    assert client.get("/readyz").json()["generation"] == current


def test_a_generation_of_other_weights_is_not_activated(
    serve, store, publish, entries, embedder, check_problem
):
    other = publish(store, entries[:5], type(embedder)(grid=2))
    mine = publish(store, entries, embedder)
    client = serve(engine=open_engine(Settings(store=store), embedder), store=store)

    check_problem(client.post(f"/v1/generations/{other}/activate"), 409, "unfit-generation")
    assert client.get("/readyz").json()["generation"] == mine
