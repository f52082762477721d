"""``PUT``, ``PATCH`` and ``DELETE /v1/items/{id}``, and ``POST /v1/items/batch``."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from service.errors import InvalidRequestError, ServiceError, UnknownItemError
from service.forms import read_options
from service.links import item_path
from service.routes_items import get_item
from service.routes_search import IMAGE_BODIES
from service.schemas import ItemResponse
from service.schemas_items import (
    BATCH,
    BatchItem,
    BatchResponse,
    ItemOptions,
    ItemStatus,
    SentBatch,
)
from service.searcher import Stopwatch
from service.shelf import Put
from service.state import Shared, State
from service.strict import StrictRoute
from service.uploads import (
    FORM,
    JSON,
    content_type,
    invalid,
    not_empty,
    once,
    parse_json,
    parsed_form,
    read_photo,
    validate,
    wrong_content_type,
)

router = APIRouter(tags=["items"], route_class=StrictRoute)

PUT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/ItemForm"}},
            **IMAGE_BODIES,
        },
    }
}
PATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ItemOptions"}}},
    }
}
BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/BatchForm"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/BatchOptions"}},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch asks for.

    Attributes:
        names: The ids of the items, in the order of the request.
        items: Those items that can be read, by id.
        refused: What is wrong with each of the others, by id.
        delete: Ids to delete.
        files: The files of the form by field.
    """

    names: tuple[str, ...]
    items: Mapping[str, BatchItem]
    refused: Mapping[str, ItemStatus]
    delete: tuple[str, ...]
    files: Mapping[str, bytes]


@router.post("/items/batch", summary="Put and delete many items", openapi_extra=BATCH_BODY)
async def write_items(request: Request, state: Shared) -> BatchResponse:
    """Put, change and delete items, with a status for each: a bad one fails no other.

    In a form, `items` is a JSON list of `{"id", "attributes", "image"}`, where `image` names the
    file field that holds the photo; `delete` is an id, and may be repeated. JSON has no photos, so
    with it only attributes are changed and items deleted. All that is usable is stored at once.
    """
    with state.admission:
        asked = await read_batch(request)
        statuses = await put_all(state, asked)
        if asked.delete:
            there = await state.run(lambda: state.shelf.delete(asked.delete))
            statuses += [
                ItemStatus(id=name, status=204) if known else not_there(name)
                for name, known in zip(asked.delete, there, strict=True)
            ]
    return BatchResponse(items=statuses)


@router.put(
    "/items/{item_id:path}",
    summary="Put an item",
    openapi_extra=PUT_BODY,
    response_class=Response,
    responses={
        200: {"model": ItemResponse, "description": "It replaced the item of this id."},
        201: {"model": ItemResponse, "description": "It is new."},
    },
)
async def put_item(
    request: Request, item_id: str, state: Shared, options: Annotated[ItemOptions, Query()]
) -> Response:
    """Put an item with its photo in place of what was there under this id, if anything.

    The photo is the file field `image` of a form, or the bare body. It is kept in the store, found
    by the next search, and survives a crash from the answer on.
    """
    check_id(item_id)
    with state.admission:
        query = await read_photo(request, options)
        vector = await state.embed(query.data, Stopwatch())
        put = Put(item_id, query.options.told, query.data, vector)
        (new,) = await state.run(lambda: state.shelf.put([put]))
    headers = {"Location": item_path(item_id)} if new else {}
    told = await get_item(request, item_id, state)
    return JSONResponse(told.model_dump(mode="json"), 201 if new else 200, headers)


@router.patch(
    "/items/{item_id:path}", summary="Change what is said of an item", openapi_extra=PATCH_BODY
)
async def change_item(
    request: Request, item_id: str, state: Shared, options: Annotated[ItemOptions, Query()]
) -> ItemResponse:
    """Replace the attributes of an item; its photo stays."""
    with state.admission:
        asked = await read_options(request, options)
        (known,) = await state.run(lambda: state.shelf.describe({item_id: asked.told}))
        if not known:
            raise UnknownItemError(item_id)
    return await get_item(request, item_id, state)


@router.delete("/items/{item_id:path}", status_code=204, summary="Delete an item")
async def delete_item(item_id: str, state: Shared) -> Response:
    """Delete an item; no search finds it any more, and it does not come back by a rollback."""
    with state.admission:
        (known,) = await state.run(lambda: state.shelf.delete([item_id]))
    if not known:
        raise UnknownItemError(item_id)
    return Response(status_code=204)


