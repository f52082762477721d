"""Who or what carries an item: for each family of items and kind of wearer, the marks around it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from indexer.sample.body import Drawing
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.figure import (
    Marks,
    draw_arms,
    draw_form,
    draw_head,
    draw_legs,
    draw_neck,
    draw_shirt,
    skin,
)
from indexer.sample.geometry import Point, bounds, box, ellipse, limb, mirrored, path, smooth
from indexer.sample.item import Item
from indexer.sample.kinds import KINDS
from indexer.sample.palette import RGB, darker, lighter
from indexer.sample.scene import Wearer
from indexer.sample.shoes import FAR, GROUND

STEEL: RGB = (150, 152, 158)


@dataclass(frozen=True, slots=True)
class Setting:
    """The wearer's marks: behind all of the item, between its back and its front, before it."""

    behind: list[Mark] = field(default_factory=list)
    between: list[Mark] = field(default_factory=list)
    before: list[Mark] = field(default_factory=list)


def draw_setting(item: Item, wearer: Wearer, drawing: Drawing) -> Setting:
    """What the wearer adds to the drawing of the item."""
    if wearer.kind == "flat":
        return Setting()
    family = KINDS[item.kind].family
    draw = SETTINGS[wearer.kind, "backpack" if item.kind == "backpack" else family]
    setting = draw(wearer, drawing)
    if wearer.kind == "person" and item.cut.neckline == "lapel":
        setting.between.extend(draw_shirt(wearer.clothes[0], tucked=False))
    return setting


def hang_top(wearer: Wearer, _: Drawing) -> Setting:
    """A hanger in the shoulders."""
    wood = wearer.form
    bar = path(
        [
            (-0.33, -0.6, 0.04),
            (-0.06, -0.72, 0.1),
            (0.06, -0.72, 0.04),
            (0.33, -0.6, 0.2),
            (0.3, -0.56, -0.03),
            (0, -0.66, -0.03),
            (-0.3, -0.56, 0.2),
        ]
    )
    return Setting(between=[*hook(0.0, -0.72), fill(bar, wood, relief=0.6)])


def hook(x: float, y: float) -> Marks:
    """The wire hook of a hanger whose neck is at (x, y), and the rail it hangs on."""
    wire = smooth(
        [(x, y), (x, y - 0.08), (x + 0.055, y - 0.13), (x + 0.03, y - 0.19), (x - 0.03, y - 0.17)],
        steps=8,
    )
    rail = smooth([(x - 3, y - 0.2), (x + 3, y - 0.2)])
    return [
        Stroke(rail, darker(STEEL, 0.4), 0.05),
        Stroke(rail, lighter(STEEL, 0.3), 0.016, 0.8),
        Stroke(wire, STEEL, 0.018),
    ]


def clip_bottom(wearer: Wearer, _: Drawing) -> Setting:
    """A hanger with two clips at the waistband."""
    bar = box(-0.24, -0.2, 0.24, -0.165)
    clips: Marks = []
    for x in (-0.17, 0.17):
        clips.append(
            fill(
                box(x - 0.022, -0.19, x + 0.022, -0.035, bulge=0.03),
                darker(wearer.form, 0.2),
                relief=0.4,
            )
        )
        clips.append(Stroke(smooth([(x - 0.015, -0.1), (x + 0.015, -0.1)]), STEEL, 0.014))
    return Setting(behind=[*hook(0.0, -0.19), fill(bar, wearer.form, relief=0.6)], before=clips)


def hang_high(_: Wearer, drawing: Drawing) -> Setting:
    """A peg on the wall that the item hangs from."""
    left, top, right, _bottom = bounds(drawing.outlines())
    x = (left + right) / 2
    peg = ellipse(x, top - 0.01, 0.045, 0.045)
    board = box(x - 0.7, top - 0.09, x + 0.7, top + 0.05)
    return Setting(
        behind=[fill(board, (150, 110, 76), relief=0.3), fill(peg, (96, 70, 50), relief=0.8)]
    )


def hang_bag(_: Wearer, __: Drawing) -> Setting:
    """A hook under the handle."""
    hook_line = smooth([(0.0, -0.14), (0.0, -0.05), (0.035, 0.02), (0.075, -0.03)], steps=8)
    plate = box(-0.035, -0.26, 0.035, -0.1, bulge=0.05)
    return Setting(
        behind=[fill(plate, STEEL, relief=0.4)],
        before=[Stroke(hook_line, darker(STEEL, 0.2), 0.03)],
    )


def hang_backpack(_: Wearer, __: Drawing) -> Setting:
    """A peg in its upper loop."""
    return Setting(behind=[fill(ellipse(0, -0.69, 0.05, 0.05), (120, 88, 60), relief=0.8)])


