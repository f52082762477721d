"""The models of a server: found on the first request, loaded when something is asked of them."""

import difflib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import models
from indexer.protocols import Pixels
from models.training.weights import (
    CONFIG,
    WEIGHTS,
    WeightsError,
    find_weights,
    read_preprocessing,
)
from service.decoding import Decoder
from service.errors import (
    CannotGenerateError,
    NoWeightsError,
    UnableModelError,
    UnknownModelError,
    UnknownWeightsError,
)
from service.explanation import encode
from service.image_errors import told_of
from service.job import Job, Result
from service.jobs import Jobs

if TYPE_CHECKING:  # torch takes seconds to import, and a server that only searches needs none
    from models.training.abilities import Ability
    from models.training.checkpoint import Weights
    from service.brush import Brush
    from service.model_cards import ModelCard, WeightsCard

logger = logging.getLogger(__name__)

BETWEEN_SIGHTS = 0.25  # seconds between two looks at what is being drawn
LOADED = 2  # weights that are kept in memory
CANNOT: dict[str, str] = {
    "temperature": "its draws have no temperature",
    "size": "its pictures have one size",
    "label": "it is not conditioned on labels",
    "complete": "it cannot draw the rest of a picture given a part",
    "enlarge": "it draws no large picture of a small one",
    "likelihood": "it draws pictures without saying how probable a picture is",
    "reconstruct": "it has no latent vector from which a picture could be drawn again",
    "interpolate": "it has no latent vectors to walk between",
    "arithmetic": "it has no latent vectors to count with",
    "frames": "it draws a picture at one go, not in steps",
}


ADVICE = {  # by what a call is about
    "pixels": "Strokes are sent to /v1/models/{name}/sketches/..., or ask a model of pixels.",
    "strokes": "Pixels are sent to the calls beside, without /sketches, or ask a model of strokes.",
}


