"""Sheets that show at a glance what was asked and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from indexer.catalogues.photos import read_photo
from models.images import Crop

GAP, FRAME = 6, 4  # pixels between photos, and of the frame around a right answer
GREEN = (30, 160, 70)


@dataclass(frozen=True, slots=True)
class Row:
    """A query and what was found for it, best first.

    Attributes:
        query: The photo searched with.
        found: Photos of the items found: paths, or uris as a store has them.
        right: Place in ``found`` of the item that was meant, if that is known and it is there.
        crop: The part of the query that was searched with; None for all of it.
    """

    query: Path
    found: tuple[Path | str, ...]
    right: int | None = None
    crop: Crop | None = None


def draw_results(rows: Sequence[Row], *, side: int = 128) -> Image.Image:
    """Each row a query, then the items found; a green frame marks the right one."""
    columns = max((len(row.found) for row in rows), default=0)
    width = GAP + (1 + columns) * (side + GAP) + 3 * GAP
    sheet = Image.new("RGB", (width, GAP + len(rows) * (side + GAP)), "white")
    for number, row in enumerate(rows):
        top = GAP + number * (side + GAP)
        sheet.paste(_thumbnail(row.query, side, row.crop), (GAP, top))
        for column, photo in enumerate(row.found):
            left = 4 * GAP + (column + 1) * (side + GAP)
            if column == row.right:
                box = (left - FRAME, top - FRAME, left + side + FRAME, top + side + FRAME)
                sheet.paste(GREEN, box)
            sheet.paste(_thumbnail(photo, side), (left, top))
    return sheet


def _thumbnail(photo: Path | str, side: int, crop: Crop | None = None) -> Image.Image:
    """A photo, or a part of it, fitted into a square on white."""
    with Image.open(BytesIO(read_photo(str(photo)))) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    part = upright if crop is None else upright.crop(crop.box(*upright.size))
    return ImageOps.pad(part, (side, side), color="white")
