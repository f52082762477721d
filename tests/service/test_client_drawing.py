"""What the Python clients ask of models: pictures, scores and drawings of a pen."""

import io

import numpy as np
import pytest
from PIL import Image

from models.strokes import write_svg
from service import client as package
from service.client.results_models import Strokes
from tests.strokes_made import drawings


def test_models_are_described(ask, artist):
    asked = ask(artist)
    by_name = {model.name: model for model in asked.models()}
    assert by_name["vae"] == asked.model("vae")
    assert by_name["vae"].weights[0].name == "vae"
    assert "sample" in by_name["vae"].abilities


def test_models_draw(ask, artist, photos):
    asked, data = ask(artist), photos["hats/03"]
    drawing = asked.samples("vae", n=3, seed=7, temperature=0.5, weights="vae")
    assert (drawing.model, drawing.seed, drawing.temperature) == ("vae", 7, 0.5)
    assert len({Image.open(io.BytesIO(picture)).size for picture in drawing.pictures}) == 1
    assert len(drawing.pictures) == 3
    assert asked.samples("vae", n=3, seed=7, temperature=0.5) == drawing
    assert len(asked.interpolations("vae", [data, data], steps=4).pictures) == 4
    assert len(asked.interpolations("vae", seeds=[1, 2], steps=3, mean=True).pictures) == 3
    again = asked.reconstructions("vae", [data], mean=True)
    assert (len(again.pictures), len(again.photos)) == (1, 1)
    completed = asked.completions("pixelcnn", data, rows=2, n=2)
    assert len(completed.pictures) == 2
    with pytest.raises(package.InvalidRequestError) as unable:
        asked.completions("vae", data, rows=2)
    assert unable.value.slug == "model-cannot"
    assert "abilities" in unable.value.extensions


def test_a_mask_says_what_is_known(ask, artist, photos):
    mask = io.BytesIO()
    half = Image.new("L", (160, 120), 255)
    half.paste(0, (0, 60, 160, 120))
    half.save(mask, "PNG")
    asked, data = ask(artist), photos["hats/03"]
    by_mask = asked.completions("pixelcnn", data, mask=mask.getvalue(), n=1)
    assert by_mask == asked.completions("pixelcnn", data, rows=2, n=1)


def test_small_pictures_are_made_large(ask, artist):
    asked, small = ask(artist), io.BytesIO()
    (weights,) = asked.model("multiscale").weights
    assert weights.enlarges == (2, 4)
    Image.new("RGB", (4, 4), "white").save(small, "PNG")
    large = asked.enlargements("multiscale", small.getvalue(), n=2, seed=5, temperature=0.5)
    assert {Image.open(io.BytesIO(one)).size for one in large.pictures} == {(8, 8)}
    assert (len(large.pictures), len(large.photos), large.seed) == (2, 1, 5)
    with pytest.raises(package.InvalidRequestError, match="enlarge 2 x 2 or 4 x 4"):
        asked.enlargements("multiscale", large.pictures[0])


def test_frames_and_sums_are_drawn(ask, artist, photos):
    asked, data = ask(artist), photos["hats/03"]
    assert len(asked.frames("draw", n=3, frames=2, seed=1).pictures) == 3 * 2
    assert len(asked.frames("draw", [data], frames=2).pictures) == 2
    summed = asked.arithmetic("vae", [data, 3], [photos["bags/01"]], n=2, seed=1)
    assert (len(summed.pictures), len(summed.photos)) == (2, 2)
    by_seeds = asked.arithmetic("vae", [1, 3], [2], mean=True)
    assert len(by_seeds.pictures) == 1
    with pytest.raises(package.InvalidRequestError, match="One more is added"):
        asked.arithmetic("vae", [1, 3])


def test_photos_are_scored_at_once_and_as_a_job(ask, drawing, photos):
    sent = [photos["hats/03"], photos["bags/01"]]
    told = ask(drawing()).likelihoods("pixelcnn", sent)
    assert (told.exact, told.samples, told.reference, told.side) == (True, None, None, 4)
    assert len(told.scores) == 2
    assert all(score.nats < 0 and score.belongs is None for score in told.scores)
    waited = ask(drawing(job_wait=0))
    assert waited.likelihoods("pixelcnn", sent) == told
    job = waited.start(package.calls_models.likelihoods("vae", sent, samples=3, seed=2))
    waited.wait(job.id)
    bound = waited.result(job.id)
    assert (bound.exact, bound.samples, len(bound.scores)) == (False, 3, 2)


A, B, C = drawings(3, seed=4, most=10)


@pytest.fixture
def pen(ask, serve, pens, monkeypatch):
    monkeypatch.chdir(pens)
    return ask(serve(job_wait=100.0, request_timeout=150.0))


def rows(points):
    return {"strokes": np.asarray(points).tolist()}


def test_sketches_are_drawn_by_a_pen(pen):
    name, sampled = "sketch_rnn", pen.samples("sketch_rnn", n=2, seed=5)
    assert (len(sampled.sketches), sampled.pictures) == (2, ())
    more = pen.complete_sketch(name, rows(A), n=3, seed=1)
    assert (len(more.sketches), len(more.sent)) == (3, 1)
    assert all(
        np.allclose(one.strokes[: more.given], more.sent[0].strokes[: more.given])
        for one in more.sketches
    )
    again = pen.reconstruct_sketches(name, [rows(A), write_svg([B])], temperature=0.2)
    assert (len(again.sketches), again.temperature) == (2, 0.2)
    way = pen.interpolate_sketches(name, ["M 0 0 L 40 0 L 20 30 Z", sampled.sketches[0]], steps=4)
    assert len(way.sketches) == 4
    assert len(pen.add_sketches(name, [rows(A), rows(C)], [rows(B)], n=2).sketches) == 2
    with pytest.raises(package.InvalidRequestError, match="expected 2"):
        pen.interpolate_sketches(name, [rows(A)])


def test_files_of_drawings_are_as_good_as_json_and_keep_their_order(pen, tmp_path):
    (tmp_path / "a.svg").write_text(write_svg([A]))
    ends = [rows(B), {"svg": "M 0 0 L 40 0 L 20 30 Z"}]
    asked = {"steps": 3, "seed": 2, "fit": False, "simplify": 0.5}
    by_json = pen.interpolate_sketches("sketch_rnn", ends, **asked)
    by_file = pen.interpolate_sketches(
        "sketch_rnn",
        [Strokes(strokes=tuple(map(tuple, B.tolist()))), io.BytesIO(ends[1]["svg"].encode())],
        **asked,
    )
    assert by_file == by_json
    mixed = pen.reconstruct_sketches("sketch_rnn", [ends[1], tmp_path / "a.svg"], fit=False)
    assert np.allclose(mixed.sent[0].strokes, by_json.sent[1].strokes, atol=1)


def test_a_path_in_a_str_is_no_drawing(pen):
    with pytest.raises(package.InvalidRequestError, match="sketch"):
        pen.complete_sketch("sketch_rnn", "drawing.svg")
