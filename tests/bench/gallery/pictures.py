"""What the gallery hands to the command line and what it makes of what comes back."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from models.draw import Model as Draw
from models.strokes import write_svg
from models.strokes.archive import read_archive
from models.training.arrays import read_bits
from models.training.checkpoint import load_weights
from models.training.views import to_float
from models.training.weights import write_atomically
from service.explaining import to_pixels

GIVEN = 6  # pictures or sketches that a sheet begins with
WIDTH, HEIGHT, EDGE = 420, 160, 36  # of a curve, in SVG units
SCALE = 3  # pixels of a sheet for each of a digit
CURVES = ("nll", "nll_bound", "reconstruction", "loss")  # what a curve shows, the first there is


def write_digits(archive: Path, folder: Path) -> list[Path]:
    """Test digits of packed bits, evenly spaced because they may be sorted, as PNG files."""
    files = [folder / f"{number}.png" for number in range(GIVEN)]
    folder.mkdir(parents=True, exist_ok=True)
    found = read_bits(archive, "test")
    for place, file in zip(_spaced(len(found)), files, strict=True):
        Image.fromarray(found[place]).save(file)
    return files


def write_sketches(archive: Path, folder: Path) -> list[Path]:
    """Test sketches of an archive, evenly spaced, as SVG files."""
    found = read_archive(archive, "test")
    every = np.split(found.points, np.cumsum(found.lengths)[:-1])
    drawn = [every[place] for place in _spaced(len(every))]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.svg" for number in range(GIVEN)]
    for points, file in zip(drawn, files, strict=True):
        file.write_text(write_svg([points]), "utf-8")
    return files


def write_lattice(file: Path, side: int, step: int = 4) -> Path:
    """A mask of this side that is white at every so many pixels, across and down."""
    mask = np.zeros((side, side), np.uint8)
    mask[::step, ::step] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(file)
    return file


def _spaced(count: int) -> list[int]:
    """``GIVEN`` places among so many, the first and the last left out."""
    return [(2 * number + 1) * count // (2 * GIVEN) for number in range(GIVEN)]


def stack(files: Sequence[Path], out: Path) -> None:
    """Pictures of one width below each other, as one file."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    sheet = Image.new("RGB", (pictures[0].width, sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    sheet.save(out, optimize=True)


def draw_frames(weights: Path, digits: Sequence[Path], out: Path, *, count: int = 10) -> None:
    """DRAW's canvas over time, with the boxes where it looks (green) and paints (red).

    A row for each digit: the digit, then ``count`` of the steps, evenly spaced, the last included.
    """
    model = load_weights(weights).model
    assert isinstance(model, Draw)
    given = np.stack([np.asarray(Image.open(file).convert("L")) for file in digits])
    x = to_float(torch.from_numpy(given)[:, None])  # (B, 1, H, W)
    with torch.inference_mode():
        canvases = model.canvases(model.encode(x)[0])  # (B, T, 1, H, W)
        boxes = model.look(x) if model.config.attention else None
    steps = np.linspace(0, canvases.shape[1] - 1, min(count, canvases.shape[1])).round().astype(int)
    side = x.shape[-1] * SCALE
    sheet = Image.new("RGB", (side * (len(steps) + 1), side * len(x)), "white")
    for row in range(len(x)):
        sheet.paste(_enlarged(to_pixels(x[row]), side), (0, row * side))
        for column, step in enumerate(steps.tolist(), 1):
            frame = _enlarged(to_pixels(canvases[row, step]), side)
            if boxes is not None:
                pen = ImageDraw.Draw(frame)
                for name, colour in (("read", "lime"), ("write", "red")):
                    pen.rectangle(_box(boxes[name][row, step].tolist()), outline=colour)
            sheet.paste(frame, (column * side, row * side))
    sheet.save(out, optimize=True)


def draw_curve(history: Path, out: Path) -> str | None:
    """The course of a training as SVG: which value it shows; None if it was too short for one."""
    points = [json.loads(line) for line in history.read_text("utf-8").splitlines()]
    if len(points) < 2:
        return None
    shown = next(name for name in CURVES if name in points[-1])
    known = [(p["elapsed"] / 60, p[shown]) for p in points if math.isfinite(p.get(shown, math.nan))]
    write_atomically(out, _curve(known, shown).encode())
    return shown


def _curve(points: Sequence[tuple[float, float]], name: str) -> str:
    """Minutes and values as an SVG document: the line, and the ends of both axes in words."""
    xs, ys = [x for x, _ in points], sorted(y for _, y in points)
    # The first values are many times the others; a few of them would flatten all the rest.
    low, high, end = ys[0], ys[int(0.95 * (len(ys) - 1))], max(xs[-1], 1e-9)
    span = (high - low) or 1.0
    across, down = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    line = " ".join(
        f"{EDGE + across * x / end:.1f},{EDGE + down * (1 - (min(y, high) - low) / span):.1f}"
        for x, y in points
    )
    words = (
        (EDGE, EDGE - 8, "start", f"{name} {high:.4g}"),
        (EDGE, HEIGHT - EDGE + 16, "start", f"{low:.4g}"),
        (WIDTH - EDGE, HEIGHT - EDGE + 16, "end", f"{xs[-1]:.0f} min"),
    )
    told = "".join(f'<text x="{x}" y="{y}" text-anchor="{a}">{w}</text>' for x, y, a, w in words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#555">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{told}'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="1.5"/></svg>\n'
    )


def _enlarged(pixels: Any, side: int) -> Image.Image:
    grey = Image.fromarray(np.asarray(pixels).squeeze())
    return grey.resize((side, side), Image.Resampling.NEAREST).convert("RGB")


def _box(glimpse: Sequence[float]) -> tuple[float, float, float, float]:
    """Centre row, centre column and side of a grid -> left, top, right, bottom on the sheet."""
    row, column, side = glimpse[:3]
    half = max(side / 2, 0.5)
    left, top = (SCALE * (value + 0.5 - half) for value in (column, row))
    return left, top, left + 2 * SCALE * half, top + 2 * SCALE * half
