"""The map of a generation as a file beside its index: which items stand on it, and where."""

import json
import sqlite3
from pathlib import Path

import numpy as np

from indexer.errors import GenerationCorruptError
from indexer.mapping import choose_rows, lay_out
from indexer.protocols import Place
from indexer.reading import find_embedder, find_rows, read_row_numbers

MAP = "map.json"


def make_layout(connection: sqlite3.Connection, *, fingerprint: str) -> list[Place]:
    """Lay out the live vectors of an embedder, or a sample of them.

    Args:
        connection: A read snapshot of the store.
        fingerprint: The embedder's.
    """
    found = find_embedder(connection, fingerprint)
    assert found is not None, "an index was built of its vectors"
    embedder, dim = found
    rows = read_row_numbers(connection, embedder)
    chosen = rows[choose_rows(len(rows))]
    # By id, since rows come in the order in which threads got ready: the same items, the same map.
    found_rows = find_rows(connection, dim, chosen.tolist())
    items = sorted(found_rows.values(), key=lambda item: item.id)
    places = lay_out(np.stack([item.vector for item in items]))
    return [
        Place(item.id, round(x, 4), round(y, 4))
        for item, (x, y) in zip(items, places.tolist(), strict=True)
    ]


def write_layout(connection: sqlite3.Connection, path: Path, *, fingerprint: str) -> None:
    """Lay out the live vectors of an embedder, or a sample of them, and write the map.

    Args:
        connection: A read snapshot of the store.
        path: Of the file.
        fingerprint: The embedder's.

    Raises:
        OSError: It could not be written; ENOSPC if no space is left.
    """
    listed = make_layout(connection, fingerprint=fingerprint)
    path.write_text(json.dumps({"places": listed}, ensure_ascii=False), "utf-8")


def read_layout(folder: Path) -> list[Place]:
    """The map in a generation's folder; empty if it was built before there were maps.

    Raises:
        GenerationCorruptError: It is damaged.
    """
    try:
        listed = json.loads((folder / MAP).read_bytes())["places"]
        return [Place(str(name), float(x), float(y)) for name, x, y in listed]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GenerationCorruptError(
            f"The map of generation '{folder.name}' cannot be read: {error}. Build a new one with "
            "'niteru index'."
        ) from error
