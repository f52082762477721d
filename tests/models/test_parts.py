"""Sources that count differently: shares of a step, and epochs within each source."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.loop import photos_of_step
from models.training.parts import Part, items_of_step, share_out
from models.training.recipe import Recipe

PARTS = st.lists(
    st.builds(Part, st.integers(1, 60), st.none() | st.floats(0.5, 5000)), min_size=1, max_size=4
)


def test_shares_by_hand():
    assert share_out([Part(3000), Part(60_000, 1000.0)], 128) == (96, 32)
    assert share_out([Part(3000), Part(60_000)], 128) == (6, 122)
    assert share_out([Part(3000), Part(60_000, 1.0)], 128) == (127, 1)  # at least one
    assert share_out([Part(10, 3000.0), Part(3000)], 128) == (10, 118)  # no more than there are
    assert share_out([Part(5), Part(5)], 100) == (5, 5)
    assert share_out([Part(0, 9.0), Part(50)], 20) == (0, 20)
    with pytest.raises(ValueError, match="one from each of 3 sources"):
        share_out([Part(5), Part(5), Part(5)], 2)


@given(parts=PARTS, batch=st.integers(4, 100))
def test_shares_fill_the_batch_as_the_weights_say(parts, batch):
    sizes = share_out(parts, batch)
    assert sum(sizes) == min(batch, sum(part.items for part in parts))
    assert all(1 <= size <= part.items for size, part in zip(sizes, parts, strict=True))
    total = sum(part.counts for part in parts)
    quotas = [batch * part.counts / total for part in parts]
    if all(1 <= q <= part.items for q, part in zip(quotas, parts, strict=True)):
        assert all(abs(size - q) < 1 for size, q in zip(sizes, quotas, strict=True))


@settings(max_examples=50, deadline=None)
@given(parts=PARTS, batch=st.integers(4, 40), seed=st.integers(0, 5), start=st.integers(0, 30))
def test_each_source_is_gone_through_before_it_is_seen_again(parts, batch, seed, start):
    sizes = share_out(parts, batch)
    first = 0
    for part, size in zip(parts, sizes, strict=True):
        length = part.items // size
        begin = start - start % length
        seen = torch.cat([items_of_step(parts, batch, seed, begin + i) for i in range(length)])
        own = seen[(seen >= first) & (seen < first + part.items)]
        assert len(own) == length * size
        assert len(own.unique()) == len(own)
        first += part.items


@given(parts=PARTS, batch=st.integers(4, 40), step=st.integers(0, 100))
def test_a_step_is_the_same_whenever_it_is_drawn_and_holds_no_item_twice(parts, batch, step):
    items = items_of_step(parts, batch, 3, step)
    assert torch.equal(items, items_of_step(parts, batch, 3, step))
    assert len(items.unique()) == len(items)


def test_without_weights_the_sources_are_one():
    """60,000 pictures beside 3,000 photos: the epoch visits each once, wherever it is from."""
    recipe, groups = Recipe(batch_size=7, steps=1), torch.arange(35)
    both = (Part(5), Part(30))
    steps = [photos_of_step(groups, recipe, step, both) for step in range(5)]
    assert Counter(torch.cat(steps).tolist()) == Counter(range(35))
    plain = [photos_of_step(groups, recipe, step) for step in range(5)]
    assert all(torch.equal(a, b) for a, b in zip(steps, plain, strict=True))
    weighed = (Part(5), Part(30, 5.0))
    shares = [(photos_of_step(groups, recipe, step, weighed) < 5).sum() for step in range(20)]
    assert set(map(int, shares)) <= {3, 4}


def test_sources_of_equal_size_do_not_move_in_step():
    parts = (Part(40, 1.0), Part(40, 1.0))
    items = items_of_step(parts, 80, 0, 0)
    assert not torch.equal(items[:40], items[40:] - 40)
