"""Counting what attributes hold, for engines that cannot leave it to SQLite."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from indexer.protocols import Facet, Scalar


def count_facets(items: Iterable[Mapping[str, Scalar]], most: int) -> dict[str, Facet]:
    """Of each attribute, what it holds; see ``Engine.facets``.

    Args:
        items: The attributes of each item.
        most: Values to name of each attribute.
    """
    counts: dict[str, Counter[str]] = {}
    for attributes in items:
        for key, value in attributes.items():
            if value is not None:
                counts.setdefault(key, Counter())[json.dumps(value, ensure_ascii=False)] += 1
    return {
        key: Facet(
            sum(found.values()),
            len(found),
            [
                (json.loads(said), items)
                for said, items in sorted(found.items(), key=lambda each: (-each[1], each[0]))
            ][:most],
        )
        for key, found in sorted(counts.items())
    }
