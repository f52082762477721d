"""The weights that the index of a store was made with: which they are, and where.

What nobody says is what the index was made with, so that a command or a server that is started
again goes on with it, whoever changed the weights meanwhile. What somebody says is meant: other
weights are refused by name.
"""

import logging
from contextlib import closing, suppress
from pathlib import Path

from indexer.database import connect
from indexer.engines.choice import EngineChoice
from indexer.errors import FingerprintMismatchError, IndexerError, NoStoreError
from indexer.publishing import read_last
from indexer.reading import read_fact
from models.training.weights import (
    WeightsError,
    find_weights,
    find_weights_of,
    fingerprint_weights,
)

logger = logging.getLogger(__name__)


def fact_of(fingerprint: str) -> str:
    """The name under which a store remembers the folder of some weights."""
    return f"weights {fingerprint}"


def find_made_with(store: Path, fingerprint: str) -> Path | None:
    """The folder of weights: below ``weights/``, or where the last run that used them had them."""
    remembered = None
    with suppress(IndexerError), closing(connect(store)) as connection:
        remembered = read_fact(connection, fact_of(fingerprint))
    return find_weights_of(fingerprint, *([] if remembered is None else [Path(remembered)]))


def read_made_with(store: Path, choice: EngineChoice) -> str | None:
    """The fingerprint of the weights that the index which answers was made with, None without one.

    Raises:
        ImportError, MilvusError: See ``EngineChoice.open``.
    """
    with closing(choice.generations(store, patient=False)) as generations:
        try:
            manifest = read_last(generations)
        except NoStoreError:
            return None
    return None if manifest is None else manifest.fingerprint


def choose_weights(store: Path, choice: EngineChoice, *, named: str | None, usual: str) -> Path:
    """The folder of the weights to ask an index with.

    Args:
        store: The store's folder.
        choice: The engine.
        named: By whoever asks; None leaves it to the index.
        usual: The weights of an index that is not there yet, or whose own are not at hand.

    Raises:
        WeightsError: The weights are missing or damaged.
        FingerprintMismatchError: Those that are named are others than the index was made with.
        ImportError, MilvusError: See ``EngineChoice.open``.
    """
    made = read_made_with(store, choice)
    if named is not None:
        folder = find_weights(named)
        if made is not None and (found := fingerprint_weights(folder)) != made:
            raise FingerprintMismatchError(
                found=made, expected=found, where=f"The index of '{store}'",
                at=find_made_with(store, made),
            )  # fmt: skip
        return folder
    if made is None or has_fingerprint(usual, made):
        return find_weights(usual)
    folder_made = find_made_with(store, made)
    if folder_made is None:
        return find_weights(usual)
    logger.warning(
        "The index of '%s' was made with the weights in '%s', so these embed, not '%s'.",
        store, folder_made, usual,
    )  # fmt: skip
    return folder_made


def choose_to_index(store: Path, choice: EngineChoice, *, named: str | None, usual: str) -> Path:
    """The folder of the weights to index with: those named, those of the index there is, the usual.

    Raises:
        WeightsError: They are missing or damaged; or the index was made with others than the usual,
            which are not at hand, and nobody said which to go on with.
        ImportError, MilvusError: See ``EngineChoice.open``.
    """
    if named is not None:
        return find_weights(named)
    folder = choose_weights(store, choice, named=None, usual=usual)
    made = read_made_with(store, choice)
    if made is not None and fingerprint_weights(folder) != made:
        raise WeightsError(
            f"The index of '{store}' was made with the weights '{made}', which are neither below "
            "weights/ nor where they were. Say which to index with: --weights FOLDER with those to "
            f"go on, or --weights {usual} to embed all photos again with these."
        )
    return folder


def has_fingerprint(name: str, fingerprint: str) -> bool:
    """Whether there are weights of a name, and they are these."""
    try:
        return fingerprint_weights(find_weights(name)) == fingerprint
    except WeightsError:
        return False
