"""The study of docs/embedding.md: its rows can be trained, its runner goes on, its page is true."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import sys
import threading
from dataclasses import replace

import pytest
from PIL import Image

import models
from models.training.weights import CONFIG, STATE
from service.cli import main
from service.commands.answers import SMALL
from tests.bench.pages import fill_page, in_lines
from tests.bench.study.__main__ import FIGURES, PAGE
from tests.bench.study.__main__ import main as study_main
from tests.bench.study.rows import (
    PICTURES,
    PROTOCOLS,
    ROWS,
    SAMPLE,
    TABLES,
    Row,
    Table,
    find_row,
)
from tests.bench.study.running import Study, told_command
from tests.bench.study.tables import read_figures, render, render_table
from tests.bench.trainings import StoppedError, TrainingError, call_niteru

TINY = Row("tried", "a try", model="autoencoder", preset="tiny", steps=3)


def niteru(words):
    """The command line in this process: torch takes seconds to import."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(list(words))
        except SystemExit as end:
            return end.code or 0
    return 0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder like the real one: clothing/ in two splits, and queries for the second."""
    root = tmp_path_factory.mktemp("data")
    made = root / "made"
    assert niteru(["sample-catalogue", str(made), "--items", "24", "--size", "48",
                   "--queries", "6"]) == 0  # fmt: skip
    rows = []
    with (made / "items.csv").open(newline="") as file:
        for number, item in enumerate(csv.DictReader(file)):
            split = "validation" if number % 2 else "train"
            path = f"{split}/{item['kind']}/{item['id']}.jpg"
            (root / "clothing" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(made / item["path"], root / "clothing" / path)
            rows.append({"path": path, "label": "worn", "sender_id": str(number % 3)})
    write_csv(root / "clothing" / "metadata.csv", rows)
    asked = root / "background-swap"
    asked.mkdir()
    wanted = [row for row in rows if row["path"].startswith("validation")][:6]
    for number, row in enumerate(wanted):
        shutil.copy(root / "clothing" / row["path"], asked / f"{number}.jpg")
    write_csv(
        asked / "queries.csv",
        [
            {"query": f"{n}.jpg", "item_path": row["path"], "label": row["label"],
             "item_sender_id": row["sender_id"], "background_sender_id": "1"}
            for n, row in enumerate(wanted)
        ],
    )  # fmt: skip
    return root


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


class Recorder:
    """The real command line, remembering what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, words):
        self.calls.append(list(words))
        return niteru(words)


@pytest.fixture
def study(data, tmp_path):
    return Study(data, tmp_path / "runs", tmp_path / "figures", niteru=Recorder())


# -- the rows ------------------------------------------------------------------------------------


def test_rows_are_of_models_and_presets_that_there_are():
    for row in ROWS.values():
        assert row.preset in models.presets(row.model), row.name
    in_tables = {name for table in TABLES for name in table.rows}
    assert in_tables == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_settings_of_a_row_are_taken(name, tmp_path):
    """The command is refused for its data, which it looks at after the settings."""
    words = ROWS[name].train_words(data=str(tmp_path / "none"), out=str(tmp_path))
    told = io.StringIO()
    with contextlib.redirect_stderr(told), pytest.raises(SystemExit):
        main(list(words))
    missing = r"texture/train" if ROWS[name].textured else r"none/clothing/train"
    assert re.search(missing, told.getvalue()), told.getvalue()


def test_a_row_says_how_long():
    with pytest.raises(ValueError, match="needs either steps or minutes"):
        replace(TINY, minutes=1.0)
    with pytest.raises(ValueError, match=r"no row 'autoencode'. Rows: autoencoder, vae"):
        find_row("autoencode")


def test_the_command_of_a_row_worked_by_hand():
    row = Row(
        "mine", "", settings=("layers=3",), without=("white",), steps=None, minutes=2.5, seed=4,
        data=("clothing/train", SAMPLE),
    )  # fmt: skip
    assert told_command(row) == (
        "niteru train pixelvae --data $NITERU_DATA/clothing/train "
        "--data runs/study/sample/items.csv --preset cpu --set layers=3 --without white "
        "--minutes 2.5 --seed 4 --out runs/study/mine"
    )


