"""Judged answers are those that the figures count, and the choice among them is fair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.evaluation.answers import Answers, draw_lots, judge_answers
from indexer.evaluation.errors import NothingToMeasureError
from indexer.evaluation.neighbours import unit_rows
from indexer.evaluation.photos import ArrayImages, PhotoSet
from indexer.evaluation.truth import DEPTH, match_sets, query_values


def photos(name, count, **columns):
    """A set of black pictures with these columns."""
    names = np.array([f"{name}{n}" for n in range(count)])
    given_columns = {key: np.array(values) for key, values in columns.items()}
    images = ArrayImages(np.zeros((count, 4, 4), np.uint8))
    return PhotoSet(name, images, keys=names, ids=names, **given_columns)


def vectors(seed, count):
    return unit_rows(np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32))


@pytest.mark.parametrize(("column", "figure"), [("items", "R@1"), ("labels", "P@1")])
def test_the_nearest_is_right_as_often_as_the_figure_says(column, figure):
    generator = np.random.default_rng(3)
    gallery = photos("g", 60, **{column: generator.choice([*"abcde"], 60)})
    wanted = np.array([*"abcde"] * 8)
    wanted[7] = ""
    queries = photos("q", 40, **{column: wanted})
    truth = match_sets(gallery, queries)
    asked, held = vectors(1, 40), vectors(2, 60)
    answers = judge_answers(gallery, queries, truth, asked, held)
    assert answers.near.shape == answers.right.shape == (40, DEPTH)
    counted = query_values(truth, asked, held)[figure]
    assert (answers.right[:, 0] == (counted.values == 1))[counted.known].all()
    assert not answers.known[7]
    assert not answers.right[7].any()
    assert len(answers.hits) == counted.values[counted.known].sum()
    assert sorted([*answers.hits, *answers.misses, 7]) == list(range(40))


def test_a_worked_case():
    gallery = photos("g", 3, items=["a", "b", "c"])
    queries = photos("q", 2, items=["a", "c"])
    held = unit_rows(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    asked = unit_rows(np.array([[1, 0.1], [1, 0.9]], np.float32))
    answers = judge_answers(gallery, queries, match_sets(gallery, queries), asked, held)
    assert answers.near[:, :4].tolist() == [[0, 1, 2, -1], [1, 0, 2, -1]]
    assert np.argwhere(answers.right).tolist() == [[0, 0], [1, 2]]
    assert (answers.hits.tolist(), answers.misses.tolist()) == ([0], [1])


def test_nothing_right_or_wrong_is_refused():
    gallery = photos("g", 3, senders=["x", "y", "z"])
    queries = photos("q", 1, owners=["x"])
    truth = match_sets(gallery, queries)
    with pytest.raises(NothingToMeasureError, match="neither the items nor the classes"):
        judge_answers(gallery, queries, truth, vectors(0, 1), vectors(0, 3))


def answers_with(right, name="q"):
    """Answers of which only the nearest matters."""
    count = len(right)
    column = np.array(right, bool)[:, None]
    near = np.zeros((count, 1), np.int64)
    known = np.ones(count, bool)
    return Answers(photos("g", 1), photos(name, count), "item", near, column, known)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 12), st.integers(0, 99))
def test_half_are_right_and_half_wrong_as_far_as_there_are_any(right, count, seed):
    answers = answers_with(right)
    rows = draw_lots([answers], count, seed=seed)
    assert len(set(rows.tolist())) == len(rows) == min(count, len(right))
    hits = sum(right[row] for row in rows)
    misses = len(rows) - hits
    if abs(hits - misses) > 1:  # only for want of the other kind
        few, there = (hits, sum(right)) if hits < misses else (misses, len(right) - sum(right))
        assert few == there
    assert [right[row] for row in rows] == sorted((right[row] for row in rows), reverse=True)
    assert (rows == draw_lots([answers], count, seed=seed)).all()


def test_several_are_asked_the_same_queries_whoever_is_right():
    one, other = answers_with([True] * 20), answers_with([False] * 20)
    rows = draw_lots([one, other], 5, seed=1)
    assert (rows == draw_lots([other, one], 5, seed=1)).all()
    assert len(rows) == 5
    assert rows.tolist() != draw_lots([one, other], 5, seed=2).tolist()
    with pytest.raises(ValueError, match="side by side are to the same"):
        draw_lots([one, answers_with([True] * 20, name="others")], 5, seed=1)
