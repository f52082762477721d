"""Calls about searches and indexes: from arguments to what is sent and how the answer is read.

``Client`` and ``AsyncClient`` have each of them as a method; they differ in the sending alone.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from service.client.reading import read_as, read_bytes
from service.client.results import (
    BatchSearchResult,
    Embedding,
    Explanation,
    Generations,
    Progress,
    Ready,
    SearchResult,
)

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


def search(
    photo: PhotoFile | None = None,
    *,
    item_id: str | None = None,
    positives: Sequence[PhotoFile | str] = (),
    negatives: Sequence[PhotoFile | str] = (),
    limit: int | None = None,
    offset: int | None = None,
    score_threshold: float | None = None,
    group_by: str | None = None,
    group_size: int | None = None,
    collapse: float | None = None,
    exclude: Sequence[str] = (),
    exact: bool | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the API's own name
) -> Call[SearchResult]:
    """Find the items that look most like a photo, an item, or several of both.

    Args:
        photo: A path, the bytes of a file, or an open file.
        item_id: Search by this item instead; it is left out of the answer.
        positives: This one, but like that: photos, or ids of items as ``str``.
        negatives: But not like these.
        limit: How many items to answer; the server's default without it.
        offset: Leave out so many of the best.
        score_threshold: Only items of at least this score.
        group_by: An attribute, of each of whose values at most ``group_size`` items are answered.
        group_size: See ``group_by``.
        collapse: Fold items that are as near as this to a better one into it.
        exclude: Ids that are not to be answered.
        exact: Compare with every item.
        filter: Conditions on the attributes: ``{"must": [{"key": "category", "match": "shoes"}]}``.

    Raises:
        TypeError: Not one of ``photo``, ``item_id`` and ``positives``, or a photo that is a str.
    """
    options = given(
        limit=limit, offset=offset, score_threshold=score_threshold, group_by=group_by,
        group_size=group_size, collapse=collapse, exclude=exclude, exact=exact, filter=filter,
    )  # fmt: skip
    if (photo is not None) + (item_id is not None) + bool(positives or negatives) != 1:
        raise TypeError("search takes one of a photo, an item_id, or positives and negatives")
    call = partial(
        Call[SearchResult],
        method="POST",
        path="/v1/search",
        read=partial(read_as, SearchResult),
        repeatable=True,
    )
    if photo is not None:
        return call(form=as_texts(options), files=[upload("image", photo)])
    if item_id is not None:
        return call(json={"item_id": item_id, **options})
    named, files = by_kind(positives=positives, negatives=negatives)
    return call(**body({**named, **options}, files))


def search_batch(
    photos: Sequence[PhotoFile] = (),
    *,
    item_ids: Sequence[str] = (),
    limit: int | None = None,
    offset: int | None = None,
    score_threshold: float | None = None,
    group_by: str | None = None,
    group_size: int | None = None,
    collapse: float | None = None,
    exclude: Sequence[str] = (),
    exact: bool | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the API's own name
) -> Call[BatchSearchResult]:
    """Search by several photos, items, or both: a bad one fails no other.

    Args:
        photos: Up to 64 with the items together.
        item_ids: Search by these items too.
        limit: This and the others as of ``search``, for all of them.
        offset: See ``search``.
        score_threshold: See ``search``.
        group_by: See ``search``.
        group_size: See ``search``.
        collapse: See ``search``.
        exclude: See ``search``.
        exact: See ``search``.
        filter: See ``search``.
    """
    options = given(
        item_ids=item_ids, limit=limit, offset=offset, score_threshold=score_threshold,
        group_by=group_by, group_size=group_size, collapse=collapse, exclude=exclude, exact=exact,
        filter=filter,
    )  # fmt: skip
    return Call(
        method="POST",
        path="/v1/search/batch",
        read=partial(read_as, BatchSearchResult),
        repeatable=True,
        **body(options, [upload("image", photo) for photo in photos]),
    )


def embed(photo: PhotoFile) -> Call[Embedding]:
    """Read the vector that a search with this photo would look for."""
    return Call(
        method="POST",
        path="/v1/embed",
        read=partial(read_as, Embedding),
        files=[upload("image", photo)],
        repeatable=True,
    )


def explain(
    photo: PhotoFile,
    *,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[Explanation]:
    """Read what the vector of a photo kept, as data.

    Args:
        photo: As of ``search``.
        draws: Pictures to draw from the vector.
        nearest: Items to find.
        seed: Of the draws: the same seed, the same pictures.
    """
    return Call(
        method="POST",
        path="/v1/explain",
        read=partial(read_as, Explanation),
        form=as_texts(given(draws=draws, nearest=nearest, seed=seed)),
        files=[upload("image", photo)],
        headers={"Accept": JSON},
        repeatable=True,
    )


def explain_sheet(
    photo: PhotoFile,
    *,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[bytes]:
    """Read the same as one picture, a PNG file; see ``explain``."""
    return Call(
        method="POST",
        path="/v1/explain",
        read=read_bytes,
        form=as_texts(given(draws=draws, nearest=nearest, seed=seed)),
        files=[upload("image", photo)],
        headers={"Accept": PNG},
        repeatable=True,
    )


def ready() -> Call[Ready]:
    """Ask whether the server answers searches.

    Raises:
        UnavailableError: It does not.
    """
    return Call(method="GET", path="/readyz", read=partial(read_as, Ready), repeatable=True)


def generations() -> Call[Generations]:
    """List the published indexes, newest first."""
    return Call(
        method="GET", path="/v1/generations", read=partial(read_as, Generations), repeatable=True
    )


def activate(generation_id: str) -> Call[Generations]:
    """Answer from another generation from now on."""
    return Call(
        method="POST",
        path=f"/v1/generations/{segment(generation_id)}/activate",
        read=partial(read_as, Generations),
    )


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
            f"{photo!r} is a str, which stands for the id of an item. Give Path({photo!r}) if it "
            "is a file."
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
