"""A person or a mannequin: head, hair, limbs, and the plain clothes worn with the item."""

from indexer.sample.body import arm_joints, leg_joints, on_side, sides
from indexer.sample.canvas import Mark, Patch, Stroke, fill
from indexer.sample.geometry import (
    Corner,
    Point,
    Points,
    ellipse,
    limb,
    mirrored,
    path,
    smooth,
    toward,
)
from indexer.sample.palette import RGB, darker, lighter, mix
from indexer.sample.scene import Wearer

HEAD: Point = (0.0, -1.02)

Marks = list[Mark]


def skin(outline: Points, rgb: RGB, *, relief: float = 0.45) -> Patch:
    """A patch of skin, or of a mannequin's cover."""
    return Patch(outline, (rgb,) * 3, relief=relief, rim=0.35, shadow=0.15)


def draw_neck(rgb: RGB) -> Marks:
    """Neck and bare shoulders, down to where any garment begins."""
    half: list[Corner] = [
        (0, -0.9, 0),
        (0.075, -0.9, 0),
        (0.08, -0.75, -0.16),
        (0.3, -0.635, 0.1),
        (0.27, -0.36, -0.03),
        (0.21, -0.02, 0.0),
        (0.22, 0.03, 0),
        (0, 0.04, 0),
    ]
    collarbones = [
        Stroke(smooth([(s * 0.05, -0.63), (s * 0.2, -0.645)]), darker(rgb, 0.4), 0.008, 0.3)
        for s in (-1, 1)
    ]
    return [skin(mirrored(half), rgb), *collarbones]


def draw_head(wearer: Wearer, *, seen_from_behind: bool = False) -> Marks:
    """Head with hair and a face."""
    rgb = wearer.skin
    marks: Marks = [*hair_behind(wearer)]
    marks += [skin(ellipse(side * 0.158, -1.0, 0.026, 0.045), rgb) for side in (-1, 1)]
    half: list[Corner] = [
        (0, -1.235, 0.1),
        (0.13, -1.17, 0.12),
        (0.152, -1.0, 0.06),
        (0.1, -0.85, 0.1),
        (0, -0.8, 0),
    ]
    marks.append(skin(mirrored(half), rgb))
    if seen_from_behind:
        marks.append(fill(ellipse(0, -1.06, 0.165, 0.19), wearer.hair, relief=0.7, rim=0.3))
        return marks
    return marks + draw_face(wearer) + hair_before(wearer)


def draw_face(wearer: Wearer) -> Marks:
    """Eyes, brows, nose and mouth, in few strokes."""
    rgb, dark = wearer.skin, darker(wearer.skin, 0.75)
    marks: Marks = []
    for side in (-1, 1):
        x = side * 0.058
        marks.append(
            Stroke(smooth([(x - 0.024, -1.02), (x, -1.03), (x + 0.024, -1.02)]), dark, 0.012, 0.9)
        )
        marks.append(fill(ellipse(x, -1.013, 0.012, 0.014), (40, 30, 30), relief=0, rim=0))
        marks.append(
            Stroke(
                smooth([(x - 0.03, -1.06), (x, -1.072), (x + 0.03, -1.06)]),
                darker(wearer.hair, 0.2),
                0.014,
                0.8,
            )
        )
    marks.append(
        Stroke(smooth([(0.004, -1.0), (0.018, -0.945), (-0.006, -0.938)]), dark, 0.008, 0.45)
    )
    lips = mix(rgb, (186, 60, 70), 0.55)
    marks.append(Stroke(smooth([(-0.04, -0.89), (0, -0.879), (0.04, -0.89)]), lips, 0.017, 0.9))
    return marks


def hair_behind(wearer: Wearer) -> Marks:
    """Hair that falls behind the shoulders."""
    rgb = wearer.hair
    match wearer.hair_style:
        case "long":
            half: list[Corner] = [
                (0, -1.27, 0.05),
                (0.17, -1.12, 0.15),
                (0.24, -0.62, 0.1),
                (0, -0.55, 0),
            ]
            return [fill(mirrored(half), darker(rgb, 0.2), relief=0.6)]
        case "bob":
            half = [(0, -1.27, 0.05), (0.18, -1.12, 0.2), (0.19, -0.85, 0.1), (0, -0.82, 0)]
            return [fill(mirrored(half), darker(rgb, 0.2), relief=0.6)]
        case "bun":
            return [fill(ellipse(0.02, -1.3, 0.085, 0.08), rgb, relief=0.8)]
        case "curly":
            return [
                fill(ellipse(x, y, 0.1, 0.1), darker(rgb, 0.15), relief=0.6, rim=0.2)
                for x, y in (
                    (-0.15, -1.0),
                    (0.15, -1.0),
                    (-0.16, -1.14),
                    (0.16, -1.14),
                    (-0.07, -1.23),
                    (0.07, -1.23),
                )
            ]
        case _:
            return []


def hair_before(wearer: Wearer) -> Marks:
    """The hairline."""
    rgb = wearer.hair
    if wearer.hair_style == "bald":
        return []
    low = -1.02 if wearer.hair_style in ("long", "bob") else -1.07
    outline = path(
        [
            (-0.162, low, 0.08),
            (-0.15, -1.19, 0.16),
            (0, -1.275, 0.16),
            (0.15, -1.19, 0.08),
            (0.162, low, 0.0),
            (0.13, -1.1, -0.1),
            (0.02, -1.165, -0.12),
            (-0.125, -1.09, 0.0),
        ]
    )
    marks: Marks = [fill(outline, rgb, relief=0.6, rim=0.35)]
    if wearer.hair_style == "curly":
        marks += [
            fill(ellipse(x, -1.2 - 0.03 * (1 - abs(x) * 7), 0.06, 0.055), rgb, relief=0.7, rim=0.2)
            for x in (-0.12, -0.06, 0.0, 0.06, 0.12)
        ]
    shine = smooth([(-0.1, -1.17), (0, -1.22), (0.09, -1.185)])
    return [*marks, Stroke(shine, lighter(rgb, 0.5), 0.014, 0.3)]


