"""Which items may be answered: conditions on their attributes, in one tree for every engine.

    {"must": [{"key": "category", "match": "shoes"}, {"key": "price", "range": {"lt": 50}}],
     "should": [{"key": "colour", "any": ["red", "blue"]}],
     "must_not": [{"key": "name", "prefix": "old-"}, {"key": "sold", "exists": true}]}

An item passes if all of ``must`` hold, at least one of ``should`` if there are any, and none of
``must_not``. A condition may be such a tree itself. Types are not mixed: 1 equals 1.0, but neither
"1" nor true. An attribute that is not there, or is null, meets ``exists: false`` only.

A tree is data. ``holds`` decides it in plain Python, ``indexer.filter_sql`` compiles it to SQL with
parameters, and an engine that speaks another language compiles it to that.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    model_validator,
)

from indexer.errors import QueryError
from indexer.protocols import Scalar

MOST_CONDITIONS = 100
MOST_DEPTH = 8
# SQLite's integers; a larger one would be compared as another number.
Integer = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Real = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(max_length=1024)]
Value = StrictBool | Integer | Real | Text
Bound = Integer | Real | Text


def kind(value: Scalar) -> str:
    """What a value can be compared with: ``text``, ``number``, ``bool``, or ``null`` (nothing)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


class Node(BaseModel):
    """Immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Node):
    """Something one attribute has to be."""

    key: Annotated[str, Field(min_length=1, max_length=256, description="The attribute's name.")]

    @model_validator(mode="after")
    def _storable(self) -> Self:
        try:
            told = self.model_dump_json()
        except ValueError as error:  # a lone surrogate
            raise ValueError("expected valid Unicode") from error
        if "\\u0000" in told:
            raise ValueError("a zero character is in no attribute; leave it out")
        return self

    def holds(self, attributes: Mapping[str, Scalar]) -> bool:
        """Whether an item with these attributes passes."""
        return self.accepts(attributes.get(self.key))

    def accepts(self, value: Scalar) -> bool:
        """Whether the attribute may have this value; None if it is not there."""
        raise NotImplementedError


class Match(Condition):
    """Equal to a value."""

    match: Value

    def accepts(self, value: Scalar) -> bool:
        """Whether it is the value."""
        return kind(value) == kind(self.match) and value == self.match


class AnyOf(Condition):
    """Equal to one of several values."""

    any: Annotated[tuple[Value, ...], Field(min_length=1, max_length=1000)]

    def accepts(self, value: Scalar) -> bool:
        """Whether it is one of the values."""
        return any(kind(value) == kind(wanted) and value == wanted for wanted in self.any)


class Bounds(Node):
    """Ends of a range, all numbers or all texts; texts are ordered by their code points."""

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len({kind(value) for _, value in self.given()}) != 1:
            raise ValueError("expected gt, gte, lt or lte, all numbers or all texts")
        return self

    def given(self) -> list[tuple[str, Scalar]]:
        """The ends there are, by name."""
        ends = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return [(name, value) for name, value in ends.items() if value is not None]


class Range(Condition):
    """Between two ends, or beyond one."""

    range: Bounds

    def accepts(self, value: Scalar) -> bool:
        """Whether it lies within all ends."""
        return all(self._within(name, end, value) for name, end in self.range.given())

    @staticmethod
    def _within(name: str, end: Any, value: Any) -> bool:
        if kind(value) != kind(end):
            return False
        beyond = value > end if name in ("gt", "gte") else value < end
        return bool(beyond or (name in ("gte", "lte") and value == end))


class Exists(Condition):
    """There, and not null; or not."""

    exists: StrictBool

    def accepts(self, value: Scalar) -> bool:
        """Whether it is there, if it has to be."""
        return (value is not None) == self.exists


class Prefix(Condition):
    """A text that begins so."""

    prefix: Annotated[Text, Field(min_length=1)]

    def accepts(self, value: Scalar) -> bool:
        """Whether it is a text that begins so."""
        return isinstance(value, str) and value.startswith(self.prefix)


def tag(condition: Any) -> str:
    """Which condition an object is, by its keys; ``tree`` for a tree within the tree."""
    names = condition if isinstance(condition, dict) else type(condition).model_fields
    for name in ("match", "any", "range", "exists", "prefix"):
        if name in names:
            return name
    return "tree" if "key" not in names else "match"


AnyCondition = Annotated[
    Annotated[Match, Tag("match")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Range, Tag("range")]
    | Annotated[Exists, Tag("exists")]
    | Annotated[Prefix, Tag("prefix")]
    | Annotated["Filter", Tag("tree")],
    Discriminator(tag),
]


class Filter(Node):
    """A tree of conditions; without any, everything passes."""

    must: tuple[AnyCondition, ...] = ()
    should: tuple[AnyCondition, ...] = ()
    must_not: tuple[AnyCondition, ...] = ()

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.size() > MOST_CONDITIONS or self.depth() > MOST_DEPTH:
            raise ValueError(
                f"expected at most {MOST_CONDITIONS} conditions in {MOST_DEPTH} levels"
            )
        return self

    def children(self) -> tuple[AnyCondition, ...]:
        """All conditions of the first level."""
        return (*self.must, *self.should, *self.must_not)

    def keys(self) -> frozenset[str]:
        """The attributes that something is said about, on any level."""
        found = (c.keys() if isinstance(c, Filter) else {c.key} for c in self.children())
        return frozenset().union(*found)

    def size(self) -> int:
        """How many conditions there are on all levels."""
        return sum(c.size() if isinstance(c, Filter) else 1 for c in self.children())

    def depth(self) -> int:
        """How many levels there are, this one counted."""
        return 1 + max((c.depth() for c in self.children() if isinstance(c, Filter)), default=0)

    def holds(self, attributes: Mapping[str, Scalar]) -> bool:
        """Whether an item with these attributes passes."""
        return (
            all(condition.holds(attributes) for condition in self.must)
            and (not self.should or any(condition.holds(attributes) for condition in self.should))
            and not any(condition.holds(attributes) for condition in self.must_not)
        )


def parse_filter(text: str) -> Filter:
    """A tree from JSON.

    Raises:
        QueryError: Not JSON, or not such a tree; says where and what was expected.
    """
    try:
        return Filter.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the filter"
        raise QueryError(
            f"The filter cannot be used: {where}: {first['msg']}; found "
            f"{str(first['input'])[:80]!r}. Expected must, should and must_not, each a list of "
            '{"key": NAME} with one of match, any, range, exists and prefix.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise QueryError(
            f"The filter is no JSON ({str(error)[:80]}). Expected for instance "
            '{"must": [{"key": "category", "match": "shoes"}]}.'
        ) from error
