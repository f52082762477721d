"""A filter as a Milvus expression over ``facts``: what a user sent is hexadecimal digits there.

An item's attributes are stored twice: as they are, to be answered, and as facts, to be filtered by.
A fact's key is a letter for the value's kind and the attribute's name in hexadecimal digits of its
UTF-8; texts are written in the same digits, which keep equality, order by code points and
prefixes. So no user's text is ever part of an expression, whatever its quotes, wildcards or
escapes, and values of different kinds cannot meet: 1, "1" and true lie under three keys.
"""

import json
from collections.abc import Mapping, Sequence

from indexer.filters import AnyCondition, AnyOf, Exists, Filter, Match, Prefix, Range, kind
from indexer.protocols import Scalar

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
LETTERS = {"text": "t", "number": "n", "bool": "b"}
FACTS = "facts"
PLACE = "p"  # no fact's key: those begin with one of the letters
ON_MAP = f'(exists {FACTS}["{PLACE}"])'
EVERYTHING, NOTHING = 'key >= ""', 'key < ""'
LEAST = -(2**63)


def facts_of(attributes: Mapping[str, Scalar]) -> dict[str, str | int | float | bool]:
    """What an expression is evaluated on; attributes that are null are left out."""
    return {
        fact_key(name, kind(value)): digits(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }


def compile_filter(tree: Filter) -> str:
    """The expression that is true for what a filter lets pass, and false otherwise."""
    parts = [compile_condition(condition) for condition in tree.must]
    if tree.should:
        parts.append(joined([compile_condition(c) for c in tree.should], "or"))
    parts += [f"(not {compile_condition(condition)})" for condition in tree.must_not]
    return joined(parts, "and") if parts else f"({EVERYTHING})"


def compile_condition(condition: AnyCondition) -> str:
    """One condition, or a tree within the tree."""
    if isinstance(condition, Filter):
        return compile_filter(condition)
    if isinstance(condition, Match):
        return compare(condition.key, "==", condition.match)
    if isinstance(condition, AnyOf):
        # Not ``in``: Milvus Lite has none for JSON.
        return joined([compare(condition.key, "==", value) for value in condition.any], "or")
    if isinstance(condition, Range):
        ends = [
            compare(condition.key, COMPARISONS[name], end) for name, end in condition.range.given()
        ]
        return joined(ends, "and")
    if isinstance(condition, Prefix):
        return there(condition.key, "text", f'like "{digits(condition.prefix)}%"')
    assert isinstance(condition, Exists)
    found = joined([f"(exists {fact(condition.key, name)})" for name in LETTERS], "or")
    return found if condition.exists else f"(not {found})"


def compare(key: str, operator: str, value: Scalar) -> str:
    """An attribute of the value's own kind compares so with it."""
    return there(key, kind(value), f"{operator} {literal(value)}")


def there(key: str, name: str, test: str) -> str:
    """There is an attribute of that kind, and it passes a test.

    Both are asked because a comparison with what is not there is neither true nor false, and the
    opposite of that would not be true either.
    """
    return f"(exists {fact(key, name)} and {fact(key, name)} {test})"


def joined(parts: Sequence[str], word: str) -> str:
    """Expressions with ``and`` or ``or`` between them, nested as little as can be.

    A chain of a thousand would be a tree a thousand levels deep, which parsers refuse.
    """
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({joined(parts[:middle], word)} {word} {joined(parts[middle:], word)})"


def fact(key: str, name: str) -> str:
    """Where an attribute lies if it is of a kind."""
    return f'{FACTS}["{fact_key(key, name)}"]'


def fact_key(key: str, name: str) -> str:
    """The key of an attribute of a kind among the facts."""
    return LETTERS[name] + digits(key)


def literal(value: Scalar) -> str:
    """A value in an expression."""
    if isinstance(value, str):
        return f'"{digits(value)}"'
    # The least integer would be read as the opposite of one that is too large.
    return json.dumps(float(value) if isinstance(value, int) and value == LEAST else value)


def digits(text: str) -> str:
    """Hexadecimal digits of a text's UTF-8."""
    return text.encode().hex()
