"""Pictures that were drawn: as one sheet for eyes, as an archive for programs. Needs no torch."""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from indexer.protocols import Pixels
from service.explanation import enlarge, to_picture, to_png

GAP = 2  # pixels between pictures
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first an archive can tell: equal pictures, equal bytes


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures that a model has drawn.

    Attributes:
        model: Its name.
        weights: The name of the weights.
        fingerprint: Of the weights.
        seed: Of the draws.
        temperature: Of the draws.
        pictures: (h, w, C) uint8 each.
        photos: What was sent, as the model sees it: (H, W, C) uint8 each.
        columns: Of the sheet, None for nearly a square.
        framed: On the sheet, the last photo stands behind the pictures instead of before them.
        led: On the sheet, each photo stands before its own share of the pictures.
    """

    model: str
    weights: str
    fingerprint: str
    seed: int
    temperature: float
    pictures: tuple[Pixels, ...]
    photos: tuple[Pixels, ...] = ()
    columns: int | None = None
    framed: bool = False
    led: bool = False

    @property
    def shown(self) -> tuple[Pixels, ...]:
        """What stands on the sheet, in order."""
        if self.framed and self.photos:
            return (*self.photos[:-1], *self.pictures, self.photos[-1])
        if self.led and self.photos:
            each = len(self.pictures) // len(self.photos)
            rows = [
                self.pictures[start : start + each] for start in range(0, len(self.pictures), each)
            ]
            return tuple(
                one for photo, row in zip(self.photos, rows, strict=True) for one in (photo, *row)
            )
        return (*self.photos, *self.pictures)

    @property
    def nbytes(self) -> int:
        """Memory that the pictures take."""
        return sum(picture.nbytes for picture in (*self.pictures, *self.photos))


def grid(pictures: Sequence[Pixels], *, columns: int | None = None, gap: int = GAP) -> Image.Image:
    """Pictures (h, w, C) uint8 on one sheet, row by row; one alone is just itself.

    Smaller pictures are enlarged by whole factors, so that every pixel shows.

    Args:
        pictures: One or more, with C = 1 or 3.
        columns: Pictures beside each other; without it, so many that the sheet is nearly square.
        gap: White pixels around each.
    """
    if len(pictures) == 1:
        return to_picture(pictures[0])
    side = max(length for picture in pictures for length in picture.shape[:2])
    across = columns or math.ceil(math.sqrt(len(pictures)))
    down = math.ceil(len(pictures) / across)
    size = (across * (side + gap) + gap, down * (side + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        sheet.paste(enlarge(picture, side), (gap + column * (side + gap), gap + row * (side + gap)))
    return sheet


def archive(pictures: Sequence[Pixels]) -> bytes:
    """Pictures as the bytes of a ZIP file: 000.png, 001.png and so on, each at its own size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as whole:  # a PNG does not shrink again
        for number, picture in enumerate(pictures):
            whole.writestr(zipfile.ZipInfo(f"{number:03}.png", EPOCH), to_png(to_picture(picture)))
    return file.getvalue()