# -- the runner ----------------------------------------------------------------------------------


def test_a_row_is_trained_and_measured_once(study):
    file = study.run(TINY)
    told = json.loads(file.read_text())
    assert told["command"] == told_command(TINY)
    assert (told["steps"], told["photos"], told["rate_nats"]) == (3, 12, None)
    assert told["parameters"] > 0
    swap = told["retrieval"]["swap"]["figures"]
    assert swap["R@1"]["queries"] == 6
    # The queries are copies of the photos that they ask for.
    assert swap["R@1"]["mean"] == 1.0
    assert set(told["retrieval"]) == {"swap", "class"}
    assert "raw_pixels" not in told
    before = file.stat().st_mtime_ns
    assert study.run(TINY) == file
    assert len(study.niteru.calls) == 1
    assert file.stat().st_mtime_ns == before
    with pytest.raises(TrainingError, match=r"by another command: .*--steps 3 .*--steps 4"):
        study.run(replace(TINY, steps=4))
    study.niteru = lambda words: 1
    with pytest.raises(TrainingError, match="ended with status 1"):
        study.run(TINY, again=True)
    assert not (study.out / TINY.name / CONFIG).exists()


@contextlib.contextmanager
def stopped_at_once():
    yield lambda: True


def test_an_interrupted_training_goes_on(study, monkeypatch):
    folder = study.out / TINY.name
    with monkeypatch.context() as patch:
        patch.setattr("service.commands.training.stop_on_signal", stopped_at_once)
        with pytest.raises(StoppedError, match=TINY.name):
            study.run(TINY)
    assert (folder / STATE).is_file()
    told = json.loads(study.run(TINY).read_text())
    assert told["steps"] == 3
    _, words = study.niteru.calls
    assert words[-1] == "--resume"
    assert {w for w in words if w.startswith("--")} == {"--data", "--out", "--resume"}


def test_a_failed_training_is_no_row(study):
    study.niteru = lambda words: 1
    with pytest.raises(TrainingError, match="ended with status 1"):
        study.run(TINY)
    assert not study.figures.exists()


def test_a_try_stays_out_of_the_page(data, tmp_path, monkeypatch):
    monkeypatch.setitem(ROWS, "tried", TINY)
    seen = []
    monkeypatch.setattr(Study, "run", lambda self, row, again: seen.append((self, row)))
    options = ["--data", str(data), "--out", str(tmp_path)]
    assert study_main(["tried", "--steps", "2", *options]) == 0
    assert study_main(["tried", *options]) == 0
    (one, row), (other, whole) = seen
    assert (one.out, one.figures, row.steps) == (tmp_path / "tries", tmp_path / "tries/figures", 2)
    assert (other.out, other.figures, whole) == (tmp_path, FIGURES, TINY)


def test_what_cannot_be_run_is_said(tmp_path, capsys):
    assert study_main(["nothing", "--data", str(tmp_path)]) == 1
    assert "There is no row 'nothing'" in capsys.readouterr().err
    assert study_main(["vae", "--data", str(tmp_path)]) == 1
    assert "There is no folder clothing" in capsys.readouterr().err
    assert study_main(["--dial", str(tmp_path)]) == 1
    assert "give --photo FILE" in capsys.readouterr().err


def test_a_signal_is_passed_on_and_waited_for():
    before = signal.getsignal(signal.SIGTERM)
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert call_niteru((), program=sleeper) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


# -- the page ------------------------------------------------------------------------------------


def test_the_page_holds_what_is_measured():
    """Run ``python -m tests.bench.study --table`` after measuring rows or changing them."""
    text = PAGE.read_text("utf-8")
    assert fill_page(text, render(FIGURES)) == text


def test_figures_are_of_the_rows_as_they_are():
    for name, told in read_figures(FIGURES).items():
        assert told["command"] == told_command(ROWS[name], device=told["device"]), name


def test_pictures_are_small():
    drawn = {path.stem for path in FIGURES.glob("*.jpg")}
    assert drawn <= {picture.name for picture in PICTURES}
    assert all(path.stat().st_size <= SMALL for path in FIGURES.glob("*.jpg"))


