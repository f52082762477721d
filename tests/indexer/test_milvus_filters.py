"""Filters in Milvus: the same verdict as in Python, and what a user sends is data."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from indexer.filter_milvus import compile_filter, facts_of
from indexer.filters import Filter, parse_filter
from indexer.protocols import Item
from tests.indexer.test_filters import TREES

# What would end a string, a condition or a statement, if it were ever part of one.
ATTACKS = [
    '" or key >= "',
    '") or (key >= ""',
    "' or 1 == 1 or '",
    '\\" or true or \\"',
    "a\nor key >= b",
    "%",
    "_",
    "%%shoes%%",
    '"] == 1 or facts["n',
    "${key}",
    "{key}",
    "/* */ or true",
    "\\",
    "\\\\%",
    "ключ",
    "靴👟",
    " ",
]


def test_no_text_of_a_user_stands_in_an_expression():
    for attack in ATTACKS:
        tree = {
            "must": [{"key": attack, "match": attack}, {"key": attack, "prefix": attack}],
            "should": [{"key": attack, "any": [attack, 1]}, {"key": "k", "range": {"gt": attack}}],
            "must_not": [{"key": attack, "exists": True}],
        }
        told = compile_filter(Filter.model_validate(tree))
        assert set(told) <= set('abcdefghijklmnopqrstuvwxyz0123456789 ()[]"<>=%')
        assert told.count('"') % 2 == 0


def test_facts_keep_the_kinds_apart():
    facts = facts_of({"a": 1, "b": "1", "c": True, "d": None})
    assert facts == {"n61": 1, "t62": "31", "b63": True}


@pytest.fixture(scope="module")
def filled(milvus_lite):
    """A collection of items with drawn attributes, and these by id."""
    from indexer.engines.milvus_collection import Collection  # noqa: PLC0415 - an extra
    from indexer.engines.milvus_server import Server  # noqa: PLC0415

    drawn = np.random.default_rng(0)
    values = [*ATTACKS, "shoes", "shoe", "", "Schuh", "1", "true", 0, 1, 1.0, -3, 0.5, -2.5, 2**53,
              True, False, None]  # fmt: skip
    keys = ["kind", "price", "a.b", 'q"uote', "it's", *ATTACKS[:4]]
    attributes = {
        f"i{number:03}": {
            key: values[drawn.integers(len(values))]
            for key in drawn.choice(keys, drawn.integers(5), replace=False).tolist()
        }
        for number in range(120)
    }
    server = Server(milvus_lite.uri)
    collection = Collection(server, "filters", 2)
    collection.create("FLAT", 0, {})
    vector = np.array([1, 0], np.float32)
    collection.put((Item(name, "u", "s", said), vector) for name, said in attributes.items())
    collection.settle()
    yield collection, attributes
    server.call("drop_collection", "filters")
    server.close()


def passing(collection, tree):
    return {name for ids, _ in collection.scan(compile_filter(tree)) for name in ids}


def assert_agree(filled, tree):
    collection, attributes = filled
    expected = {name for name, said in attributes.items() if tree.holds(said)}
    assert passing(collection, tree) == expected
    assert collection.count(compile_filter(tree)) == len(expected)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TREES)
def test_milvus_and_python_agree(filled, tree):
    assert_agree(filled, Filter.model_validate(tree))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_finds_only_what_is_called_so(filled, attack):
    for condition in ("match", "prefix"):
        for key in ("kind", attack):
            tree = parse_filter(json.dumps({"must": [{"key": key, condition: attack}]}))
            assert_agree(filled, tree)
            assert_agree(filled, Filter(must_not=(tree,)))


def test_the_largest_tree_is_answered(filled):
    collection, attributes = filled
    any_of = {"key": "kind", "any": [f"none-{n}" for n in range(999)] + ["shoes"]}
    shoes = [name for name, said in attributes.items() if said.get("kind") == "shoes"]
    found = collection.count(compile_filter(Filter.model_validate({"must": [any_of]})))
    assert found == len(shoes) > 0
    many = [{"key": f"k{n}", "match": n} for n in range(99)] + [{"key": "kind", "match": "shoe"}]
    assert_agree(filled, Filter.model_validate({"should": many}))
    deep = {"must": [{"key": "kind", "match": "shoes"}]}
    for _ in range(7):
        deep = {"must_not": [deep]}
    assert_agree(filled, Filter.model_validate(deep))
    for least in (-(2**63), 2**63 - 1):
        assert_agree(
            filled,
            Filter.model_validate({"must": [{"key": "price", "range": {"gte": least}}]}),
        )
