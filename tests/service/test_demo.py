"""``niteru demo --once`` judges its own answers; console helpers do what they say."""

import contextlib
import io
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.cli import main
from service.commands.console import Bar, stop_on_signal
from service.commands.demo import Answer, DemoError, Query, serving, tell
from service.commands.pictures import Row, draw_results
from service.sheets import grid

ROOT = Path(__file__).parents[2]


def demo(folder: Path, *words: object) -> tuple[object, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main(["demo", "--once", "--folder", str(folder), "--port", "0", *map(str, words)])
        except SystemExit as end:
            code = end.code or 0
    return code, stdout.getvalue(), stderr.getvalue()


def test_the_demo_is_right_with_the_shipped_weights(tmp_path):
    code, printed, errors = demo(tmp_path / "demo", "--items", 120, "--queries", 12)
    assert code == 0, printed + errors
    for step in ("rendered 120 items", "indexed: ", "server ready: ", "queried: "):
        assert step in printed
    assert printed.count(" on another background: ") == 12
    with Image.open(tmp_path / "demo" / "results.png") as picture:
        assert picture.width > 700
    code, printed, errors = demo(tmp_path / "demo", "--items", 120, "--queries", 12)
    assert code == 0, printed + errors  # a second time: everything is there already


def test_the_demo_fails_with_weights_that_have_learned_nothing(tmp_path):
    """Its verdict is not a formality."""
    photos = tmp_path / "photos"
    main_quietly("sample-catalogue", photos, "--items", 30, "--size", 64)
    main_quietly("train", "autoencoder", "--data", photos / "images", "--preset", "tiny",
                 "--steps", 1, "--out", tmp_path / "w")  # fmt: skip
    code, _, errors = demo(
        tmp_path / "demo", "--items", 120, "--queries", 12, "--weights", tmp_path / "w"
    )
    assert code == 1
    assert "photos found their item first" in errors


def main_quietly(*words: object) -> None:
    silence = io.StringIO()
    with (
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
        contextlib.suppress(SystemExit),
    ):
        main([str(word) for word in words])


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(DemoError, match="NITERU_PORT"),
            serving(tmp_path, "pixelvae-clothing", address),
        ):
            pass


def test_answers_are_told_with_their_place(tmp_path, capsys):
    query = Query(tmp_path / "a.jpg", "hat-1")
    tell([Answer(query, ("cap-2", "hat-1"), (0.9, 0.8), 3.0), Answer(query, (), (), 5.0)])
    printed = capsys.readouterr().out
    assert "found at place 2" in printed
    assert "not among the first 5" in printed
    assert "0 of 2 photos found their item first; a query took 4.0 ms" in printed


def test_a_bar_writes_lines_where_there_is_no_terminal(capsys):
    seconds = iter([0.0, 0.0, 5.0, 11.0, 11.0])
    bar = Bar(" photos", terminal=False, clock=lambda: next(seconds))
    for done in (1, 2, 3):
        bar.show("read", done, 3, "1 left out")
    bar.close()
    assert capsys.readouterr().err.splitlines() == [
        "read: 1 of 3 photos 1 left out",
        "read: 3 of 3 photos 1 left out",
    ]


def test_a_bar_draws_on_a_terminal(capsys):
    bar = Bar(" photos", terminal=True)
    bar.show("read", 1, 2)
    bar.show("embed", 2, 2, "note")
    bar.close()
    printed = capsys.readouterr().err
    assert "read" in printed
    assert "2/2" in printed


def test_the_first_signal_asks_and_the_second_interrupts(capsys):
    with stop_on_signal() as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert should_stop()
        assert "Once more" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_grid_keeps_order_and_colour():
    sheet = grid([np.full((4, 4, 1), value, np.uint8) for value in (0, 128, 255)], gap=1)
    assert sheet.size == (11, 11)
    assert [sheet.getpixel(at)[0] for at in ((2, 2), (7, 2), (2, 7), (7, 7))] == [0, 128, 255, 255]


def test_the_right_answer_is_framed(tmp_path):
    for name in "qab":
        Image.new("RGB", (20, 30), "navy").save(tmp_path / f"{name}.png")
    q, a, b = (tmp_path / f"{name}.png" for name in "qab")
    sheet = draw_results([Row(q, (a, b), right=1), Row(q, (a,))], side=40)
    assert sheet.size == (6 + 3 * 46 + 18, 6 + 2 * 46)
    green = (30, 160, 70)
    assert sheet.getpixel((6 + 18 + 2 * 46 - 2, 20)) == green
    assert sheet.getpixel((6 + 18 + 46 - 2, 20)) != green
