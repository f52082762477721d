"""Reading requests with any number of files: several photos, a photo and its mask, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, get_args, get_origin

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from service.errors import InvalidRequestError
from service.uploads import (
    FORM,
    JSON,
    OCTETS,
    Model,
    content_type,
    merge,
    not_empty,
    once,
    parse_json,
    parsed_form,
    read_bare,
    validate,
    wrong_content_type,
)

MORE_FILES = 16  # than are accepted, that are still read so that the answer can name the limit


@dataclass(frozen=True, slots=True)
class Files(Generic[Model]):
    """What a request sent.

    Attributes:
        files: The bytes of the files of each field, in their order; none of an absent field.
        options: Of the query string and of the body together.
    """

    files: Mapping[str, tuple[bytes, ...]]
    options: Model


async def read_options(request: Request, options: Model) -> Model:
    """Read a request without files: options in the query string, or in a JSON body, or in both.

    Raises:
        UnsupportedFormatError, InvalidRequestError: See ``service.errors``.
    """
    body = await request.body()
    if not body:
        return validate(type(options), options.model_dump(exclude_unset=True))
    if content_type(request) != JSON:
        raise wrong_content_type(content_type(request), f"{JSON}, or no body at all")
    return validate(type(options), merge(options, parse_json(type(options), body)))


async def read_files(
    request: Request,
    options: Model,
    fields: Mapping[str, int],
    *,
    or_json: bool = False,
    allow_empty: bool = False,
) -> Files[Model]:
    """Read a request with files: a form, a bare body that is the first field's file, or JSON.

    Args:
        request: Its body has not been read yet.
        options: Those of the query string.
        fields: How many files each field of a form may have, the most important field first.
        or_json: Whether JSON, which holds no file, is accepted too.
        allow_empty: Whether a file of a form may be empty, because each is judged by itself.

    Raises:
        UnsupportedFormatError: A Content-Type that is none of the accepted ones.
        MalformedBodyError, InvalidRequestError, UnusableImageError: See ``service.errors``.
    """
    kind = content_type(request)
    if or_json and (kind == JSON or not kind):
        return Files({}, await read_options(request, options))
    if kind != FORM:
        expected = (
            f"{FORM} with file fields {' and '.join(map(repr, fields))}, or an image or {OCTETS}"
        )
        data = await read_bare(request, expected + (f", or {JSON}" if or_json else ""))
        return Files({next(iter(fields)): (data,)}, options)
    most = sum(fields.values()) + MORE_FILES
    async with parsed_form(request, max_files=most, example=next(iter(fields))) as form:
        files = {
            field: files_of(form, field, limit, allow_empty=allow_empty)
            for field, limit in fields.items()
        }
        given = others_of(form, type(options), fields)
    return Files(files, validate(type(options), merge(options, given)))


def files_of(
    form: FormData, field: str, most: int, *, allow_empty: bool = False
) -> tuple[bytes, ...]:
    """The files of a field; text in it is left to the options.

    Raises:
        InvalidRequestError: There are more than ``most``.
        UnusableImageError: One is empty, and that is not allowed.
    """
    files = [value for value in form.getlist(field) if isinstance(value, UploadFile)]
    if len(files) > most:
        raise InvalidRequestError(
            f"{field}: {len(files)} files were sent; at most {most} are accepted.",
            extensions={
                "limit": most,
                "errors": [{"field": field, "message": f"expected at most {most} files"}],
            },
        )
    data = (file.file.read() for file in files)  # from memory: nothing to await
    return tuple(data if allow_empty else map(not_empty, data))


def others_of(form: FormData, model: type[Model], fields: Mapping[str, int]) -> dict[str, object]:
    """The texts of a form by field, a list where the option is one."""
    given: dict[str, object] = {}
    for name in form:
        values = form.getlist(name)
        files = [value for value in values if isinstance(value, UploadFile)]
        if files and name not in fields:
            raise InvalidRequestError(
                f"There is no file field '{name[:50]}'. File fields: {', '.join(fields)}.",
                extensions={"errors": [{"field": name[:50], "message": "no such file field"}]},
            )
        texts = [value for value in values if not isinstance(value, UploadFile)]
        if texts and name in fields and name not in model.model_fields:
            raise InvalidRequestError(
                f"The field '{name}' holds text; expected a file. With curl, put @ before the "
                "file's name.",
                extensions={"errors": [{"field": name, "message": "expected a file"}]},
            )
        if texts:
            given[name] = texts if is_list(model, name) else once(name, texts)
    return given


def is_list(model: type[Model], name: str) -> bool:
    """Whether an option takes several values."""
    field = model.model_fields.get(name)
    if field is None:
        return False
    return any(get_origin(kind) is list for kind in (field.annotation, *get_args(field.annotation)))
