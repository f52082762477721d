"""A manifest as CSV: comma-separated, UTF-8, with a header.

A column whose every value is a number holds numbers, an empty cell of it nothing; every other
column holds texts. ``007`` is a text: what looks like an article number stays one.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalogues.manifest import ID, PHOTO, Line, Manifest, check_header, read_listed
from indexer.errors import CatalogueError
from indexer.protocols import Entry, Scalar

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,2})?")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class CsvCatalogue:
    """The entries of a CSV manifest, in its order.

    Raises:
        CatalogueError: When made: not UTF-8, no header, a column or cell missing, an id twice.
    """

    path: Path
    _kinds: dict[str, type[int] | type[float]] = field(init=False, repr=False)
    _manifest: Manifest = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the kind of each column, then check every row."""
        object.__setattr__(self, "_kinds", self._find_kinds())
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
        for number, cells in self._cells():
            yield Line(number, {name: self._value(name, text) for name, text in cells.items()})

    def _value(self, name: str, text: str) -> Scalar:
        kind = self._kinds.get(name)
        if kind is None:
            return text
        return kind(text) if text else None

    def _find_kinds(self) -> dict[str, type[int] | type[float]]:
        whole: dict[str, bool] = {}
        decimal: dict[str, bool] = {}
        for _, cells in self._cells():
            for name, text in cells.items():
                if text:
                    whole[name] = whole.get(name, True) and bool(WHOLE.fullmatch(text))
                    decimal[name] = decimal.get(name, True) and bool(DECIMAL.fullmatch(text))
        texts = {ID, *PHOTO}
        return {
            name: int if whole[name] else float
            for name, numbers in decimal.items()
            if numbers and name not in texts
        }

    def _cells(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The cells of each row by column, with the line the row ends on."""
        reader = csv.reader(decode_lines(self.path), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise CatalogueError(f"'{self.path}' is empty; its first line names the columns.")
            if wrong := check_header(header):
                raise self._error(reader.line_num, wrong)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise self._error(
                        reader.line_num,
                        f"{len(cells)} cells under {len(header)} columns. "
                        "Put a text that holds a comma in double quotes",
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise self._error(reader.line_num, f"not CSV: {error}") from error

    def _error(self, number: int, reason: str) -> CatalogueError:
        return CatalogueError(f"'{self.path}', line {number}: {reason}.")


def decode_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, with their ends.

    Raises:
        CatalogueError: It cannot be read, or a line is in another encoding; names the line.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield (line.removeprefix(BOM) if number == 1 else line).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"'{path}', line {number}: not UTF-8 ({error.reason} at byte {error.start} of the "
            "line). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise CatalogueError(f"'{path}' cannot be read: {error.strerror}.") from error
