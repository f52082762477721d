"""How a model is trained: the settings that are not the model's own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

# What can be switched off by one word, and the settings of ``Views`` that this touches.
FAMILIES = {
    "background": ("swap",),
    "white": ("canonical",),
    "mirror": ("mirror",),
    "crop": ("scale", "shift"),
    "rotate": ("rotate",),
    "light": ("brightness", "contrast"),
    "colour": ("saturation", "warmth"),
    "occlusion": ("occlude",),
    "noise": ("noise",),
}
PROBABILITIES = ("swap", "mirror", "occlude")
LARGEST = ("shift", "rotate", "brightness", "contrast", "saturation", "warmth", "noise")


@dataclass(frozen=True, slots=True)
class Views:
    """What may change between two views of one item, because it should not matter.

    Attributes:
        count: Views of each item in a step; 1 leaves a contrastive term nothing to compare.
        swap: Probability that the background becomes another photo's (needs item masks).
        canonical: Decode the item cut out, centred, on white, instead of the view itself.
        mirror: Probability of a left-right flip.
        scale: Smallest and largest size of the item, relative to the photo.
        shift: Largest move, as a share of the side.
        rotate: Largest turn in degrees.
        brightness, contrast, saturation: Largest relative change.
        warmth: Largest shift between red and blue. Small: colour matters to a shop.
        occlude: Probability that a rectangle of another photo covers part of the view (needs item
            masks: it is cut from a photo whose item is painted out).
        noise: Largest standard deviation of added noise, in the [-1, 1] scale.
    """

    count: int = 2
    swap: float = 0.8
    canonical: bool = True
    mirror: float = 0.5
    scale: tuple[float, float] = (0.7, 1.1)
    shift: float = 0.10
    rotate: float = 12.0
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.25
    warmth: float = 0.06
    occlude: float = 0.2
    noise: float = 0.04

    def __post_init__(self) -> None:
        """Every setting must lie in its range."""
        low, high = self.scale
        checks = [("count", self.count >= 1, "1 or more")]
        checks += [("scale", 0 < low <= high, "two positive numbers, the smaller first")]
        checks += [(p, 0 <= getattr(self, p) <= 1, "a probability") for p in PROBABILITIES]
        checks += [(name, getattr(self, name) >= 0, "0 or more") for name in LARGEST]
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"views.{name} is {getattr(self, name)}; it has to be {expected}.")

    @property
    def need_masks(self) -> bool:
        """Whether the items have to be cut out of their photos."""
        return self.swap > 0 or self.canonical

    @classmethod
    def none(cls) -> "Views":
        """One view, as it is: for digits, and for the plain autoencoder."""
        return cls(
            count=1, swap=0.0, canonical=False, mirror=0.0, scale=(1.0, 1.0), shift=0.0, rotate=0.0,
            brightness=0.0, contrast=0.0, saturation=0.0, warmth=0.0, occlude=0.0, noise=0.0,
        )  # fmt: skip


def switched_off(families: Iterable[str]) -> dict[str, Any]:
    """The settings of ``Views`` that leave out the changes named, with their values.

    Raises:
        ValueError: There is no family of that name.
    """
    still = Views.none()
    found: dict[str, Any] = {}
    for family in families:
        if family not in FAMILIES:
            raise ValueError(
                f"Views have no '{family}' to do without. There are: {', '.join(FAMILIES)}."
            )
        found |= {name: getattr(still, name) for name in FAMILIES[family]}
    return found


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast a model learns.

    Attributes:
        batch_size: Items in a step, over all processes.
        steps: Length of the training; or None, and ``minutes`` counts.
        minutes: Length of the training as time. The learning rate follows whichever is given.
        learning_rate: Peak of a linear warm-up and a cosine descent (Loshchilov and Hutter, 2017).
        warmup_steps: Length of the warm-up.
        weight_decay: Of AdamW, on weights of two or more dimensions.
        clip: Largest norm of a player's gradient.
        ema: Decay of the averaged weights, the ones that are saved for use.
        refine: Whether weights that a training starts from (``--init``) and that tell shapes have
            a say in what shape each item has.
        precision: ``bf16`` runs convolutions in bfloat16: twice as fast where the processor has
            instructions for it. ``auto`` takes it there and nowhere else.
        seed: Of everything random.
        views: What changes between views.
    """

    batch_size: int = 128
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    weight_decay: float = 0.05
    clip: float = 5.0
    ema: float = 0.998
    refine: bool = True
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    views: Views = field(default_factory=Views)

    def __post_init__(self) -> None:
        """Every setting in its range; exactly one of ``steps`` and ``minutes`` says how long."""
        positive = ("batch_size", "steps", "minutes", "learning_rate", "clip")
        given = {name: getattr(self, name) for name in positive}
        wrong = [name for name, value in given.items() if value is not None and value <= 0]
        wrong += [name for name in ("warmup_steps", "weight_decay") if getattr(self, name) < 0]
        wrong += ["ema"] if not 0 <= self.ema < 1 else []
        if wrong:
            raise ValueError(
                f"recipe.{wrong[0]} is {getattr(self, wrong[0])}, which is out of its range."
            )
        if (self.steps is None) == (self.minutes is None):
            raise ValueError(
                f"A recipe needs either steps or minutes: steps={self.steps}, "
                f"minutes={self.minutes}."
            )


class Preset(NamedTuple):
    """A model's configuration and the recipe that suits it."""

    config: Any
    recipe: Recipe
