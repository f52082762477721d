"""Every figure on a case small enough to work by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.evaluation.measures import majority, recall, share, summarise, vote_accuracy


def codes(*rows):
    return np.array(rows, dtype=np.int64)


def test_recall_asks_whether_the_item_is_among_the_found():
    found = codes([7, 3, 1], [2, 5, 9], [4, 4, 4])
    assert recall(found, codes(3, 8, 4)).tolist() == [1, 0, 1]
    assert recall(found[:, :1], codes(3, 2, 4)).tolist() == [0, 1, 1]


def test_share_is_the_part_of_the_neighbours_that_agree():
    found = codes([1, 2, 1, 3], [1, 2, 1, 3])
    assert share(found, codes(1, 5), found).tolist() == [0.5, 0]


def test_share_is_of_those_that_were_left():
    # Two neighbours were left of four; the label of the second is unknown.
    found, neighbours = codes([1, -1, -1, -1]), codes([10, 11, -1, -1])
    assert share(found, codes(1), neighbours).tolist() == [0.5]
    nothing = codes([-1, -1, -1, -1])
    assert share(nothing, codes(1), nothing).tolist() == [0]


def test_an_unknown_neighbour_never_agrees_with_an_unknown_query():
    found = codes([-1, -1])
    assert share(found, codes(-1), codes([0, 1])).tolist() == [0]
    assert vote_accuracy(found, codes(-1)).tolist() == [0]


@pytest.mark.parametrize(
    ("row", "winner"),
    [
        ([5, 2, 2, 2, 5], 2),  # three against two
        ([5, 2, 2, 5, 9], 5),  # two each: the nearest of all is a 5
        ([9, 2, 5, 5, 2], 2),  # 9 is nearest but alone; of 2 and 5 the first is a 2
        ([-1, -1, -1, 4, -1], 4),  # the unknown have no vote
        ([-1, -1, -1, -1, -1], -1),
    ],
)
def test_majority(row, winner):
    assert majority(codes(row)).tolist() == [winner]


def test_vote_accuracy_compares_the_majority_with_the_query():
    assert vote_accuracy(codes([1, 1, 2], [1, 1, 2]), codes(1, 2)).tolist() == [1, 0]


def test_summary_of_a_constant_has_no_width():
    figure = summarise(np.full(7, 0.25), seed=0)
    assert (figure.mean, figure.low, figure.high, figure.queries) == (0.25, 0.25, 0.25, 7)


def test_interval_has_the_width_of_the_normal_approximation():
    values = np.array([1.0] * 300 + [0.0] * 700)
    figure = summarise(values, seed=1)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert figure.mean == pytest.approx(0.3)
    assert figure.low == pytest.approx(0.3 - half, abs=0.004)
    assert figure.high == pytest.approx(0.3 + half, abs=0.004)


def test_interval_repeats_with_its_seed():
    values = np.random.default_rng(0).random(50)
    assert summarise(values, seed=3) == summarise(values, seed=3)
    assert summarise(values, seed=3) != summarise(values, seed=4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=8),
    st.data(),
)
def test_laws_of_the_figures(rows, data):
    found = codes(*rows)
    size = len(rows)
    wanted = codes(*data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    precision, hit = share(found, wanted, found), recall(found, wanted)
    assert ((precision > 0) == (hit > 0)).all()
    assert (recall(found[:, :1], wanted) <= hit).all()
    # More than half of the votes always wins.
    assert (vote_accuracy(found, wanted)[precision > 0.5] == 1).all()