def shelve_shoes(wearer: Wearer, _: Drawing) -> Setting:
    """A board with a front edge."""
    top = path(
        [
            (-0.95, GROUND - 0.2, 0),
            (1.1, GROUND - 0.2, 0),
            (1.2, GROUND + 0.04, 0),
            (-1.05, GROUND + 0.04, 0),
        ]
    )
    rim = box(-1.05, GROUND + 0.04, 1.2, GROUND + 0.13)
    return Setting(
        behind=[
            fill(top, wearer.form, relief=0.1),
            fill(rim, darker(wearer.form, 0.25), relief=0.2),
        ]
    )


def form_top(wearer: Wearer, _: Drawing) -> Setting:
    """A bust on a stand."""
    return Setting(between=draw_form(wearer))


def form_bottom(wearer: Wearer, _: Drawing) -> Setting:
    """The lower half of a mannequin."""
    return Setting(between=draw_form(wearer, legs=True))


def form_dress(wearer: Wearer, _: Drawing) -> Setting:
    """A bust with legs below it."""
    return Setting(between=[*draw_form(wearer, legs=True), *draw_form(wearer)[2:]])


def form_head(wearer: Wearer, _: Drawing) -> Setting:
    """A dummy's head without a face."""
    rgb = wearer.form
    head = mirrored(
        [
            (0, -1.235, 0.1),
            (0.13, -1.17, 0.12),
            (0.152, -1.0, 0.06),
            (0.1, -0.85, 0.1),
            (0, -0.8, 0),
        ]
    )
    neck = mirrored(
        [(0, -0.88, 0), (0.07, -0.88, -0.1), (0.1, -0.68, 0.0), (0.2, -0.58, 0), (0, -0.58, 0)]
    )
    nose = Stroke(
        smooth([(0.0, -1.0), (0.02, -0.94), (-0.005, -0.93)]), darker(rgb, 0.5), 0.009, 0.4
    )
    return Setting(between=[skin(neck, rgb), skin(head, rgb, relief=0.7), nose])


def form_shoe(wearer: Wearer, drawing: Drawing) -> Setting:
    """Two foot forms on a plinth."""
    plinth = path(
        [(-0.85, GROUND - 0.22, 0), (1.0, GROUND - 0.22, 0), (1.0, 1.4, 0), (-0.85, 1.4, 0)]
    )
    legs = leg_pair(wearer.form, wearer.form, drawing, height=0.3)
    legs[0].insert(0, fill(plinth, lighter(wearer.form, 0.2), relief=0.3))
    return Setting(behind=legs[0], between=legs[1])


def form_bag(wearer: Wearer, drawing: Drawing) -> Setting:
    """A plinth below the bag."""
    left, _, right, bottom = bounds(drawing.outlines())
    top = path(
        [
            (left - 0.12, bottom - 0.05, 0),
            (right + 0.12, bottom - 0.05, 0),
            (right + 0.16, bottom + 0.03, 0),
            (left - 0.16, bottom + 0.03, 0),
        ]
    )
    front = box(left - 0.16, bottom + 0.03, right + 0.16, bottom + 1.0)
    return Setting(
        behind=[
            fill(front, darker(wearer.form, 0.15), relief=0.3),
            fill(top, wearer.form, relief=0.1),
        ]
    )


def wear_top(wearer: Wearer, _: Drawing) -> Setting:
    """A person in trousers, the item on the torso."""
    body = draw_legs(wearer, wearer.skin, covered=wearer.clothes[1]) + draw_arms(
        wearer, wearer.skin
    )
    return Setting(between=body + draw_neck(wearer.skin) + draw_head(wearer))


def wear_dress(wearer: Wearer, _: Drawing) -> Setting:
    """A person with bare legs."""
    body = draw_legs(wearer, wearer.skin) + draw_arms(wearer, wearer.skin)
    return Setting(between=body + draw_neck(wearer.skin) + draw_head(wearer))


def wear_bottom(wearer: Wearer, _: Drawing) -> Setting:
    """A person in a plain top, tucked in."""
    top = wearer.clothes[0]
    sleeves = top if wearer.seed % 2 else None
    body = draw_legs(wearer, wearer.skin) + draw_neck(wearer.skin)
    arms = draw_arms(wearer, wearer.skin, covered=sleeves)
    return Setting(between=body + arms + draw_shirt(top, tucked=True) + draw_head(wearer))


def wear_head(wearer: Wearer, _: Drawing) -> Setting:
    """Head and shoulders."""
    arms = draw_arms(wearer, wearer.skin, covered=wearer.clothes[0])
    body = arms + draw_neck(wearer.skin) + draw_shirt(wearer.clothes[0], tucked=False)
    return Setting(between=body + draw_head(wearer))


def wear_shoe(wearer: Wearer, drawing: Drawing) -> Setting:
    """Two legs, bare or in trousers."""
    cover = wearer.clothes[1] if wearer.seed % 3 else wearer.skin
    far, near = leg_pair(cover, wearer.skin, drawing, height=2.4)
    return Setting(behind=far, between=near)


