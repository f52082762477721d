"""The gallery of docs/models.md: its rows, its runner, its pictures and its page."""

import contextlib
import importlib
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import models
from service.cli import main
from service.commands.training import Wishes, make_plan
from tests.bench.gallery.__main__ import FIGURES, PAGE
from tests.bench.gallery.__main__ import main as gallery_main
from tests.bench.gallery.measuring import main as measuring_main
from tests.bench.gallery.measuring import measure_row
from tests.bench.gallery.page import read_figures, render, render_table
from tests.bench.gallery.pictures import draw_curve
from tests.bench.gallery.row import Row, Table
from tests.bench.gallery.rows import ROWS, TABLES
from tests.bench.gallery.running import Gallery
from tests.bench.gallery.training import main as training_main
from tests.bench.gallery.training import told, train_row, write_cifar
from tests.bench.pages import fill_page

MADE = replace(ROWS["made"], settings=("hidden=16", "masks=2"), minutes=0.01, limit=20)
DRAW = replace(
    ROWS["draw"], settings=("steps=3", "hidden=16", "latent=4"), minutes=0.01, limit=20, samples=2
)
SKETCH = replace(
    ROWS["sketch-rnn"], settings=("encoder_size=8", "decoder_size=8", "latent=4"), minutes=0.01,
    samples=2,
)  # fmt: skip


def run(words):
    """Exit status and output of the command line, in this process: starting one takes seconds."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(list(words))
        except SystemExit as end:
            return end.code or 0, out.getvalue()
    return 0, out.getvalue()


def niteru(words):
    return run(words)[0]


def ask(words):
    status, printed = run(words)
    assert status == 0
    return printed


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with a few binary pictures and sketches, laid out like the real one."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    bits = {"train": 300, "valid": 20, "test": 40}
    (root / "binarized-mnist").mkdir()
    packed = {s: random.integers(0, 256, (n, 98), np.uint8) for s, n in bits.items()}
    np.savez(root / "binarized-mnist/binarized_mnist.npz", **packed)
    (root / "sketches").mkdir()
    arrays = {}
    for split, count in (("train", 60), ("valid", 8), ("test", 8)):
        points = random.normal(0, 20, (count * 6, 3)).astype(np.float32)
        points[:, 2] = np.arange(len(points)) % 3 == 2
        arrays |= {f"{split}_points": points, f"{split}_lengths": np.full(count, 6, np.int32)}
    np.savez(root / "sketches/kanji_short.npz", **arrays)
    return root


@pytest.fixture
def gallery(data, tmp_path):
    return Gallery(data, tmp_path / "runs", tmp_path / "page", niteru=niteru, ask=ask)


# -- the rows ------------------------------------------------------------------------------------


def test_every_model_has_a_row():
    assert {row.model for row in ROWS.values()} == set(models.available())


def test_rows_are_of_presets_that_there_are_and_stand_in_one_table():
    for row in ROWS.values():
        assert row.preset in models.presets(row.model), row.name
    listed = [name for table in TABLES for name in table.rows]
    assert sorted([*listed, "features"]) == sorted(ROWS)


# -- the runner ----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [MADE, DRAW, SKETCH], ids=lambda row: row.model)
def test_a_row_is_trained_measured_and_drawn_once(gallery, row):
    file = gallery.run(row)
    found = json.loads(file.read_text())
    assert found["command"] == told(row)
    assert found["parameters"] > 0
    assert found["figures"]
    for show in row.shows:
        (picture,) = gallery.page.glob(f"{row.name}_{show}.*")
        if picture.suffix == ".svg":
            assert ET.parse(picture).getroot().tag.endswith("svg")
        else:
            assert len(np.unique(np.asarray(Image.open(picture)))) > 1
    before = file.stat().st_mtime_ns
    gallery.ask = gallery.niteru = None  # nothing is called again
    assert gallery.run(row) == file
    assert file.stat().st_mtime_ns == before


def test_a_row_trained_and_measured_elsewhere_is_only_drawn(gallery, data):
    """What ``accelerate.sh`` brings back: weights and figures, and no pictures."""
    train_row(MADE, data, gallery.out, niteru=niteru)
    figures = measure_row(MADE, data, gallery.out, ask=ask)
    assert measure_row(MADE, data, gallery.out, ask=None) == figures  # nothing is asked again
    gallery.ask = None
    assert json.loads(gallery.run(MADE).read_text())["figures"] == figures


def test_figures_of_other_weights_are_measured_anew(gallery, data):
    train_row(MADE, data, gallery.out, niteru=niteru)
    figures = measure_row(MADE, data, gallery.out, ask=ask)
    file = gallery.out / "made" / "figures.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept | {"fingerprint": "made-other", "figures": {}}))
    assert measure_row(MADE, data, gallery.out, ask=ask) == figures


def test_every_row_for_an_accelerator_is_in_a_lane():
    scripts = PAGE.parents[1] / "tests/bench/gallery"
    both = "".join((scripts / name).read_text() for name in ("accelerate.sh", "share.sh"))
    lanes = " ".join(re.findall(r"^  (\".+\")$", both, re.MULTILINE))
    named = re.findall(r"[a-z0-9-]+-(?:large|wide|longer)", lanes)
    assert sorted(named) == sorted(name for name, row in ROWS.items() if row.device)
    for name, row in ROWS.items():
        words = row.train_words()
        assert ("--device" in words) == bool(row.device), name
        assert ("--steps" in words) == (row.steps is not None), name
        assert ("--minutes" in words) == (row.steps is None), name


def test_settings_of_the_rows_are_settings_of_their_models():
    for row in ROWS.values():
        plan = make_plan(row.model, row.preset, Wishes(minutes=1, settings=row.settings))
        assert plan.name == row.model


def test_trainings_alone_are_a_command(data, tmp_path, capsys):
    asked = ["made", "nothing", "--data", str(data), "--out", str(tmp_path)]
    with pytest.raises(ValueError, match="There is no row 'nothing'"):
        training_main(asked)
    assert measuring_main(["made", "--data", str(data), "--out", str(tmp_path)]) == 0
    assert "made: not trained." in capsys.readouterr().err


def test_what_cannot_be_run_is_said(tmp_path, capsys):
    assert gallery_main(["nothing", "--data", str(tmp_path)]) == 1
    assert "There is no row 'nothing'" in capsys.readouterr().err
    assert gallery_main(["made", "--data", str(tmp_path)]) == 1
    assert "There is no folder binarized-mnist" in capsys.readouterr().err


# -- pictures ------------------------------------------------------------------------------------


def test_sheets_of_tiles_become_folders(tmp_path):
    """Tile i is at row i // 100, column i % 100, and goes to the folder of its class."""
    random = np.random.default_rng(1)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    sheets = {}
    for name, rows in (("train_0", 1), ("test_10000", 2)):
        sheets[name] = random.integers(0, 256, (32 * rows, 3200, 3), np.uint8)
        Image.fromarray(sheets[name]).save(tmp_path / f"{name}.webp", lossless=True)
        np.save(tmp_path / f"{name}_labels.npy", np.arange(100 * rows, dtype=np.uint8) % 2)
    write_cifar(tmp_path, tmp_path / "out")
    assert len(list((tmp_path / "out/train").rglob("*.png"))) == 100
    tile = np.asarray(Image.open(tmp_path / "out/test/dog/00103.png"))
    assert (tile == sheets["test_10000"][32:64, 96:128]).all()
    before = (tmp_path / "out/train").stat().st_mtime_ns
    write_cifar(tmp_path, tmp_path / "out")
    assert (tmp_path / "out/train").stat().st_mtime_ns == before


