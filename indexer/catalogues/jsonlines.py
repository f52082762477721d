"""A manifest as JSON lines: one object a line, UTF-8."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalogues.delimited import decode_lines
from indexer.catalogues.manifest import Line, Manifest, Row, finite, read_listed
from indexer.errors import CatalogueError
from indexer.protocols import Entry


@dataclass(frozen=True)
class JsonLinesCatalogue:
    """The entries of a JSONL manifest, in its order; blank lines are skipped.

    Raises:
        CatalogueError: When made: a line that is no object, a key missing, a nested value, an id
            twice; names the line.
    """

    path: Path
    _manifest: Manifest = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check every line."""
        object.__setattr__(self, "_manifest", Manifest(self.path, self._lines))

    @property
    def name(self) -> str:
        """The manifest's path."""
        return str(self.path)

    def __len__(self) -> int:
        return self._manifest.count

    def __iter__(self) -> Iterator[Entry]:
        return self._manifest.entries()

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_listed(entry.uri)

    def _lines(self) -> Iterator[Line]:
        for number, text in enumerate(decode_lines(self.path), 1):
            if text.strip():
                yield Line(number, self._row(number, text))

    def _row(self, number: int, text: str) -> Row:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._error(number, f"not JSON: {error}") from error
        if not isinstance(row, dict):
            raise self._error(number, f"expected an object, found {type(row).__name__}")
        for name, value in row.items():
            if not (value is None or isinstance(value, str | int | float | bool)):
                raise self._error(
                    number,
                    f"'{name}' is a {type(value).__name__}; an attribute is a text, "
                    "a number, true, false or null",
                )
            if not finite(value):
                raise self._error(number, f"'{name}' is {value}, which is no number")
        return row

    def _error(self, number: int, reason: str) -> CatalogueError:
        return CatalogueError(f"'{self.path}', line {number}: {reason}.")
