"""Strokes on the command line: train, sample, measure, complete, mix; pixels are refused."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models.strokes import from_lines, read_json, read_svg, to_lines, write_json, write_svg
from models.training.checkpoint import load_weights
from models.training.strokes import stack_sketches
from service.cli import main
from service.commands.sketching import parse_terms
from service.sketching import Sketcher
from service.stroke_files import read_strokes
from tests.strokes_made import drawings, write_archive


def niteru(*words, code=0):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
            found = 0
        except SystemExit as end:
            found = end.code or 0
    assert found == code, out.getvalue() + err.getvalue()
    return out.getvalue() if "--json" in words else out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file of drawings, weights trained on it, two single drawings, one photo."""
    folder = tmp_path_factory.mktemp("sketches")
    write_archive(folder / "a.npz")
    told = niteru("train", "sketch_rnn", "--data", folder / "a.npz", "--preset", "tiny", "--steps",
                  30, "--out", folder / "w")  # fmt: skip
    assert "on 24 sketches of up to 16 points" in told
    first, second = drawings(2, seed=9)
    (folder / "a.svg").write_text(write_svg([first]))
    (folder / "b.json").write_text(write_json([second]))
    Image.new("RGB", (20, 20)).save(folder / "p.png")
    (folder / "photos").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "photos" / "p.png")
    return folder


def test_weights_keep_the_scale_of_the_training_drawings(made):
    weights = load_weights(made / "w")
    told = json.loads((made / "w" / "config.json").read_text())
    points = np.load(made / "a.npz")["train_points"]
    assert told["modality"] == "strokes"
    assert weights.strokes.scale == pytest.approx(points[:, :2].std(), rel=1e-5)
    assert json.loads((made / "w" / "metrics.json").read_text())["training"]["sketches"] == 24
    assert not (made / "w" / "encoder.onnx").exists()


def test_samples_by_the_ending_of_the_file(made, tmp_path):
    sample = ["sample", made / "w", "-n", 5, "--temperature", 0.5, "--seed", 2, "--out"]
    for name in ("a.json", "b.json", "c.svg", "d.png"):
        assert "5 samples of sketch_rnn-" in niteru(*sample, tmp_path / name)
    first = (tmp_path / "a.json").read_text()
    assert first == (tmp_path / "b.json").read_text()
    told = json.loads(first)
    assert (told["seed"], told["temperature"], len(told["sketches"])) == (2, 0.5, 5)
    assert all(points[-1, 2] == 1 for points in read_json(first))
    sizes = [np.abs(points[:, :2]).max() for points in read_json(first)]
    assert max(sizes) > 5  # at the size of the training drawings, not of deviation 1
    assert len(to_lines(read_svg((tmp_path / "c.svg").read_text()))) >= 5
    with Image.open(tmp_path / "d.png") as sheet:
        assert sheet.size == (3 * 132 + 4, 2 * 132 + 4)
    assert "found 'e.gif'" in niteru(*sample, tmp_path / "e.gif", code=1)


def test_a_split_is_measured(made):
    told = json.loads(niteru("evaluate", "nll", made / "w", "--data", made / "a.npz", "--json",
                             "--samples", 3))  # fmt: skip
    weights = load_weights(made / "w")
    rows = stack_sketches([weights.strokes.apply(p) for p in drawings(8, seed=1)], 16)
    with torch.inference_mode():
        l_r, l_kl = weights.model.terms(rows, generator=torch.Generator().manual_seed(0))
    assert told["l_r"] == pytest.approx(l_r.mean().item(), abs=1e-5)
    assert told["l_kl"] == pytest.approx(l_kl.mean().item(), abs=1e-5)
    assert (told["sketches"], told["samples"], told["split"]) == (8, 3, "test")
    text = niteru("evaluate", "nll", made / "w", "--data", made / "a.npz", "--limit", 4)
    assert "L_R = " in text
    assert "on 4 sketches" in text
    assert "no split 'valid'" in niteru(
        "evaluate", "nll", made / "w", "--data", made / "a.npz", "--split", "valid", code=1
    )


