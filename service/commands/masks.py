"""``niteru masks``: a sheet that shows how items are cut out of their photos, and where not."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.images import ImageError, Preprocessing, decode_image
from models.training.item_masks import read_own_mask
from models.training.photos import Photo, Skipped
from service.commands.answers import FONT_SIZE, LINE, RED, save_picture, write_lines
from service.commands.console import Bar, say
from service.commands.pictures import GAP, GREEN
from service.commands.training_data import is_array, read_photos

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

TILE = 160  # pixels of a photo's longer side on the sheet
EDGE = 2  # pixels of an outline
LETTERS = TILE // (FONT_SIZE // 2)  # of a line below a photo
REASON_LINES, CAPTION_LINES = 3, 4
COLUMNS = 8


@dataclass(frozen=True, slots=True)
class Look:
    """A photo as it is cut out for a training.

    Attributes:
        pixels: (H, W, 3) uint8.
        mask: (H, W) bool, true on what was taken for the item; all false if nothing was.
        reason: Why the mask is not trusted; None if it is.
    """

    pixels: Pixels
    mask: Mask
    reason: str | None


def run_masks(
    data: Sequence[Path], out: Path, *, masks: Path | None, count: int, side: int, seed: int
) -> None:
    """Cut some photos out, drawn by lot, and draw them with their outlines.

    Args:
        data: Catalogues.
        out: The picture to write.
        masks: Folder with the shop's own masks.
        count: How many photos at most.
        side: Pixels of the side at which a training keeps photos.
        seed: Of the choice.
    """
    arrays = [path for path in data if is_array(path)]
    if arrays:
        raise ValueError(f"{arrays[0]} is an array; the sheet shows photos of catalogues.")
    photos = read_photos(data, masks=masks)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(photos))[:count])
    bar = Bar(" photos")
    looks: list[Look] = []
    for done, number in enumerate(chosen.tolist(), 1):
        look = look_at(photos[number], side)
        if isinstance(look, Skipped):
            say(f"left out {look.id}: {look.reason}")
        else:
            looks.append(look)
        bar.show("cut out", done, len(chosen))
    bar.close()
    if not looks:
        raise ValueError(f"None of the {len(chosen)} photos drawn by lot can be read.")
    caption = describe_looks(looks, len(photos), seed=seed)
    save_picture(draw_looks(looks, caption), out)
    say(caption)
    print(out)


def look_at(photo: Photo, side: int) -> Look | Skipped:
    """A photo and its mask, as a training that keeps photos at ``side`` finds it."""
    from models.training.masks import judge_item  # noqa: PLC0415 - OpenCV is an extra

    try:
        image = decode_image(photo.path.read_bytes(), draft=2 * side)
    except (OSError, ImageError) as error:
        return Skipped(photo.id, str(error))
    frame = Preprocessing(size=side)
    top, left, height, width = box = frame.box(*image.size)
    inner = frame.apply(image)[top : top + height, left : left + width]
    if photo.mask is None:
        judged = judge_item(inner)
        return Look(inner, judged.mask, judged.reason)
    found = read_own_mask(photo.mask, image.size, box)
    nothing = np.zeros(inner.shape[:2], np.bool_)
    return Look(inner, nothing if found.mask is None else found.mask, found.reason)


def describe_looks(looks: Sequence[Look], photos: int, *, seed: int) -> str:
    """What the sheet shows: how many masks are trusted, and why the others are not."""
    refused = Counter(look.reason for look in looks if look.reason is not None)
    trusted = len(looks) - sum(refused.values())
    text = (
        f"{trusted} of {len(looks)} photos, drawn by lot among {photos:,} (seed {seed}), have a "
        "mask that is trusted (green)."
    )
    if refused:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in refused.most_common())
        text += f" The others are used whole (red): {reasons}."
    return text


def draw_looks(looks: Sequence[Look], caption: str) -> Image.Image:
    """The photos with the outlines of their items, the trusted ones first."""
    ordered = sorted(looks, key=lambda look: look.reason is not None)
    columns = min(COLUMNS, len(ordered))
    width = GAP + columns * (TILE + GAP)
    head = textwrap.wrap(caption, width // (FONT_SIZE // 2), max_lines=CAPTION_LINES)
    top = 2 * GAP + len(head) * LINE
    height = TILE + REASON_LINES * LINE + GAP
    sheet = Image.new("RGB", (width, top + -(-len(ordered) // columns) * height), "white")
    write_lines(sheet, (GAP, GAP), head)
    for number, look in enumerate(ordered):
        place = (GAP + number % columns * (TILE + GAP), top + number // columns * height)
        sheet.paste(draw_outline(look), place)
        if look.reason is not None:
            lines = textwrap.wrap(look.reason, LETTERS, max_lines=REASON_LINES)
            write_lines(sheet, (place[0], place[1] + TILE), lines)
    return sheet


def draw_outline(look: Look) -> Image.Image:
    """A photo, at most ``TILE`` pixels a side, with the outline of its mask; green is trusted."""
    height, width = look.mask.shape
    factor = TILE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = np.array(Image.fromarray(look.pixels).resize(size))
    mask = np.asarray(Image.fromarray(look.mask).resize(size, Image.Resampling.NEAREST))
    picture[mask & ~_shrink(mask)] = GREEN if look.reason is None else RED
    return Image.fromarray(picture)


def _shrink(mask: Mask) -> Mask:
    """What of a mask (H, W) has only mask within ``EDGE`` pixels across and down."""
    inner = mask
    for _ in range(EDGE):
        around = np.pad(inner, 1)
        inner = inner & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inner
