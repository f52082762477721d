"""Searching, without HTTP: photo or item in, similar items out, with the time of every step."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from indexer.errors import FingerprintMismatchError, GenerationError, UnknownAttributeError
from indexer.protocols import Embedder, Engine, Item, Pixels, Vectors
from models.images import Crop
from service.combining import Example, Photo, combined
from service.decoding import Decoder, DecoderHere
from service.errors import (
    InvalidRequestError,
    NotReadyError,
    UnknownItemError,
    UnsupportedFormatError,
    UnusableImageError,
)
from service.image_errors import told_of
from service.selection import Choice, Selection, choose_each

logger = logging.getLogger(__name__)

# Between two steps of a search a generation may be published or an item deleted: the search is
# begun again, for a short answer would be neither of before nor of after. It is bounded because a
# writer could go on for ever.
ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Match:
    """An item and how alike it is.

    Attributes:
        item: The item.
        score: The cosine, in [-1, 1], higher is closer.
        collapsed: Ids of the items that were folded into it.
    """

    item: Item
    score: float
    collapsed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The items found, best first.

    Attributes:
        generation: Id of the generation that answered.
        total: How many items could have been found.
        timings: Milliseconds by step.
    """

    matches: tuple[Match, ...]
    generation: str
    total: int
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sought:
    """A photo to be embedded, and searched with if that is wanted.

    Attributes:
        pixels: (H, W, C) uint8.
        wanted: What to answer; None if the vector alone is asked for.
    """

    pixels: Pixels
    wanted: Selection | None = None


class Found(NamedTuple):
    """What was made of a photo.

    Attributes:
        vector: (dim,), of unit length.
        answer: None if the vector alone was asked for.
        timings: Milliseconds by step, of the batch that it was in.
    """

    vector: Vectors
    answer: Answer | None
    timings: dict[str, float]


class Stopwatch:
    """Collects how long each step took, in milliseconds."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside ``with``; a step that is taken twice adds up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Count time that was measured elsewhere."""
        self.timings[name] = self.timings.get(name, 0.0) + 1000 * seconds