async def read_batch(request: Request) -> Batch:
    """Read a batch, whose items may be wrong each by itself.

    Raises:
        UnsupportedFormatError, MalformedBodyError, InvalidRequestError: See ``service.errors``.
    """
    kind = content_type(request)
    if kind == JSON:
        given = parse_json(SentBatch, await request.body())
        return batch_of(validate(SentBatch, given), {})
    if kind != FORM:
        raise wrong_content_type(kind, f"{FORM} with a field 'items', or {JSON}")
    async with parsed_form(request, max_files=BATCH, example="a") as form:
        pairs = form.multi_items()
        sent = {
            name: [value for value in form.getlist(name) if isinstance(value, UploadFile)]
            for name in form
        }
        files = {name: once(name, some).file.read() for name, some in sent.items() if some}
        texts = [(name, value) for name, value in pairs if isinstance(value, str)]
    unknown = sorted({name for name, _ in texts} - {"items", "delete"})
    if unknown:
        raise wrong(unknown[0], "There is no such field. Known: items, delete, and files.")
    listed = [value for name, value in texts if name == "items"]
    if len(listed) > 1:
        raise wrong("items", "It stands there twice. Send one JSON list.")
    named = parse_json(SentBatch, b'{"items": %s}' % (listed[0].encode() if listed else b"[]"))
    deleted = [value for name, value in texts if name == "delete"]
    return batch_of(validate(SentBatch, {**named, "delete": deleted}), files)


def batch_of(sent: SentBatch, files: Mapping[str, bytes]) -> Batch:
    """A batch whose items have ids, and that does not contradict itself.

    Raises:
        InvalidRequestError: An item has no id, or an id or a file has no place in it.
    """
    read = [read_item(place, given, files) for place, given in enumerate(sent.items)]
    names = Counter([*(item.id for item in read), *sent.delete])
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise wrong("items", f"{twice[0]!r} stands in it twice. Send each id once.")
    images = [given["image"] for given in sent.items if "image" in given]
    unused = sorted(name for name in files if name not in images)
    if unused:
        raise wrong(unused[0], "No item names this file as its image.")
    if not names:
        raise wrong("items", "There is nothing to put and nothing to delete.")
    return Batch(
        names=tuple(item.id for item in read),
        items={item.id: item for item in read if isinstance(item, BatchItem)},
        refused={item.id: item for item in read if isinstance(item, ItemStatus)},
        delete=tuple(sent.delete),
        files=files,
    )


def read_item(place: int, given: object, files: Mapping[str, bytes]) -> BatchItem | ItemStatus:
    """An item of a batch, or what is wrong with it.

    Raises:
        InvalidRequestError: It has no id by which that could be told.
    """
    try:
        item = BatchItem.model_validate(given, strict=True)
        check_id(item.id)
        if item.image is not None and item.image not in files:
            raise wrong("image", f"There is no file field {item.image!r} in the form.")
    except InvalidRequestError as error:
        refusal = error
    except ValidationError as error:
        found = error.errors(include_url=False)
        if not isinstance(given, dict) or any(one["loc"] == ("id",) for one in found):
            located = [{**one, "loc": ("items", place, *one["loc"])} for one in found]
            raise invalid(located, BatchItem) from error
        refusal = invalid(found, BatchItem)
    else:
        return item
    assert isinstance(given, dict)
    return ItemStatus(id=given["id"], status=refusal.status, detail=refusal.detail)


async def put_all(state: State, asked: Batch) -> list[ItemStatus]:
    """Embed every photo, store what is usable, and say what became of each item."""

    async def embed(item: BatchItem) -> Put | ItemStatus:
        try:
            data = not_empty(asked.files[item.image or ""])
            vector = await state.embed(data, Stopwatch())
        except ServiceError as error:
            return ItemStatus(id=item.id, status=error.status, detail=error.detail)
        return Put(item.id, item.told, data, vector)

    items = asked.items.values()
    tried = await asyncio.gather(*(embed(item) for item in items if item.image is not None))
    puts = [one for one in tried if isinstance(one, Put)]
    changes = {item.id: item.told for item in items if item.image is None}
    new = await state.run(lambda: state.shelf.put(puts)) if puts else []
    known = await state.run(lambda: state.shelf.describe(changes)) if changes else []
    told = {one.id: one for one in tried if isinstance(one, ItemStatus)} | dict(asked.refused)
    for put, is_new in zip(puts, new, strict=True):
        told[put.id] = ItemStatus(id=put.id, status=201 if is_new else 200)
    for name, there in zip(changes, known, strict=True):
        told[name] = ItemStatus(id=name, status=200) if there else not_there(name)
    return [told[name] for name in asked.names]


def not_there(item_id: str) -> ItemStatus:
    """The status of an item that there is none of."""
    error = UnknownItemError(item_id)
    return ItemStatus(id=item_id, status=error.status, detail=error.detail)


def check_id(item_id: str) -> None:
    """Refuse what can be no id of an item."""
    if not 1 <= len(item_id) <= 1024 or "\0" in item_id:
        raise wrong("id", "An id has 1 to 1,024 characters, none of them zero.")
    try:
        item_id.encode()
    except UnicodeEncodeError as error:
        raise wrong("id", "It is no valid Unicode.") from error


def wrong(field: str, message: str) -> InvalidRequestError:
    """The error for a field of a batch."""
    return InvalidRequestError(
        f"{field}: {message}", extensions={"errors": [{"field": field, "message": message}]}
    )