def figures(mean, low, high, nats=59.96):
    figure = {"mean": mean, "low": low, "high": high, "queries": 400}
    names = ("R@1", "R@10", "background_share", "P@1", "P@10", "knn_accuracy")
    retrieval = {protocol: {"figures": dict.fromkeys(names, figure)} for protocol in PROTOCOLS}
    return {"steps": 3600, "minutes": 75.04, "seconds_a_step": 1.251, "rate_nats": nats,
            "retrieval": retrieval}  # fmt: skip


def test_a_table_worked_by_hand():
    table = Table("seeds", ("whole", "whole-1", "whole-2"), spread=True)
    measured = {"whole": figures(0.9, 0.88, 0.93), "whole-2": figures(1, 1, 1, nats=None)}
    lines = render_table(table, measured).splitlines()
    assert lines[0].startswith("| row | what | steps | minutes | s a step | nats | R@1 |")
    assert lines[2] == (
        "| [`whole`](embedding/whole.json) | + the item's shape: all of it | 3,600 | 75.0 "
        "| 1.25 | 60.0 |" + " .900 ±.025 |" * 5
    )
    assert "| 1.25 |  | 1.000 ±.000 |" in lines[3]
    assert lines[4].endswith(" **.950** ±.071 |" * 5)
    assert lines[-1] == "Not measured yet: `whole-1`."


def test_a_table_on_texture_worked_by_hand():
    table = Table("texture", ("texture-ae", "texture-1"))
    measured = {"texture-1": figures(0.9, 0.88, 0.93, nats=20)}
    pixels = {"mean": 0.41, "low": 0.39, "high": 0.43}
    measured["texture-1"]["raw_pixels"] = {"texture": {"figures": {"knn_accuracy": pixels}}}
    assert render_table(table, measured).splitlines() == [
        "| row | what | steps | minutes | s a step | nats | kNN accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "|  | raw pixels |  |  |  |  | .410 ±.020 |",
        (
            f"| [`texture-1`](embedding/texture-1.json) | {ROWS['texture-1'].about} "
            "| 3,600 | 75.0 | 1.25 | 20.0 | .900 ±.025 |"
        ),
        "",
        "Not measured yet: `texture-ae`.",
    ]


def test_a_page_without_its_markers_is_refused():
    page = "a\n<!-- one -->\nold\n<!-- end of one -->\nb\n"
    filled = fill_page(page, {"one": "new\n"})
    assert filled == "a\n<!-- one -->\n\nnew\n\n<!-- end of one -->\nb\n"
    assert fill_page(filled, {"one": "new\n"}) == filled
    with pytest.raises(ValueError, match=r"has the markers one; expected each of one, two once"):
        fill_page(page, {"one": "", "two": ""})


def test_long_commands_are_broken_before_options():
    command = told_command(ROWS["reach-3"])
    lines = in_lines(command).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert all(line.startswith("  --") for line in lines[1:])
    assert " ".join(line.removesuffix(" \\").strip() for line in lines) == command


def test_the_dial_is_drawn(make_weights, data, tmp_path):
    photo = next((data / "background-swap").glob("*.jpg"))
    weights = [str(make_weights(tmp_path / f"rate-{n}", seed=n)) for n in range(2)]
    words = ["--dial", *weights, "--photo", str(photo), "--out"]
    assert study_main([*words, str(tmp_path / "dial.jpg")]) == 0
    assert study_main([*words, str(tmp_path / "again.jpg")]) == 0
    assert (tmp_path / "dial.jpg").read_bytes() == (tmp_path / "again.jpg").read_bytes()
    with Image.open(tmp_path / "dial.jpg") as sheet:
        assert sheet.size == (150 + 6 * 134 + 6, 18 + 6 + 2 * 134)


def test_a_model_without_a_rate_is_refused(make_weights, data, tmp_path, capsys):
    plain = make_weights(tmp_path / "plain", name="autoencoder")
    photo = next((data / "background-swap").glob("*.jpg"))
    assert study_main(["--dial", str(plain), "--photo", str(photo)]) == 1
    assert "holds a autoencoder, which does not draw" in capsys.readouterr().err
