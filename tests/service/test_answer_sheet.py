"""The sheet of answers: frames in the right places, a true caption, a small file."""

import numpy as np
import pytest
from PIL import Image

from indexer.evaluation.answers import Answers
from indexer.evaluation.photos import ArrayImages, PhotoSet
from service.commands.answers import (
    EDGE,
    RED,
    SHOWN_EACH,
    answer_sheet,
    describe_choice,
    save_picture,
)
from service.commands.pictures import GAP, GREEN

SIDE = 40


def grey(name, levels):
    names = np.array([f"{name}{n}" for n in range(len(levels))])
    pixels = np.repeat(np.array(levels, np.uint8), 64).reshape(-1, 8, 8)
    return PhotoSet(name, ArrayImages(pixels), keys=names, ids=names)


@pytest.fixture
def answers():
    """Two queries: the first finds its item at once, the second as its second answer."""
    near = np.array([[0, 1, 2, -1, -1], [0, 1, 2, -1, -1]])
    right = np.array([[True, False, False, False, False], [False, True, False, False, False]])
    gallery, queries = grey("g", [10, 60, 110]), grey("q", [160, 210])
    return Answers(gallery, queries, "item", near, right, np.array([True, True]))


def rows_of(sheet, colour):
    """The lines of the sheet that hold pixels of this colour."""
    pixels = np.asarray(sheet)
    return np.flatnonzero((pixels == colour).all(2).any(1)), pixels


def test_frames_show_what_is_right(answers):
    sheet = answer_sheet({"mine": answers}, 2, seed=0, side=SIDE)
    lines, pixels = rows_of(sheet, GREEN)
    tops = [lines[0] + EDGE, lines[-1] + 1 - EDGE - SIDE]  # one green frame in each row
    assert tops[1] - tops[0] == SIDE + GAP
    first = GAP + SIDE + GAP + 3 * GAP
    places = [first + column * (SIDE + GAP) for column in range(3)]
    for top, expected in zip(tops, [(GREEN, RED, RED), (RED, GREEN, RED)], strict=True):
        assert [tuple(pixels[top - 1, left]) for left in places] == list(expected)
        assert [pixels[top + 5, left + 5, 0] for left in places] == [10, 60, 110]
    assert [pixels[top + 5, GAP + 5, 0] for top in tops] == [160, 210]
    assert (pixels[tops[0] - EDGE : tops[0] + SIDE, places[-1] + SIDE + EDGE :] == 255).all()


def test_the_caption_says_how_the_queries_were_chosen(answers):
    said = describe_choice({"mine": answers}, np.array([0, 1]), seed=7)
    assert said == (
        "mine: the nearest was right for 1 of 2 queries. Here are 1 of these and 1 of the other 1, "
        "drawn by lot (seed 7). Green shows the item itself, red does not; best first."
    )
    several = describe_choice({"a": answers, "b": answers}, np.array([1]), seed=7)
    assert several.startswith("1 of 2 queries, drawn by lot among all (seed 7).")
    assert several.endswith("The nearest was right for 1 by a, 1 by b.")


def test_several_embedders_stand_side_by_side(answers):
    sheet = answer_sheet({"one": answers, "a/path/too/long/to/fit": answers}, 2, seed=0, side=SIDE)
    assert sheet.width == GAP + SIDE + GAP + 2 * (3 * GAP + SHOWN_EACH * (SIDE + GAP))
    pixels = np.asarray(sheet)
    assert (pixels == GREEN).all(2).any(0)[: sheet.width // 2].any()
    assert (pixels == GREEN).all(2).any(0)[sheet.width // 2 :].any()


def test_a_picture_is_as_small_as_asked(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    save_picture(picture, tmp_path / "free.jpg")
    free = (tmp_path / "free.jpg").stat().st_size
    save_picture(picture, tmp_path / "small.jpg", limit=free * 2 // 3)
    assert (tmp_path / "small.jpg").stat().st_size <= free * 2 // 3
    with pytest.raises(ValueError, match=r"100 are allowed. Draw fewer rows"):
        save_picture(picture, tmp_path / "never.jpg", limit=100)
    with pytest.raises(ValueError, match="is to be none"):
        save_picture(picture, tmp_path / "large.png", limit=100)
    save_picture(picture, tmp_path / "deep" / "whole.png")
    with Image.open(tmp_path / "deep" / "whole.png") as read:
        assert np.array_equal(np.asarray(read), noise)
