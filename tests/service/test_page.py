"""The page at ``/``: who gets it, what it is made of, and that it asks for nothing else."""

import re
from pathlib import Path

import pytest

import service

FOLDER = Path(service.__file__).parent / "page"
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
MODULES = sorted(FOLDER.glob("*.js"))


def test_a_browser_gets_the_page_and_a_program_gets_data(client):
    page = client.get("/", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["vary"] == "Accept"
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        told = client.get("/", headers=headers)
        assert told.headers["content-type"] == "application/json"
        assert told.json()["docs"] == "/docs"


def test_everything_that_the_page_names_is_there(client):
    page = "".join(client.get(path, headers=BROWSER).text for path in ("/", "/docs"))
    named = set(re.findall(r'(?:src|href)="(page/[^"]+)"', page))
    assert {"page/main.js", "page/style.css", "page/icon.svg"} <= named
    for module in MODULES:
        imports = re.findall(r'from "\./([^"]+)"', module.read_text("utf-8"))
        named |= {f"page/{name}" for name in imports}
    assert {f"page/{module.name}" for module in MODULES} <= named  # and nothing lies about
    for name in named:
        found = client.get(f"/{name}")
        assert found.status_code == 200, name
        assert found.headers["cache-control"] == "no-cache"
        again = client.get(f"/{name}", headers={"if-none-match": found.headers["etag"]})
        assert again.status_code == 304
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_nothing_from_elsewhere(client, path):
    """A script of somebody else's could read the key that the page keeps for this origin."""
    page = client.get(path, headers=BROWSER)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
    assert "<script>" not in page.text
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules  # so the default holds


def test_ids_that_the_modules_ask_for_are_on_the_page():
    page = (FOLDER / "index.html").read_text("utf-8")
    there = set(re.findall(r' id="([^"]+)"', page))
    for module in MODULES:
        asked = set(re.findall(r'byId\("([^"]+)"\)', module.read_text("utf-8")))
        assert asked <= there, module.name


def test_calls_of_the_page_are_calls_of_the_api(client):
    from service.openapi import document  # noqa: PLC0415

    paths = [re.sub(r"{[^}]+}", "X", path) for path in document(client.app)["paths"]]
    for module in MODULES:
        text = module.read_text("utf-8")
        for path in re.findall(r'"(v1/[^"?]*)', text) + re.findall(r"`(v1/(?!items/)[^`?]*)", text):
            parts = [re.escape(part) for part in re.split(r"\$\{[^}]*\}", f"/{path}")]
            assert any(re.fullmatch(".+".join(parts), known) for known in paths), path


def test_nothing_comes_from_elsewhere_and_nothing_is_written_in_place():
    for file in FOLDER.iterdir():
        text = file.read_text("utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
    page = (FOLDER / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*src=)|style=|\son[a-z]+=", page)


@pytest.mark.parametrize("path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/nothing.js"])
def test_other_files_are_not_served(client, path):
    assert client.get(path).status_code == 404


def test_with_keys_the_page_is_seen_and_the_catalogue_is_not(serve):
    client = serve(api_keys="search:" + "s" * 20)
    assert client.get("/", headers=BROWSER).status_code == 200
    assert client.get("/page/main.js").status_code == 200
    assert client.get("/v1/map").status_code == 401
    assert client.get("/v1/facets").status_code == 401
    assert client.get("/v1/map", headers={"x-api-key": "s" * 20}).status_code == 200


def test_labels_belong_to_inputs_and_every_view_has_a_name():
    page = (FOLDER / "index.html").read_text("utf-8")
    inputs = re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', page)
    for name in inputs:
        wrapped = re.search(rf'<label[^>]*>(?:(?!</label>).)*id="{name}"', page, re.DOTALL)
        assert wrapped or f'for="{name}"' in page, name
    assert all("aria-label=" in view for view in re.findall(r'<section id="view-[^>]+>', page))
    assert re.search(r'<html lang="en">', page)
