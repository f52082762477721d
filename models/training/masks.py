"""Item masks from the photos themselves, without labels: GrabCut, judged before it is trusted.

GrabCut (Rother, Kolmogorov and Blake, 2004) starts from a guess of what is item and what is
background, fits a colour mixture to each, and cuts the photo between them. A shop's photo has its
item near the middle, so two different guesses are tried: a frame (all but the rim may be item)
and an ellipse in the middle (surely item). A mask is trusted only where both lead to the same cut;
the others are left out, because a bad mask teaches that a sleeve is background.

Needs OpenCV (the extra ``train``), so nothing else imports this module at its top.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

try:
    import cv2
except ImportError as error:
    raise ImportError(
        "Cutting items out of their photos needs OpenCV, which is not installed. "
        "Install the extra with: pip install '.[train]', or train with --no-swap, which is "
        "the same as --without background --without white."
    ) from error

Pixels = npt.NDArray[np.uint8]
Cut = npt.NDArray[np.bool_]

METHOD = "grabcut-1"  # part of the cache key: a better method must not read an older one's masks
BACKGROUND, ITEM, PERHAPS_BACKGROUND, PERHAPS_ITEM = 0, 1, 2, 3  # GrabCut's own labels


@dataclass(frozen=True, slots=True)
class MaskLimits:
    """What a trustworthy mask looks like.

    Attributes:
        min_area: Smallest share of the photo an item may cover.
        max_area: Largest share; above it the cut has most likely swallowed the background.
        max_rim: Largest share of the photo's rim that the item may touch.
        min_agreement: Smallest intersection over union of the two cuts.
    """

    min_area: float = 0.06
    max_area: float = 0.80
    max_rim: float = 0.35
    min_agreement: float = 0.75


class Judged(NamedTuple):
    """A cut, and why it is not trusted.

    Attributes:
        mask: (H, W) bool, true on what was taken for the item; empty if there is no cut.
        reason: None if the mask is trusted.
    """

    mask: Cut
    reason: str | None


def cut_item(pixels: Pixels, limits: MaskLimits | None = None) -> Cut | None:
    """Cut the item out of a photo.

    Args:
        pixels: (H, W, 3) uint8; about 100 pixels a side is enough and takes about 50 ms.
        limits: What to accept.

    Returns:
        (H, W) bool, true on the item, or None where no cut can be trusted.
    """
    judged = judge_item(pixels, limits)
    return judged.mask if judged.reason is None else None


def judge_item(pixels: Pixels, limits: MaskLimits | None = None) -> Judged:
    """Cut the item out of a photo and say whether that can be trusted; see ``cut_item``."""
    limits = limits or MaskLimits()
    height, width, _ = pixels.shape
    nothing = np.zeros((height, width), np.bool_)
    if min(height, width) < 16:
        return Judged(nothing, "the photo is too narrow to be cut")
    framed = _grab(pixels, _frame_guess(height, width))
    middle = _grab(pixels, _ellipse_guess(height, width))
    if framed is None or middle is None:
        return Judged(nothing, "no cut separates item and background")
    mask = _clean(framed & middle)
    if agreement(framed, middle) < limits.min_agreement:
        return Judged(mask, "the two cuts disagree")
    return Judged(mask, distrust(mask, limits))


def distrust(mask: Cut, limits: MaskLimits) -> str | None:
    """Why a mask (H, W) cannot be trusted; None if its size is plausible and the rim is free."""
    area = float(mask.mean())
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if area < limits.min_area:
        return "the item is too small"
    if area > limits.max_area:
        return "the item is too large"
    return "the item touches the rim" if float(rim.mean()) > limits.max_rim else None


def trustworthy(mask: Cut, limits: MaskLimits) -> bool:
    """Whether a mask (H, W) has a plausible size and leaves most of the rim free."""
    return distrust(mask, limits) is None


def agreement(a: Cut, b: Cut) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def paint_out(pixels: Pixels, mask: Cut) -> Pixels:
    """The photo without its item: Telea's inpainting over a widened mask. (H, W, 3) uint8."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    painted = cv2.inpaint(np.ascontiguousarray(pixels), wide, 3, cv2.INPAINT_TELEA)
    return np.asarray(painted, dtype=np.uint8)


def _frame_guess(height: int, width: int) -> Pixels:
    """The rim is background, all else perhaps item."""
    guess = np.full((height, width), PERHAPS_ITEM, np.uint8)
    y, x = max(1, round(height * 0.03)), max(1, round(width * 0.03))
    guess[:y] = guess[-y:] = BACKGROUND
    guess[:, :x] = guess[:, -x:] = BACKGROUND
    return guess


def _ellipse_guess(height: int, width: int) -> Pixels:
    """A small ellipse in the middle is item, the corners are background."""
    y = np.linspace(-1, 1, height)[:, None] / 0.95
    x = np.linspace(-1, 1, width)[None, :] / 0.90
    radius = np.sqrt(y**2 + x**2)
    guess = np.full((height, width), PERHAPS_BACKGROUND, np.uint8)
    guess[radius < 0.80] = PERHAPS_ITEM
    guess[radius < 0.25] = ITEM
    guess[radius > 1.15] = BACKGROUND
    return guess


def _grab(pixels: Pixels, guess: Pixels) -> Cut | None:
    """Run GrabCut from a guess; None where one side is empty and no mixture can be fitted."""
    labels = guess.copy()
    cv2.setNumThreads(1)  # the caller runs one process per core
    cv2.setRNGSeed(0)  # GrabCut starts with k-means: the same photo must give the same mask
    empty = np.zeros((1, 65), np.float64)
    try:
        cv2.grabCut(
            np.ascontiguousarray(pixels),
            labels,
            (0, 0, 0, 0),
            empty.copy(),
            empty.copy(),
            5,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        return None
    return np.asarray((labels == ITEM) | (labels == PERHAPS_ITEM))


def _clean(mask: Cut) -> Cut:
    """Smooth the outline and drop crumbs below a tenth of the largest part."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc)
    smooth = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, disc)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(smooth)
    if count < 2:
        return np.zeros_like(mask)
    areas = np.asarray(stats)[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the part outside the mask
    return np.isin(parts, np.flatnonzero(areas >= areas.max() * 0.1))
