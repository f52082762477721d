"""Reading a body: a form with a photo, the bare bytes of one, or JSON.

Nothing here is written to disk: the number of bodies and the size of each are bounded, so they
are kept in memory, and a full or read-only disk cannot fail an upload.
"""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import (
    InvalidRequestError,
    MalformedBodyError,
    UnsupportedFormatError,
    UnusableImageError,
)
from service.schemas import ProblemField
from service.schemas_search import SearchOptions
from service.settings import hint

FORM, JSON, URLENCODED = (
    "multipart/form-data",
    "application/json",
    "application/x-www-form-urlencoded",
)
OCTETS = "application/octet-stream"
BODIES = f"{FORM} with a file field 'image', image/jpeg, image/png, image/webp or {OCTETS}"
IMAGE_FIELD = "image"

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ImageQuery(Generic[Model]):
    """The bytes of an image file and what to do with them."""

    data: bytes
    options: Model


class MemoryParser(MultiPartParser):
    """The framework's parser without its temporary files; refuses a form that breaks off."""

    spool_max_size = sys.maxsize
    complete = False

    def on_end(self) -> None:
        """Note that the closing boundary was there."""
        self.complete = True

    async def parse(self) -> FormData:
        """Parse a whole form; raises MultiPartException for anything less."""
        form = await super().parse()
        if not self.complete:
            raise MultiPartException("It breaks off before its closing boundary.")
        return form

    def close(self) -> None:
        """Let go of all files, of those too whose part never ended."""
        for file in self._files_to_close_on_error:
            file.close()


async def read_photo(
    request: Request, options: Model, *, expected: str = BODIES
) -> ImageQuery[Model]:
    """Read a photo and the options of its form, which join those of the query string."""
    kind = content_type(request)
    if kind == FORM:
        data, given = await read_form(request)
        return ImageQuery(data, validate(type(options), merge(options, given)))
    return ImageQuery(await read_bare(request, expected), options)


async def read_bare(request: Request, expected: str) -> bytes:
    """Read a body that is an image's file and nothing around it."""
    kind = content_type(request)
    if kind in ("", OCTETS) or kind.startswith("image/"):
        return not_empty(await request.body())
    raise wrong_content_type(kind, expected)