class Studio:
    """What there is to draw with.

    Args:
        served: The weights that embed the queries: a folder, or a name below ``weights/``. They
            are the model's default. None if the server was given none.
        jobs: Where drawing is done.
        decoder: Decodes what is uploaded.
    """

    def __init__(self, served: str | None, jobs: Jobs, decoder: Decoder) -> None:
        self.served = served
        self.jobs = jobs
        self.decoder = decoder
        self._loaded: OrderedDict[tuple[Path, int], Weights] = OrderedDict()

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
                f"There are no weights of the model {card.name} here: it has not learned anything. "
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
            f"There are no weights '{weights[:100]}' of the model {card.name}. Weights: "
            f"{', '.join(names)}.",
            extensions={"weights": names},
        )

    def require(
        self, card: "ModelCard", *wanted: "Ability | str", modality: str | None = "pixels"
    ) -> None:
        """Refuse a model that cannot do what is asked of it, before it is loaded.

        Args:
            card: The model.
            wanted: What it has to be able to do.
            modality: Of what the call is about; None if it is about either.

        Raises:
            UnableModelError: It cannot; the message says why, and which models can.
        """
        if modality is not None and card.modality != modality:
            raise UnableModelError(
                f"The model {card.name} reads and draws {card.modality}, and this call is about "
                f"{modality}. {ADVICE[modality]}",
                extensions={"abilities": list(card.abilities)},
            )
        for ability in wanted:
            if not can(card, ability):
                others = [
                    other.name
                    for other in self.cards()
                    if can(other, ability) and other.modality == card.modality
                ]
                raise UnableModelError(
                    f"The model {card.name} cannot do that: {CANNOT[ability]}. "
                    f"Models that can: {', '.join(others) or 'none'}.",
                    extensions={"abilities": list(card.abilities)},
                )

    def read(self, weights: "WeightsCard", data: bytes) -> Pixels:
        """(H, W, C) uint8 from the bytes of an image file, as a model sees it.

        Raises:
            UnsupportedFormatError, UnusableImageError: See ``service.errors``.
        """
        with told_of():
            return self.decoder.read(data, read_preprocessing(weights.folder))

    def read_mask(self, weights: "WeightsCard", data: bytes, photo: bytes) -> Pixels:
        """(H, W) uint8 from the bytes of a mask and of its photo, fitted as the photo is.

        Raises:
            UnsupportedFormatError, UnusableImageError, InvalidRequestError: See
                ``service.errors``.
        """
        with told_of():
            return self.decoder.read_mask(data, photo, read_preprocessing(weights.folder))

    def read_small(self, weights: "WeightsCard", data: bytes) -> Pixels:
        """(s, s, C) uint8 from the bytes of a small picture that is to be made large.

        Raises:
            UnsupportedFormatError, UnusableImageError, InvalidRequestError: See
                ``service.errors``.
        """
        with told_of():
            preprocessing = read_preprocessing(weights.folder)
            return self.decoder.read_small(data, preprocessing, weights.enlarges)

    def submit(
        self,
        kind: str,
        card: "ModelCard",
        weights: "WeightsCard",
        make: "Callable[[Brush], Result]",
        *,
        seed: int = 0,
        temperature: float = 1.0,
        mean: bool = False,
        label: int | None = None,
    ) -> Job:
        """Let something be drawn when its turn comes.

        Args:
            kind: Of the job.
            card: The model.
            weights: Those to load.
            make: Draws.
            seed: Of all chance.
            temperature: Of the draws.
            mean: The mean picture instead of draws.
            label: Of what class to draw.

        Raises:
            OverloadedError: Too many jobs wait.
        """

        def work(job: Job) -> Result:
            from service.brush import Brush  # noqa: PLC0415 - takes seconds, see above

            job.progress(0, 0, "load")
            loaded = self._load(weights.folder)
            job.check()
            return make(Brush(loaded, JobWatch(job), seed, temperature, mean, label))

        return self.jobs.submit(kind, card.name, work)

    def _load(self, folder: Path) -> "Weights":
        """Weights from the disk, or from memory if they are the same still.

        There is one thread that draws, so nothing is loaded twice at once.
        """
        import torch  # noqa: PLC0415 - takes seconds, see above

        from models.training.checkpoint import load_weights  # noqa: PLC0415

        torch.set_num_threads(1)  # of this thread: the other cores are for searches
        try:
            changed = max((folder / name).stat().st_mtime_ns for name in (CONFIG, WEIGHTS))
            key = (folder.resolve(), changed)
            if key not in self._loaded:
                self._loaded[key] = load_weights(folder)
        except (WeightsError, OSError) as error:
            # It names paths of this machine, which are for the log.
            logger.warning("Nothing can be drawn: %s", error)
            raise CannotGenerateError(
                f"The weights '{folder.name}' cannot be read (any more). The server's log says "
                "why, under the time of this answer."
            ) from error
        self._loaded.move_to_end(key)
        while len(self._loaded) > LOADED:
            self._loaded.popitem(last=False)
        return self._loaded[key]

    def _served_folder(self) -> Path | None:
        """The folder of the server's own weights, None if it has none (any more)."""
        try:
            return None if self.served is None else find_weights(self.served)
        except WeightsError:
            return None


class JobWatch:
    """Tells a job how far a drawing is, and shows pictures as they are drawn and as they are ready.

    Args:
        job: Is told.
        clock: Seconds, of which only differences count.
    """

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self.job, self.clock = job, clock
        self._next = 0.0

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """So many of the pictures are ready; raises to end the work."""
        self.job.progress(done, total, stage)

    def picture(self, number: int, pixels: Pixels) -> None:
        """This one, (h, w, C) uint8, is ready."""
        self.job.show({"number": number, "picture": encode(pixels)})

    def partial(self, number: int, pictures: Callable[[], Sequence[Pixels]]) -> None:
        """Show now and then what is being drawn, from this one on; raises to end the work."""
        self.job.check()
        now = self.clock()
        if now >= self._next:
            self._next = now + BETWEEN_SIGHTS
            self.job.sketch({"number": number, "pictures": [encode(p) for p in pictures()]})


def can(card: "ModelCard", ability: str) -> bool:
    """Whether a model has an ability, ``likelihood`` being either of two."""
    if ability == "likelihood":
        return bool({"exact_likelihood", "likelihood_bound"} & set(card.abilities))
    return ability in card.abilities


def without_torch(error: ImportError) -> CannotGenerateError:
    """The error of a server that lacks what models need."""
    logger.warning("No model can be run: %s", error)
    return CannotGenerateError(
        f"Models need torch, and this server cannot import '{error.name}'. "
        "Install torch where the server runs."
    )
