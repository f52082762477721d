"""A collection: the items of one generation in Milvus, derived from ``items.sqlite``.

An item's key is the SHA-256 of its id, so that ids of any length and with any characters are
hexadecimal digits wherever they are part of an expression.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pymilvus import DataType, MilvusClient

from indexer.engines.milvus_server import LONG, Server
from indexer.errors import GenerationCorruptError, MilvusError
from indexer.filter_milvus import EVERYTHING, FACTS, ON_MAP, PLACE, facts_of
from indexer.protocols import Item, Place, Scalar, Vectors

CHANGE, MANIFEST, STORE = "niteru.change", "niteru.manifest", "niteru.store"
MOST = 16_384  # answers that Milvus gives to one query
ALL = 65_536  # more lists than any index has: every one is looked at
# A message may have some megabytes: so many rows, or so many characters of what is not a vector.
ROWS, CHARACTERS = 1000, 2_000_000
ASKED = 65_536  # answers, of all queries of a batch, in one message
TEXT = 65_535  # bytes that Milvus keeps of a text
STRONG: Mapping[str, Any] = {"consistency_level": "Strong"}

Pair = tuple[Item, Vectors]


class Near(NamedTuple):
    """What a collection proposes for one query.

    Attributes:
        ids: (N,) of the items, best first.
        vectors: (N, dim) theirs, unrounded.
        scores: (N,) as the index rounds them.
    """

    ids: list[str]
    vectors: Vectors
    scores: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection by its name."""

    server: Server
    name: str
    dim: int

    def create(self, index: str, lists: int, properties: Mapping[str, str]) -> None:
        """Make it, empty, with the index that its items will have.

        Args:
            index: ``FLAT`` or ``IVF_SQ8``.
            lists: Of an index with lists.
            properties: What it is to remember of itself.
        """
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("id", DataType.VARCHAR, max_length=TEXT)
        schema.add_field("item", DataType.VARCHAR, max_length=TEXT)
        schema.add_field(FACTS, DataType.JSON)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dim)
        indexes = MilvusClient.prepare_index_params()
        shape = {} if index == "FLAT" else {"nlist": lists}
        indexes.add_index("vector", index_type=index, metric_type="IP", params=shape)
        self.server.call(
            "create_collection", self.name, schema=schema, index_params=indexes,
            properties=dict(properties), **STRONG,
        )  # fmt: skip

    def read_properties(self) -> dict[str, str]:
        """What it remembers of itself."""
        return dict(self.server.call("describe_collection", self.name)["properties"])

    def note(self, name: str, value: str) -> None:
        """Let it remember something of itself."""
        self.server.call("alter_collection_properties", self.name, properties={name: value})

    def read_change(self) -> int:
        """The change number of ``items.sqlite`` up to which it holds everything.

        Raises:
            GenerationCorruptError: It does not say.
        """
        told = self.read_properties().get(CHANGE, "")
        if not told.isdecimal():
            raise GenerationCorruptError(
                f"The collection '{self.name}' has {told!r} as its '{CHANGE}' instead of a number: "
                "it is none of niteru's, or was altered. Build a new one with 'niteru index'."
            )
        return int(told)

    def note_change(self, change: int) -> None:
        """Remember up to which change number it holds everything."""
        self.note(CHANGE, str(change))

    def put(self, pairs: Iterable[Pair], places: Iterable[Place] = ()) -> int:
        """Add items or replace those of the same ids; returns how many.

        Args:
            pairs: Items with their vectors (dim,).
            places: Of those that stand on the map.

        Raises:
            MilvusError: An item says more than Milvus can keep, or the server refuses.
        """
        count = 0
        where = {place.id: place for place in places}
        for rows in batched(row_of(*pair, where.get(pair[0].id)) for pair in pairs):
            self.server.call("upsert", self.name, rows, seconds=LONG)
            count += len(rows)
        return count

    def remove(self, ids: Sequence[str]) -> None:
        """Take items away; unknown ids are ignored."""
        for start in range(0, len(ids), ROWS):
            keys = [key_of(item_id) for item_id in ids[start : start + ROWS]]
            self.server.call("delete", self.name, ids=keys)

    def settle(self) -> None:
        """Have what was put built into the index and read into memory, and wait for it."""
        self.server.call("flush", self.name, seconds=LONG)
        self.server.wait_for_index(self.name, "vector")
        self.server.call("load_collection", self.name, seconds=LONG)

    def count(self, expression: str | None = None) -> int:
        """How many items there are for which an expression is true."""
        found = self.server.call(
            "query", self.name, filter=expression or EVERYTHING, output_fields=["count(*)"],
            **STRONG,
        )  # fmt: skip
        return int(found[0]["count(*)"])

    def get(self, ids: Sequence[str]) -> list[Item | None]:
        """The items with these ids, None where there is none."""
        found = {row["id"]: item_of(row) for row in self._rows(ids, ["id", "item"])}
        return [found.get(item_id) for item_id in ids]

    def vectors(self, ids: Sequence[str]) -> list[Vectors | None]:
        """The vectors (dim,) of the items with these ids, None where there is none."""
        rows = self._rows(ids, ["id", "vector"])
        found = {row["id"]: np.asarray(row["vector"], np.float32) for row in rows}
        return [found.get(item_id) for item_id in ids]

    def places(self, ids: Sequence[str] | None = None) -> list[Place]:
        """Where items stand on the map, in the order of their ids; None asks for all on it."""
        fields = ["id", FACTS]
        rows = (
            self.server.call("query", self.name, filter=ON_MAP, output_fields=fields, **STRONG)
            if ids is None
            else self._rows(ids, fields)
        )
        found = [Place(row["id"], *row[FACTS][PLACE]) for row in rows if PLACE in row[FACTS]]
        return sorted(found)

    def attributes(self, expression: str | None = None) -> Iterator[Mapping[str, Scalar]]:
        """The attributes of each item for which an expression is true."""
        for block in self.server.stream(
            self.name, batch_size=ROWS, filter=expression or EVERYTHING,
            output_fields=["id", "item"], **STRONG,
        ):  # fmt: skip
            yield from (item_of(row).attributes for row in block)

    def _rows(self, ids: Sequence[str], fields: list[str]) -> Iterator[dict[str, Any]]:
        keys = sorted({key_of(item_id) for item_id in ids})
        for start in range(0, len(keys), ROWS):
            yield from self.server.call(
                "query", self.name, filter=f"key in {json.dumps(keys[start : start + ROWS])}",
                output_fields=fields, **STRONG,
            )  # fmt: skip

    def nearest(
        self, queries: Vectors, width: int, lists: int, expression: str | None = None
    ) -> list[Near]:
        """What the index proposes for queries (B, dim), up to ``width`` for each.

        Args:
            queries: Of unit length.
            width: At most ``MOST``.
            lists: To look at; ``ALL`` for every one.
            expression: Only items for which it is true.
        """
        near: list[Near] = []
        step = max(1, ASKED // width)
        for start in range(0, len(queries), step):
            found = self.server.call(
                "search", self.name, data=list(queries[start : start + step]), limit=width,
                anns_field="vector", filter=expression or "", output_fields=["id", "vector"],
                search_params={"metric_type": "IP", "params": {"nprobe": lists}}, **STRONG,
            )  # fmt: skip
            near += [self._near(hits) for hits in found]
        return near

    def _near(self, hits: Sequence[Any]) -> Near:
        rows = [hit["entity"] for hit in hits]
        vectors = np.array([row["vector"] for row in rows], np.float32).reshape(-1, self.dim)
        scores = np.array([hit["distance"] for hit in hits], np.float64)
        return Near([row["id"] for row in rows], vectors, scores)

    def scan(self, expression: str | None = None) -> Iterator[tuple[list[str], Vectors]]:
        """Ids (N,) and vectors (N, dim) of all items for which an expression is true, in blocks."""
        for block in self.server.stream(
            self.name, batch_size=ROWS, filter=expression or EVERYTHING,
            output_fields=["id", "vector"], **STRONG,
        ):  # fmt: skip
            vectors = np.array([row["vector"] for row in block], np.float32)
            yield [row["id"] for row in block], vectors


def key_of(item_id: str) -> str:
    """The key of an item: 64 hexadecimal digits."""
    return hashlib.sha256(item_id.encode()).hexdigest()


def row_of(item: Item, vector: Vectors, place: Place | None = None) -> dict[str, Any]:
    """An item as a row, with where it stands if it is on the map.

    Raises:
        MilvusError: It says more than Milvus can keep.
    """
    facts: dict[str, Any] = dict(facts_of(item.attributes))
    if place is not None:
        facts[PLACE] = [place.x, place.y]
    told = json.dumps(
        {"uri": item.uri, "sha256": item.sha256, "attributes": dict(item.attributes)},
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip
    size = max(len(told.encode()), len(json.dumps(facts)), len(item.id.encode()))
    if size > TEXT:
        raise MilvusError(
            f"What is known of the item '{item.id[:100]}' takes {size:,} bytes; Milvus keeps "
            f"{TEXT:,}. Shorten its attributes, or use the engine faiss, which has no such limit."
        )
    return {"key": key_of(item.id), "id": item.id, "item": told, FACTS: facts, "vector": vector}


def item_of(row: Mapping[str, Any]) -> Item:
    """A row as an item."""
    told = json.loads(row["item"])
    return Item(row["id"], told["uri"], told["sha256"], told["attributes"])


def batched(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Lists of rows that fit into a message."""
    batch: list[dict[str, Any]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row["item"])
        if len(batch) == ROWS or characters >= CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
