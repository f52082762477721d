"""What a query string holds is known and stands there once, whatever the call."""

import json
from pathlib import Path

import pytest

DESCRIPTION = json.loads((Path(__file__).parents[1] / "golden" / "openapi.json").read_text("utf-8"))


def operations():
    """Every call of the API with its parameters of the query."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1/"):
                named = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
                yield pytest.param(method, path, named, id=f"{method.upper()} {path}")


def called(path):
    return path.format(item_id="hats/03", name="vae", job_id="none", generation_id="one")


@pytest.mark.parametrize(("method", "path", "named"), list(operations()))
def test_an_unknown_name_is_refused(client, check_problem, method, path, named):
    answer = client.request(method, called(path), params={"nothing": "1"})
    problem = check_problem(answer, 422, "invalid-request")
    assert "nothing: There is no such parameter" in problem["detail"]
    assert problem["errors"][0]["field"].endswith("nothing")


def singles():
    """Every parameter that is no list, with a text for it."""
    for param in operations():
        method, path, named = param.values
        for one in named:
            kinds = [one["schema"], *one["schema"].get("anyOf", ())]
            if not any(kind.get("type") == "array" for kind in kinds):
                yield pytest.param(method, path, one["name"], id=f"{param.id} {one['name']}")


TEXTS = {
    "filter": "{}", "crop": "0,0,1,1", "crop_unit": "pixels", "exact": "true", "mean": "true",
    "fit": "true", "prune": "false", "format": "json", "attributes": "{}", "group_by": "a",
    "weights": "a", "side": "32", "most": "20", "steps": "4", "frames": "4",
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "name"), list(singles()))
def test_a_name_that_stands_there_twice_is_refused(client, check_problem, method, path, name):
    text = TEXTS.get(name, "1")
    answer = client.request(method, called(path), params={name: [text, text]})
    problem = check_problem(answer, 422, "invalid-request")
    assert f"{name}: It stands 2 times in the query string. Send it once." in problem["detail"]


def test_lists_may_be_repeated(client, photos):
    found = client.post(
        "/v1/search?exclude=hats/03&exclude=hats/04&limit=30", content=photos["hats/03"]
    )
    ids = {item["id"] for item in found.json()["items"]}
    assert not ids & {"hats/03", "hats/04"}
    assert len(ids) > 20


def test_the_page_and_the_probes_take_what_others_append(client):
    for path in ("/", "/livez", "/healthz", "/readyz"):
        assert client.get(f"{path}?utm_source=mail&utm_source=shop").status_code == 200
