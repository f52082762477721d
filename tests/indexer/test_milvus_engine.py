"""The engine over Milvus beyond the contract: crashes, strangers, two at once, no store here."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from indexer.database import ReaderPool
from indexer.engines.policy import IndexPolicy
from indexer.errors import (
    GenerationCorruptError,
    MilvusError,
    NoGenerationError,
    UnknownGenerationError,
)
from indexer.filters import parse_filter
from indexer.protocols import Item
from indexer.store import Record, delete, open_writer, upsert
from tests.contract.engines import PAIRS, QUERIES, assert_same, brute_force, draw_pairs
from tests.milvus_lite import INSTALLED, MilvusLite

if not INSTALLED:
    pytest.skip(
        "milvus-lite is not installed; it comes with the extra 'dev'", allow_module_level=True
    )

import grpc
from pymilvus import MilvusException

from indexer.engines.milvus_collection import CHANGE, TEXT, Collection
from indexer.engines.milvus_engine import MilvusEngine
from indexer.engines.milvus_names import collection_name
from indexer.engines.milvus_server import Server
from indexer.milvus_generations import MilvusGenerations

POLICY = IndexPolicy(queries=3)


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    """A server of this module's own, which may be killed."""
    server = MilvusLite(tmp_path_factory.mktemp("own") / "data")
    yield server
    server.kill()


class Shop:
    """A store and its generations on a server."""

    def __init__(self, lite, store, name):
        self.lite, self.store, self.name = lite, store, name
        self.server = Server(lite.uri)
        self.generations = MilvusGenerations(self.server, name, store)

    def publish(self, pairs):
        with open_writer(self.store) as writer, closing(ReaderPool(self.store)) as pool:
            writer.upsert([Record(*pair) for pair in pairs], fingerprint="f")
            return self.generations.publish(writer, pool, fingerprint="f", policy=POLICY)

    def put(self, pairs):
        return upsert(self.store, [Record(*pair) for pair in pairs], fingerprint="f")

    def open(self, store=None, **options):
        return MilvusEngine.open(
            Server(self.lite.uri, **options), self.name, store or self.store, fingerprint="f"
        )


@pytest.fixture
def shop(lite, tmp_path, request):
    made = Shop(lite, tmp_path / "store", f"n{abs(hash(request.node.name))}")
    yield made
    for generation in made.generations.list_ids():
        if generation == made.generations.read_current():
            made.server.call("drop_alias", made.name)
        made.server.call("drop_collection", collection_name(made.name, generation))
    made.server.close()


def ids(hits):
    return [hit.id for hit in hits]


def test_without_a_store_beside_it_the_collection_answers_as_it_is(shop, tmp_path):
    shop.publish(PAIRS)
    shop.put(draw_pairs(1, seed=5, prefix="new"))
    with shop.open(tmp_path / "elsewhere") as far, shop.open() as near:
        assert len(far) == 300
        assert len(near) == 301
        assert len(far) == 301  # which was brought up by the other one
        assert_same(far.search(QUERIES[:1], 9)[0], near.search(QUERIES[:1], 9)[0])
        where = parse_filter('{"must": [{"key": "n", "range": {"lt": 5}}]}')
        assert far.facets(where) == near.facets(where)
        assert far.facets() == near.facets()
        assert far.attributes() == near.attributes() != frozenset()
        for name in (*near.attributes(), "none", "\0", '"]'):
            there = name in near.attributes()
            assert (name in far.attributes(sought=name)) == there
            assert (name in near.attributes(sought=name)) == there
        assert far.layout() == near.layout()
        assert len(far.layout()) == 300
    assert not (tmp_path / "elsewhere").exists()


