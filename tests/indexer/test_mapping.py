"""The map of a catalogue: neighbours stay neighbours, the same vectors give the same map."""

import json
from contextlib import closing

import numpy as np
import pytest

from indexer.database import connect
from indexer.errors import GenerationCorruptError
from indexer.layout import MAP, make_layout, read_layout
from indexer.mapping import affinities, choose_rows, lay_out, tsne
from indexer.protocols import Item
from indexer.store import Record, open_writer


def groups(count, kinds=6, dim=32, spread=0.5, seed=0):
    """Vectors (N, dim) of unit length around a few centres, and which centre each is of."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, kinds, count)
    vectors = rng.normal(size=(kinds, dim))[labels] + spread * rng.normal(size=(count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def alike(places, labels, k=5):
    """How often the nearest on the map are of the same kind."""
    distances = ((places[:, None] - places) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return (labels[distances.argsort(1)[:, :k]] == labels[:, None]).mean()


def test_what_is_alike_stands_together_landmark_or_not():
    vectors, labels = groups(500)
    assert alike(lay_out(vectors), labels) > 0.95
    followed = lay_out(vectors, landmarks=120)
    assert alike(followed, labels) > 0.9
    shuffled = np.random.default_rng(1).permutation(labels)
    assert alike(followed, shuffled) < 0.35  # the measure can fail


def test_the_same_vectors_give_the_same_map():
    vectors, _ = groups(60)
    assert np.array_equal(lay_out(vectors), lay_out(vectors.copy()))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12])
def test_few_items_and_equal_ones_have_places(count):
    for vectors in (groups(count)[0], np.tile(groups(1)[0], (count, 1))):
        places = lay_out(vectors)
        assert places.shape == (count, 2)
        assert np.isfinite(places).all()
        assert places.min() >= 0
        assert places.max() <= 1


def test_every_item_has_as_many_neighbours_as_asked():
    vectors, _ = groups(80)
    p = affinities(vectors, perplexity=10)
    assert np.allclose(p, p.T)
    assert p.sum() == pytest.approx(1, abs=1e-3)
    rows = p / p.sum(1, keepdims=True)
    entropy = -(rows * np.log(rows)).sum(1)
    assert 5 < np.exp(entropy).mean() < 25  # of both directions together


def test_the_descent_goes_down():
    """Against the divergence computed directly."""
    vectors, _ = groups(70)
    p = affinities(vectors, perplexity=20)
    off = ~np.eye(len(p), dtype=bool)

    def divergence(places):
        kernel = 1 / (1 + ((places[:, None] - places) ** 2).sum(-1))
        q = kernel / kernel[off].sum()
        return (p * np.log(p / q))[off].sum()

    steps = [divergence(tsne(vectors, steps=count)) for count in (1, 100, 300)]
    assert steps[0] > steps[1] > steps[2]


def test_a_large_catalogue_is_sampled():
    rows = choose_rows(10_000, most=300)
    assert len(rows) == len(set(rows.tolist())) == 300
    assert (np.diff(rows) > 0).all()
    assert choose_rows(5).tolist() == [0, 1, 2, 3, 4]


def test_the_same_items_give_the_same_map_in_whatever_order_they_came(tmp_path):
    vectors, _ = groups(40)
    maps = []
    for name, order in (("one", range(40)), ("other", reversed(range(40)))):
        with open_writer(tmp_path / name) as writer:
            records = [Record(Item(f"{n:02}", "u", f"{n}"), vectors[n]) for n in order]
            writer.upsert(records, fingerprint="f")
        with closing(connect(tmp_path / name)) as connection:
            maps.append(make_layout(connection, fingerprint="f"))
    assert maps[0] == maps[1]


def test_a_damaged_map_is_told_and_an_older_generation_has_none(tmp_path):
    assert read_layout(tmp_path) == []
    for text in ("{", "[]", json.dumps({"places": [[1]]})):
        (tmp_path / MAP).write_text(text)
        with pytest.raises(GenerationCorruptError, match="niteru index"):
            read_layout(tmp_path)
