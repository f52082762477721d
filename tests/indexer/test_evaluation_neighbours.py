"""Exact search: against a plain sort, with ties, with photos left out, in any block size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.evaluation import neighbours
from indexer.evaluation.neighbours import Match, encode, nearest, unit_rows


def unit(seed, count, dim=5):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return unit_rows(rows)


def test_best_first():
    gallery = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    queries = np.array([[1, 0], [0, -1]], dtype=np.float32)
    assert nearest(queries, gallery, 3).tolist() == [[0, 2, 1], [0, 2, 1]]


def test_equal_scores_go_to_the_lower_row():
    gallery = np.tile(unit(0, 1), (40, 1))
    assert nearest(gallery[:2], gallery, 5).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_scores_that_differ_in_the_seventh_digit_are_a_tie():
    gallery = np.array([[0.9999999, 0], [1, 0], [0.99, 0]], dtype=np.float32)
    assert nearest(np.array([[1, 0]], dtype=np.float32), gallery, 3).tolist() == [[0, 1, 2]]


def test_more_asked_for_than_there_is():
    gallery = unit(0, 2)
    assert nearest(gallery[:1], gallery, 4).tolist() == [[0, 1, -1, -1]]


def test_photos_that_agree_with_the_query_are_left_out():
    gallery = unit(0, 4)
    senders = Match(np.array([1, -1]), np.array([1, 0, -1, 1]))
    found = nearest(gallery[[0, 2]], gallery, 4, leave_out=(senders,))
    assert sorted(found[0, :2]) == [1, 2]
    assert found[0, 2:].tolist() == [-1, -1]
    # An unknown sender leaves out nothing, not even other unknown ones.
    assert sorted(found[1]) == [0, 1, 2, 3]


def test_several_reasons_to_leave_out_add_up():
    gallery = unit(0, 3)
    same = Match(np.array([0]), np.array([0, 1, 2]))
    sender = Match(np.array([8]), np.array([7, 8, 7]))
    assert nearest(gallery[:1], gallery, 3, leave_out=(same, sender)).tolist() == [[2, -1, -1]]


def test_codes_are_shared_and_the_empty_string_is_unknown():
    match = encode(np.array(["b", "", "x"]), np.array(["a", "b", "", "b"]))
    assert match.equal(0, 3).tolist() == [[False, True, False, True], [False] * 4, [False] * 4]
    assert match.queries[1] == match.gallery[2] == -1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12))
def test_agrees_with_a_plain_sort(seed, size, asked, count):
    gallery, queries = unit(seed, size), unit(seed + 1, asked)
    groups = np.random.default_rng(seed)
    match = Match(groups.integers(-1, 3, asked), groups.integers(-1, 3, size))
    found = nearest(queries, gallery, count, leave_out=(match,))
    for row, query in enumerate(queries):
        order = sorted(
            range(size), key=lambda other: (-round(float(query @ gallery[other]), 6), other)
        )
        allowed = [
            other for other in order
            if match.queries[row] < 0 or match.queries[row] != match.gallery[other]
        ]  # fmt: skip
        expected = allowed[:count]
        assert found[row].tolist() == expected + [-1] * (count - len(expected))


def test_the_block_size_changes_nothing(monkeypatch):
    gallery, queries = unit(3, 50), unit(4, 23)
    whole = nearest(queries, gallery, 10)
    monkeypatch.setattr(neighbours, "BLOCK_ENTRIES", 120)
    assert (nearest(queries, gallery, 10) == whole).all()


def test_unit_rows_keeps_zeros():
    rows = unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32))
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert rows.dtype == np.float32
