"""Searches that arrive together are joined, and none of them can tell."""

import numpy as np
import pytest

from indexer.errors import QueryError, StoreError
from service.searcher import Searcher, Sought
from service.selection import Selection

FILTER = '{"must": [{"key": "number", "range": {"lt": 20}}]}'
QUERIES = (
    "limit=4",
    "limit=4",
    "limit=4",
    "limit=7&offset=2",
    "limit=4&exclude=hats/03&exclude=bags/01",
    f"limit=4&filter={FILTER}",
    f"limit=4&filter={FILTER}",
    "limit=4&collapse=0.9",
    "limit=4&score_threshold=0.99",
    "limit=4&exact=true",
)


class Counted:
    """An engine that notes how many queries each of its calls had, and may refuse."""

    def __init__(self, engine, refuse=lambda queries: None):
        self.engine = engine
        self.refuse = refuse
        self.calls = []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def __len__(self):
        return len(self.engine)

    def search(self, queries, limit, **given):
        self.calls.append(len(queries))
        error = self.refuse(queries)
        if error is not None:
            raise error
        return self.engine.search(queries, limit, **given)


@pytest.fixture
def together(photos):
    """Sends searches so that they form one batch: ``together(client, queries, names)``."""

    def send(client, queries, names):
        state = client.app.state.niteru
        batcher = state.batcher
        ask = batcher.ask

        async def waits(thing):
            # The first holds the batch back until all are there.
            if len(batcher.waiting) + 1 == len(queries):
                batcher.at_once = 1
            return await ask(thing)

        batcher.at_once, batcher.ask = 0, waits
        with state.admission:
            return client.together(
                [
                    {"method": "POST", "url": f"/v1/search?{query}", "content": photos[name]}
                    for query, name in zip(queries, names, strict=True)
                ]
            )

    return send


def test_joined_searches_answer_what_each_does_alone(each_client, photos, together):
    names = list(photos)[: len(QUERIES)]
    lone = [
        each_client.post(f"/v1/search?{query}", content=photos[name]).json()
        for query, name in zip(QUERIES, names, strict=True)
    ]

    joined = [answer.json() for answer in together(each_client, QUERIES, names)]

    for one, other in zip(lone, joined, strict=True):
        assert other["items"] == one["items"]  # scores to the last bit
        assert (other["total"], other["generation"]) == (one["total"], one["generation"])
        assert other["timings_ms"].keys() == one["timings_ms"].keys()


def test_searches_that_want_the_same_are_one_call_of_the_engine(serve, exact, photos, together):
    counted = Counted(exact)
    client = serve(engine=counted)

    answers = together(client, QUERIES, list(photos)[: len(QUERIES)])

    assert [answer.status_code for answer in answers] == [200] * len(QUERIES)
    # Three alike; offset, exclude, threshold, exact and each filter by themselves; copies as often
    # as it takes.
    assert max(counted.calls) == 3
    assert counted.calls.count(3) == 1
    assert len(counted.calls) >= 8


def test_an_error_of_one_does_not_reach_those_it_was_joined_with(
    serve, exact, embedder, photos, vectors
):
    bad = vectors["bags/05"]
    engine = Counted(
        exact,
        lambda queries: (
            QueryError("not that one.")
            if any(np.allclose(query, bad) for query in queries)
            else None
        ),
    )
    client = serve(engine=engine)
    state = client.app.state.niteru
    pixels = [embedder.preprocessing.read(photos[n]) for n in ("bags/01", "bags/05", "hats/02")]
    asked = [Sought(one, Selection(3)) for one in pixels]

    first, refused, last = state.batcher._made(asked)

    assert first.answer.matches[0].item.id == "bags/01"
    assert isinstance(refused, QueryError)
    assert last.answer.matches[0].item.id == "hats/02"
    assert engine.calls == [3, 1, 1, 1]


def test_a_store_that_cannot_be_read_is_not_asked_for_each(serve, exact, embedder, photos):
    engine = Counted(exact, lambda _: StoreError("gone."))
    client = serve(engine=engine)
    pixels = [embedder.preprocessing.read(photos[n]) for n in ("bags/01", "bags/05")]

    made = client.app.state.niteru.batcher._made([Sought(one, Selection(3)) for one in pixels])

    assert [type(one) for one in made] == [StoreError] * 2
    assert engine.calls == [2]


def test_vectors_alone_and_searches_share_a_batch(embedder, engine, photos, vectors):
    searcher = Searcher(embedder, engine, max_pixels=10**6)
    pixels = [embedder.preprocessing.read(photos[n]) for n in ("bags/01", "hats/02")]

    alone, sought = searcher.find_each([Sought(pixels[0]), Sought(pixels[1], Selection(1))])

    np.testing.assert_allclose(alone.vector, vectors["bags/01"], atol=1e-6)
    assert alone.answer is None
    assert [match.item.id for match in sought.answer.matches] == ["hats/02"]


def test_no_more_wait_than_are_let_in(serve, photos, check_problem):
    client = serve(max_concurrent=4)
    state = client.app.state.niteru
    calls = [{"method": "POST", "url": "/v1/search", "content": photos["bags/05"]}] * 12

    answers = client.together(calls)

    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) - len(refused) >= 4
    for answer in refused:
        check_problem(answer, 429, "overloaded")
        assert answer.headers["retry-after"] == "1"
    assert refused
    assert state.admission.active == 0
    assert not state.batcher.waiting