def test_a_curve_goes_down_from_left_to_right(tmp_path):
    """Worked by hand: three points from the upper left to the lower right corner."""
    lines = [{"elapsed": 60.0 * n, "loss": 3.0 - n} for n in (0, 1, 2)]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert draw_curve(tmp_path / "h.jsonl", tmp_path / "c.svg") == "loss"
    line = re.search(r'points="([^"]*)"', (tmp_path / "c.svg").read_text())[1]
    points = [tuple(map(float, pair.split(","))) for pair in line.split()]
    assert points[0][0] == 36.0
    assert points[-1] == (384.0, 124.0)
    assert points[0][1] <= points[1][1] < points[2][1]
    (tmp_path / "h.jsonl").write_text(json.dumps(lines[0]))
    assert draw_curve(tmp_path / "h.jsonl", tmp_path / "c.svg") is None


# -- the page ------------------------------------------------------------------------------------


def test_the_page_holds_what_is_measured():
    """Run ``python -m tests.bench.gallery --table`` after measuring rows or changing them."""
    text = PAGE.read_text("utf-8")
    assert fill_page(text, render(FIGURES)) == text


def test_figures_are_of_the_rows_as_they_are():
    for name, found in read_figures(FIGURES).items():
        assert found["command"] == told(ROWS[name]), name


def test_the_figures_in_the_models_files_are_those_of_the_gallery():
    """``12.34 nats by ``row``` in a docstring is what the row's file of figures says, rounded."""
    measured, found = read_figures(FIGURES), 0
    for name in models.available():
        text = importlib.import_module(f"models.{name}").__doc__
        for said, row in re.findall(r"(-?\d*\.\d+)[^`.]*? by\s+``([a-z0-9-]+)``", text):
            figures = measured[row]["figures"]
            keys = ("nll", "nll_importance_weighted", "kid", "bits_per_dim")
            exact = [figures[key] for key in keys if key in figures]
            places = len(said.partition(".")[2])
            assert float(said) in [pytest.approx(v, abs=0.51 * 10**-places) for v in exact], row
            found += 1
    assert found > 10


def test_a_table_worked_by_hand(monkeypatch):
    monkeypatch.setitem(ROWS, "tried", Row("tried", "a try", "vae", published="≤ 80.00"))
    found = {
        "parameters": 1_234_000, "steps": 1500, "minutes": 20.2, "nats": 18.04,
        "device": "NVIDIA H200",
        "figures": {"nll_importance_weighted": 88.125, "nll_bound": 91.5, "samples": 50},
    }  # fmt: skip
    lines = render_table(Table("binary", ("tried", "made")), {"tried": found}).splitlines()
    assert lines[2] == (
        "| [`tried`](models/tried.json) | a try | 1.23 M | 1,500 | 20 | H200 | 18.0 nats | "
        "**≤ 88.12** (50 draws), ≤ 91.50 (one) | ≤ 80.00 |"
    )
    assert lines[-1] == "Not measured yet: `made`."
