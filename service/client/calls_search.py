"""Calls about searches: by photo, item, URL or several examples, alone or many at once."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast

from service.client.calls import (
    JSON,
    PNG,
    Body,
    Call,
    File,
    PhotoFile,
    as_texts,
    body,
    by_kind,
    given,
    upload,
)
from service.client.calls_items import item_path
from service.client.reading import read_as, read_bytes
from service.client.results import BatchSearchResult, Embedding, Explanation, SearchResult

Unit = Literal["fractions", "pixels"]
Box = Sequence[float]  # left, top, right, bottom


def search(
    photo: PhotoFile | None = None,
    *,
    item_id: str | None = None,
    url: str | None = None,
    positives: Sequence[PhotoFile | str] = (),
    negatives: Sequence[PhotoFile | str] = (),
    positive_urls: Sequence[str] = (),
    negative_urls: Sequence[str] = (),
    crop: Box | Sequence[Box | None] | None = None,
    crop_unit: Unit | None = None,
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
        url: Of a photo that the server fetches, if its settings allow that.
        positives: This one, but like that: photos, or ids of items as ``str``.
        negatives: But not like these.
        positive_urls: Beside ``positives``, photos that the server fetches.
        negative_urls: The same beside ``negatives``.
        crop: The part of the photo that counts: left, top, right, bottom, as it stands upright. Of
            several photos a list with one for each, those of ``positives`` first, then those of
            ``positive_urls``, ``negatives``, ``negative_urls``; None is all of a photo.
        crop_unit: Of ``crop``: ``fractions`` of the photo's sides without it, or ``pixels``.
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
        TypeError: None or several of the first four are given, or a photo is a str.
    """
    options = given(
        crop=boxes(crop), crop_unit=crop_unit, limit=limit, offset=offset,
        score_threshold=score_threshold, group_by=group_by, group_size=group_size,
        collapse=collapse, exclude=exclude, exact=exact, filter=filter,
    )  # fmt: skip
    examples, files = by_kind(positives=positives, negatives=negatives)
    examples |= given(positive_urls=positive_urls, negative_urls=negative_urls)
    return search_with(photo, given(item_id=item_id, url=url), examples, files, options)


def search_with(
    photo: PhotoFile | None, named: dict[str, Any], examples: dict[str, list[str]],
    files: list[File], options: dict[str, Any],
) -> Call[SearchResult]:  # fmt: skip
    """A search by a photo, by what is named, or by examples with their files; by one of these.

    Raises:
        TypeError: By none or by several.
    """
    if len(named) + (photo is not None) + bool(files or any(examples.values())) != 1:
        raise TypeError("search takes one of photo, item_id, url, or positives and negatives")
    call = partial(
        Call[SearchResult], method="POST", path="/v1/search", read=partial(read_as, SearchResult),
        repeatable=True,
    )  # fmt: skip
    if photo is not None:
        return call(form=as_texts(options), files=[upload("image", photo)])
    if named:
        return call(json={**named, **options})
    return call(**body({**examples, **options}, files))


def search_batch(
    photos: Sequence[PhotoFile] = (),
    *,
    item_ids: Sequence[str] = (),
    urls: Sequence[str] = (),
    crop: Box | None = None,
    crop_unit: Unit | None = None,
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
        urls: And by photos that the server fetches, if its settings allow that.
        crop: This and the others as of ``search``, for all of them; a crop goes with no items.
        crop_unit: See ``search``.
        limit: See ``search``.
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
        item_ids=item_ids, urls=urls, crop=box(crop), crop_unit=crop_unit, limit=limit,
        offset=offset, score_threshold=score_threshold, group_by=group_by, group_size=group_size,
        collapse=collapse, exclude=exclude, exact=exact, filter=filter,
    )  # fmt: skip
    return Call(
        method="POST",
        path="/v1/search/batch",
        read=partial(read_as, BatchSearchResult),
        repeatable=True,
        **body(options, [upload("image", photo) for photo in photos]),
    )


