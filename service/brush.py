"""What everything that is drawn has in common: by which weights, with what chance, watched by whom.

Needs torch: import it where something is drawn.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from indexer.protocols import Pixels
from models.nn.onlookers import Look, seen_by
from models.training.abilities import abilities
from models.training.checkpoint import Weights
from models.training.protocols import Conditional, GenerativeModel, Tempered
from models.training.views import to_float
from service.errors import UnableModelError
from service.explaining import to_pixels
from service.sheets import Drawing

# Pictures that are drawn in one go: many share the cost of a pass, few show sooner how it goes. The
# same seed gives the same pictures only as long as this stays the same.
CHUNK = 8


class Watch(Protocol):
    """Who wants to know how it goes."""

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """So many of the pictures are ready; may raise to end the work."""
        ...

    def picture(self, number: int, pixels: Pixels) -> None:
        """This one, (h, w, C) uint8, is ready."""
        ...

    def partial(self, number: int, pictures: Callable[[], Sequence[Pixels]]) -> None:
        """What is being drawn, from this one on, can be seen as far as it is; may raise as well."""
        ...


@dataclass(frozen=True, slots=True)
class Brush:
    """How something is drawn.

    Attributes:
        weights: By which model.
        seed: Of all chance.
        temperature: 1 draws as was learned.
        mean: The mean picture of a latent vector instead of a draw.
        label: Of what class, by a model that was trained with labels; None for any.
        watch: Who wants to know how it goes.
    """

    weights: Weights
    watch: Watch
    seed: int = 0
    temperature: float = 1.0
    mean: bool = False
    label: int | None = None

    @property
    def model(self) -> GenerativeModel:
        """The model at the temperature, and of the label.

        Raises:
            UnableModelError: Its draws have none, or it has not learned this label.
        """
        model = self.weights.model
        if self.label is not None:
            if not isinstance(model, Conditional):
                raise unable(self.weights, "label", "it is not conditioned on labels")
            with refusals_of(self.weights):
                labelled = model.of_label(self.label)
            assert isinstance(labelled, GenerativeModel)
            model = labelled
        if self.temperature == 1:
            return model
        if not isinstance(model, Tempered):
            raise unable(self.weights, "temperature", "its draws have no temperature")
        warm = model.at_temperature(self.temperature)
        assert isinstance(warm, GenerativeModel)
        return warm

    def generator(self) -> torch.Generator:
        """Chance from its beginning."""
        return torch.Generator().manual_seed(self.seed)

    def drawing(
        self,
        pictures: Sequence[Pixels],
        *,
        photos: Sequence[Pixels] = (),
        columns: int | None = None,
        framed: bool = False,
        led: bool = False,
    ) -> Drawing:
        """The pictures, with what they were drawn by."""
        return Drawing(
            model=self.weights.name,
            weights=self.weights.folder.name,
            fingerprint=self.weights.fingerprint,
            seed=self.seed,
            temperature=self.temperature,
            pictures=tuple(pictures),
            photos=tuple(photos),
            columns=columns,
            framed=framed,
            led=led,
        )

    def collect(
        self, total: int, draw: Callable[[int, int], Tensor], *, chunk: int | None = None
    ) -> list[Pixels]:
        """Draw in chunks: ``draw(first, count)`` gives (count, C, h, w) in [-1, 1]."""
        most = chunk or CHUNK
        pictures: list[Pixels] = []
        self.watch.progress(0, total, "draw")
        with torch.inference_mode():
            while len(pictures) < total:
                with seen_by(self._show_from(len(pictures))):
                    drawn = draw(len(pictures), min(most, total - len(pictures)))
                for picture in drawn:
                    pictures.append(to_pixels(picture))
                    self.watch.picture(len(pictures) - 1, pictures[-1])
                self.watch.progress(len(pictures), total, "draw")
        return pictures

    def _show_from(self, first: int) -> Look:
        """Lets the watch see pictures while they are drawn, the first of them being this one."""

        def look(pictures: Callable[[], Tensor]) -> None:
            self.watch.partial(first, lambda: [to_pixels(picture) for picture in pictures()])

        return look


def to_tensor(photos: Sequence[Pixels]) -> Tensor:
    """(H, W, C) uint8 each -> (B, C, H, W) in [-1, 1]."""
    return to_float(torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2))


def unable(weights: Weights, ability: str, reason: str) -> UnableModelError:
    """The error for what a model cannot do."""
    able = abilities(type(weights.model))
    return UnableModelError(
        f"The model {weights.name} cannot do that ({ability}): {reason}. "
        f"It can: {', '.join(able)}.",
        extensions={"abilities": list(able)},
    )


@contextmanager
def refusals_of(weights: Weights) -> Iterator[None]:
    """Tell what a model refuses in its own words."""
    try:
        yield
    except ValueError as error:
        able = abilities(type(weights.model))
        raise UnableModelError(str(error), extensions={"abilities": list(able)}) from error
