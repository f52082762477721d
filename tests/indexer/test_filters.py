"""Filters: the same verdict in Python and in SQL, whatever the tree and the attributes."""

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.filter_sql import compile_filter
from indexer.filters import Filter, parse_filter

KEYS = ["kind", "price", "a.b", 'q"uote', "it's"]
TEXTS = st.sampled_from(
    ["shoes", "shoe", "", "%", "_", "Schuh", "1", "true", "'; DROP TABLE items; --"]
)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.5, 2**53]))
VALUES = st.one_of(TEXTS, NUMBERS, st.booleans())
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS), st.one_of(VALUES, st.none()), max_size=4)


@st.composite
def ranges(draw):
    of = draw(st.sampled_from([TEXTS, NUMBERS]))
    names = draw(st.lists(st.sampled_from(["gt", "gte", "lt", "lte"]), min_size=1, unique=True))
    return {name: draw(of) for name in names}


CONDITIONS = st.one_of(
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "match": VALUES}),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "any": st.lists(VALUES, min_size=1)}),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "range": ranges()}),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "exists": st.booleans()}),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "prefix": TEXTS.filter(bool)}),
)


def trees(children):
    part = st.lists(children, max_size=2)
    return st.fixed_dictionaries({}, optional={"must": part, "should": part, "must_not": part})


TREES = trees(st.one_of(CONDITIONS, trees(CONDITIONS)))


def passes_in_sql(tree, attributes):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (attributes TEXT)")
    connection.execute("INSERT INTO items VALUES (?)", (json.dumps(attributes),))
    condition = compile_filter(tree)
    found = connection.execute(
        f"SELECT {condition.text} FROM items i", condition.parameters
    ).fetchone()[0]
    connection.close()
    return found


@given(TREES, ATTRIBUTES)
def test_sql_and_python_agree(tree, attributes):
    parsed = Filter.model_validate(tree)
    assert passes_in_sql(parsed, attributes) == int(parsed.holds(attributes))


@pytest.mark.parametrize(
    ("condition", "attributes", "verdict"),
    [
        ({"key": "price", "match": 1}, {"price": 1.0}, True),
        ({"key": "price", "match": 1}, {"price": "1"}, False),
        ({"key": "price", "match": 1}, {"price": True}, False),
        ({"key": "price", "range": {"gte": 1, "lt": 2}}, {"price": 2}, False),
        ({"key": "price", "range": {"gte": 1, "lt": 2}}, {"price": 1}, True),
        ({"key": "kind", "any": ["a", "b"]}, {"kind": "b"}, True),
        ({"key": "kind", "prefix": "sho"}, {"kind": "shoes"}, True),
        ({"key": "kind", "prefix": "%"}, {"kind": "shoes"}, False),
        ({"key": "kind", "exists": False}, {"kind": None}, True),
        ({"key": "kind", "exists": True}, {}, False),
    ],
)
def test_verdicts_by_hand(condition, attributes, verdict):
    tree = Filter.model_validate({"must": [condition]})
    assert tree.holds(attributes) is verdict
    assert passes_in_sql(tree, attributes) == verdict
    opposite = Filter.model_validate({"must_not": [condition]})
    assert opposite.holds(attributes) is not verdict


def test_one_of_should_has_to_hold():
    tree = parse_filter('{"should": [{"key": "a", "match": 1}, {"key": "b", "match": 1}]}')
    assert [tree.holds(a) for a in ({"a": 1}, {"b": 1}, {"a": 2, "b": 3}, {})] == [
        True, True, False, False,
    ]  # fmt: skip
    assert Filter().holds({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "cannot be used"),
        ('{"musst": []}', "musst"),
        ('{"must": [{"key": "a"}]}', "match"),
        ('{"must": [{"key": "a", "match": {}}]}', "must.0"),
        ('{"must": [{"key": "a", "range": {}}]}', "all numbers or all texts"),
        ('{"must": [{"key": "a", "range": {"gt": 1, "lt": "b"}}]}', "all numbers or all texts"),
        ('{"must": [{"key": "", "match": 1}]}', "must.0"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place(text, message):
    with pytest.raises(QueryError, match=message):
        parse_filter(text)


def test_a_tree_has_bounds():
    many = {"must": [{"key": "a", "match": n} for n in range(101)]}
    deep = {"must": [{"key": "a", "match": 1}]}
    for _ in range(8):
        deep = {"must": [deep]}
    for tree in (many, deep):
        with pytest.raises(QueryError, match="100 conditions in 8 levels"):
            parse_filter(json.dumps(tree))
