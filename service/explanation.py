"""What an embedding kept of a photo, as data and as one picture. Needs no torch."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from indexer.catalogues.photos import read_photo
from indexer.protocols import Pixels
from models.images import ImageError, decode_image

SIDE = 128  # pixels of a picture on the sheet, at least
GAP = 6
COLUMNS = 8  # pictures beside each other, the photo apart
FONT_SIZE, LINE = 12, 16
CAPTION_LINES = 2
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
MISSING = (225, 225, 225)  # in place of a photo that cannot be read


@dataclass(frozen=True, slots=True)
class Explanation:
    """A photo and what its vector alone says of it.

    Attributes:
        photo: (H, W, C) uint8, as the encoder sees it.
        outline: (h, w, C) uint8, the mean picture; None if the model has none.
        draws: Pictures (h, w, C) uint8 drawn by chance; none if the model draws without chance.
        rate: Nats that the vector holds of this photo; None if the model does not count them.
        fingerprint: Of the weights.
        seed: Of the draws.
    """

    photo: Pixels
    outline: Pixels | None
    draws: tuple[Pixels, ...]
    rate: float | None
    fingerprint: str
    seed: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item that was found: its score is a cosine; ``uri`` is where its photo lies."""

    id: str
    score: float
    uri: str


class Tile(NamedTuple):
    """A picture on the sheet and the lines below it."""

    picture: Image.Image
    lines: tuple[str, ...]


def draw_explanation(explanation: Explanation, neighbours: Sequence[Neighbour]) -> Image.Image:
    """Draw the photo, what its vector says, and the items nearest to it, on one sheet.

    The photo stands left; beside it the decodings, and below these the items. Small pictures are
    enlarged by whole factors, so that every pixel shows.
    """
    side = tile_side(explanation)
    rows = _rows(_decodings(explanation, side)) + _rows(_items(neighbours, side))
    columns = max(len(row) for row in rows)
    width = GAP + side + 4 * GAP + columns * (side + GAP)
    pitch = side + CAPTION_LINES * LINE + GAP
    sheet = Image.new("RGB", (width, GAP + len(rows) * pitch), "white")
    height, width = explanation.photo.shape[:2]
    rate = () if explanation.rate is None else (f"holds {explanation.rate:.1f} nats",)
    photo = Tile(enlarge(explanation.photo, side), (f"photo, {width} x {height}", *rate))
    _paste(sheet, photo, (GAP, GAP), side)
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            left = GAP + side + 4 * GAP + column * (side + GAP)
            _paste(sheet, tile, (left, GAP + number * pitch), side)
    return sheet


def tile_side(explanation: Explanation) -> int:
    """Side of a picture on the sheet: the larger pictures times a whole number, at least SIDE."""
    pictures = [explanation.photo, *explanation.draws]
    if explanation.outline is not None:
        pictures.append(explanation.outline)
    largest: int = max(side for picture in pictures for side in picture.shape[:2])
    return largest * -(-SIDE // largest)


def enlarge(pixels: Pixels, side: int) -> Image.Image:
    """(h, w, C) uint8, each pixel a square: as large as a whole factor allows within ``side``."""
    picture = to_picture(pixels)
    factor = side // max(picture.size)
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)


def to_picture(pixels: Pixels) -> Image.Image:
    """(h, w, C) uint8 with C = 1 or 3 -> RGB."""
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def to_png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG; equal pictures give equal bytes."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def encode(pixels: Pixels) -> str:
    """(h, w, C) uint8 -> a PNG in Base64."""
    return base64.b64encode(to_png(to_picture(pixels))).decode()


def thumbnail(uri: str, side: int) -> Image.Image:
    """An item's photo fitted into a square on white; grey if it cannot be read (any more)."""
    try:
        photo = decode_image(read_photo(uri), draft=side)
    except (OSError, ImageError):
        return Image.new("RGB", (side, side), MISSING)
    return ImageOps.pad(photo, (side, side), color="white")


def _decodings(explanation: Explanation, side: int) -> list[Tile]:
    mean = [] if explanation.outline is None else [("mean", explanation.outline)]
    draws = [(f"draw {number}", draw) for number, draw in enumerate(explanation.draws, start=1)]
    return [Tile(enlarge(pixels, side), (name,)) for name, pixels in mean + draws]


def _items(neighbours: Sequence[Neighbour], side: int) -> list[Tile]:
    return [Tile(thumbnail(n.uri, side), (n.id, f"{n.score:.3f}")) for n in neighbours]


def _rows(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    return [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]


def _paste(sheet: Image.Image, tile: Tile, place: tuple[int, int], side: int) -> None:
    """Put a tile down: its picture in the middle of its square, its lines below."""
    left, top = place
    across, down = ((side - length) // 2 for length in tile.picture.size)
    sheet.paste(tile.picture, (left + across, top + down))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for number, line in enumerate(tile.lines):
        at = (left, top + side + 1 + number * LINE)
        pen.text(at, _fit(line, side, font), fill="black", font=font)


def _fit(line: str, width: int, font: Font) -> str:
    """A line of at most ``width`` pixels: the start of an id tells its kind, the end the item."""
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    kept, fitted = len(line), line
    while kept > 1 and font.getlength(fitted) > width:
        kept -= 1
        fitted = f"{line[: (kept + 1) // 2]}…{line[len(line) - kept // 2 :]}"
    return fitted