def content_type(request: Request) -> str:
    """The media type of the body, in small letters and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_content_type(found: str, expected: str) -> UnsupportedFormatError:
    """The error for a kind of body that is not read."""
    advice = ""
    if found == URLENCODED:  # what curl says unless it is told otherwise
        advice = (
            f" With curl, send a file with -F {IMAGE_FIELD}=@photo.jpg, or with --data-binary "
            f"@photo.jpg -H 'Content-Type: {OCTETS}'."
        )
    return UnsupportedFormatError(
        f"The Content-Type is '{found[:100]}'; expected {expected}.{advice}"
    )


async def read_form(request: Request) -> tuple[bytes, dict[str, object]]:
    """Read a form into memory: its image and its other fields, of which it may have none."""
    async with parsed_form(request, max_files=2) as form:
        return read_fields(form)


@asynccontextmanager
async def parsed_form(
    request: Request, *, max_files: int, example: str = IMAGE_FIELD
) -> AsyncIterator[FormData]:
    """Parse a form into memory; its files are let go of at the end.

    Raises:
        MalformedBodyError: It cannot be read, breaks off, or has more files than that.
    """
    async with aclosing(request.stream()) as stream:
        parser = MemoryParser(request.headers, stream, max_files=max_files, max_fields=2000)
        try:
            yield await parser.parse()
        except MultiPartException as error:
            raise MalformedBodyError(
                f"The form cannot be read: {error.message} Send {FORM} with its boundary, as "
                f"`curl -F {example}=@photo.jpg` does."
            ) from error
        finally:
            parser.close()


def read_fields(form: FormData) -> tuple[bytes, dict[str, object]]:
    """The one file of a form and its other fields."""
    data = image_of_form(form)
    given: dict[str, object] = {}
    for name in form:
        if name != IMAGE_FIELD:
            values = form.getlist(name)
            given[name] = values if name == "exclude" else once(name, values)
    return data, given


def once(name: str, values: Sequence[Value], where: str = "form") -> Value:
    """The one value of a field that is no list.

    Raises:
        InvalidRequestError: There are several; which of them was meant is not guessed.
    """
    if len(values) > 1:
        raise InvalidRequestError(
            f"{name}: It stands {len(values)} times in the {where}. Send it once.",
            extensions={"errors": [{"field": name, "message": "sent more than once"}]},
        )
    return values[0]


def image_of_form(form: FormData) -> bytes:
    """The bytes of the one file a form has, which is its field ``image``."""
    images = form.getlist(IMAGE_FIELD)
    strangers = [
        name
        for name, value in form.multi_items()
        if name != IMAGE_FIELD and isinstance(value, UploadFile)
    ]
    if len(images) != 1 or strangers or not isinstance(images[0], UploadFile):
        raise wrong_image_field(form)
    return not_empty(images[0].file.read())  # from memory: nothing to await


def wrong_image_field(form: FormData) -> InvalidRequestError:
    """The error for a form without exactly one file ``image``, or with other files."""
    found = ", ".join(
        f"{'file' if isinstance(value, UploadFile) else 'text'} '{name[:50]}'"
        for name, value in form.multi_items()[:10]
    )
    advice = (
        f" The field '{IMAGE_FIELD}' holds text: with curl, put @ before the file's name."
        if isinstance(form.get(IMAGE_FIELD), str)
        else ""
    )
    return InvalidRequestError(
        f"The form has {found or 'no fields'}; expected one file field '{IMAGE_FIELD}' "
        f"and no other file.{advice}",
        extensions={"errors": [{"field": IMAGE_FIELD, "message": "expected one file"}]},
    )


def not_empty(data: bytes) -> bytes:
    """``data`` itself; refuse it if there is none."""
    if not data:
        raise UnusableImageError(
            "The image is empty: 0 bytes were received. Send the bytes of an image file.",
            extensions={"reason": "empty"},
        )
    return data


def parse_json(model: type[BaseModel], body: bytes) -> dict[str, object]:
    """The members of a JSON object that ``model`` accepts, those that were given only."""
    try:
        return model.model_validate_json(body, strict=True).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), model) from error


def validate(model: type[Model], given: Mapping[str, object]) -> Model:
    """Build ``model`` from fields as they were sent."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), model) from error


def merge(options: BaseModel, given: Mapping[str, object]) -> dict[str, object]:
    """Options of the query string and of the body; one that stands in both is refused."""
    query = options.model_dump(exclude_unset=True)
    both = sorted(query.keys() & given.keys())
    if both:
        raise InvalidRequestError(
            f"'{both[0]}' stands both in the query string and in the body. Send it once.",
            extensions={"errors": [{"field": name, "message": "sent twice"} for name in both]},
        )
    return {**query, **given}


def invalid(errors: Any, model: type[BaseModel] = SearchOptions) -> InvalidRequestError:
    """The error for what pydantic found: ``loc``, ``msg``, ``type`` and ``input`` for each."""
    found = []
    # A misspelt name is the cause of the one that is missing.
    for error in sorted(errors, key=lambda error: error["type"] != "extra_forbidden")[:20]:
        location = [str(part) for part in error["loc"] if part not in ("query", "body")]
        message = f"{error['msg']}; found {str(error['input'])[:50]!r}."
        if error["type"] == "value_error":  # said by us
            message = message.removeprefix("Value error, ").replace(".; found", "; found")
        elif error["type"] == "extra_forbidden" and len(location) > 1:
            message = "There is no such member."
        elif error["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            near = hint(location[-1], model.model_fields)
            message = f"There is no such parameter.{near} Known: {known}."
        elif error["type"] in ("missing", "json_invalid"):
            message = f"{error['msg']}."
        found.append(ProblemField(field=".".join(location)[:200], message=message))
    first = found[0]
    where = f"{first.field}: " if first.field else ""
    return InvalidRequestError(
        f"{where}{first.message}", extensions={"errors": [entry.model_dump() for entry in found]}
    )
