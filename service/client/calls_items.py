"""Calls about items: read, put, changed and deleted, alone or many at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from service.client.calls import Call, PhotoFile, body, given, segment, upload
from service.client.reading import read_as, read_nothing, read_photo, read_statuses
from service.client.results import Attributes, Item, ItemStatus, Photo


@dataclass(frozen=True, slots=True)
class Write:
    """An item of a batch.

    Attributes:
        id: The shop's own id.
        attributes: What the shop says of it.
        photo: Without one, the item keeps its photo and its attributes alone are replaced.
    """

    id: str
    attributes: Attributes = field(default_factory=dict)
    photo: PhotoFile | None = None


def item_path(item_id: str) -> str:
    """The path of an item; with its slashes escaped it is right for every id."""
    return f"/v1/items/{segment(item_id)}"


def item(item_id: str) -> Call[Item]:
    """Read an item."""
    return Call(method="GET", path=item_path(item_id), read=partial(read_as, Item), repeatable=True)


def item_image(item_id: str, *, side: int | None = None) -> Call[Photo]:
    """Read the photo of an item.

    Args:
        item_id: The item's.
        side: A JPEG whose longer side has at most so many pixels, instead of the photo as it is.
    """
    return Call(
        method="GET",
        path=f"{item_path(item_id)}/image",
        read=read_photo,
        query=given(side=side),
        repeatable=True,
    )


def put_item(item_id: str, photo: PhotoFile, attributes: Attributes | None = None) -> Call[Item]:
    """Put an item with its photo in place of what was there under this id, if anything."""
    return Call(
        method="PUT",
        path=item_path(item_id),
        read=partial(read_as, Item),
        form={"attributes": json.dumps(attributes or {})},
        files=[upload("image", photo)],
        repeatable=True,
    )


def change_item(item_id: str, attributes: Attributes) -> Call[Item]:
    """Replace the attributes of an item; its photo stays."""
    return Call(
        method="PATCH",
        path=item_path(item_id),
        read=partial(read_as, Item),
        json={"attributes": dict(attributes)},
        repeatable=True,
    )


def delete_item(item_id: str) -> Call[None]:
    """Delete an item.

    Not tried again once it may have been done: the second answer would be a ``NotFoundError``.
    """
    return Call(method="DELETE", path=item_path(item_id), read=read_nothing)


def write_items(
    items: Sequence[Write] = (), *, delete: Sequence[str] = ()
) -> Call[tuple[ItemStatus, ...]]:
    """Put, change and delete many items, with a status for each: a bad one fails no other.

    Args:
        items: Up to 64.
        delete: Ids, up to 1,000.
    """
    files = [
        upload(f"photo-{place}", one.photo)
        for place, one in enumerate(items)
        if one.photo is not None
    ]
    listed = [
        {"id": one.id, "attributes": dict(one.attributes)}
        | ({} if one.photo is None else {"image": f"photo-{place}"})
        for place, one in enumerate(items)
    ]
    asked = {"items": json.dumps(listed) if files else listed, "delete": list(delete)}
    return Call(method="POST", path="/v1/items/batch", read=read_statuses, **body(asked, files))
