"""What can be asked of ``items.sqlite`` about a filter; beside ``indexer.reading``."""

import json
import sqlite3

import numpy as np

from indexer.filter_sql import compile_filter
from indexer.filters import Filter
from indexer.protocols import Facet
from indexer.reading import Rows


def find_passing(connection: sqlite3.Connection, embedder: int, where: Filter) -> Rows:
    """Row numbers (N,), ascending, of an embedder's live vectors whose items pass a filter."""
    condition = compile_filter(where)
    # The index alone answers for the vectors: their rows, which hold the blobs, are not read.
    query = (
        "SELECT v.row FROM items i CROSS JOIN vectors v INDEXED BY vectors_of_items "  # noqa: S608
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        f"WHERE i.deleted = 0 AND {condition.text}"  # whose every value is a parameter
    )
    found = connection.execute(query, (embedder, *condition.parameters))
    return np.sort(np.fromiter((row for (row,) in found), np.int64))


def find_passing_since(
    connection: sqlite3.Connection, embedder: int, where: Filter, *, change: int
) -> tuple[Rows, Rows]:
    """What became of an embedder's rows after a change number, both ascending.

    Returns:
        (N,) rows that were removed and live rows of items that were touched; and (M,) those of
        the latter whose items pass a filter now.
    """
    condition = compile_filter(where)
    touched = connection.execute(
        f"SELECT v.row, {condition.text} "  # noqa: S608, whose every value is a parameter
        "FROM items i CROSS JOIN vectors v INDEXED BY vectors_of_items "
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "WHERE i.change > ? AND i.deleted = 0 ORDER BY v.row",
        (*condition.parameters, embedder, change),
    ).fetchall()
    removed = connection.execute(
        "SELECT row FROM vectors WHERE embedder = ? AND removed > ?", (embedder, change)
    )
    rows = [row for row, _ in touched] + [row for (row,) in removed]
    come = [row for row, passes in touched if passes]
    return np.sort(np.array(rows, np.int64)), np.array(come, np.int64)


def find_facets(
    connection: sqlite3.Connection, embedder: int, where: Filter | None, most: int
) -> dict[str, Facet]:
    """Of each attribute of the findable items that pass a filter, what it holds."""
    condition = compile_filter(where or Filter())
    counted = (
        "SELECT a.key, CASE a.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "  # noqa: S608
        "ELSE json_quote(a.value) END AS said, count(*) AS items "
        "FROM items i CROSS JOIN vectors v INDEXED BY vectors_of_items "
        "ON v.item = i.item AND v.embedder = ? AND v.removed IS NULL "
        "JOIN json_each(i.attributes) a "
        f"WHERE i.deleted = 0 AND a.type <> 'null' AND {condition.text} GROUP BY a.key, said"
    )
    ranked = (
        "SELECT key, said, items, sum(items) OVER (PARTITION BY key), "  # noqa: S608
        "count(*) OVER (PARTITION BY key), "
        f"row_number() OVER (PARTITION BY key ORDER BY items DESC, said) AS place FROM ({counted})"
    )
    rows = connection.execute(
        f"SELECT * FROM ({ranked}) WHERE place <= ? ORDER BY key, place",  # noqa: S608
        (embedder, *condition.parameters, most),
    )
    found: dict[str, Facet] = {}
    for key, said, items, total, distinct, _ in rows:
        facet = found.setdefault(key, Facet(total, distinct, []))
        facet.values.append((json.loads(said), items))
    return found
