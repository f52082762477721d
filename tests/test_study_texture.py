"""The digits over texture of docs/embedding.md: what is drawn, and that rows are made of them."""

import contextlib
import gzip
import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from indexer.evaluation import PhotoSetError
from indexer.evaluation.idx import read_idx
from service.cli import main
from tests.bench.study import texture
from tests.bench.study.__main__ import main as study_main
from tests.bench.study.rows import ROWS
from tests.bench.study.running import Study
from tests.bench.study.texture import draw_texture, lay_on_texture, write_textures


def niteru(words):
    """The command line in this process: torch takes seconds to import."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(list(words))
        except SystemExit as end:
            return end.code or 0
    return 0


def test_every_picture_has_a_texture_of_its_own():
    fields = draw_texture(400, 28, np.random.default_rng(0))
    assert fields.shape == (400, 28, 28)
    assert abs(fields.mean()) < 0.03
    assert abs(fields.var() - 1) < 0.05
    # Two pictures have nothing in common; neighbouring pixels have.
    other = np.roll(fields, 1, axis=0)
    assert abs((fields * other).mean()) < 0.03
    assert (fields[:, :, 1:] * fields[:, :, :-1]).mean() > 0.5


def test_a_texture_is_within_its_band(monkeypatch):
    """Another implementation: the spectrum of a picture, of one frequency and direction."""
    monkeypatch.setattr(texture, "FREQUENCY", (0.25, 0.25))
    monkeypatch.setattr(texture, "BANDWIDTH", (0.02, 0.02))
    for field in draw_texture(8, 64, np.random.default_rng(0)):
        power = np.abs(np.fft.fft2(field * np.hanning(64)[:, None] * np.hanning(64))) ** 2
        y, x = np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij")
        at = np.hypot(y, x)
        assert (power * at).sum() / power.sum() == pytest.approx(0.25, abs=0.03)
        # One direction and its opposite: the others carry next to nothing.
        top = np.unravel_index(power.argmax(), power.shape)
        along = np.abs(x * x[top] + y * y[top]) / at[top]
        assert power[along > 0.125].sum() / power.sum() > 0.95


def test_a_digit_lies_on_its_texture(monkeypatch):
    digits = np.zeros((200, 28, 28), np.uint8)
    digits[:, 10:18, 10:18] = 255
    laid = lay_on_texture(digits, np.random.default_rng(0))
    assert laid.dtype == np.uint8
    assert set(np.unique(laid)) <= set(range(0, 256, 17))
    ink = digits > 0
    assert laid[~ink].mean() == pytest.approx(texture.GREY, abs=2)
    assert 80 < laid[ink].mean() - laid[~ink].mean() <= 100  # white is cut off
    monkeypatch.setattr(texture, "STRENGTH", 0.0)
    monkeypatch.setattr(texture, "NOISE", 0.0)
    plain = lay_on_texture(digits, np.random.default_rng(0))
    assert set(plain[ink]) == {204}  # 207.5 in steps of 17
    assert set(plain[~ink]) == {102}  # 107.5


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder mnist of few digits, each a bar across the rows that are its class."""
    monkeypatch.setattr(texture, "COUNTS", {"train": 40, "t10k": 20})
    monkeypatch.setattr(texture, "CHUNK", 16)
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for split, count in (("train", 60), ("t10k", 20)):
        pixels = np.zeros((count, 28, 28), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        pixels[np.arange(count), 4 + 2 * labels.astype(int), 4:24] = 255
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            file = folder / f"{split}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(head + array.tobytes()))
    return folder


def test_textures_are_written_the_same_each_time(digits, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        write_textures(digits, folder, seed=seed)
    one, two, other = ([p.read_bytes() for p in sorted(folder.iterdir())] for folder in folders)
    assert one == two
    assert len(one) == 4
    assert all(a != b for a, b in zip(one, other, strict=True))
    # A label stays with its digit: without a texture each row of ink is that of its class.
    monkeypatch.setattr(texture, "STRENGTH", 0.0)
    write_textures(digits, tmp_path / "plain")
    for split, count in texture.COUNTS.items():
        pixels = read_idx(tmp_path / "plain" / f"{split}-images-idx3-ubyte.gz", ndim=3)
        labels = read_idx(tmp_path / "plain" / f"{split}-labels-idx1-ubyte.gz", ndim=1)
        assert pixels.shape == (count, 28, 28)
        assert ((pixels[:, :, 4:24].mean(2).argmax(1) - 4) // 2).tolist() == labels.tolist()


def test_textures_need_digits(digits, tmp_path, monkeypatch):
    with pytest.raises(PhotoSetError, match="There is no MNIST at"):
        write_textures(tmp_path, tmp_path / "out")
    monkeypatch.setattr(texture, "COUNTS", {"train": 61})
    with pytest.raises(PhotoSetError, match="60 digits and 60 labels; expected at least 61"):
        write_textures(digits, tmp_path / "out")


def test_a_row_on_texture_is_measured_beside_raw_pixels(digits, tmp_path):
    study = Study(digits.parent, tmp_path / "runs", tmp_path / "figures", niteru=niteru)
    sizes = ("latent=4", "widths=4,8", "depths=0,1", "decoder_width=4", "recipe.batch_size=20")
    row = replace(ROWS["texture-1"], steps=3)
    row = replace(row, settings=(*(s for s in row.settings if not s.startswith(
        ("latent", "widths", "depths", "decoder_width", "recipe.batch"))), *sizes))  # fmt: skip
    told = json.loads(study.run(row).read_text())
    assert (told["steps"], told["photos"]) == (3, 40)
    assert told["rate_nats"] > 0
    assert set(told["retrieval"]) == {"texture"}
    for found in (told["retrieval"], told["raw_pixels"]):
        accuracy = found["texture"]["figures"]["knn_accuracy"]
        assert accuracy["queries"] == 20
        assert 0 <= accuracy["mean"] <= 1
    train = study.out / "texture" / "train-images-idx3-ubyte.gz"
    before = train.stat().st_mtime_ns
    study.draw_textures()
    assert train.stat().st_mtime_ns == before


def test_textures_alone(digits, tmp_path, capsys):
    words = ["--textures", "--data", str(digits.parent), "--out", str(tmp_path / "runs")]
    assert study_main(words) == 0
    assert len(list((tmp_path / "runs" / "texture").iterdir())) == 4
    assert study_main(["texture-ae", "--data", str(tmp_path)]) == 1
    assert "There is no folder mnist" in capsys.readouterr().err