def embed(
    photo: PhotoFile | None = None,
    *,
    url: str | None = None,
    crop: Box | None = None,
    crop_unit: Unit | None = None,
) -> Call[Embedding]:
    """Read the vector that a search with this photo, or a part of it, would look for.

    Args:
        photo: As of ``search``.
        url: See ``search``.
        crop: See ``search``.
        crop_unit: See ``search``.
    """
    return Call(
        method="POST",
        path="/v1/embed",
        read=partial(read_as, Embedding),
        repeatable=True,
        **one_photo(photo, url, given(crop=box(crop), crop_unit=crop_unit)),
    )


def explain(
    photo: PhotoFile | None = None,
    *,
    url: str | None = None,
    crop: Box | None = None,
    crop_unit: Unit | None = None,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[Explanation]:
    """Read what the vector of a photo kept, as data.

    Args:
        photo: As of ``search``.
        url: See ``search``.
        crop: See ``search``.
        crop_unit: See ``search``.
        draws: Pictures to draw from the vector.
        nearest: Items to find.
        seed: Of the draws: the same seed, the same pictures.
    """
    options = given(crop=box(crop), crop_unit=crop_unit, draws=draws, nearest=nearest, seed=seed)
    return Call(
        method="POST",
        path="/v1/explain",
        read=partial(read_as, Explanation),
        headers={"Accept": JSON},
        repeatable=True,
        **one_photo(photo, url, options),
    )


def explain_sheet(
    photo: PhotoFile | None = None,
    *,
    url: str | None = None,
    crop: Box | None = None,
    crop_unit: Unit | None = None,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[bytes]:
    """Read the same as one picture, a PNG file; see ``explain``."""
    options = given(crop=box(crop), crop_unit=crop_unit, draws=draws, nearest=nearest, seed=seed)
    return Call(
        method="POST",
        path="/v1/explain",
        read=read_bytes,
        headers={"Accept": PNG},
        repeatable=True,
        **one_photo(photo, url, options),
    )


def explain_item(
    item_id: str,
    *,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[Explanation]:
    """Read what the vector of an item's photo kept, as data; the item is none of the nearest.

    Args:
        item_id: The item's.
        draws: See ``explain``.
        nearest: See ``explain``.
        seed: See ``explain``.
    """
    return Call(
        method="GET",
        path=f"{item_path(item_id)}/explain",
        read=partial(read_as, Explanation),
        query=given(draws=draws, nearest=nearest, seed=seed),
        headers={"Accept": JSON},
        repeatable=True,
    )


def explain_item_sheet(
    item_id: str,
    *,
    draws: int | None = None,
    nearest: int | None = None,
    seed: int | None = None,
) -> Call[bytes]:
    """Read the same as one picture, a PNG file; see ``explain_item``."""
    return Call(
        method="GET",
        path=f"{item_path(item_id)}/explain",
        read=read_bytes,
        query=given(draws=draws, nearest=nearest, seed=seed),
        headers={"Accept": PNG},
        repeatable=True,
    )


def one_photo(photo: PhotoFile | None, url: str | None, options: dict[str, Any]) -> Body:
    """The body of a call about one photo, sent or named.

    Raises:
        TypeError: Not one of the two is given.
    """
    if (photo is None) == (url is None):
        raise TypeError("one of photo and url is taken")
    if photo is None:
        return {"json": {"url": url, **options}}
    return {"form": as_texts(options), "files": [upload("image", photo)]}


def box(crop: Box | None) -> str | None:
    """A crop as the text that a form and JSON both take."""
    return None if crop is None else ",".join(map(str, crop))


def boxes(crop: Box | Sequence[Box | None] | None) -> str | list[str] | None:
    """A crop as such a text, or several as a list of them; an empty one is all of a photo."""
    if crop is None or all(isinstance(side, int | float) for side in crop):
        return box(cast("Box | None", crop))
    return [box(one) or "" for one in cast("Sequence[Box | None]", crop)]
