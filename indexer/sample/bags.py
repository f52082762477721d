"""Handbags and backpacks, the middle of the handle at the hand that holds it."""

import numpy as np

from indexer.sample.body import Drawing, dyes, main_rgb, seam, trim_rgb
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.geometry import Affine, Corner, box, ellipse, limb, mirrored, path, smooth
from indexer.sample.item import Item
from indexer.sample.palette import RGB, contour, darker
from indexer.sample.scene import Wearer

GOLD: RGB = (208, 176, 104)
HANDLE_TOP = 0.0
BACKPACK_TOP = -0.62


def draw_bag(item: Item, _: Wearer) -> Drawing:
    """A handbag or a backpack."""
    return backpack(item) if item.kind == "backpack" else handbag(item)


def body(item: Item, corners: list[Corner], *, middle: float) -> Patch:
    """The main piece; its pattern starts at its middle."""
    return Patch(
        mirrored(corners),
        dyes(item),
        item.pattern,
        Affine(1.3, 0, 0, 0, 1.3, -1.3 * middle),
        relief=0.7,
    )


def handbag(item: Item) -> Drawing:
    """Tote, flap bag, bucket or bowling bag."""
    cut = item.cut
    wide = 0.22 + 0.1 * cut.fit
    drop = 0.14 + 0.22 * cut.length  # of the handle
    top = HANDLE_TOP + drop
    tall = {"tote": 0.42, "flap": 0.27, "bucket": 0.36, "bowling": 0.28}[cut.neckline]
    low = top + tall
    shapes: dict[str, list[Corner]] = {
        "tote": [(0, top, 0), (wide + 0.03, top, 0), (wide - 0.02, low, 0), (0, low + 0.005, 0)],
        "flap": [
            (0, top, 0),
            (wide - 0.01, top, 0.2),
            (wide + 0.02, top + 0.04, 0.02),
            (wide + 0.02, low - 0.03, 0.25),
            (wide - 0.02, low, 0),
            (0, low, 0),
        ],
        "bucket": [
            (0, top, 0),
            (wide * 0.72, top, 0.03),
            (wide * 0.9, low - 0.03, 0.25),
            (wide * 0.8, low, 0),
            (0, low + 0.01, 0),
        ],
        "bowling": [
            (0, top, 0.02),
            (wide * 0.6, top + 0.01, 0.22),
            (wide, low - 0.09, 0.2),
            (wide * 0.92, low, 0),
            (0, low, 0),
        ],
    }
    strap = trim_rgb(item) if cut.trim else darker(main_rgb(item), 0.15)
    reach = wide * 0.5
    handle = [
        (-reach, top + 0.02),
        (-reach * 0.8, HANDLE_TOP + 0.07),
        (0.0, HANDLE_TOP),
        (reach * 0.8, HANDLE_TOP + 0.07),
        (reach, top + 0.02),
    ]
    loop = smooth(handle, steps=8)
    back: list[Mark] = [
        Stroke(loop + np.array([0.02, -0.012], np.float32), darker(strap, 0.5), 0.026)
    ]
    front: list[Mark] = [body(item, shapes[cut.neckline], middle=(top + low) / 2)]
    front += [Stroke(loop, darker(strap, 0.6), 0.034), Stroke(loop, strap, 0.024)]
    front += [fill(ellipse(x, top + 0.03, 0.02, 0.02), GOLD, relief=0.3) for x in (-reach, reach)]
    return Drawing(back, front + bag_details(item, wide, top, low), [])


def bag_details(item: Item, wide: float, top: float, low: float) -> list[Mark]:
    """Flap, rim, pocket, base and clasp."""
    cut = item.cut
    colour = trim_rgb(item) if cut.trim else darker(main_rgb(item), 0.12)
    middle = top + (low - top) * 0.58
    marks: list[Mark] = []
    if cut.neckline == "flap":
        marks.append(bag_flap(item, wide, top, middle))
    marks += bag_rim(item, wide, top)
    if cut.pocket == "front" and cut.neckline != "flap":
        front = box(-wide * 0.55, middle - 0.03, wide * 0.55, low - 0.03, bulge=0.02)
        marks.append(fill(front, colour, relief=0.4))
    if cut.trim:
        base = path(
            [
                (-wide * 0.86, low - 0.045, 0),
                (wide * 0.86, low - 0.045, 0),
                (wide * 0.84, low + 0.003, 0),
                (-wide * 0.84, low + 0.003, 0),
            ]
        )
        marks.append(fill(base, colour, relief=0.3))
    return marks + bag_closure(item, wide, top, middle)


def bag_flap(item: Item, wide: float, top: float, middle: float) -> Patch:
    """The flap over the front."""
    outline = mirrored(
        [
            (0, top - 0.005, 0),
            (wide, top, 0.12),
            (wide + 0.02, top + 0.09, 0.05),
            (wide * 0.7, middle, 0.05),
            (0, middle + 0.01, 0),
        ]
    )
    frame = Affine(1.3, 0, 0, 0, 1.3, -1.3 * top)
    if item.cut.trim:
        return Patch(outline, (trim_rgb(item),) * 3, relief=0.5, shadow=0.4)
    return Patch(outline, dyes(item), item.pattern, frame, relief=0.5, shadow=0.4)


