"""Drawings of a pen over HTTP: samples, completions, ways, sums; pixels are refused by name."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from models.strokes import read_svg, to_lines, write_json, write_svg
from models.training.checkpoint import load_weights
from service.sketching import Sketcher
from tests.strokes_made import drawings

JSON = {"accept": "application/json"}
SKETCHES = "/v1/models/sketch_rnn/sketches"


@pytest.fixture
def pen(serve, pens, monkeypatch):
    monkeypatch.chdir(pens)
    return serve(job_wait=100.0, request_timeout=150.0, max_pictures=12)


@pytest.fixture(scope="module")
def sketcher(pens):
    return Sketcher(load_weights(pens / "weights" / "sketch_rnn"))


def rows(points):
    return {"strokes": np.asarray(points).tolist()}


def close(told, points):
    return [
        np.allclose(one["strokes"], expected, atol=1e-4)
        for one, expected in zip(told, points, strict=True)
    ]


A, B, C = drawings(3, seed=4, most=10)


def test_stroke_models_are_listed_with_what_they_can_do(pen):
    told = pen.get("/v1/models/sketch_rnn").json()
    assert told["abilities"] == [
        "sample", "temperature", "complete", "reconstruct", "interpolate", "arithmetic"
    ]  # fmt: skip
    (weights,) = told["weights"]
    assert (weights["points"], weights["size"], weights["channels"]) == (16, None, None)
    assert pen.get("/v1/models/srnn").json()["abilities"] == ["sample", "temperature", "complete"]


def test_samples_are_a_sheet_points_pictures_or_an_archive(pen, sketcher):
    asked = {"n": 3, "seed": 5, "temperature": 0.6}
    sheet = pen.post("/v1/models/sketch_rnn/samples", json=asked)
    assert sheet.headers["content-type"] == "image/svg+xml"
    told = pen.post("/v1/models/sketch_rnn/samples", json=asked, headers=JSON).json()
    expected = sketcher.sample(3, seed=5, temperature=0.6)
    assert all(close(told["sketches"], expected))
    assert sheet.text == write_svg(expected)
    assert (told["model"], told["weights"], told["seed"]) == ("sketch_rnn", "sketch_rnn", 5)
    png = pen.post("/v1/models/sketch_rnn/samples?format=grid", json=asked)
    assert Image.open(io.BytesIO(png.content)).format == "PNG"
    packed = pen.post("/v1/models/sketch_rnn/samples?format=zip", json=asked)
    with zipfile.ZipFile(io.BytesIO(packed.content)) as files:
        assert files.namelist() == ["000.svg", "001.svg", "002.svg"]
        drawn = [read_svg(files.read(name)) for name in files.namelist()]
    for one, points in zip(drawn, expected, strict=True):
        for line, wanted in zip(to_lines(one), to_lines(points), strict=True):
            assert np.allclose(line, wanted, atol=1e-3)
    assert pen.post("/v1/models/srnn/samples?n=1", headers=JSON).status_code == 200


@pytest.mark.parametrize("name", ["sketch_rnn", "srnn"])
def test_a_started_sketch_stays_and_is_gone_on_with(pen, name):
    started = A[:3]
    asked = {"sketch": rows(started), "n": 4, "fit": False}
    told = pen.post(f"/v1/models/{name}/sketches/completions", json=asked, headers=JSON).json()
    assert told["given"] == 3
    assert all(close(told["sent"], [started]))
    for one in told["sketches"]:
        assert np.allclose(one["strokes"][:2], started[:2], atol=1e-3)  # the third may be lifted
        assert np.allclose(np.array(one["strokes"][2][:2]), started[2, :2], atol=1e-3)
    again = pen.post(f"/v1/models/{name}/sketches/completions", json=asked, headers=JSON).json()
    assert again == told


def test_every_form_of_a_sketch_says_the_same(pen):
    """Strokes, lines, SVG as a document and as a path, a file of either, and a bare body."""
    lines = [np.asarray(line).tolist() for line in to_lines(A)]
    document = write_svg([A])
    path = " ".join("M" + " L".join(f"{x} {y}" for x, y in line) for line in lines)
    sent = [
        {"json": {"sketch": rows(A)}},
        {"json": {"sketch": {"lines": lines}}},
        {"json": {"sketch": {"svg": document}}},
        {"json": {"sketch": path}},
        {"files": [("sketch", (None, path))]},
        {"files": {"sketch": ("a.svg", document.encode())}},
        {"files": {"sketch": ("a.json", write_json([A]).encode())}},
        {"content": document.encode(), "headers": {"content-type": "image/svg+xml"}},
    ]
    found = []
    for given in sent:
        given["headers"] = JSON | given.get("headers", {})
        told = pen.post(f"{SKETCHES}/completions?n=1&fit=false", **given)
        assert told.status_code == 200, told.text
        found.append(told.json()["sent"][0]["strokes"])
    for one in found[1:]:
        assert np.allclose(np.array(one)[1:], np.array(found[0])[1:], atol=1e-2)


def test_sketches_are_drawn_again_mixed_and_added(pen, sketcher):
    again = pen.post(
        f"{SKETCHES}/reconstructions", json={"sketches": [rows(A), rows(B)], "fit": False},
        headers=JSON,
    ).json()  # fmt: skip
    assert all(close(again["sketches"], sketcher.reconstruct([A, B], seed=0, temperature=0.1)))
    way = pen.post(
        f"{SKETCHES}/interpolations",
        json={"sketches": [rows(A), rows(B)], "steps": 4, "fit": False, "seed": 2}, headers=JSON,
    ).json()  # fmt: skip
    assert all(close(way["sketches"], sketcher.interpolate(A, B, 4, seed=2, temperature=0.1)))
    total = pen.post(
        f"{SKETCHES}/arithmetic",
        json={"plus": [rows(A), rows(C)], "minus": [rows(B)], "n": 2, "fit": False}, headers=JSON,
    ).json()  # fmt: skip
    expected = sketcher.combine([(1, A), (1, C), (-1, B)], 2, seed=0, temperature=0.1)
    assert all(close(total["sketches"], expected))
    assert len(total["sent"]) == 3


def test_what_is_sent_is_scaled_to_the_size_of_the_training_drawings(pen):
    big = A * np.array([50, 50, 1])
    for points in (A, big):
        told = pen.post(f"{SKETCHES}/completions?n=1", json={"sketch": rows(points)}, headers=JSON)
        sent = told.json()["sent"][0]["strokes"]
        extent = np.ptp(np.cumsum(np.array(sent)[:, :2], 0), 0).max()
        assert extent == pytest.approx(60, rel=0.2)  # the fixture's typical drawing


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        ("completions", {}, "0 drawings were sent; expected 1"),
        ("completions", {"sketch": {"strokes": [[0, 0, 2]]}}, "third column"),
        ("completions", {"sketch": {"strokes": [[1, 1, 0]], "lines": []}}, "has the keys"),
        (
            "completions",
            {"sketch": {"lines": [[[0, 0], [1, 1]]], "svg": "M 0 0 L 9 9"}},
            "one form",
        ),
        ("completions", {"sketch": "M 0 0" + " L 9 9" * 101_000}, "more than 100,000 points"),
        ("completions", {"sketch": {"pixels": [[1]]}}, "pixels"),
        ("completions", {"sketch": "no path"}, "sketch: "),
        ("completions", {"sketch": rows(A), "n": 13}, "at most 12"),
        ("completions", {"sketch": rows(A), "temperature": 0}, "temperature"),
        ("completions", {"sketch": {"strokes": [[1, 1, 0]] * 17}}, "takes? up to 16"),
        ("reconstructions", {"sketches": []}, "expected 1 to 12"),
        ("interpolations", {"sketches": [rows(A)]}, "1 drawings were sent; expected 2"),
        ("arithmetic", {"plus": [rows(A)], "minus": [rows(B)]}, "One more is added"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(pen, check_problem, path, asked, words):
    refused = pen.post(f"{SKETCHES}/{path}", json=asked)
    problem = check_problem(refused, 422, "invalid-request")
    assert re.search(words, json.dumps(problem)), problem


def test_pixels_and_strokes_are_not_mixed_up(pen, check_problem, picture):
    photo = {"files": {"sketch": ("a.png", picture(1))}}
    told = check_problem(pen.post(f"{SKETCHES}/completions", **photo), 422, "invalid-request")
    assert "This is a picture, and a stroke model takes strokes" in told["detail"]
    asked = {"files": {"image": ("a.png", picture(1))}}
    told = check_problem(
        pen.post("/v1/models/sketch_rnn/reconstructions", **asked), 422, "model-cannot"
    )
    assert "/sketches/" in told["detail"]
    told = check_problem(
        pen.post("/v1/models/vae/sketches/completions", json={"sketch": rows(A)}),
        422, "model-cannot",
    )  # fmt: skip
    assert "reads and draws pixels" in told["detail"]
    told = check_problem(
        pen.post("/v1/models/srnn/sketches/arithmetic", json={"plus": [rows(A)]}),
        422, "model-cannot",
    )  # fmt: skip
    assert "sketch_rnn" in told["detail"]
    told = check_problem(pen.post("/v1/models/vae/samples?format=svg&n=1"), 422, "invalid-request")
    assert "not strokes" in told["detail"]
