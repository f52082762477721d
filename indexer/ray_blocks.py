"""Photos as tables: what travels to the nodes of a cluster, and what comes back."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from indexer.looking import Seen, Unread
from indexer.protocols import Entry
from indexer.reading import dump_attributes, dump_vector, load_vectors

SENT = pa.schema(
    [
        ("number", pa.int64()), ("id", pa.string()), ("uri", pa.string()),
        ("attributes", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
        ("sha256", pa.string()), ("same", pa.bool_()), ("stamped", pa.bool_()),
    ]
)  # fmt: skip
SEEN = pa.schema(
    [
        ("seen", pa.string()), ("vector", pa.binary()), ("embedded", pa.bool_()),
        ("reason", pa.string()), ("node_error", pa.string()), ("embedder_error", pa.string()),
    ]
)  # fmt: skip


def write_unread(photos: Sequence[Unread], first: int) -> pa.Table:
    """Photos to look at as a table, numbered from ``first``."""
    rows = [
        (
            number, photo.entry.id, photo.entry.uri, dump_attributes(photo.entry.attributes),
            *photo.stamp, photo.sha256, photo.same, photo.stamped,
        )
        for number, photo in enumerate(photos, first)
    ]  # fmt: skip
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SENT)


def read_unread(table: pa.Table) -> list[Unread]:
    """What ``write_unread`` wrote."""
    return [
        Unread(
            Entry(row["id"], row["uri"], json.loads(row["attributes"])),
            (None, None) if row["size"] is None else (row["size"], row["mtime_ns"]),
            sha256=row["sha256"], same=row["same"], stamped=row["stamped"],
        )
        for row in table.select(SENT.names).to_pylist()
    ]  # fmt: skip


def write_seen(sent: pa.Table, seen: Sequence[Seen]) -> pa.Table:
    """A table that was sent, with what was seen beside it."""
    nothing: list[Any] = [None] * len(seen)
    columns: list[list[Any]] = [
        [told.sha256 for told in seen],
        [None if told.vector is None else dump_vector(told.vector) for told in seen],
        [told.embedded for told in seen],
        [told.reason for told in seen],
        nothing,
        nothing,
    ]
    for name, kind, column in zip(SEEN.names, SEEN.types, columns, strict=True):
        sent = sent.append_column(name, pa.array(column, kind))
    return sent


def write_error(sent: pa.Table, name: str, message: str) -> pa.Table:
    """A table that was sent, with the reason in column ``name`` why nothing could be seen."""
    for field in SEEN:
        column = [message if field.name == name else None] * len(sent)
        sent = sent.append_column(field.name, pa.array(column, field.type))
    return sent


def read_error(table: pa.Table, name: str) -> str | None:
    """What ``write_error`` wrote, if it was this error."""
    found = table[name].drop_null()
    return str(found[0].as_py()) if len(found) else None


def read_seen(table: pa.Table, dim: int) -> tuple[list[Unread], list[Seen]]:
    """What ``write_seen`` wrote, vectors (dim,)."""
    seen = [
        Seen(
            row["seen"],
            None if row["vector"] is None else load_vectors([row["vector"]], dim)[0],
            embedded=row["embedded"], reason=row["reason"],
        )
        for row in table.select(SEEN.names).to_pylist()
    ]  # fmt: skip
    return read_unread(table), seen
