"""From answers to results: pure functions, the same for both clients.

Members that nobody knows are passed over, for a newer server may tell more; what is missing or of
another type is an error, for then it is not this API that answers.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import httpx

from service.client.errors import UnexpectedAnswerError, problem_of
from service.client.results import (
    Event,
    IndexReport,
    ItemStatus,
    Job,
    Photo,
    Progress,
)
from service.client.results_collect import CollectReport
from service.client.results_models import Drawing, Likelihoods, Model

T = TypeVar("T")


def read_nothing(response: httpx.Response) -> None:
    """An answer without content."""
    checked(response)


def read_bytes(response: httpx.Response) -> bytes:
    """An answer that is a file."""
    return checked(response).content


def read_text(response: httpx.Response) -> str:
    """An answer that is text."""
    return checked(response).text


def read_photo(response: httpx.Response) -> Photo:
    """An answer that is a photo."""
    headers = checked(response).headers
    return Photo(
        data=response.content,
        media_type=headers.get("content-type", ""),
        etag=headers.get("etag"),
    )


def read_models(response: httpx.Response) -> tuple[Model, ...]:
    """The members of ``models``."""
    return read_list(response, "models", Model)


def read_jobs(response: httpx.Response) -> tuple[Job, ...]:
    """The members of ``jobs``."""
    return read_list(response, "jobs", Job)


def read_statuses(response: httpx.Response) -> tuple[ItemStatus, ...]:
    """The members of ``items`` of an answer to a batch."""
    return read_list(response, "items", ItemStatus)


def read_result(response: httpx.Response) -> Drawing | Likelihoods | IndexReport | CollectReport:
    """What a job has made, told apart by a member that only its kind has."""
    told = members_of(response)
    if "run" in told:
        return build(IndexReport, told)
    if "freed" in told:
        return build(CollectReport, told)
    return build(Likelihoods, told) if "scores" in told else build(Drawing, told)


def read_list(response: httpx.Response, name: str, kind: type[T]) -> tuple[T, ...]:
    """A list that stands alone in an answer."""
    rows = members_of(response).get(name)
    if not isinstance(rows, list):
        raise unexpected(name, "a list", rows)
    return tuple(build(kind, row, f"{name}[{place}]") for place, row in enumerate(rows))


def read_as(kind: type[T], response: httpx.Response) -> T:
    """An answer as a dataclass."""
    return build(kind, members_of(response))


def members_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer."""
    try:
        told = json.loads(checked(response).content)
    except ValueError as error:
        kind = response.headers.get("content-type", "nothing")
        raise UnexpectedAnswerError(
            f"{response.request.url} was answered with {kind}; expected JSON. Is it niteru?"
        ) from error
    if not isinstance(told, dict):
        raise unexpected("the answer", "an object", told)
    return told


def checked(response: httpx.Response) -> httpx.Response:
    """The answer itself; raises what it tells of if that is an error."""
    if response.is_success:
        return response
    if response.has_redirect_location:
        raise UnexpectedAnswerError(
            f"{response.request.url} redirects to {response.headers['location']}, which is not "
            "followed, lest a key go astray. Give the address that it leads to."
        )
    raise problem_of(response)


def read_event(number: int, kind: str, text: str) -> Event:
    """An event of a job from what a stream says of it."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise unexpected(f"event {number}", "JSON", text) from error
    if not isinstance(data, dict):
        raise unexpected(f"event {number}", "an object", data)
    place = f"event {number}"
    pictures: dict[int, bytes] = {}
    if kind == "picture":
        pictures = {build(int, data.get("number"), place): build(bytes, data.get("picture"), place)}
    elif kind == "partial":
        first = build(int, data.get("number"), place)
        drawn: tuple[bytes, ...] = _build(tuple[bytes, ...], data.get("pictures"), place)
        pictures = dict(enumerate(drawn, first))
    return Event(
        number=number,
        kind=kind,
        data=data,
        progress=build(Progress, data, place) if kind == "progress" else None,
        pictures=pictures,
        job=build(Job, data, place) if kind == "end" else None,
    )


def build(kind: type[T], value: Any, where: str = "") -> T:
    """A value of JSON as this type.

    Args:
        kind: A dataclass, a plain type, or ``bytes``, which stand in JSON as Base64.
        value: What was read.
        where: What the message calls it.

    Raises:
        UnexpectedAnswerError: It is none.
    """
    built: T = _build(kind, value, where)
    return built


def _build(kind: Any, value: Any, where: str) -> Any:
    inner = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        if type(value) in inner:  # None too, and of several plain types any
            return value
        kind = next(one for one in inner if one is not NoneType)
        return _build(kind, value, where)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_build(inner[0], row, f"{where}[{n}]") for n, row in enumerate(value))
    if is_dataclass(kind) and isinstance(value, dict):
        return _build_dataclass(kind, value, where)
    return _build_plain(get_origin(kind) or kind, value, where)


def _build_plain(kind: type, value: Any, where: str) -> Any:
    if kind is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise unexpected(where, "Base64", value) from error
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is (dict if kind is Mapping else kind):
        return value
    raise unexpected(where, kind.__name__, value)


def _build_dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    given: dict[str, Any] = {}
    for member, member_kind, required in _members(kind):
        place = f"{where}.{member}" if where else member
        if member in value:
            given[member] = _build(member_kind, value[member], place)
        elif required:
            raise UnexpectedAnswerError(f"The answer has no '{place}'. Is the server too old?")
    return kind(**given)


@cache
def _members(kind: Any) -> tuple[tuple[str, Any, bool], ...]:
    """Name, type, and whether it has to be there, of each member of a dataclass."""
    hints = get_type_hints(kind)
    return tuple(
        (f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
    )


def unexpected(where: str, expected: str, found: object) -> UnexpectedAnswerError:
    """The error for a member of another type."""
    return UnexpectedAnswerError(f"{where}: expected {expected}, found {str(found)[:80]!r}.")
