"""What the calls about models answer: frozen, and named as the API names it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a model has learned, once. Sizes are None of what it does not know.

    ``enlarges`` are the sides of the small pictures that ``enlargements`` takes.
    """

    name: str
    size: int | None
    draws: int | None
    channels: int | None
    enlarges: tuple[int, ...]
    points: int | None
    classes: int | None = None
    config: Mapping[str, Any]
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A generative model, what can be asked of it, and the weights there are."""

    name: str
    about: str
    modality: str
    abilities: tuple[str, ...]
    presets: tuple[str, ...]
    train: str
    weights: tuple[Weights, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strokes:
    """A drawing of a pen: rows (dx, dy, lifted)."""

    strokes: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What a model has drawn.

    Attributes:
        model: Its name.
        weights: Their name.
        fingerprint: Of the weights.
        seed: Of the draws.
        temperature: Of the draws.
        pictures: PNG files, in order; none of a model of strokes.
        photos: What was sent, as the model sees it; grey is unknown.
        sketches: Drawings of a pen, in order; none of a model of pixels.
        sent: The drawings that were sent, as the model saw them.
        given: So many first points of each drawing were sent, not drawn.
    """

    model: str
    weights: str
    fingerprint: str
    seed: int
    temperature: float
    pictures: tuple[bytes, ...] = ()
    photos: tuple[bytes, ...] = ()
    sketches: tuple[Strokes, ...] = ()
    sent: tuple[Strokes, ...] = ()
    given: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How probable a model finds a photo.

    Attributes:
        nats: Its log-probability, or the bound below it.
        bits_per_dim: The same as bits for each value.
        excess_bits_per_dim: Beyond what PNG needs: the less, the better the model knows it.
        share_no_better: Share of the reference's photos whose excess is as large or larger; None
            without a reference, as ``belongs``.
        belongs: Whether that share is 1 % or more.
    """

    nats: float
    bits_per_dim: float
    excess_bits_per_dim: float
    share_no_better: float | None
    belongs: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Photos that the weights were measured on, to compare with: what, and how many."""

    data: str
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihoods:
    """How probable a model finds photos.

    Attributes:
        model: Its name.
        weights: Their name.
        fingerprint: Of the weights.
        exact: Whether it is the probability and no bound.
        samples: Importance samples of a bound, None where it is exact.
        side: Of the pictures that were scored, in pixels.
        scores: Of the photos, in their order.
        reference: What ``niteru evaluate nll --record`` measured, None if nobody has run it.
        note: What has to be known to read the figures.
    """

    model: str
    weights: str
    fingerprint: str
    exact: bool
    samples: int | None
    side: int
    scores: tuple[Score, ...]
    reference: Reference | None
    note: str | None