def test_an_item_that_changes_keeps_its_place_on_the_map(shop):
    shop.publish(PAIRS[:20])
    with shop.open() as engine:
        before = engine.layout()
        item, _ = PAIRS[3]
        shop.put([(Item(item.id, item.uri, "other", {"p": 1, "n": 2}), PAIRS[9][1])])
        delete(shop.store, ["i004"])
        assert engine.layout() == [place for place in before if place.id != "i004"]
        assert engine.get(["i003"])[0].attributes == {"p": 1, "n": 2}


def when_it_is_back(question):
    """The answer of a server that was started this moment; the connection is mended in pauses."""
    give_up = time.monotonic() + 30
    while True:
        try:
            return question()
        except MilvusError:
            if time.monotonic() > give_up:
                raise


def test_a_server_that_is_killed_comes_back_with_everything(lite, shop):
    shop.publish(PAIRS)
    with shop.open(seconds=2.0, pauses=()) as engine:
        assert len(engine) == 300
        shop.put(draw_pairs(3, seed=5, prefix="new"))
        delete(shop.store, ["i000"])
        lite.kill()
        try:
            with pytest.raises(MilvusError, match=r"items\.sqlite holds everything"):
                engine.search(QUERIES[:1], 3)
        finally:
            lite.start()
        assert when_it_is_back(lambda: len(engine)) == 302
        expected = brute_force([*PAIRS[1:], *draw_pairs(3, seed=5, prefix="new")], QUERIES[0], 300)
        assert_same(engine.search(QUERIES[:1], 300, exact=True)[0], expected)


def test_who_catches_up_and_is_stopped_half_way_is_followed_by_one_who_begins_again(shop):
    shop.publish(PAIRS[:50])
    shop.put(PAIRS[50:])
    delete(shop.store, ["i000"])
    name = collection_name(shop.name, shop.generations.read_current())
    collection = Collection(shop.server, name, 16)
    noted = collection.read_properties()[CHANGE]
    collection.put(PAIRS[50:90])  # what was done before the stop
    assert collection.read_properties()[CHANGE] == noted
    with shop.open() as engine:
        assert len(engine) == 299
        assert_same(
            engine.search(QUERIES[:1], 20, exact=True)[0], brute_force(PAIRS[1:], QUERIES[0], 20)
        )
    assert int(collection.read_properties()[CHANGE]) == int(noted) + 2


CHILD = """
import sys
from pathlib import Path
from indexer.engines.milvus_engine import MilvusEngine
from indexer.engines.milvus_server import Server
with MilvusEngine.open(Server(sys.argv[1]), sys.argv[2], Path(sys.argv[3])) as engine:
    for line in sys.stdin:
        print(len(engine), flush=True)
"""


