"""``PUT``, ``PATCH`` and ``DELETE /v1/items/{id}``, and ``POST /v1/items/batch``."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
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
    BatchOptions,
    BatchResponse,
    ItemOptions,
    ItemStatus,
)
from service.searcher import Stopwatch
from service.shelf import Put
from service.state import Shared, State
from service.strict import StrictRoute
from service.uploads import (
    FORM,
    JSON,
    content_type,
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


@router.post("/items/batch", summary="Put and delete many items", openapi_extra=BATCH_BODY)
async def write_items(request: Request, state: Shared) -> BatchResponse:
    """Put, change and delete items, with a status for each: a bad photo fails no other item.

    In a form, `items` is a JSON list of `{"id", "attributes", "image"}`, where `image` names the
    file field that holds the photo; `delete` is an id, and may be repeated. JSON has no photos, so
    with it only attributes are changed and items deleted. All that is usable is stored at once.
    """
    with state.admission:
        asked, files = await read_batch(request)
        statuses = await put_all(state, asked, files)
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


async def read_batch(request: Request) -> tuple[BatchOptions, Mapping[str, bytes]]:
    """Read a batch: what is asked, and the files of a form by field.

    Raises:
        UnsupportedFormatError, MalformedBodyError, InvalidRequestError: See ``service.errors``.
    """
    kind = content_type(request)
    if kind == JSON:
        given = parse_json(BatchOptions, await request.body())
        return checked(validate(BatchOptions, given), {})
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
    named = parse_json(BatchOptions, b'{"items": %s}' % (listed[0].encode() if listed else b"[]"))
    deleted = [value for name, value in texts if name == "delete"]
    return checked(validate(BatchOptions, {**named, "delete": deleted}), files)


def checked(
    asked: BatchOptions, files: Mapping[str, bytes]
) -> tuple[BatchOptions, Mapping[str, bytes]]:
    """A batch that does not contradict itself."""
    names = Counter([*(item.id for item in asked.items), *asked.delete])
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise wrong("items", f"{twice[0]!r} stands in it twice. Send each id once.")
    missing = [i.image for i in asked.items if i.image is not None and i.image not in files]
    if missing:
        raise wrong("items", f"There is no file field {missing[0]!r} in the form.")
    unused = sorted(set(files) - {item.image for item in asked.items})
    if unused:
        raise wrong(unused[0], "No item names this file as its image.")
    if not names:
        raise wrong("items", "There is nothing to put and nothing to delete.")
    return asked, files


async def put_all(
    state: State, asked: BatchOptions, files: Mapping[str, bytes]
) -> list[ItemStatus]:
    """Embed every photo, store what is usable, and say what became of each item."""

    async def embed(item: BatchItem) -> Put | ItemStatus:
        try:
            data = not_empty(files[item.image or ""])
            vector = await state.embed(data, Stopwatch())
        except ServiceError as error:
            return ItemStatus(id=item.id, status=error.status, detail=error.detail)
        return Put(item.id, item.told, data, vector)

    tried = await asyncio.gather(*(embed(item) for item in asked.items if item.image is not None))
    puts = [one for one in tried if isinstance(one, Put)]
    changes = {item.id: item.told for item in asked.items if item.image is None}
    new = await state.run(lambda: state.shelf.put(puts)) if puts else []
    known = await state.run(lambda: state.shelf.describe(changes)) if changes else []
    told = {one.id: one for one in tried if isinstance(one, ItemStatus)}
    for put, is_new in zip(puts, new, strict=True):
        told[put.id] = ItemStatus(id=put.id, status=201 if is_new else 200)
    for name, there in zip(changes, known, strict=True):
        told[name] = ItemStatus(id=name, status=200) if there else not_there(name)
    return [told[item.id] for item in asked.items]


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
