"""``GET /v1/items/{id}`` and its photo."""

import hashlib
import io
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from indexer.catalogues.photos import read_photo as read_file
from indexer.protocols import Item
from models.images import ImageError, decode_image
from service.errors import PhotoMissingError, UnknownItemError
from service.image_errors import image_type
from service.links import EXPLAIN, IMAGE, asks_for, image_link, item_path
from service.schemas import ItemResponse
from service.state import Shared, State
from service.strict import StrictRoute

router = APIRouter(tags=["items"], route_class=StrictRoute)


class PhotoOptions(BaseModel):
    """How large the photo should be. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    side: Annotated[
        int | None,
        Field(ge=16, le=1024, description="Pixels of the longer side, at most; else as it is."),
    ] = None


PHOTO = {"schema": {"type": "string", "format": "binary"}}


class Photo(NamedTuple):
    """An item's photo as it is on the disk now."""

    data: bytes
    media_type: str
    etag: str


# Before the item's own route, which would take "/image" for a part of the id.
@router.get(
    "/items/{item_id:path}/image",
    summary="The photo of an item",
    response_class=Response,
    responses={
        200: {
            "description": "The photo's file as the catalogue has it.",
            "content": {"image/jpeg": PHOTO, "image/png": PHOTO, "image/webp": PHOTO},
        },
        304: {"description": "The copy named by If-None-Match is the newest."},
    },
)
async def get_image(
    request: Request, item_id: str, state: Shared, options: Annotated[PhotoOptions, Query()]
) -> Response:
    """Read the photo of an item, with a strong ETag; with `side`, a small JPEG of it."""
    if not asks_for(IMAGE, request):
        found = await get_item(request, f"{item_id}/image", state)
        return Response(found.model_dump_json(), media_type="application/json")
    with state.admission:
        item = await find(state, item_id)
        photo = await state.run(lambda: read_photo(item))
        if options.side is not None:
            known = matches(
                request.headers.get("if-none-match", ""), small_tag(photo, options.side)
            )
            side = options.side
            photo = await state.run(lambda: shrink(item, photo, side, draw=not known))
    headers = {
        "ETag": photo.etag,
        # What takes a key is not for a cache that others read from.
        "Cache-Control": f"{'private' if state.settings.asks_for_keys else 'public'}, "
        f"max-age={state.settings.photo_max_age}",
        "X-Content-Type-Options": "nosniff",
    }
    if matches(request.headers.get("if-none-match", ""), photo.etag):
        return Response(status_code=304, headers=headers)
    return Response(photo.data, media_type=photo.media_type, headers=headers)


@router.get("/items/{item_id:path}", summary="An item")
async def get_item(request: Request, item_id: str, state: Shared) -> ItemResponse:
    """Read an item by its id. Slashes may stand as they are or as `%2F`."""
    return describe(request, await find(state, item_id))


def describe(request: Request, item: Item) -> ItemResponse:
    """An item as it goes over the wire."""
    return ItemResponse(
        id=item.id,
        sha256=item.sha256,
        attributes=dict(item.attributes),
        image=image_link(request, item.id),
    )


async def find(state: State, item_id: str) -> Item:
    """The item of that id, or a 404 that says how ids are written."""
    item = await state.run(lambda: state.searcher.item(item_id))
    if item is None:
        names = [f"{item_id}/{what}" for what in (IMAGE, EXPLAIN)]
        others = await state.run(lambda: [state.searcher.item(name) for name in names])
        advice = "".join(f" For the item '{o.id}' ask {item_path(o.id)}." for o in others if o)
        raise UnknownItemError(item_id, advice=advice)
    return item


def read_photo(item: Item) -> Photo:
    """Read the file that the catalogue named for this item, and no other.

    Raises:
        PhotoMissingError: It is gone, unreadable, no regular file, or not an image any more.
    """
    try:
        data = read_file(item.uri)
    except OSError as error:
        raise PhotoMissingError(missing(item, "its photo cannot be read any more")) from error
    media_type = image_type(data)
    if media_type is None:  # whatever it is, it is not for the public
        raise PhotoMissingError(missing(item, "the file in its photo's place is no image"))
    # Of these bytes, not of those that were indexed: the file may have changed since.
    return Photo(data, media_type, f'"{hashlib.sha256(data).hexdigest()}"')


def small_tag(photo: Photo, side: int) -> str:
    """The ETag of a small photo."""
    return f'{photo.etag[:-1]}-{side}"'


def shrink(item: Item, photo: Photo, side: int, *, draw: bool) -> Photo:
    """A photo whose longer side has at most so many pixels, as JPEG; empty unless drawn.

    Raises:
        PhotoMissingError: It cannot be decoded.
    """
    tag = small_tag(photo, side)
    if not draw:  # the browser has it
        return Photo(b"", "image/jpeg", tag)
    try:
        picture = decode_image(photo.data, draft=side)
    except ImageError as error:
        raise PhotoMissingError(missing(item, f"its photo is damaged: {error}")) from error
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=82)
    return Photo(file.getvalue(), "image/jpeg", tag)


def missing(item: Item, reason: str) -> str:
    """The sentence for a photo that cannot be sent; it names no path of this machine."""
    return (
        f"The item {item.id!r} is in the index, but {reason}. Put the photo back, or index the "
        "catalogue again."
    )


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names the ETag (RFC 9110, weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
