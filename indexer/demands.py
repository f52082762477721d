"""What is asked of an index: said once, and remembered by the generation that was made for it."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Final

from indexer.manifest import Asked
from indexer.publishing import Generations, read_last
from indexer.reading import read_fact

ANY: Final = "any"
ASKED = "asked"  # the name of a fact of a store
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
AMOUNT = r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*"
MOST_BYTES = 2**63  # one more than an amount may be: it is kept as a whole number of 63 bits


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked for anew; what is None stays as it was asked for before.

    Attributes:
        recall: The recall@10 that an index has to reach, 0 to 1.
        memory: Bytes that it may take; ``any`` is any number again.
    """

    recall: float | None = None
    memory: int | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.memory, str) and self.memory != ANY:
            raise ValueError(f"memory is {self.memory!r}; expected bytes, or {ANY!r}.")

    def after(self, before: Asked) -> Asked:
        """These, and for the rest what was asked for before."""
        memory = before.memory if self.memory is None else self.memory
        return Asked(
            recall=before.recall if self.recall is None else self.recall,
            memory=None if isinstance(memory, str) else memory,
        )


def read_asked(generations: Generations) -> Asked:
    """What the generation that answers was made for, or the newest that tells.

    Raises:
        NoStoreError: There is no store.
    """
    manifest = read_last(generations)
    return Asked() if manifest is None else manifest.asked


def read_asked_elsewhere(connection: sqlite3.Connection) -> Asked:
    """What was asked of the last index that was made of a store, by whichever engine."""
    told = read_fact(connection, ASKED)
    return Asked() if told is None else Asked.model_validate_json(told)


def parse_memory(text: str) -> int | str:
    """``2GB``, ``500 MB``, a number of bytes, or ``any``.

    Raises:
        ValueError: It is none of these.
    """
    if text.strip().lower() == ANY:
        return ANY
    found = re.fullmatch(AMOUNT, text.upper(), re.ASCII)
    amount = float(found[1]) * UNITS[found[2]] if found is not None else 0.0
    if not 1 <= amount < MOST_BYTES:
        raise ValueError(
            f"'{text[:50]}' is no amount of memory; expected one like 500MB or 2GB, or any."
        )
    return int(amount)
