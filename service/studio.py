"""The models of a server: found on the first request, loaded when something is asked of them."""

import difflib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import models
from models.training.weights import WeightsError, find_weights
from service.errors import (
    CannotGenerateError,
    NoWeightsError,
    UnknownModelError,
    UnknownWeightsError,
)

if TYPE_CHECKING:  # torch takes seconds to import, and a server that only searches needs none
    from service.model_cards import ModelCard, WeightsCard

logger = logging.getLogger(__name__)


class Studio:
    """What there is to draw with.

    Args:
        served: The weights that embed the queries: a folder, or a name below ``weights/``. They
            are the model's default. None if the server was given none.
    """

    def __init__(self, served: str | None) -> None:
        self.served = served

    def cards(self) -> "list[ModelCard]":
        """Every model.

        Raises:
            CannotGenerateError: There is no torch here.
        """
        try:
            from service.model_cards import model_cards  # noqa: PLC0415 - takes seconds, see above
        except ImportError as error:
            raise without_torch(error) from error
        return model_cards(self._served_folder())

    def card(self, name: str) -> "ModelCard":
        """One model.

        Raises:
            UnknownModelError: There is none of that name.
        """
        if name not in models.available():
            near = difflib.get_close_matches(name, models.available(), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise UnknownModelError(
                f"There is no model '{name[:100]}'.{hint} Models: {', '.join(models.available())}."
            )
        return next(card for card in self.cards() if card.name == name)

    def choose(self, card: "ModelCard", weights: str | None) -> "WeightsCard":
        """The weights that a request means: those it names, or the server's own, or the first.

        Raises:
            NoWeightsError: The model has none at all.
            UnknownWeightsError: It has some, but none of that name.
        """
        if not card.weights:
            raise NoWeightsError(
                f"There are no weights of a {card.name} here, so it has nothing to draw from. "
                f"Make some where the server runs, below weights/: {card.train}.",
                extensions={"train": card.train},
            )
        served = self._served_folder()
        wanted = weights or (served.name if served is not None else None)
        for found in card.weights:
            if found.name == wanted:
                return found
        if weights is None:
            return card.weights[0]
        names = [found.name for found in card.weights]
        raise UnknownWeightsError(
            f"There are no weights '{weights[:100]}' of a {card.name}. Weights: "
            f"{', '.join(names)}.",
            extensions={"weights": names},
        )

    def _served_folder(self) -> Path | None:
        """The folder of the server's own weights, None if it has none (any more)."""
        try:
            return None if self.served is None else find_weights(self.served)
        except WeightsError:
            return None


def without_torch(error: ImportError) -> CannotGenerateError:
    """The error of a server that lacks what models need."""
    logger.warning("No model can be run: %s", error)
    return CannotGenerateError(
        f"Models need torch, and this server cannot import '{error.name}'. "
        "Install torch where the server runs."
    )