def leg_pair(cover: RGB, rgb: RGB, drawing: Drawing, *, height: float) -> tuple[Marks, Marks]:
    """The far and the near leg in a pair of shoes, ``height`` above the shoes' top."""
    near_outlines = [mark.outline for mark in drawing.front if isinstance(mark, Patch)]
    top = min(-0.1, bounds(near_outlines)[1])
    pair: list[Marks] = []
    for x, y in (FAR, (0.0, 0.0)):
        high, low = top - height + y, top + 0.14 + y
        wide = 0.13 + 0.04 * height
        shin = path(
            [
                (x - 0.25 - wide, high, 0),
                (x - 0.25 + wide, high, 0),
                (x - 0.12, low, 0),
                (x - 0.38, low, 0),
            ]
        )
        marks: Marks = [skin(shin, rgb, relief=0.7)]
        if cover != rgb:
            leg = limb([(-0.25 + x, top - height + y), (-0.25 + x, top - 0.12 + y)], [0.3, 0.24])
            marks.append(skin(leg, cover, relief=0.7))
        pair.append(marks)
    return pair[0], pair[1]


def wear_bag(wearer: Wearer, _: Drawing) -> Setting:
    """Somebody standing beside the bag, the handle in the hand."""
    hand: Point = (0.0, -0.02)
    elbow, shoulder = (-0.03, -0.42), (-0.1, -0.78)
    arm = limb([shoulder, elbow, hand], [0.075, 0.058, 0.04])
    shift = (shoulder[0] - 0.29, shoulder[1] + 0.575)
    resting = replace(wearer, arms=((0.12, 0.05), wearer.arms[1]))
    body = (
        draw_legs(resting, wearer.skin, covered=wearer.clothes[1])
        + draw_arms(resting, wearer.skin, covered=wearer.clothes[0])[5:]
    )
    body += draw_neck(wearer.skin) + draw_shirt(wearer.clothes[0], tucked=False) + draw_head(wearer)
    moved = [shifted(mark, shift) for mark in body]
    palm = limb([(0.0, -0.08), (0.0, 0.0), (-0.01, 0.05)], [0.038, 0.056, 0.045])
    fingers: Marks = [skin(palm, wearer.skin)]
    for x in (-0.032, -0.008, 0.016):
        fingers.append(Stroke(smooth([(x, 0.0), (x, 0.055)]), darker(wearer.skin, 0.5), 0.007, 0.5))
    return Setting(behind=[*moved, skin(arm, wearer.clothes[0])], before=fingers)


def shifted(mark: Mark, by: Point) -> Mark:
    """The mark somewhere else."""
    step = np.asarray(by, np.float32)
    if isinstance(mark, Stroke):
        return replace(mark, points=mark.points + step)
    return replace(mark, outline=mark.outline + step)


def wear_backpack(wearer: Wearer, _: Drawing) -> Setting:
    """Somebody seen from behind."""
    resting = replace(
        wearer, hair_style="short" if wearer.hair_style == "long" else wearer.hair_style
    )
    body = draw_legs(wearer, wearer.skin, covered=wearer.clothes[1])
    body += draw_arms(wearer, wearer.skin, covered=wearer.clothes[0]) + draw_neck(wearer.skin)
    body += draw_shirt(wearer.clothes[0], tucked=False) + draw_head(resting, seen_from_behind=True)
    return Setting(behind=body)


SETTINGS: dict[tuple[str, str], Callable[[Wearer, Drawing], Setting]] = {
    ("hanger", "top"): hang_top,
    ("hanger", "dress"): hang_top,
    ("hanger", "skirt"): clip_bottom,
    ("hanger", "trousers"): clip_bottom,
    ("hanger", "headwear"): hang_high,
    ("hanger", "shoe"): shelve_shoes,
    ("hanger", "bag"): hang_bag,
    ("hanger", "backpack"): hang_backpack,
    ("hanger", "scarf"): hang_top,
    ("mannequin", "top"): form_top,
    ("mannequin", "dress"): form_dress,
    ("mannequin", "skirt"): form_bottom,
    ("mannequin", "trousers"): form_bottom,
    ("mannequin", "headwear"): form_head,
    ("mannequin", "shoe"): form_shoe,
    ("mannequin", "bag"): form_bag,
    ("mannequin", "backpack"): form_top,
    ("mannequin", "scarf"): form_top,
    ("person", "top"): wear_top,
    ("person", "dress"): wear_dress,
    ("person", "skirt"): wear_bottom,
    ("person", "trousers"): wear_bottom,
    ("person", "headwear"): wear_head,
    ("person", "shoe"): wear_shoe,
    ("person", "bag"): wear_bag,
    ("person", "backpack"): wear_backpack,
    ("person", "scarf"): wear_head,
}
"""By kind of wearer and family of item; a backpack is worn unlike other bags."""
