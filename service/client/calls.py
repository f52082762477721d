"""What a call is: from arguments to what is sent and how the answer is read.

The calls stand in ``calls_*.py``. ``Client`` and ``AsyncClient`` have each of them as a method and
differ in the sending alone.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from service.client.results import Progress

T_co = TypeVar("T_co", covariant=True)
JSON, PNG = "application/json", "image/png"


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self) -> bytes:
        """What is left in it."""
        ...


# A photo that is sent. A str is never one: it is the id of an item.
PhotoFile = os.PathLike[str] | bytes | Readable
File = tuple[str, tuple[str, bytes]]  # a field of a form, the file's name, its bytes


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T_co]):
    """What is sent, and how its answer is read.

    Attributes:
        method: Of HTTP.
        path: Below the server's address.
        read: Makes the result of the answer; raises what the answer tells of.
        query: The query string; None is left out, here and in what follows.
        json: The body, if it is JSON.
        form: The texts of the body, if it is a form with files.
        files: The files of the form.
        headers: Further ones.
        repeatable: Whether the call does nothing more when it is made twice.
        waits: Whether an answer 202 is a job that is waited for.
        progress: Told how far that job is.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T_co]
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[File] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    waits: bool = False
    progress: Callable[[Progress], None] | None = None


def given(**options: Any) -> dict[str, Any]:
    """The options that are given: neither None nor an empty list."""
    return {
        name: value
        for name, value in options.items()
        if value is not None and value not in ((), [])
    }


def as_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a form has them: a list as a field that is repeated, an object as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
    }


class Body(TypedDict, total=False):
    """The members of a call that say what its body is."""

    json: Mapping[str, Any]
    form: Mapping[str, Any]
    files: Sequence[File]


def body(options: Mapping[str, Any], files: Sequence[File]) -> Body:
    """A form if there are files, and else JSON, so that long options never stand in the query."""
    return {"form": as_texts(options), "files": files} if files else {"json": options}


def by_kind(
    **examples: Sequence[PhotoFile | str],
) -> tuple[dict[str, list[str]], list[File]]:
    """The ids among examples, by the field they stand in, and the photos among them."""
    ids = {name: [one for one in some if isinstance(one, str)] for name, some in examples.items()}
    pairs = ((name, one) for name, some in examples.items() for one in some)
    return ids, [upload(name, one) for name, one in pairs if not isinstance(one, str)]


def upload(name: str, photo: PhotoFile) -> File:
    """A photo as a file of a form. It is read here, so that it can be sent twice.

    Raises:
        TypeError: It is a str, which could be a path or an item.
        OSError: It cannot be read.
    """
    if isinstance(photo, str):
        raise TypeError(
            f"{photo!r} is a str, which is no photo. Give Path({photo!r}) if it is a file; if it "
            f"is an item, search(item_id={photo!r})."
        )
    if isinstance(photo, bytes | bytearray | memoryview):
        return name, ("photo", bytes(photo))
    if isinstance(photo, os.PathLike):
        return name, ("photo", Path(photo).read_bytes())
    data = photo.read()
    if not isinstance(data, bytes):
        raise TypeError("the file is open for text; open it with mode 'rb'")
    return name, ("photo", data)


def segment(name: str) -> str:
    """A name as one segment of a path, whatever it holds: slashes, dots and all."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%2E") if set(name) == {"."} else quoted