def test_two_processes_bring_it_up_in_turn(shop):
    shop.publish(PAIRS[:10])
    words = [sys.executable, "-c", CHILD, shop.lite.uri, shop.name, str(shop.store)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        with shop.open() as engine, ThreadPoolExecutor(4) as executor:
            for count in range(20, 101, 20):
                shop.put(PAIRS[:count])
                child.stdin.write("\n")
                child.stdin.flush()
                counted = executor.map(lambda _: len(engine), range(4))
                assert {*counted, int(child.stdout.readline())} == {count}
        child.stdin.close()
        assert child.wait(30) == 0


def test_what_a_crash_left_half_made_is_never_answered_from_and_goes(shop):
    first = shop.publish(PAIRS[:20])
    half = collection_name(shop.name, shop.generations.new_id())
    whole = shop.server.call("describe_collection", collection_name(shop.name, first.id))
    Collection(shop.server, half, 16).create(
        "FLAT", 0, {"niteru.store": whole["properties"]["niteru.store"]}
    )
    listed = shop.generations.listed()
    assert [g.manifest is None for g in listed] == [False, True]
    with pytest.raises(GenerationCorruptError, match="refused"):
        shop.generations.activate(listed[1].id)
    assert shop.generations.read_current() == first.id
    second = shop.publish(PAIRS[:30])
    assert shop.generations.list_ids() == [first.id, second.id]


def test_rolled_back_old_generations_hold_what_is_true_now(shop):
    first = shop.publish(PAIRS[:20])
    second = shop.publish(PAIRS[:30])
    with shop.open() as engine:
        assert engine.generation == second.id
        delete(shop.store, ["i005"])
        assert len(engine) == 29
        assert shop.generations.activate(first.id).current
        assert engine.refresh() is True
        assert (engine.generation, len(engine)) == (first.id, 29)
        assert "i005" not in ids(engine.search(QUERIES[:1], 40)[0])
    with pytest.raises(UnknownGenerationError, match="There is: "):
        shop.generations.activate("20200101T000000Z-0000")


def test_old_generations_are_dropped_and_the_one_that_answers_stays(shop):
    made = [shop.publish(PAIRS[:10]).id for _ in range(4)]
    shop.generations.activate(made[0])
    with open_writer(shop.store) as writer:
        assert shop.generations.remove_old(writer, keep=2) == [made[1]]
    assert shop.generations.list_ids() == [made[0], made[2], made[3]]
    with shop.open() as engine:
        assert len(engine) == 10
        shop.generations.activate(made[2])  # which was let go of from memory
        engine.refresh()
        assert len(engine.search(QUERIES[:1], 99)[0]) == 10


def test_a_collection_that_is_dropped_under_a_search_was_followed_by_another(shop):
    first = shop.publish(PAIRS[:10])
    with shop.open() as engine:
        second = shop.publish(PAIRS[:12])
        shop.server.call("drop_collection", collection_name(shop.name, first.id))
        assert len(engine.search(QUERIES[:1], 99)[0]) == 12  # nobody has called refresh
        assert engine.generation == second.id


def test_strangers_are_refused_by_name(shop, tmp_path):
    with pytest.raises(NoGenerationError):
        shop.open()
    shop.publish(PAIRS[:10])
    other = Shop(shop.lite, tmp_path / "other", shop.name)
    with pytest.raises(MilvusError, match=r"another store.*--milvus-name"):
        other.publish(PAIRS[:5])
    with shop.open(other.store) as engine, pytest.raises(GenerationCorruptError, match="another"):
        len(engine)
    other.server.close()
    collection = collection_name(shop.name, shop.generations.read_current())
    shop.server.call("create_alias", collection, f"{shop.name}x")
    with pytest.raises(GenerationCorruptError, match="no generation of niteru"):
        MilvusEngine.open(Server(shop.lite.uri), f"{shop.name}x", shop.store)
    shop.server.call("drop_alias", f"{shop.name}x")


def test_a_store_that_was_put_back_from_an_older_copy_is_refused(shop, tmp_path):
    shop.publish(PAIRS[:10])
    older = tmp_path / "older"
    older.mkdir()
    with closing(ReaderPool(shop.store)) as pool, pool.read() as connection:
        connection.execute("SELECT 1")
        (older / "items.sqlite").write_bytes((shop.store / "items.sqlite").read_bytes())
        (older / "items.sqlite-wal").write_bytes((shop.store / "items.sqlite-wal").read_bytes())
    for start in range(10, 20, 2):
        shop.put(PAIRS[start : start + 2])
    with shop.open() as engine:
        assert len(engine) == 20
    with shop.open(older) as engine, pytest.raises(GenerationCorruptError, match="older copy"):
        len(engine)
    before = shop.generations.listed()
    shop.store = shop.generations.store = older
    made = shop.publish(PAIRS[:5])  # as the message says: what lay ahead of it goes
    assert [g.id for g in shop.generations.listed()] == [made.id] != [g.id for g in before]
    with shop.open() as engine:
        assert len(engine) == 10


def test_an_item_that_milvus_cannot_hold_is_named(shop):
    long = Item("long", "u", "s", {"text": "x" * TEXT})
    with pytest.raises(MilvusError, match=r"'long'.*takes 131,\d+ bytes.*engine faiss"):
        shop.publish([*PAIRS[:3], (long, PAIRS[5][1])])
    assert shop.generations.read_current() is None


def test_ids_of_any_characters_come_back_as_they_are(shop):
    names = ['"', "' or 1 == 1", "a\nb", "x" * 3000, "é", "\U0001f45f", " ", "\\", "%", "a/b/../c"]
    pairs = [
        (Item(name, "u", "s", {}), vector) for name, (_, vector) in zip(names, PAIRS, strict=False)
    ]
    shop.publish(pairs)
    with shop.open() as engine:
        assert engine.get(names) == [item for item, _ in pairs]
        for item, vector in pairs:
            assert engine.search(vector[None], 1)[0][0].id == item.id
        left = engine.search(QUERIES[:1], 99, exclude=names[:9])[0]
        assert ids(left) == names[9:]
        delete(shop.store, names[:5])
        assert engine.get(names[:6]) == [None] * 5 + [pairs[5][0]]


class Unwilling:
    """A client whose server has the same refusal for the first calls."""

    def __init__(self, code, refusals):
        self.code, self.left = code, refusals

    def list_collections(self, timeout):
        if self.left:
            self.left -= 1
            raise MilvusException(self.code, "rate limit exceeded")
        return ["c"]


@pytest.mark.parametrize(
    ("code", "refusals", "waited"),
    [(8, 2, [0.1, 0.3]), (8, 9, [0.1, 0.3, 1.0]), (1100, 1, []), (9, 0, [])],
)
def test_a_busy_server_is_asked_again_after_growing_pauses(lite, code, refusals, waited):
    pauses = []
    server = Server(lite.uri, pauses=(0.1, 0.3, 1.0), sleep=pauses.append)
    server.close()
    server._client = Unwilling(code, refusals)
    if refusals in (1, 9):
        with pytest.raises(MilvusError, match="rate limit exceeded") as caught:
            server.call("list_collections")
        assert caught.value.code == code
    else:
        assert server.call("list_collections") == ["c"]
    assert pauses == waited


class Late(Unwilling):
    """A client whose server is too busy to answer the first calls in time."""

    def list_collections(self, timeout):
        if self.left:
            self.left -= 1
            raise TooLateError
        return ["c"]


class TooLateError(grpc.RpcError):
    """What the channel raises by itself."""

    def details(self):
        return "Deadline Exceeded"


def test_a_server_that_is_late_is_asked_again_and_told_of_in_our_words(lite):
    pauses = []
    server = Server(lite.uri, pauses=(0.1, 0.3), sleep=pauses.append)
    server.close()
    server._client = Late(None, 2)
    assert server.call("list_collections") == ["c"]
    assert pauses == [0.1, 0.3]
    server._client = Late(None, 3)
    with pytest.raises(MilvusError, match=r"no answer in time \(Deadline Exceeded\)"):
        server.call("list_collections")


def test_nobody_at_the_address_is_told_with_the_address():
    with pytest.raises(MilvusError, match=r"http://127\.0\.0\.1:9.*--milvus-uri"):
        Server("http://127.0.0.1:9", seconds=0.5, pauses=())


def test_more_answers_than_one_query_of_milvus_gives(shop, monkeypatch):
    monkeypatch.setattr("indexer.engines.milvus_search.MOST", 64)
    shop.publish(PAIRS)
    with shop.open() as engine:
        for limit in (63, 64, 65, 300):
            assert_same(engine.search(QUERIES[:1], limit)[0], brute_force(PAIRS, QUERIES[0], limit))
        twins = [(Item(f"t{n:03}", "u", "s"), QUERIES[0]) for n in range(150)]
        shop.put(twins)
        found = engine.search(QUERIES[:1], 5)[0]
        assert ids(found) == [f"t{n:03}" for n in range(5)]
        assert np.ptp([hit.score for hit in found]) == 0