def test_a_start_is_completed_and_kept(made, tmp_path):
    niteru("sketch", "complete", made / "a.svg", "--weights", made / "w", "-n", 3, "--out",
           tmp_path / "c.json", "--no-fit")  # fmt: skip
    started = read_strokes((made / "a.svg").read_bytes(), "a.svg")
    for points in read_json((tmp_path / "c.json").read_text()):
        assert len(points) >= len(started)
        np.testing.assert_allclose(points[: len(started)], started, atol=1e-3)


def test_ways_and_sums(made, tmp_path):
    a, b, w = made / "a.svg", made / "b.json", ["--weights", made / "w", "--out"]
    assert "4 steps" in niteru("sketch", "interpolate", a, b, "--steps", 4, *w, tmp_path / "i.svg")
    told = niteru("sketch", "arithmetic", a, "-", b, "+", a, *w, tmp_path / "s.json")
    assert "a.svg - " in told
    assert len(read_json((tmp_path / "s.json").read_text())) == 4
    told = niteru("sketch", "arithmetic", a, b, *w, tmp_path / "s.svg", code=1)
    assert "cannot be reckoned" in told


def test_a_sum_is_the_sum_of_the_vectors(made):
    sketcher = Sketcher.load(made / "w")
    a, b = drawings(2, seed=9)
    kept = sketcher.combine([(1, a), (1, b), (-1, b)], 2, seed=0, temperature=0.3)
    alone = sketcher.combine([(1, a)], 2, seed=0, temperature=0.3)
    for one, other in zip(kept, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=0.1)
    way = sketcher.interpolate(a, b, 3, seed=0, temperature=0.3)
    assert len(way) == 3


def test_terms_are_files_with_signs_between():
    found = parse_terms(["a", "-", "b", "+", "c"])
    assert found == [(1, "a"), (-1, "b"), (1, "c")]
    for words in (["a", "b"], ["-", "a"], ["a", "-"], ["a", "*", "b"]):
        with pytest.raises(ValueError, match="cannot be reckoned"):
            parse_terms(words)
    for words in (["a", "-", "b"], ["a", "+", "b"], ["a", "-", "b", "-", "c"]):
        with pytest.raises(ValueError, match="expected one more to be added than taken away"):
            parse_terms(words)


def test_a_drawing_of_another_size_is_told_and_can_be_fitted(made, tmp_path):
    large = from_lines([np.array([[0, 0], [9000, 0], [9000, 9000]])])
    (tmp_path / "large.svg").write_text(write_svg([large]))
    complete = ["sketch", "complete", tmp_path / "large.svg", "--weights", made / "w", "--out",
                tmp_path / "c.json"]  # fmt: skip
    assert "Without --no-fit it is scaled" in niteru(*complete, "--no-fit")
    assert "-fit" not in niteru(*complete)
    fitted = read_json((tmp_path / "c.json").read_text())[0]
    extent = load_weights(made / "w").strokes.extent
    assert np.abs(fitted[1]).max() == pytest.approx(extent, rel=0.01)
    many = from_lines([np.stack([np.arange(40.0), np.zeros(40)], 1)])
    (tmp_path / "large.svg").write_text(write_svg([many]))
    assert "take up to 16" in niteru(*complete, "--no-fit", code=1)
    niteru(*complete, "--simplify", 0.5)


def test_pixels_are_refused_by_name(made, tmp_path):
    train = ["train", "sketch_rnn", "--preset", "tiny", "--steps", 1, "--out", tmp_path / "x"]
    assert "takes strokes, not pixels" in niteru(*train, "--data", made / "photos", code=1)
    told = niteru("sketch", "complete", made / "p.png", "--weights", made / "w", code=1)
    assert "not pixels" in told
    np.savez(tmp_path / "bits.npz", train=np.zeros((4, 98), np.uint8))
    assert "takes strokes, not" in niteru(*train, "--data", tmp_path / "bits.npz", code=1)
    assert "not pixels" in niteru("embed", made / "p.png", "--weights", made / "w", code=1)
    told = niteru("index", made / "photos", "--store", tmp_path / "s", "--weights", made / "w",
                  code=1)  # fmt: skip
    assert "takes pen strokes, not pixels" in told
    assert "takes pen strokes" in niteru("export", made / "w", code=1)


