"""The engine in memory, against answers worked out by hand and a direct formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.engines.exact import ExactEngine
from indexer.errors import FingerprintMismatchError, QueryError
from indexer.protocols import Hit, Item


def vector(degrees):
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def item(item_id):
    return Item(item_id, f"{item_id}.png", "0" * 64)


def engine_of(**degrees):
    pairs = [(item(item_id), vector(angle)) for item_id, angle in degrees.items()]
    return ExactEngine(pairs, dim=2, fingerprint="f", generation="one")


def found(engine, degrees, limit=10, **options):
    return [hit.id for hit in engine.search(vector(degrees)[np.newaxis], limit, **options)[0]]


def test_the_nearest_come_first_with_their_cosines():
    engine = engine_of(east=0, north=90, west=180, northeast=45)

    (hits,) = engine.search(vector(0)[np.newaxis], 3)

    assert [hit.id for hit in hits] == ["east", "northeast", "north"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.70710678, 0], abs=1e-6)
    assert all(isinstance(hit, Hit) for hit in hits)


def test_ties_are_ordered_by_id_and_excluded_items_do_not_shorten_the_answer():
    engine = engine_of(b=10, a=10, d=-10, c=-10, e=50)

    assert found(engine, 0) == ["a", "b", "c", "d", "e"]
    assert found(engine, 0, limit=2, exclude=["a", "c", "nobody"]) == ["b", "d"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_it_is_sorting_by_the_scalar_product(seed, count, limit):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [(item(f"{n:03}"), row) for n, row in enumerate(rows)]
    engine = ExactEngine(pairs, dim=5, fingerprint="f")

    answers = engine.search(rows, limit)

    for query, hits in zip(rows, answers, strict=True):
        best = np.sort(rows @ query)[::-1][:limit]
        np.testing.assert_allclose([hit.score for hit in hits], best, atol=1e-6)
        assert len({hit.id for hit in hits}) == min(limit, count)


def test_changes_are_visible_at_once():
    engine = engine_of(a=0, b=90)

    engine.upsert([(item("c"), vector(5)), (item("a"), vector(180))])
    assert found(engine, 0) == ["c", "b", "a"]
    engine.delete(["c", "nobody"])
    assert found(engine, 0) == ["b", "a"]
    assert engine.get(["c", "a"]) == [None, item("a")]
    assert engine.vectors(["c"]) == [None]
    np.testing.assert_array_equal(engine.vectors(["a"])[0], vector(180))
    assert len(engine) == 2


def test_a_vector_that_was_given_out_is_a_copy():
    engine = engine_of(a=0)

    engine.vectors(["a"])[0][:] = 7

    assert found(engine, 0) == ["a"]


def test_a_publication_is_taken_up_once_and_a_foreign_one_never():
    engine = engine_of(a=0)
    assert engine.refresh() is False

    engine.publish([(item("x"), vector(0))], generation="two", fingerprint="other")
    for _ in range(2):
        with pytest.raises(FingerprintMismatchError, match=r"'two'.*'other'.*'f'"):
            engine.refresh()
    assert (engine.generation, found(engine, 0)) == ("one", ["a"])

    engine.publish([(item("x"), vector(0))], generation="three", fingerprint="f")
    assert (engine.refresh(), engine.refresh()) == (True, False)
    assert (engine.generation, found(engine, 0)) == ("three", ["x"])


@pytest.mark.parametrize(
    ("queries", "limit", "message"),
    [
        (np.ones((1, 3), np.float32), 1, r"shape \(B, 2\), found \(1, 3\)"),
        (np.ones(2, np.float32), 1, r"shape \(B, 2\), found \(2,\)"),
        (np.ones((1, 2), np.float32), 1, "unit length, found one of length 1.41421"),
        (np.full((1, 2), np.nan, np.float32), 1, "unit length"),
        (np.array([[1, 0]], np.float32), 0, "The limit is 0"),
    ],
)
def test_questions_that_make_no_sense(queries, limit, message):
    with pytest.raises(QueryError, match=message):
        engine_of(a=0).search(queries, limit)


def test_an_empty_engine_answers_nothing():
    engine = ExactEngine(dim=2, fingerprint="f")

    assert engine.search(vector(0)[np.newaxis], 5) == [[]]
    assert engine.search(np.zeros((0, 2), np.float32), 5) == []
    engine.close()
    assert len(engine) == 0