class Searcher:
    """Embedder and engine together. All methods are safe to call from several threads.

    Args:
        embedder: Embeds the queries; its fingerprint is the engine's.
        engine: Holds the items.
        max_pixels: Most pixels of a query image.
        decoder: Decodes query images; without it, the thread that asks does.
        refresh_interval: Seconds between two looks for a new generation.
        clock: Seconds, never going back.

    Attributes:
        refused: Why the current generation is not served, None if it is.
        on_mismatch: Told the fingerprint of a current generation of other weights, with each look.

    Raises:
        FingerprintMismatchError: The vectors of the one mean nothing to the other.
    """

    def __init__(
        self,
        embedder: Embedder,
        engine: Engine,
        *,
        max_pixels: int,
        decoder: Decoder | None = None,
        refresh_interval: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if embedder.fingerprint != engine.fingerprint:
            raise FingerprintMismatchError(
                found=engine.fingerprint, expected=embedder.fingerprint, where="The index"
            )
        self.embedder = embedder
        self.engine = engine
        self.decoder = decoder or DecoderHere(max_pixels)
        self.refresh_interval = refresh_interval
        self.clock = clock
        self.refused: str | None = None
        self.on_mismatch: Callable[[str], None] = lambda _: None
        self._refreshing = threading.Lock()
        self._refreshed = clock()

    def decode(self, data: bytes, crop: Crop | None = None) -> Pixels:
        """(H, W, C) uint8 from the bytes of an image file, or from a part of the image.

        Raises:
            UnsupportedFormatError: Not one of the accepted formats.
            UnusableImageError: Empty, damaged, too many pixels or too slow to decode.
            InvalidRequestError: The crop is no part of it.
        """
        with told_of():
            return self.decoder.read(data, self.embedder.preprocessing, crop=crop)

    def embed(self, pixels: Pixels) -> Vectors:
        """(B, H, W, C) uint8 -> (B, dim) float32 of unit length."""
        return self.embedder.embed(pixels)

    def search_image(
        self,
        data: bytes,
        wanted: Selection,
        *,
        crop: Crop | None = None,
        watch: Stopwatch | None = None,
    ) -> Answer:
        """The items that look most like a photo or a part of it, from the bytes of its file."""
        watch = watch or Stopwatch()
        with watch.step("decode"):
            pixels = self.decode(data, crop)
        with watch.step("embed"):
            vector = self.embed(pixels[np.newaxis])[0]
        return self.search(vector, wanted, watch=watch)

    def search_item(
        self, item_id: str, wanted: Selection, *, watch: Stopwatch | None = None
    ) -> Answer:
        """The items that look most like another, without that one.

        Raises:
            UnknownItemError: There is no such item (any more).
        """
        watch = watch or Stopwatch()
        self.refresh()
        with watch.step("fetch"):
            vector = self.engine.vectors([item_id])[0]
        if vector is None:
            raise UnknownItemError(item_id)
        others = replace(wanted, exclude=(item_id, *wanted.exclude))
        return self.search(vector, others, watch=watch)

    def combine(
        self,
        positives: Sequence[Example],
        negatives: Sequence[Example],
        *,
        watch: Stopwatch | None = None,
    ) -> Vectors:
        """The vector (dim,) of this one, but like that; see ``combined``.

        Args:
            positives: Photos, or ids of items; at least one.
            negatives: The same; none or more.
            watch: Times the steps.

        Raises:
            UnknownItemError: There is no such item (any more).
            InvalidRequestError: They cancel each other out, or a crop is no part of its photo.
            UnsupportedFormatError, UnusableImageError: See ``decode``.
        """
        watch = watch or Stopwatch()
        self.refresh()
        rows = self._vectors([*positives, *negatives], watch)  # (P + N, dim)
        return combined(rows[: len(positives)], rows[len(positives) :])

    def _vectors(self, examples: Sequence[Example], watch: Stopwatch) -> Vectors:
        """The vectors (N, dim) of photos and items, the photos embedded in one go."""
        ids = [example for example in examples if isinstance(example, str)]
        with watch.step("fetch"):
            found = dict(zip(ids, self.engine.vectors(ids), strict=True)) if ids else {}
        with watch.step("decode"):
            photos = self._decode_each([one for one in examples if isinstance(one, Photo)])
        with watch.step("embed"):
            embedded = iter(self.embed(np.stack(photos)) if photos else ())
        rows = []
        for example in examples:
            row = found[example] if isinstance(example, str) else next(embedded)
            if row is None:
                raise UnknownItemError(str(example))
            rows.append(row)
        return np.stack(rows)

    def _decode_each(self, photos: Sequence[Photo]) -> list[Pixels]:
        """Each (H, W, C) uint8; of several, what is wrong with one says with which."""
        decoded = []
        for number, photo in enumerate(photos, 1):
            try:
                decoded.append(self.decode(photo.data, photo.crop))
            except (UnsupportedFormatError, UnusableImageError, InvalidRequestError) as error:
                if len(photos) == 1:
                    raise
                told = f"Photo {number} of {len(photos)}: {error.detail}"
                raise type(error)(told, extensions=error.extensions) from error
        return decoded

    def search(
        self, vector: Vectors, wanted: Selection, *, watch: Stopwatch | None = None
    ) -> Answer:
        """The items to answer to ``vector`` (dim,), all from one generation."""
        return self.search_each(vector[np.newaxis], wanted, watch=watch)[0]

    def search_each(
        self, vectors: Vectors, wanted: Selection, *, watch: Stopwatch | None = None
    ) -> list[Answer]:
        """The items to answer to each of ``vectors`` (B, dim), all from one generation.

        Raises:
            InvalidRequestError: They are to be grouped by an attribute that no item has.
        """
        watch = watch or Stopwatch()
        self.refresh()
        for _ in range(ATTEMPTS):
            generation = self.engine.generation
            chosen = self._choose(vectors, wanted, watch)
            there = all(choice.item is not None for page in chosen for choice in page)
            if self.engine.generation == generation and there:
                break
        where = wanted.where
        total = len(self.engine) if where is None else self.engine.count(where)
        return [Answer(matches_of(page), generation, total, watch.timings) for page in chosen]

    def _choose(self, vectors: Vectors, wanted: Selection, watch: Stopwatch) -> list[list[Choice]]:
        try:
            return choose_each(self.engine, vectors, wanted, watch.step)
        except UnknownAttributeError as error:
            told = [{"field": "group_by", "message": str(error)}]
            raise InvalidRequestError(f"group_by: {error}", extensions={"errors": told}) from error

    def find_each(self, sought: Sequence[Sought]) -> list[Found]:
        """Embed several photos together, and search with those that are to be searched with.

        Searches that want the same are one call of the engine; one with a filter, or one that
        passes over some of the nearest, is a call of its own.
        """
        watch = Stopwatch()
        with watch.step("embed"):
            vectors = self.embed(np.stack([one.pixels for one in sought]))
        alike: dict[object, list[int]] = {}
        for place, one in enumerate(sought):
            if one.wanted is not None:
                alike.setdefault(one.wanted if one.wanted.joins else place, []).append(place)
        answers: dict[int, Answer] = {}
        for places in alike.values():
            wanted = sought[places[0]].wanted
            assert wanted is not None
            found = self.search_each(vectors[places], wanted, watch=watch)
            answers |= zip(places, found, strict=True)
        return [
            Found(vector, answers.get(place), watch.timings) for place, vector in enumerate(vectors)
        ]

    def item(self, item_id: str) -> Item | None:
        """The item of that id, None where there is none (any more)."""
        self.refresh()
        return self.engine.get([item_id])[0]

    def refresh(self) -> None:
        """Take up a newly published generation, looking for one no more often than asked.

        As long as there is none at all, every call looks, and waits for another that does: what
        comes next could only be refused.

        A generation that does not fit the weights, or is damaged, is not taken up: the one being
        served goes on, and ``refused`` says why.
        """
        waiting = self.serving() is None
        if not waiting and self.clock() - self._refreshed < self.refresh_interval:
            return
        if not self._refreshing.acquire(blocking=waiting):
            return  # another thread is at it: this search need not wait for it
        try:
            self._take_up()
            self._refreshed = self.clock()
        finally:
            self._refreshing.release()

    def take_up(self) -> None:
        """Look for a new generation now, however short ago the last look was."""
        with self._refreshing:
            self._take_up()
            self._refreshed = self.clock()

    def _take_up(self) -> None:
        try:
            taken = self.engine.refresh()
        except FingerprintMismatchError as error:
            self._refuse(
                f"The newest generation was made with the fingerprint '{error.found}', but the "
                f"weights of this server have '{error.expected}'. It goes over to the weights that "
                "made the generation as soon as they lie below weights/ where it runs; or index "
                "the catalogue again with these.",
                error,
            )
            self.on_mismatch(error.found)
        except GenerationError as error:
            self._refuse("The newest generation is damaged; the server's log says how.", error)
        else:
            self.refused = None
            if taken:
                logger.info("Serving generation %s, %d items.", self.serving(), len(self.engine))

    def _refuse(self, reason: str, error: Exception) -> None:
        if reason != self.refused:  # once, not with every request
            logger.error("A new generation is not taken up: %s", error)
        self.refused = reason

    def serving(self) -> str | None:
        """The id of the generation that answers, None if there is none yet."""
        try:
            return self.engine.generation
        except NotReadyError:
            return None

    def probe(self) -> Answer:
        """Embed an empty picture and search with it: an answer means that both work."""
        size = self.embedder.preprocessing.size
        blank = np.zeros((1, size, size, self.embedder.preprocessing.channels), np.uint8)
        return self.search(self.embed(blank)[0], Selection(1))


def matches_of(page: Sequence[Choice]) -> tuple[Match, ...]:
    """What was chosen, as it is answered.

    Only after the last attempt can an item be missing: it is left out rather than answered as a
    ghost. Rounding may carry a cosine a hair past its range.
    """
    return tuple(
        Match(choice.item, max(-1.0, min(1.0, choice.score)), choice.collapsed)
        for choice in page
        if choice.item is not None
    )
