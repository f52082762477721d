"""How probable a model finds photos, and whether they belong to what it was measured on.

The bits per value alone do not tell: to most models a white square is more probable than any photo
of their own training (Nalisnick et al., 2019), because it is simple. So a general coder, PNG, says
how simple a picture is, and what counts is how many bits the model needs beyond those (Serra et
al., 2020). Few beyond, or fewer than PNG, means that the model knows such pictures.

Needs torch: import it where something is scored.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from indexer.protocols import Pixels
from models.nn.likelihoods import Bernoulli
from models.training.checkpoint import Weights
from models.training.protocols import LatentVariableModel, scores_exactly
from models.training.weights import read_metrics
from service.brush import CHUNK, Brush, refusals_of, to_tensor, unable
from service.explaining import to_pixels
from service.schemas_models import LikelihoodsResponse, ReferenceResponse, ScoreResponse

METRIC = "likelihood"  # in metrics.json: see ``summarise``
QUANTILES = 101
SAMPLES = 16  # importance samples, where nothing says how many
FOREIGN = 0.01  # of the reference's own pictures would be told not to belong


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of a photo.

    Attributes:
        nats: Its log-probability, or the bound on it.
        bits_per_dim: The same as a code length, in bits per value.
        excess: Bits per value beyond what PNG needs.
    """

    nats: float
    bits_per_dim: float
    excess: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of photos.

    Attributes:
        samples: Importance samples of a bound; None where the probability is exact.
        side: Of the pictures that were scored.
        reference: What metrics.json has of the catalogue's own photos, None if nothing.
        note: What has to be known to read the figures, and what is missing; None if nothing.
    """

    model: str
    weights: str
    fingerprint: str
    samples: int | None
    side: int
    scores: tuple[Score, ...]
    reference: Mapping[str, Any] | None
    note: str | None

    @property
    def nbytes(self) -> int:
        """Memory that the figures take."""
        return 64 * len(self.scores)

    def tell(self) -> LikelihoodsResponse:
        """The figures as they go over the wire."""
        reference = None
        if self.reference is not None:
            reference = ReferenceResponse(
                data=str(self.reference["data"]), pictures=int(self.reference["pictures"])
            )
        return LikelihoodsResponse(
            model=self.model,
            weights=self.weights,
            fingerprint=self.fingerprint,
            exact=self.samples is None,
            samples=self.samples,
            side=self.side,
            scores=[self._tell_one(score) for score in self.scores],
            reference=reference,
            note=self.note,
        )

    def _tell_one(self, score: Score) -> ScoreResponse:
        rank = None
        if self.reference is not None:
            rank = share_above(score.excess, self.reference["excess"])
        return ScoreResponse(
            nats=score.nats,
            bits_per_dim=score.bits_per_dim,
            excess_bits_per_dim=score.excess,
            share_no_better=rank,
            belongs=None if rank is None else rank >= FOREIGN,
        )


def score_photos(brush: Brush, photos: Sequence[Pixels], samples: int | None) -> Scores:
    """How probable the model finds photos.

    Args:
        brush: Of a model with a likelihood, exact or a bound.
        photos: (H, W, C) uint8 each, made by the weights' preprocessing.
        samples: Importance samples of a bound; None takes those of the reference.

    Raises:
        UnableModelError: The model has no likelihood, or none of such pictures.
    """
    weights = brush.weights
    exact = scores_exactly(weights.model)
    if not exact and not isinstance(weights.model, LatentVariableModel):
        raise unable(weights, "likelihood", "it does not say how probable a picture is")
    refuse_grey_photos(weights, photos)
    reference = read_reference(weights)
    measured = SAMPLES if reference is None else int(reference["samples"] or SAMPLES)
    k = None if exact else samples or measured
    config: Any = weights.model.config
    side = int(config.target_size)
    scores: list[Score] = []
    generator = brush.generator()
    brush.watch.progress(0, len(photos), "score")
    with torch.inference_mode(), refusals_of(weights):
        for start in range(0, len(photos), CHUNK):
            x = to_tensor(photos[start : start + CHUNK])
            target = x if x.shape[-1] == side else shrink(x, side)
            scores += [
                score_of(nats, to_pixels(picture))
                for nats, picture in zip(
                    log_prob(brush, x, target, k, generator).tolist(), target, strict=True
                )
            ]
            brush.watch.progress(len(scores), len(photos), "score")
    return Scores(
        model=weights.name,
        weights=weights.folder.name,
        fingerprint=weights.fingerprint,
        samples=k,
        side=side,
        scores=tuple(scores),
        reference=reference,
        note=note_of(brush, side, photos[0].shape[0], compared=reference is not None),
    )


def refuse_grey_photos(weights: Weights, photos: Sequence[Pixels]) -> None:
    """Stop where a model of black and white is given levels between, and say in which photo.

    Raises:
        UnableModelError: See above.
    """
    if not isinstance(getattr(weights.model, "likelihood", None), Bernoulli):
        return
    for number, photo in enumerate(photos, 1):
        between = int(((photo != 0) & (photo != 255)).sum())
        if between:
            which = "The photo" if len(photos) == 1 else f"Photo {number} of {len(photos)}"
            raise unable(
                weights,
                "likelihood",
                f"it knows black and white alone. {which} has {between:,} of {photo.size:,} values "
                "between them; make each black or white, at a threshold for instance",
            )


def read_reference(weights: Weights) -> Mapping[str, Any] | None:
    """What ``summarise`` left in metrics.json, None if nothing."""
    found = read_metrics(weights.folder).get(METRIC)
    known = {"data", "pictures", "samples", "excess"}
    return found if isinstance(found, dict) and known <= set(found) else None


def log_prob(
    brush: Brush, x: Tensor, target: Tensor, k: int | None, generator: torch.Generator
) -> Tensor:
    """log p of the target, exact or bounded from below: (B,) nats."""
    model = brush.weights.model
    if scores_exactly(model):
        return model.score(x)
    assert isinstance(model, LatentVariableModel)
    assert k is not None
    return model.log_prob(x, target, k, generator=generator)


def shrink(x: Tensor, side: int) -> Tensor:
    """Photos at the size that the model draws, on the 256 levels: (B, C, H, W) -> (B, C, h, h)."""
    small = F.interpolate(x, (side, side), mode="area")
    return ((small + 1) * 127.5).round() / 127.5 - 1


def score_of(nats: float, picture: Pixels) -> Score:
    """The figures of one picture (h, w, C) uint8 and its log-probability."""
    bits = -nats / (picture.size * math.log(2))
    return Score(nats, bits, bits - png_bits(picture))


def png_bits(picture: Pixels) -> float:
    """Bits per value that PNG needs for a picture (h, w, C) uint8."""
    file = io.BytesIO()
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.save(file, "PNG", compress_level=9)
    return 8 * len(file.getvalue()) / picture.size


def note_of(brush: Brush, side: int, size: int, *, compared: bool) -> str | None:
    """What a reader has to know: another picture than it is shown, or nothing to compare with."""
    notes = []
    if brush.weights.recipe.views.canonical and side != size:
        notes.append(
            f"These weights draw items cut out on white, at {side} x {side}; what was scored is "
            "the photo itself at that size. Photos with a background are improbable to them, "
            "whatever they show."
        )
    if not compared:
        notes.append(
            "Whether a photo belongs to a catalogue is told once photos of it, best some that were "
            "not learned from, are measured: "
            f"niteru evaluate nll {brush.weights.folder.name} --data PHOTOS --record"
        )
    return " ".join(notes) or None


def summarise(scores: Sequence[Score], *, data: str, samples: int | None) -> dict[str, Any]:
    """What metrics.json keeps of photos that a model has not learned from, for comparison.

    Args:
        scores: Of photos of the catalogue.
        data: What they are called.
        samples: Importance samples of a bound.
    """
    shares = np.linspace(0, 1, QUANTILES)
    return {
        "data": data,
        "pictures": len(scores),
        "samples": samples,
        "bits_per_dim": np.quantile([score.bits_per_dim for score in scores], shares).tolist(),
        "excess": np.quantile([score.excess for score in scores], shares).tolist(),
    }


def share_above(value: float, quantiles: Sequence[float]) -> float:
    """The share of a distribution, told by evenly spaced quantiles, that lies above a value."""
    shares = np.linspace(0, 1, len(quantiles))
    # A value that several quantiles share counts as above itself: a tie is no surprise.
    below = float(np.interp(value, quantiles, shares)) if value > quantiles[0] else 0.0
    return 1.0 - below
