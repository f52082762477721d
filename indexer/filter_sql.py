"""A filter as SQL over ``items.sqlite``: what came from a user is a parameter, never SQL."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from indexer.filters import AnyCondition, AnyOf, Exists, Filter, Match, Prefix, Range, kind
from indexer.protocols import Scalar

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
# SQLite's names for JSON types; a comparison looks at the type first, so 1, "1" and true differ.
TYPES = {"text": "('text')", "number": "('integer', 'real')", "bool": "('true', 'false')"}
# Not a JSON path: before SQLite 3.45 a path cannot name a key that holds a quotation mark.
MEMBER = "SELECT 1 FROM json_each(i.attributes) WHERE key = ?"


class Sql(NamedTuple):
    """A condition that is true or false, never NULL, and its parameters in order."""

    text: str
    parameters: tuple[str | int | float, ...] = ()


def compile_filter(tree: Filter) -> Sql:
    """The condition on a row ``i`` of ``items`` that a filter is."""
    parts = [compile_condition(condition) for condition in tree.must]
    if tree.should:
        parts.append(joined([compile_condition(c) for c in tree.should], " OR "))
    parts += [negated(compile_condition(condition)) for condition in tree.must_not]
    return joined(parts, " AND ") if parts else Sql("1")


def joined(parts: Sequence[Sql], word: str) -> Sql:
    """Conditions with AND or OR between them."""
    parameters = tuple(value for part in parts for value in part.parameters)
    return Sql(f"({word.join(part.text for part in parts)})", parameters)


def negated(part: Sql) -> Sql:
    """The opposite."""
    return Sql(f"(NOT {part.text})", part.parameters)


def compile_condition(condition: AnyCondition) -> Sql:
    """One condition, or a tree within the tree."""
    if isinstance(condition, Filter):
        return compile_filter(condition)
    if isinstance(condition, Match):
        return any_of(condition.key, [condition.match])
    if isinstance(condition, AnyOf):
        return any_of(condition.key, condition.any)
    if isinstance(condition, Range):
        ends = [
            attribute(condition.key, kind(end), f"value {COMPARISONS[name]} ?", end)
            for name, end in condition.range.given()
        ]
        return joined(ends, " AND ")
    if isinstance(condition, Prefix):
        begins = "substr(value, 1, length(?)) = ?"
        return attribute(condition.key, "text", begins, condition.prefix, condition.prefix)
    assert isinstance(condition, Exists)
    there = Sql(f"EXISTS ({MEMBER} AND type <> 'null')", (condition.key,))
    return there if condition.exists else negated(there)


def any_of(key: str, wanted: Sequence[Scalar]) -> Sql:
    """Equal to one of the values, each compared with its own kind only."""
    parts = []
    for name in TYPES:
        values = [value for value in wanted if kind(value) == name]
        if values:
            among = "value IN (SELECT value FROM json_each(?))"
            parts.append(attribute(key, name, among, json.dumps(values)))
    return joined(parts, " OR ")


def attribute(key: str, name: str, test: str, *parameters: Any) -> Sql:
    """There is an attribute of that kind, and its ``value`` passes a test."""
    return Sql(f"EXISTS ({MEMBER} AND type IN {TYPES[name]} AND {test})", (key, *parameters))