def bag_rim(item: Item, wide: float, top: float) -> list[Mark]:
    """A bowling bag's zip or a bucket's drawstring."""
    if item.cut.neckline == "bowling":
        arc = [(-wide * 0.75, top + 0.05), (0.0, top + 0.025), (wide * 0.75, top + 0.05)]
        return [Stroke(smooth(arc), GOLD, 0.013)]
    if item.cut.neckline == "bucket":
        arc = [(-wide * 0.72, top + 0.05), (0.0, top + 0.07), (wide * 0.72, top + 0.05)]
        return [Stroke(smooth(arc, steps=12), darker(trim_rgb(item), 0.5), 0.016, 1.0, dash=2)]
    return []


def bag_closure(item: Item, wide: float, top: float, middle: float) -> list[Mark]:
    """A clasp, a tassel or a zip."""
    if item.cut.closure == "clasp":
        clasp = box(-0.03, middle - 0.035, 0.03, middle + 0.025, bulge=0.05)
        return [fill(clasp, GOLD, relief=0.4)]
    if item.cut.closure == "tassel":
        x = wide * 0.5
        cord = smooth([(x, top + 0.03), (x + 0.015, top + 0.1)])
        tuft = path(
            [
                (x, top + 0.1, 0.1),
                (x + 0.03, top + 0.1, 0),
                (x + 0.045, top + 0.22, 0.04),
                (x - 0.01, top + 0.22, 0),
            ]
        )
        return [Stroke(cord, trim_rgb(item), 0.01), fill(tuft, item.colours[2].rgb)]
    teeth = smooth([(-wide * 0.6, top + 0.04), (wide * 0.6, top + 0.04)], steps=24)
    return [Stroke(teeth, GOLD, 0.012, 1.0, dash=1)]


def backpack(item: Item) -> Drawing:
    """A backpack seen from behind its wearer."""
    cut = item.cut
    wide, low = 0.2 + 0.05 * cut.fit, -0.04 + 0.12 * cut.length
    top = BACKPACK_TOP
    corners: list[Corner] = [
        (0, top, 0.03),
        (wide * 0.65, top + 0.03, 0.22),
        (wide, top + 0.22, 0.03),
        (wide + 0.015, low - 0.06, 0.25),
        (wide - 0.05, low, 0),
        (0, low, 0),
    ]
    strap = trim_rgb(item) if cut.trim else darker(main_rgb(item), 0.3)
    front: list[Mark] = [body(item, corners, middle=(top + low) / 2)]
    front += backpack_lid(item, wide, strap) + backpack_pockets(item, wide, low)
    return Drawing(backpack_straps(strap, wide, low), front, [])


def backpack_straps(strap: RGB, wide: float, low: float) -> list[Mark]:
    """Two shoulder straps and the loop between them."""
    top = BACKPACK_TOP
    marks: list[Mark] = []
    for side in (-1, 1):
        joints = [
            (side * 0.1, top + 0.03),
            (side * (wide + 0.05), top + 0.18),
            (side * (wide + 0.03), low - 0.08),
        ]
        marks.append(fill(limb(joints, [0.03, 0.034, 0.02]), strap, relief=0.5))
    loop = [(-0.06, top + 0.02), (-0.05, top - 0.06), (0.05, top - 0.06), (0.06, top + 0.02)]
    return [*marks, Stroke(smooth(loop), strap, 0.028)]


def backpack_lid(item: Item, wide: float, strap: RGB) -> list[Mark]:
    """A flap with two buckled straps, or a zip round the top."""
    top = BACKPACK_TOP
    if item.cut.closure != "flap":
        points = [(-0.9, 0.3), (-0.6, 0.1), (0.0, 0.05), (0.6, 0.1), (0.9, 0.3)]
        arc = smooth([(wide * x, top + y) for x, y in points], steps=12)
        tape = Stroke(arc, contour(main_rgb(item), 0.6), 0.02)
        return [tape, Stroke(arc, (190, 190, 196), 0.008, 1.0, dash=1)]
    flap = mirrored(
        [
            (0, top - 0.01, 0.03),
            (wide * 0.75, top + 0.03, 0.2),
            (wide * 0.98, top + 0.2, 0.1),
            (wide * 0.8, top + 0.27, 0),
            (0, top + 0.28, 0),
        ]
    )
    marks: list[Mark] = [Patch(flap, (trim_rgb(item),) * 3, relief=0.6, shadow=0.4)]
    for x in (-wide * 0.5, wide * 0.5):
        marks.append(fill(box(x - 0.015, top + 0.22, x + 0.015, top + 0.38), strap, relief=0.2))
        marks.append(fill(box(x - 0.02, top + 0.28, x + 0.02, top + 0.32), GOLD, relief=0.2))
    return marks


def backpack_pockets(item: Item, wide: float, low: float) -> list[Mark]:
    """Pockets on the outside and the maker's label."""
    colour = trim_rgb(item)
    own = None if item.cut.trim or item.pattern.kind == "blocks" else item.pattern
    colours = (colour,) * 3 if item.cut.trim else dyes(item)
    marks: list[Mark] = []
    areas = {
        "front": [(low - 0.25, low - 0.03)],
        "double": [(low - 0.2, low - 0.03), (low - 0.34, low - 0.23)],
        "none": [],
    }
    for upper, lower in areas[item.cut.pocket]:
        marks.append(
            Patch(
                box(-wide * 0.75, upper, wide * 0.75, lower, bulge=0.03),
                colours,
                own,
                relief=0.5,
                rim=0.6,
                shadow=0.35,
            )
        )
        marks.append(
            seam([(-wide * 0.65, upper + 0.035), (wide * 0.65, upper + 0.035)], colour, opacity=0.7)
        )
    label = box(-0.045, low - 0.2, 0.045, low - 0.14)
    marks.append(fill(label, item.colours[2].rgb, relief=0.1))
    return marks
