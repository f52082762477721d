"""Reading the CSV files beside photos, with errors that name file, line and column."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from indexer.evaluation.errors import PhotoSetError


class Table(NamedTuple):
    """A CSV file.

    Attributes:
        path: The file.
        rows: One mapping from column to value for each line; a missing value is ``""``.
        columns: As the header names them.
    """

    path: Path
    rows: list[dict[str, str]]
    columns: tuple[str, ...]

    def column(self, *names: str) -> list[str] | None:
        """The values of the first of these columns that there is."""
        for name in names:
            if name in self.columns:
                return [row[name] for row in self.rows]
        return None


def read_table(path: Path, *, required: Sequence[str]) -> Table:
    """Read a CSV file with a header.

    Args:
        path: A comma-separated file in UTF-8.
        required: Columns that must be there and filled in every line.

    Raises:
        PhotoSetError: Unreadable, not UTF-8, without lines, a column missing or a value empty.
    """
    try:
        # A spreadsheet puts a byte order mark in front of the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = tuple(reader.fieldnames or ())
            missing = [name for name in required if name not in columns]
            if missing:
                raise PhotoSetError(
                    f"'{path}' has no column '{missing[0]}'; found {', '.join(columns) or 'none'}, "
                    f"expected at least {', '.join(required)}."
                )
            rows = []
            for row in reader:
                _check_row(path, reader.line_num, row, required)
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PhotoSetError(f"'{path}' cannot be read as a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise PhotoSetError(f"'{path}' has a header but no lines; expected one for each photo.")
    return Table(path, rows, columns)


def _check_row(path: Path, line: int, row: dict[str, str], required: Sequence[str]) -> None:
    if None in row:  # where the csv module puts surplus values
        raise PhotoSetError(
            f"'{path}', line {line}: more values than columns. Quote values that hold a comma."
        )
    empty = [name for name in required if not row[name]]
    if empty:
        raise PhotoSetError(f"'{path}', line {line}: the column '{empty[0]}' is empty.")
