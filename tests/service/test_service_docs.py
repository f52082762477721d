"""The description of the API and the README say what the code does, no more and no less."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from service import (
    schemas,
    schemas_catalogue,
    schemas_items,
    schemas_jobs,
    schemas_models,
    schemas_search,
    schemas_sketches,
)
from service.errors import TYPE_PREFIX, ServiceError
from service.openapi import document, render
from service.openapi_forms import BATCH_EXAMPLE, FORMS
from service.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "service" / "README.md").read_text("utf-8")
SCHEMAS = (
    schemas, schemas_catalogue, schemas_items, schemas_jobs, schemas_models, schemas_search,
    schemas_sketches,
)  # fmt: skip
GOLDEN = ROOT / "tests" / "golden" / "openapi.json"


def kinds(error=ServiceError):
    found = error.__subclasses__()
    return [*found, *(kind for parent in found for kind in kinds(parent))]


def test_the_committed_description_is_that_of_the_code(client):
    assert GOLDEN.read_text("utf-8") == render(client.app), (
        "The API has changed. If that is meant, run: "
        "python -m service.commands.openapi > tests/golden/openapi.json"
    )


def test_the_served_description_is_the_committed_one(client):
    assert client.get("/openapi.json").json() == json.loads(GOLDEN.read_text("utf-8"))


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_to_a_schema_and_every_schema_is_used(client):
    described = document(client.app)
    names = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}

    assert set(references(described)) == names


def test_every_error_is_described_as_a_problem(client):
    for path, operations in document(client.app)["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    (content,) = response["content"].items()
                    assert content == (
                        "application/problem+json",
                        {"schema": {"$ref": "#/components/schemas/Problem"}},
                    ), (path, status)


MODELS = {
    name: model
    for module in SCHEMAS
    for name, model in vars(module).items()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and "examples" in (model.model_config.get("json_schema_extra") or {})
}


def test_every_object_that_is_described_has_an_example(client):
    described = document(client.app)["components"]["schemas"]
    objects = {name for name, schema in described.items() if schema["type"] == "object"}
    shown = {name for name in objects if described[name].get("examples")}

    assert shown == objects
    assert objects == (MODELS.keys() & objects) | FORMS.keys() | {"BatchForm"}


def as_sent(model, example):
    """What a model makes of an example, in which an object may stand for its own text."""
    shown = model.model_validate_json(json.dumps(example), strict=True).model_dump(
        mode="json", exclude_unset=True
    )
    return parsed({key: shown[key] for key in example})


def parsed(node):
    """The same with texts that are JSON objects as these objects."""
    if isinstance(node, dict):
        return {key: parsed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [parsed(value) for value in node]
    return json.loads(node) if isinstance(node, str) and node.startswith("{") else node


@pytest.mark.parametrize("name", MODELS)
def test_examples_are_valid_and_complete(name):
    model = MODELS[name]
    for example in model.model_config["json_schema_extra"]["examples"]:
        assert as_sent(model, example) == parsed(example)
        assert {key for key, field in model.model_fields.items() if field.is_required()} <= set(
            example
        )


@pytest.mark.parametrize("name", FORMS)
def test_examples_of_forms_are_valid_and_complete(name):
    form = FORMS[name]
    texts = {key: value for key, value in form.example.items() if key not in form.files}
    options = schemas_search.ExamplesQuery if name == "SearchForm" else form.options
    assert texts
    assert options.model_validate(texts).model_dump(exclude_unset=True) == texts
    for field in form.files.keys() & form.example.keys():
        assert isinstance(form.example[field], list) is form.files[field]
    assert set(form.required) <= set(form.example)


def test_the_example_of_a_batch_names_its_photo():
    (item,) = json.loads(BATCH_EXAMPLE["items"])
    read = schemas_items.BatchItem.model_validate_json(json.dumps(item), strict=True)
    assert read.image in BATCH_EXAMPLE


def test_real_answers_have_the_described_members(client, photos):
    described = document(client.app)["components"]["schemas"]
    search = client.post("/v1/search", content=photos["hats/03"]).json()
    for name, answer in (
        ("SearchResponse", search),
        ("Hit", search["items"][0]),
        ("Timings", search["timings_ms"]),
        ("ItemResponse", client.get("/v1/items/hats/03").json()),
        ("EmbedResponse", client.post("/v1/embed", content=photos["hats/03"]).json()),
        ("Ready", client.get("/readyz").json()),
        ("Alive", client.get("/livez").json()),
        ("Welcome", client.get("/").json()),
        ("Problem", client.get("/nothing").json() | {"errors": []}),
    ):
        assert set(answer) == set(described[name]["properties"]), name


def test_kinds_of_errors_have_a_type_each_and_stand_in_the_readme():
    slugs = [kind.slug for kind in kinds()]
    assert len(set(slugs)) == len(slugs)
    told = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", README, re.MULTILINE))

    assert told == {kind.slug: str(kind.status) for kind in kinds()} | {"internal-error": "500"}
    assert TYPE_PREFIX in README


def test_every_setting_stands_in_the_readme_with_its_default():
    told = dict(re.findall(r"^\| `NITERU_([A-Z_]+)` \| ([^|]*?) \|", README, re.MULTILINE))

    assert set(told) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.is_required():
            assert told[name.upper()] == "required"
        elif field.default_factory is None and field.default not in (None, ()):
            assert told[name.upper()] == f"`{field.default}`", name


def test_every_operation_stands_in_the_readme(client):
    told = set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", README, re.MULTILINE))
    described = {
        f"{method.upper()} {re.sub(r'{(item|job|generation)_id}', '{id}', path)}"
        for path, operations in document(client.app)["paths"].items()
        for method in operations
    }

    assert told == described


def test_the_readme_ends_in_its_decisions():
    assert re.findall(r"^## (.*)$", README, re.MULTILINE)[-1] == "Decisions"
