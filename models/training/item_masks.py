"""The mask of a photo's item: the shop's own, the one remembered, or a fresh cut."""

import os
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.images import ImageError, decode_image

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # top, left, height, width of the photo within its square

REASON = "reason"  # the text in a remembered file that says why there is no mask
MIN_GREY_FREE = 0.9  # share of an own mask's pixels that must be nearly black or nearly white


class Found(NamedTuple):
    """A mask at the size of the photo's box, or the reason why there is none.

    Attributes:
        mask: (H, W) bool, true on the item.
        reason: Set exactly where ``mask`` is None.
        sha256: Of the shop's own mask file, if there is one: with it the training changes.
    """

    mask: npt.NDArray[np.bool_] | None
    reason: str | None = None
    sha256: str = ""


def read_own_mask(path: Path, size: tuple[int, int], box: Box) -> Found:
    """The shop's own mask, or why it cannot be used.

    Args:
        path: An image that is white on the item.
        size: Width and height of the photo, or of a reduced copy.
        box: Where the photo lies within its square.
    """
    try:
        data = path.read_bytes()
        image = decode_image(data).convert("L")
    except (OSError, ImageError) as error:
        return Found(None, f"its mask {path.name} cannot be read: {error}")
    digest = sha256(data).hexdigest()
    expected = image.width * size[1] / size[0]
    if abs(image.height - expected) > 1 + 0.02 * image.height:
        shapes = f"{image.width} x {image.height}, the photo is {size[0]} x {size[1]}"
        return Found(None, f"its mask {path.name} has another shape: {shapes}", digest)
    grey = np.asarray(image)
    if float(((grey < 64) | (grey > 191)).mean()) < MIN_GREY_FREE:
        return Found(None, f"its mask {path.name} is not black and white", digest)
    mask = np.asarray(image.resize((box[3], box[2]), Image.Resampling.BOX)) > 127
    if not mask.any():
        return Found(None, f"its mask {path.name} is empty", digest)
    if mask.all():
        return Found(None, f"its mask {path.name} covers the whole photo", digest)
    return Found(mask, sha256=digest)


def find_cut(inner: Pixels, digest: str, cache: Path | None) -> Found:
    """Cut the item out, or remember how it was cut the last time.

    Args:
        inner: (H, W, 3) uint8, the photo.
        digest: Of its file.
        cache: Folder that remembers masks; a refused one as a single black pixel that says why.
    """
    from models.training.masks import METHOD, judge_item  # noqa: PLC0415 - OpenCV is an extra

    file = None
    if cache is not None:
        file = cache / f"{METHOD}-{max(inner.shape)}" / digest[:2] / f"{digest}.png"
        remembered = _recall(file, inner.shape[:2])
        if remembered is not None:
            return remembered
    judged = judge_item(inner)
    if judged.reason is not None:
        judged = judged._replace(mask=np.zeros((1, 1), np.bool_))
    if file is not None:
        text = PngInfo()
        if judged.reason is not None:
            text.add_text(REASON, judged.reason)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        picture = Image.fromarray(judged.mask.astype(np.uint8) * np.uint8(255))
        picture.save(temporary, format="PNG", pnginfo=text)
        temporary.replace(file)  # a run that is killed here leaves no half a mask behind
    return Found(None, judged.reason) if judged.reason is not None else Found(judged.mask)


def _recall(file: Path, shape: tuple[int, ...]) -> Found | None:
    """What a file remembers; None if that is nothing, or no mask and no reason either."""
    if not file.is_file():
        return None
    with Image.open(file) as image:
        mask, reason = np.asarray(image) > 127, image.info.get(REASON)
    if reason is not None:
        return Found(None, str(reason))
    return Found(mask) if mask.shape == shape and mask.any() else None
