"""Configurations are frozen dataclasses; in files they are JSON, and an unknown key is an error."""

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)


class Dataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


C = TypeVar("C", bound=Dataclass)

TRUE, FALSE, NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), "none"


class SettingError(ValueError):
    """No such setting, or a value that it cannot take; the message says which there are."""


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


def settings(config: Dataclass) -> dict[str, Any]:
    """Every setting of a configuration by its name, nested by dots, with its type.

    ``{"layers": int, "rate.target": float, ...}``
    """
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= {f"{name}.{inner}": kind for inner, kind in settings(value).items()}
        else:
            found[name] = hint
    return found


def change(config: C, changes: Mapping[str, Any]) -> C:
    """A configuration with some settings changed, all at once.

    Args:
        config: What to start from; it stays as it is.
        changes: Values by the names that ``settings`` gives. Text is read as the setting's type
            says (``3``, ``0.5``, ``true``, ``0.7,1.1``, ``none``), all else is taken as it is.

    Raises:
        SettingError: No setting of that name, or no value for it.
        ValueError: The values do not go together, says the configuration.
    """
    known = settings(config)
    flat: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name not in known:
            raise unknown_setting(name, known)
        chosen = read_text(known[name], value, name) if isinstance(value, str) else value
        group, _, inner = name.partition(".")
        if inner:
            nested.setdefault(group, {})[inner] = chosen
        else:
            flat[name] = chosen
    groups = {group: change(getattr(config, group), inner) for group, inner in nested.items()}
    return dataclasses.replace(config, **flat, **groups)


def unknown_setting(name: str, known: Iterable[str]) -> SettingError:
    """The error for a name that is none of those known."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    within = [other for other in names if other.startswith(f"{name}.")]
    if within:
        return SettingError(f"'{name}' is a group of settings: {', '.join(within)}.")
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return SettingError(f"There is no setting '{name}'.{hint} Settings: {', '.join(names)}.")


def read_text(hint: Any, text: str, name: str) -> Any:
    """The value that a text stands for.

    Args:
        hint: The type: int, float, bool, str, None, a Literal, a tuple or a union of these.
        text: As it is written on a command line.
        name: Of the setting, for the message.

    Raises:
        SettingError: It stands for none.
    """
    try:
        return _parse(hint, text.strip())
    except ValueError as error:
        raise SettingError(
            f"'{text}' is no value for {name}: expected {_expected(hint)}."
        ) from error


def _parse(hint: Any, text: str) -> Any:
    """The value; a ValueError if there is none."""
    kind, options = get_origin(hint), get_args(hint)
    if kind is Literal:
        return {str(option): option for option in options}[_among(text, map(str, options))]
    if kind in (Union, UnionType):
        return _parse_union(options, text)
    if kind is tuple:
        parts = text.split(",")
        kinds = [options[0]] * len(parts) if options[1:] == (...,) else options
        return tuple(_parse(k, part.strip()) for k, part in zip(kinds, parts, strict=True))
    return _parse_plain(hint, text)


def _parse_plain(hint: Any, text: str) -> Any:
    if hint is bool:
        return _among(text.lower(), TRUE + FALSE) in TRUE
    if hint is NoneType:
        _among(text.lower(), (NONE,))
        return None
    if hint not in (int, float, str):
        raise ValueError(f"a {hint} cannot be written as text")
    value = hint(text)
    if hint is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _parse_union(options: tuple[Any, ...], text: str) -> Any:
    """The value as the first of the types that has one; None before a text of that name."""
    for option in sorted(options, key=lambda kind: kind is not NoneType):
        try:
            return _parse(option, text)
        except ValueError:
            continue
    raise ValueError(text)


def _among(text: str, words: Iterable[str]) -> str:
    if text not in set(words):
        raise ValueError(text)
    return text


def _expected(hint: Any) -> str:
    """A type in words."""
    kind, options = get_origin(hint), get_args(hint)
    if kind is Literal:
        return "one of " + ", ".join(map(str, options))
    if kind in (Union, UnionType):
        return " or ".join(map(_expected, options))
    if kind is tuple:
        many = options[1:] == (...,)
        return "values with commas between them, " + (
            f"each {_expected(options[0])}" if many else ", ".join(map(_expected, options))
        )
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return NONE if hint is NoneType else words.get(hint, str(hint))


def _value(hint: Any, value: Any) -> Any:
    for option in (hint, *get_args(hint)):  # a bare type, or the members of a union
        if (
            isinstance(option, type)
            and dataclasses.is_dataclass(option)
            and isinstance(value, Mapping)
        ):
            return from_json(option, value)
    return tuple(value) if isinstance(value, list) else value
