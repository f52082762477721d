"""``niteru explain`` from weights to picture."""

import contextlib
import io
import json

import pytest
from PIL import Image

from service.cli import main


def niteru(*words, code=0):
    """Run a command in this process and expect its exit code."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        found = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            found = end.code or 0
    assert found == code, stdout.getvalue() + stderr.getvalue()
    return stdout.getvalue() if code == 0 else stderr.getvalue()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, picture):
    """Photos, weights trained on them for a moment, and a store."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "photos").mkdir()
    for seed in range(8):
        (folder / "photos" / f"{seed}.png").write_bytes(picture(seed))
    niteru("train", "pixelvae", "--data", folder / "photos", "--preset", "tiny", "--steps", 5,
           "--no-swap", "--out", folder / "weights")  # fmt: skip
    niteru("index", folder / "photos", "--store", folder / "store", "--weights", folder / "weights")
    return folder


def test_a_photo_is_explained_with_its_nearest_items(shop, tmp_path):
    asked = ("explain", shop / "photos" / "3.png", "--store", shop / "store",
             "--weights", shop / "weights", "--draws", 2, "--nearest", 4)  # fmt: skip
    told = json.loads(niteru(*asked, "--out", tmp_path / "a.png", "--json"))
    assert told["items"][0]["id"] == "3"
    assert told["items"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert len(told["items"]) == 4
    assert told["draws"] == 2
    assert told["rate"] > 0
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (158 + 4 * 134, 6 + 2 * 166)
    text = niteru(*asked, "--out", tmp_path / "b.png")
    assert f"{told['rate']:.1f} nats" in text
    assert "1.0000  3" in text
    niteru(*asked, "--out", tmp_path / "c.png", "--seed", 1)
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_no_store_is_needed(shop, tmp_path):
    niteru("explain", shop / "photos" / "3.png", "--weights", shop / "weights",
           "--out", tmp_path / "a.png")  # fmt: skip
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (158 + 5 * 134, 6 + 166)


def test_a_part_of_a_photo_is_searched_embedded_and_explained(shop, tmp_path):
    """The same, bit for bit, as a file that holds the part alone."""
    photo, alone = shop / "photos" / "3.png", tmp_path / "part.png"
    with Image.open(photo) as image:
        image.crop((40, 30, 120, 90)).save(alone)
    weights = ("--weights", shop / "weights")
    ask = (*weights, "--store", shop / "store", "--json")
    pixels = ("--crop", "40,30,120,90", "--crop-unit", "pixels")
    for words in (("search", *ask), ("explain", *ask, "--out", tmp_path / "a.png")):
        command, *options = words
        of_part, *others = (
            json.loads(niteru(command, *given, *options))
            for given in ((alone,), (photo, *pixels), (photo, "--crop", "0.25,0.25,0.75,0.75"))
        )
        assert others == [of_part, of_part]
        assert json.loads(niteru(command, photo, *options)) != of_part
    sheets = []
    for name, given in (("a", (alone,)), ("b", (photo, *pixels)), ("c", (photo,))):
        niteru("search", *given, *ask, "--picture", tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as sheet:
            sheets.append(sheet.copy())
    assert sheets[0] == sheets[1]  # the part that was searched with is what is shown
    assert sheets[0] != sheets[2]
    (row,) = json.loads(niteru("embed", photo, *pixels, *weights))
    assert row["vector"] == json.loads(niteru("embed", alone, *weights))[0]["vector"]
    refused = niteru("search", photo, *ask, "--crop", "40,30,120,90", code=1)
    assert "3.png: crop: '40,30,120,90' in fractions is no part of the photo" in refused
    assert "160 x 120 pixels" in refused
    assert "--crop: found '1,2'; expected four" in niteru("embed", photo, "--crop", "1,2", code=1)


def test_errors_are_sentences(shop, tmp_path, make_weights):
    photo, out = shop / "photos" / "3.png", ("--out", tmp_path / "a.png")
    assert "no weights 'none'" in niteru("explain", photo, "--weights", "none", *out, code=1)
    mine = ("--weights", shop / "weights")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png: Not an image" in niteru("explain", tmp_path / "text.png", *mine, *out, code=1)
    other = ("--weights", make_weights(tmp_path / "other", seed=1), "--store", shop / "store")
    assert "pixelvae-" in niteru("explain", photo, *other, *out, code=1)
    niteru("explain", photo, *mine, *out, "--draws", 17, code=2)
    assert not (tmp_path / "a.png").exists()
