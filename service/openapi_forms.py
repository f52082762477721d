"""The forms of the API's description: what is read by hand, with an example of each.

A file of an example stands there as its name, as ``curl -F image=@photo.jpg`` says it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from service.cropping import CropOptions
from service.queries import AGAINST, FOR, NEGATIVES, POSITIVES
from service.schemas import ExplainOptions
from service.schemas_items import ATTRIBUTES_EXAMPLE, ItemOptions
from service.schemas_models import (
    ArithmeticOptions,
    CompletionOptions,
    EnlargementOptions,
    FrameOptions,
    InterpolationOptions,
    LikelihoodOptions,
    ReconstructionOptions,
)
from service.schemas_search import FILTER_EXAMPLE, BatchSearchOptions, ExamplesQuery, SearchOptions
from service.schemas_sketches import (
    SketchArithmeticOptions,
    SketchCompletionOptions,
    SketchInterpolationOptions,
    SketchReconstructionOptions,
)

REF = "#/components/schemas/{model}"
IMAGE: dict[str, Any] = {
    "type": "string",
    "format": "binary",
    "description": "The file: JPEG, PNG or WebP.",
}
STROKES = IMAGE | {"description": "The file: SVG, or JSON with strokes."}
URLS = (FOR[1], AGAINST[1])
BOX = "0.1,0.25,0.6,0.9"


class Form(NamedTuple):
    """A form with files.

    Attributes:
        title: What it is.
        options: The fields that hold texts.
        files: The fields that hold files, and whether several.
        required: The fields that have to be there.
        example: A form that can be sent.
        file: The schema of a file.
    """

    title: str
    options: type[BaseModel]
    files: Mapping[str, bool]
    required: tuple[str, ...]
    example: Mapping[str, Any]
    file: Mapping[str, Any] = IMAGE


FORMS: dict[str, Form] = {
    "SearchForm": Form(
        "A photo and how to search with it.",
        SearchOptions,
        {"image": False},
        (),
        {"image": "photo.jpg", "crop": [BOX], "limit": 5, "filter": FILTER_EXAMPLE},
    ),
    "BatchSearchForm": Form(
        "Photos and how to search with them.",
        BatchSearchOptions,
        {"image": True},
        (),
        {"image": ["a.jpg", "b.jpg"], "item_ids": ["shoes/canvas-low-17"], "limit": 5},
    ),
    "ExplainForm": Form(
        "A photo and how to explain it.",
        ExplainOptions,
        {"image": False},
        ("image",),
        {"image": "photo.jpg", "draws": 4, "nearest": 5, "seed": 7},
    ),
    "ImageForm": Form(
        "A photo, and which part of it counts.",
        CropOptions,
        {"image": False},
        ("image",),
        {"image": "photo.jpg", "crop": BOX},
    ),
    "ItemForm": Form(
        "An item's photo and what is said of it.",
        ItemOptions,
        {"image": False},
        ("image",),
        {"image": "photo.jpg", "attributes": ATTRIBUTES_EXAMPLE},
    ),
    "CompletionForm": Form(
        "A photo, what is known of it, and how to draw the rest.",
        CompletionOptions,
        {"image": False, "mask": False},
        ("image",),
        {"image": "photo.jpg", "rows": 14, "n": 4, "seed": 7},
    ),
    "EnlargementForm": Form(
        "A small picture, and how often to make it large.",
        EnlargementOptions,
        {"image": False},
        ("image",),
        {"image": "small.png", "n": 4, "seed": 7},
    ),
    "FrameForm": Form(
        "Photos, if there are any, and how to show the way in which pictures come about.",
        FrameOptions,
        {"image": True},
        (),
        {"image": ["a.jpg", "b.jpg"], "frames": 4},
    ),
    "ReconstructionForm": Form(
        "Photos, and how to draw them again.",
        ReconstructionOptions,
        {"image": True},
        ("image",),
        {"image": ["a.jpg", "b.jpg"], "mean": True},
    ),
    "InterpolationForm": Form(
        "Two photos, and how to draw what lies between.",
        InterpolationOptions,
        {"image": True},
        (),
        {"image": ["a.jpg", "b.jpg"], "steps": 8},
    ),
    "ArithmeticForm": Form(
        "Photos to add and to take away.",
        ArithmeticOptions,
        {"plus": True, "minus": True},
        (),
        {"plus": ["a.jpg", "c.jpg"], "minus": ["b.jpg"], "n": 4},
    ),
    "LikelihoodForm": Form(
        "Photos, and how to score them.",
        LikelihoodOptions,
        {"image": True},
        ("image",),
        {"image": ["a.jpg", "b.jpg"], "seed": 7},
    ),
    "SketchCompletionForm": Form(
        "A started drawing, and how to go on.",
        SketchCompletionOptions,
        {"sketch": False},
        ("sketch",),
        {"sketch": "started.svg", "n": 9},
        STROKES,
    ),
    "SketchReconstructionForm": Form(
        "Drawings, and how to draw them again.",
        SketchReconstructionOptions,
        {"sketches": True},
        ("sketches",),
        {"sketches": ["a.svg", "b.svg"], "temperature": 0.1},
        STROKES,
    ),
    "SketchInterpolationForm": Form(
        "Two drawings, and how to draw what lies between.",
        SketchInterpolationOptions,
        {"sketches": True},
        ("sketches",),
        {"sketches": ["a.svg", "b.svg"], "steps": 10},
        STROKES,
    ),
    "SketchArithmeticForm": Form(
        "Drawings to add and to take away.",
        SketchArithmeticOptions,
        {"plus": True, "minus": True},
        ("plus",),
        {"plus": ["a.svg", "c.svg"], "minus": ["b.svg"], "n": 4},
        STROKES,
    ),
}
BATCH_EXAMPLE: dict[str, Any] = {
    "items": f'[{{"id": "shoes/canvas-low-17", "attributes": {ATTRIBUTES_EXAMPLE}, '
    '"image": "photo-1"}]',
    "photo-1": "photo.jpg",
    "delete": ["shoes/boot-3"],
}


def form_schemas() -> dict[str, Any]:
    """The schemas of all forms by name."""
    schemas = {name: form_schema(form) for name, form in FORMS.items()}
    either = {"type": "array", "items": {"anyOf": [IMAGE, {"type": "string"}]}}
    schemas["SearchForm"]["properties"] |= {
        POSITIVES: either | {"description": "Like these: files, or ids of items."},
        NEGATIVES: either | {"description": "But not like these: files, or ids of items."},
    }
    examples = ExamplesQuery.model_json_schema(ref_template=REF)["properties"]
    for name in ("crop", *URLS):
        schemas["SearchForm"]["properties"][name] = examples[name]
    one_of(schemas["SearchForm"], "image", *FOR)
    schemas["BatchForm"] = batch_form()
    one_of(schemas["BatchForm"], "items", "delete")
    return schemas


def form_schema(form: Form) -> dict[str, Any]:
    """The schema of a form: its texts and its files."""
    fields = form.options.model_json_schema(ref_template=REF)["properties"]
    several = {"type": "array", "items": dict(form.file)}
    files = {name: several if many else dict(form.file) for name, many in form.files.items()}
    return {
        "type": "object",
        "title": form.title,
        "properties": {**fields, **files},
        "required": list(form.required),
        "additionalProperties": False,
        "examples": [dict(form.example)],
    }


def batch_form() -> dict[str, Any]:
    """The schema of a batch as a form: its files have names of the client's own."""
    return {
        "type": "object",
        "title": "Items, their photos, and ids to delete.",
        "properties": {
            "items": {"type": "string", "description": "A JSON list of `BatchItem`."},
            "delete": {"type": "array", "items": {"type": "string"}, "description": "Ids."},
        },
        "required": [],
        "additionalProperties": IMAGE,
        "examples": [BATCH_EXAMPLE],
    }


def one_of(schema: dict[str, Any], *names: str) -> None:
    """Say that at least one of these members is needed."""
    schema.pop("required", None)
    schema["anyOf"] = [{"required": [name]} for name in names]