def draw_arms(wearer: Wearer, rgb: RGB, *, covered: RGB | None = None) -> Marks:
    """Both arms with hands; ``covered`` is the colour of long sleeves."""
    marks: Marks = []
    for side, angles in sides(wearer):
        shoulder, elbow, wrist = arm_joints(angles)
        hand_end = toward(elbow, wrist, 1.32)
        hand = limb(
            [toward(elbow, wrist, 0.97), toward(elbow, wrist, 1.14), hand_end], [0.036, 0.052, 0.02]
        )
        thumb = limb(
            [toward(elbow, wrist, 1.06), offset_in(toward(elbow, wrist, 1.2))], [0.02, 0.014]
        )
        arm = limb([shoulder, elbow, toward(elbow, wrist, 1.02)], [0.056, 0.055, 0.038])
        colour = covered or rgb
        marks += [skin(on_side(part, side), rgb) for part in (thumb, hand)]
        marks.append(skin(on_side(arm, side), colour))
        marks.append(
            skin(
                ellipse(side * (shoulder[0] - 0.02), shoulder[1] + 0.01, 0.055, 0.055),
                colour,
                relief=0.2,
            )
        )
    return marks


def offset_in(point: Point) -> Point:
    """A little nearer to the body."""
    return point[0] - 0.05, point[1] - 0.01


def draw_legs(wearer: Wearer, rgb: RGB, *, covered: RGB | None = None) -> Marks:
    """Both legs with feet; ``covered`` is the colour of trousers."""
    marks: Marks = []
    for side in (-1, 1):
        hip, knee, ankle = leg_joints(wearer.stance)
        foot = limb(
            [(ankle[0] - 0.01, ankle[1] - 0.02), (ankle[0] + 0.03, ankle[1] + 0.11)], [0.05, 0.058]
        )
        shoes = darker(wearer.clothes[1], 0.5)
        wide = [0.15, 0.105, 0.08] if covered else [0.135, 0.078, 0.046]
        leg = limb([(hip[0], hip[1] - 0.05), knee, ankle], wide, steps=8)
        marks += [fill(on_side(foot, side), shoes), skin(on_side(leg, side), covered or rgb)]
    if covered:
        half: list[Corner] = [
            (0, -0.06, 0),
            (0.22, -0.06, 0.04),
            (0.29, 0.15, 0),
            (0.26, 0.3, 0),
            (0, 0.36, 0),
        ]
        marks.append(Patch(mirrored(half), (covered,) * 3, relief=0.2, rim=0, shadow=0))
        marks.append(Stroke(smooth([(0, 0.1), (0, 0.36)]), darker(covered, 0.6), 0.008, 0.6))
    return marks


def draw_shirt(rgb: RGB, *, tucked: bool) -> Marks:
    """The plain top of somebody who shows another item."""
    hem = 0.05 if tucked else 0.18
    half: list[Corner] = [
        (0, -0.61, -0.26),
        (0.125, -0.71, 0),
        (0.33, -0.61, -0.02),
        (0.28, -0.34, -0.03),
        (0.235, 0.0, 0),
        (0.26, hem, 0.03),
        (0, hem + 0.02, 0),
    ]
    return [Patch(mirrored(half), (rgb,) * 3, relief=0.55, shadow=0.1, folds=0.0)]


def draw_form(wearer: Wearer, *, legs: bool = False) -> Marks:
    """A bust or a lower body on a stand, without limbs that would show."""
    rgb = wearer.form
    pole = darker(rgb, 0.55) if sum(rgb) > 300 else (150, 150, 152)
    stand: Marks = [
        Stroke(smooth([(0, 0.2), (0, 1.55)]), pole, 0.045),
        fill(ellipse(0, 1.56, 0.26, 0.045), pole),
    ]
    if legs:
        form: Marks = []
        for side in (-1, 1):
            hip, knee, ankle = leg_joints(wearer.stance)
            form.append(
                skin(on_side(limb([hip, knee, ankle], [0.135, 0.08, 0.05], steps=8), side), rgb)
            )
        waist: list[Corner] = [
            (0, -0.2, 0),
            (0.205, -0.2, 0.0),
            (0.22, -0.04, 0),
            (0.27, 0.2, 0),
            (0, 0.32, 0),
        ]
        return [*stand, *form, skin(mirrored(waist), rgb)]
    half: list[Corner] = [
        (0, -0.95, 0.1),
        (0.07, -0.93, 0.0),
        (0.075, -0.77, -0.16),
        (0.31, -0.63, 0.3),
        (0.3, -0.5, 0),
        (0.25, -0.33, -0.03),
        (0.205, -0.02, 0.05),
        (0.27, 0.24, 0.1),
        (0, 0.3, 0),
    ]
    knob = fill(ellipse(0, -0.955, 0.05, 0.03), pole, relief=0.6)
    return [*stand, skin(mirrored(half), rgb, relief=0.6), knob]
