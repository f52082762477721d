"""What travels to the nodes of a cluster arrives as it was; what a node leaves out is made here."""

from contextlib import closing

import numpy as np
import pytest

from indexer.catalogues import MemoryCatalogue
from indexer.database import ReaderPool
from indexer.embedders import ColourLayoutEmbedder
from indexer.intake import Intake
from indexer.looking import Seen, Unread
from indexer.protocols import Entry

UNREAD = [
    Unread(Entry("a", "/a.png"), (None, None)),
    Unread(
        Entry("ü", "/b ü.png", {"n": 1, "x": 1.5, "none": None, "yes": True, "s": "\0"}),
        (2**40, 2**62), sha256="f" * 64, same=True, stamped=True,
    ),
]  # fmt: skip


def test_photos_travel_there_and_back():
    blocks = pytest.importorskip("indexer.ray_blocks", reason="needs pyarrow")
    sent = blocks.write_unread(UNREAD, 7)
    assert sent["number"].to_pylist() == [7, 8]
    assert blocks.read_unread(sent) == UNREAD
    vector = np.array([0.6, -0.8], np.float32)
    seen = [Seen("1" * 64, vector, embedded=True), Seen("", reason="it is a folder")]
    photos, back = blocks.read_seen(blocks.write_seen(sent, seen), 2)
    assert photos == UNREAD
    np.testing.assert_array_equal(back[0].vector, vector)
    assert (back[0].sha256, back[0].embedded, back[0].reason) == ("1" * 64, True, None)
    assert back[1] == seen[1]


def test_what_is_wrong_travels_too():
    blocks = pytest.importorskip("indexer.ray_blocks", reason="needs pyarrow")
    sent = blocks.write_unread(UNREAD, 0)
    told = blocks.write_error(sent, "node_error", "no weights")
    assert blocks.read_error(told, "node_error") == "no weights"
    assert blocks.read_error(told, "embedder_error") is None
    assert blocks.read_error(blocks.write_seen(sent, [Seen("1"), Seen("2")]), "node_error") is None
    assert told.schema == blocks.write_seen(sent, [Seen("1"), Seen("2")]).schema


def test_a_photo_that_was_taken_for_a_known_one_is_looked_at_here(store, photo, run):
    run()
    data = photo(900)
    catalogue = MemoryCatalogue([Entry("x", "x")], {"x": data})
    with closing(ReaderPool(store)) as pool:
        intake = Intake(catalogue, ColourLayoutEmbedder(), pool)
        batch, [unread] = intake.compare([Entry("x", "x")])
        intake.settle([unread], [Seen("0" * 64)], batch)
    assert batch.embedded == batch.entries == 1
    [record] = batch.records
    assert record.item.id == "x"
    assert record.vector is not None