def test_strokes_are_refused_by_name(made, tmp_path, make_weights):
    train = ["train", "vae", "--preset", "tiny", "--steps", 1, "--out", tmp_path / "x"]
    told = niteru(*train, "--data", made / "a.npz", code=1)
    assert "holds pen strokes, and this model takes pixels." in told
    assert "Models of strokes: sketch_rnn, srnn" in told
    vae = make_weights(tmp_path / "vae", name="vae")
    told = niteru("evaluate", "nll", vae, "--data", made / "a.npz", code=1)
    assert "holds pen strokes" in told
    told = niteru("sketch", "complete", made / "a.svg", "--weights", vae, code=1)
    assert "takes pixels, not pen strokes" in told


def test_settings_of_photos_say_nothing_to_strokes(made, tmp_path):
    train = ["train", "sketch_rnn", "--data", made / "a.npz", "--preset", "tiny", "--steps", 1,
             "--out", tmp_path / "x"]  # fmt: skip
    assert "no views of photos" in niteru(*train, "--without", "mirror", code=1)
    assert "no setting 'views.mirror'" in niteru(*train, "--set", "views.mirror=0", code=1)
    assert "say" in niteru(*train, "--masks", made, code=1)
    assert "no latent rate" in niteru(*train, "--rate", 3, code=1)
    assert "max_points=N" in niteru(*train, "--set", "max_points=2", code=1)


def test_a_decoder_alone_completes_and_has_no_vector(made, tmp_path):
    niteru("train", "sketch_rnn", "--data", made / "a.npz", "--preset", "tiny", "--steps", 2,
           "--set", "conditional=false", "--out", tmp_path / "d")  # fmt: skip
    told = niteru("evaluate", "nll", tmp_path / "d", "--data", made / "a.npz")
    assert "(exact)" in told
    a, out = made / "a.svg", ["--weights", tmp_path / "d", "--out", tmp_path / "o.svg"]
    niteru("sketch", "complete", a, *out)
    assert "without an encoder" in niteru("sketch", "interpolate", a, a, *out, code=1)


def test_a_chain_of_states_is_measured_beside_a_plain_network(made, tmp_path):
    train = ["train", "srnn", "--data", made / "a.npz", "--preset", "tiny", "--steps", 3, "--out"]
    niteru(*train, tmp_path / "srnn")
    niteru(*train, tmp_path / "rnn", "--set", "stochastic=false")
    measure = ["--data", made / "a.npz", "--samples", 2, "--json"]
    chain, plain = (json.loads(niteru("evaluate", "nll", tmp_path / name, *measure))
                    for name in ("srnn", "rnn"))  # fmt: skip
    assert chain["nll_importance_weighted"] < chain["nll_bound"] + 1
    assert plain["nll"] == pytest.approx(plain["l_r"] * 16, rel=1e-4)
    assert "nll_bound" not in plain
    a, out = made / "a.svg", ["--weights", tmp_path / "srnn", "--out", tmp_path / "o.svg"]
    niteru("sketch", "complete", a, *out)
    assert "no single vector" in niteru("sketch", "arithmetic", a, *out, code=1)


def test_models_of_strokes_say_what_they_take():
    assert models.modality("sketch_rnn") == "strokes"
    assert models.modality("vae") == "pixels"


@pytest.mark.real_data
def test_the_original_file_is_refused_with_advice(real_data, tmp_path):
    file = real_data / "sketches" / "original_short_kanji.npz"
    if not file.is_file():
        pytest.skip("needs the real sketches: NITERU_DATA has no folder sketches/")
    told = niteru("train", "sketch_rnn", "--data", file, "--preset", "tiny", "--steps", 1,
                  "--out", tmp_path / "x", code=1)  # fmt: skip
    assert "pickled objects" in told
    assert "Convert" in told
