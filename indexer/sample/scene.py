"""What is not the item: background, wearer and camera, and how to change one of them alone."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from indexer.sample.palette import COLOURS, HAIRS, RGB, SKINS, vary

WearerKind = Literal["flat", "hanger", "mannequin", "person"]
WEARERS: tuple[WearerKind, ...] = ("flat", "hanger", "mannequin", "person")
BACKGROUNDS = (
    "plain", "gradient", "wood", "tiles", "brick", "marble", "concrete", "fabric", "carpet",
    "wallpaper", "foliage", "room", "shelves", "objects", "street", "boxes",
)  # fmt: skip
HAIR_STYLES = ("short", "long", "bun", "bald", "bob", "curly")
SCENE_STREAM = 2


@dataclass(frozen=True, slots=True)
class Background:
    """What is behind: a surface or a cluttered place.

    Attributes:
        kind: One of ``BACKGROUNDS``.
        colours: Three colours it is painted in.
        seed: Places its grain and its clutter.
    """

    kind: str
    colours: tuple[RGB, RGB, RGB]
    seed: int


@dataclass(frozen=True, slots=True)
class Wearer:
    """Who or what carries the item, and how.

    For tops and the like ``mannequin`` is a bust on a stand; for shoes, bags and hats it is a
    foot form, a stand, a dummy's head; ``hanger`` is then a hook or a shelf.

    Attributes:
        kind: One of ``WEARERS``.
        arms: For the right and the left arm the angle of the upper arm from hanging down, and
            of the lower arm, in radians outwards.
        stance: Half angle between the legs, radians.
        skin, hair: Colours of a person.
        hair_style: One of ``HAIR_STYLES``.
        clothes: Colours of what else the person wears.
        form: Colour of mannequin or hanger.
        seed: Places the folds.
    """

    kind: WearerKind
    arms: tuple[tuple[float, float], tuple[float, float]]
    stance: float
    skin: RGB
    hair: RGB
    hair_style: str
    clothes: tuple[RGB, RGB]
    form: RGB
    seed: int


@dataclass(frozen=True, slots=True)
class Camera:
    """How the photo is taken.

    Attributes:
        angle: Rotation in radians.
        zoom: Factor on the usual size of the item in the frame.
        shift: Of the item's middle, as parts of the frame.
        light: Brightness, 1 is neutral.
        warmth: Red against blue, 0 is neutral.
        lamp: Direction that the light comes from, radians clockwise from the right.
        noise: Standard deviation of the sensor's noise, in grey levels.
        blur: Radius of the blur in pixels of a 256-pixel image.
        quality: Of the JPEG file.
        seed: Of the noise.
    """

    angle: float
    zoom: float
    shift: tuple[float, float]
    light: float
    warmth: float
    lamp: float
    noise: float
    blur: float
    quality: int
    seed: int


@dataclass(frozen=True, slots=True)
class Scene:
    """All of a photo but the item."""

    background: Background
    wearer: Wearer
    camera: Camera


def draw_scene(seed: int, number: int, photo: int = 0) -> Scene:
    """The scene of photo ``photo`` of item ``number`` in catalogue ``seed``."""
    rng = np.random.default_rng((SCENE_STREAM, seed, number, photo))
    return Scene(draw_background(rng), draw_wearer(rng), draw_camera(rng))


def draw_background(rng: np.random.Generator, *, other_than: str = "") -> Background:
    """Any background of another kind than the one named."""
    kinds = [kind for kind in BACKGROUNDS if kind != other_than]
    names = rng.choice(list(COLOURS), 3, replace=False)
    first, second, third = (vary(rng, COLOURS[str(name)], 14) for name in names)
    return Background(
        kind=str(rng.choice(kinds)), colours=(first, second, third), seed=draw_seed(rng)
    )


def draw_wearer(rng: np.random.Generator, *, other_than: str = "") -> Wearer:
    """Any wearer of another kind than the one named."""
    kind = rng.choice([kind for kind in WEARERS if kind != other_than])
    low, high = {"flat": (0.25, 0.95), "hanger": (0.1, 0.22), "mannequin": (0.12, 0.3)}.get(
        str(kind), (0.1, 0.75)
    )
    right, left = (draw_arm(rng, low, high, person=kind == "person") for _ in range(2))
    if kind != "person" and rng.random() < 0.7:
        left = right
    form = ((236, 230, 220), (58, 56, 60), (206, 170, 126), (250, 250, 250))[int(rng.integers(4))]
    clothes = [COLOURS[str(name)] for name in rng.choice(list(COLOURS), 2)]
    return Wearer(
        kind=WEARERS[WEARERS.index(kind)],
        arms=(right, left),
        stance=float(rng.uniform(0.02, 0.13)),
        skin=vary(rng, SKINS[int(rng.integers(len(SKINS)))]),
        hair=vary(rng, HAIRS[int(rng.integers(len(HAIRS)))]),
        hair_style=str(rng.choice(HAIR_STYLES)),
        clothes=(vary(rng, clothes[0]), vary(rng, clothes[1])),
        form=form,
        seed=draw_seed(rng),
    )


def draw_arm(
    rng: np.random.Generator, low: float, high: float, *, person: bool
) -> tuple[float, float]:
    """Angles of the upper and the lower arm."""
    upper = float(rng.uniform(low, high))
    if not person:
        return upper, upper + float(rng.uniform(-0.15, 0.1))
    if rng.random() < 0.3:  # a hand on the hip
        return float(rng.uniform(0.5, 0.8)), float(rng.uniform(-0.75, -0.4))
    return upper, upper + float(rng.uniform(-0.35, 0.3))


def draw_camera(rng: np.random.Generator) -> Camera:
    """A photo taken by hand."""
    return Camera(
        angle=float(rng.uniform(-0.1, 0.1)),
        zoom=float(rng.uniform(0.9, 1.06)),
        shift=(float(rng.uniform(-0.04, 0.04)), float(rng.uniform(-0.03, 0.03))),
        light=float(rng.uniform(0.84, 1.1)),
        warmth=float(rng.uniform(-0.06, 0.07)),
        lamp=float(rng.uniform(3.6, 5.8)),
        noise=float(rng.uniform(0, 4)),
        blur=float(rng.choice([0, 0, 0.4, 0.7])),
        quality=int(rng.integers(84, 95)),
        seed=draw_seed(rng),
    )


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for what is drawn while rendering."""
    return int(rng.integers(2**31))


def change_background(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same scene before a background of another kind."""
    return replace(scene, background=draw_background(rng, other_than=scene.background.kind))


def change_wearer(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same scene with another kind of wearer, pose and skin."""
    return replace(scene, wearer=draw_wearer(rng, other_than=scene.wearer.kind))


def change_camera(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same scene photographed again."""
    return replace(scene, camera=draw_camera(rng))


def nudge_camera(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same scene a moment later: the camera slightly turned and moved, the light unchanged."""
    camera = scene.camera
    return replace(
        scene,
        camera=replace(
            camera,
            angle=camera.angle + float(rng.uniform(-0.06, 0.06)),
            zoom=camera.zoom * float(rng.uniform(0.94, 1.04)),
            shift=(
                camera.shift[0] + float(rng.uniform(-0.025, 0.025)),
                camera.shift[1] + float(rng.uniform(-0.025, 0.025)),
            ),
            noise=float(rng.uniform(0, 4)),
            seed=draw_seed(rng),
        ),
    )
