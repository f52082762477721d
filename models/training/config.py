"""Configurations are frozen dataclasses; in files they are JSON, and an unknown key is an error."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints


class Dataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


C = TypeVar("C", bound=Dataclass)


def from_json(kind: type[C], values: Mapping[str, Any]) -> C:
    """Build a dataclass from the object that ``to_json`` gave.

    Nested dataclasses are built from nested objects and lists become tuples.

    Raises:
        TypeError: An unknown or a missing key, by name.
    """
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} has no setting {', '.join(map(repr, unknown))}."
            f" Settings: {', '.join(hints)}."
        )
    return kind(**{key: _value(hints[key], value) for key, value in values.items()})


def to_json(config: Dataclass) -> dict[str, Any]:
    """A dataclass as a JSON object."""
    return dataclasses.asdict(config)


def _value(hint: Any, value: Any) -> Any:
    for option in (hint, *get_args(hint)):  # a bare type, or the members of a union
        if (
            isinstance(option, type)
            and dataclasses.is_dataclass(option)
            and isinstance(value, Mapping)
        ):
            return from_json(option, value)
    return tuple(value) if isinstance(value, list) else value
