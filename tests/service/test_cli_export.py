"""An export is part of training, can be made again by hand, and its absence is said."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        Image.new("RGB", (40, 60), (40 * number, 90, 200 - 30 * number)).save(
            folder / f"{number}.png"
        )
    return folder


def train(photos, out, model="autoencoder"):
    main(["train", model, "--data", str(photos), "--preset", "tiny", "--steps", "2",
          "--out", str(out), "--cache", str(out.parent / "cache")])  # fmt: skip


@pytest.fixture(scope="module")
def weights(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "w"
    with pytest.raises(SystemExit) as end:
        train(photos, out)
    assert not end.value.code
    return out


def vector(weights, photo, capsys):
    with pytest.raises(SystemExit) as end:
        main(["embed", str(photo), "--weights", str(weights)])
    assert not end.value.code
    return json.loads(capsys.readouterr().out)[0]["vector"]


def test_training_leaves_what_is_served(weights, photos, caplog, capsys):
    assert (weights / "encoder.onnx").is_file()
    assert len(vector(weights, photos / "1.png", capsys)) == 8
    assert "Embedding with torch" not in caplog.text


def test_what_would_take_minutes_is_not_done_unasked(photos, tmp_path, capsys):
    """Every step of a recurrence is written out in a graph."""
    with pytest.raises(SystemExit) as end:
        train(photos, tmp_path / "w", model="draw")
    assert not end.value.code
    assert f"To export it: niteru export {tmp_path / 'w'}" in capsys.readouterr().err
    assert not (tmp_path / "w" / "encoder.onnx").exists()
    assert vector(tmp_path / "w", photos / "2.png", capsys)
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "w")])
    assert not end.value.code
    assert (tmp_path / "w" / "encoder.onnx").is_file()


def test_without_it_torch_embeds_and_export_makes_it_again(
    weights, photos, tmp_path, caplog, capsys
):
    other = tmp_path / "w"
    shutil.copytree(weights, other)
    before = vector(other, photos / "2.png", capsys)
    (other / "encoder.onnx").unlink()
    without = vector(other, photos / "2.png", capsys)
    assert without == pytest.approx(before, abs=1e-3)
    assert f"niteru export {other}" in caplog.text
    for words, told in ((["--json"], '"cosine"'), ([], "a cosine of")):
        with pytest.raises(SystemExit) as end:
            main(["export", str(other), *words])
        assert not end.value.code
        assert told in capsys.readouterr().out
    assert vector(other, photos / "2.png", capsys) == before


def test_training_survives_an_export_that_cannot_be_made(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SystemExit) as end:
        train(photos, tmp_path / "w")
    assert not end.value.code
    assert "no encoder.onnx was made" in capsys.readouterr().err
    assert len(vector(tmp_path / "w", photos / "3.png", capsys)) == 8


def test_a_runtime_that_is_named_is_taken_or_refused(
    weights, photos, tmp_path, caplog, capsys, monkeypatch
):
    shutil.copytree(weights, tmp_path / "w")
    (tmp_path / "w" / "encoder.onnx").unlink()
    words = ["embed", str(photos / "5.png"), "--weights", str(tmp_path / "w")]
    for runtime, code, said in [("torch", 0, ""), ("onnx", 1, "has no encoder.onnx"),
                                ("tpu", 2, "onnx")]:  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main([*words, "--runtime", runtime])
        assert (end.value.code or 0) == code
        assert said in capsys.readouterr().err
    monkeypatch.setenv("NITERU_RUNTIME", "torch")
    assert len(vector(tmp_path / "w", photos / "5.png", capsys)) == 8
    assert "Embedding with torch" not in caplog.text  # it was asked for


def test_searching_and_embedding_need_no_torch(weights, photos, tmp_path):
    store = ("--store", str(tmp_path / "s"), "--weights", str(weights))
    code = (
        "import sys; from service.cli import main\n"
        "for words in {0}:\n"
        "    try: main(words)\n"
        "    except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    photo = str(photos / "4.png")
    commands = [["index", str(photos), *store], ["search", photo, *store, "--limit", "1"],
                ["embed", photo, *store[2:], "--out", str(tmp_path / "v.npy")]]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code.format(commands)], capture_output=True, text=True, check=False,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1.0000  4" in done.stdout
