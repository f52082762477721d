"""What can be asked of a model, read from the protocols that its class satisfies."""

from typing import Literal, get_args

from models.training.protocols import (
    Completer,
    Conditional,
    Enlarger,
    ExactLikelihoodModel,
    GenerativeModel,
    LatentDecoder,
    LatentPrior,
    LatentVariableModel,
    Sizable,
    StagedDecoder,
    StrokeDecoder,
    Tempered,
)

Ability = Literal[
    "sample",
    "temperature",
    "size",
    "label",
    "complete",
    "enlarge",
    "exact_likelihood",
    "likelihood_bound",
    "reconstruct",
    "interpolate",
    "arithmetic",
    "frames",
]

MEANINGS: dict[Ability, str] = {
    "sample": "draws new pictures",
    "temperature": "draws what is more probable, or less",
    "size": "draws pictures of any side",
    "label": "draws pictures of a class, if it was trained with labels",
    "complete": "draws the rest of a picture of which a part is known",
    "enlarge": "draws a large picture of a small one",
    "exact_likelihood": "gives every picture its probability",
    "likelihood_bound": "gives every picture a bound on its probability",
    "reconstruct": "draws a picture again from its latent vector",
    "interpolate": "draws what lies between two latent vectors",
    "arithmetic": "draws a - b + c of latent vectors",
    "frames": "shows step by step how a picture comes about",
}
assert set(MEANINGS) == set(get_args(Ability))


DRAWS_ON: tuple[Ability, ...] = ("sample", "temperature", "complete")  # what every pen can do


def abilities(kind: type[GenerativeModel]) -> tuple[Ability, ...]:
    """What models of a class can do, in the order of ``MEANINGS``."""
    if kind.modality == "strokes":
        mixes: tuple[Ability, ...] = ("reconstruct", "interpolate", "arithmetic")
        return (*DRAWS_ON, *(mixes if issubclass(kind, StrokeDecoder) else ()))
    latent = issubclass(kind, LatentVariableModel)
    draws_again = latent or issubclass(kind, LatentDecoder)
    walks = draws_again and issubclass(kind, LatentPrior)
    able: dict[Ability, bool] = {
        "sample": True,
        "temperature": issubclass(kind, Tempered),
        "size": issubclass(kind, Sizable),
        "label": issubclass(kind, Conditional),
        "complete": issubclass(kind, Completer),
        "enlarge": issubclass(kind, Enlarger),
        # A latent model's method of the same name scores a picture given the vector.
        "exact_likelihood": issubclass(kind, ExactLikelihoodModel) and not latent,
        "likelihood_bound": latent,
        "reconstruct": draws_again and kind.encodes,
        "interpolate": walks,
        "arithmetic": walks,
        "frames": walks and issubclass(kind, StagedDecoder),
    }
    return tuple(ability for ability in MEANINGS if able[ability])
