"""A manifest as CSV: comma-separated, UTF-8, with a header.

A column whose every value is a number holds numbers, one of only ``true`` and ``false`` holds
truths, and an empty cell of either nothing; every other column holds texts. ``007`` is a text: what
looks like an article number stays one.
"""

import csv
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing

from indexer.catalogues.manifest import ID, PHOTO, Line, Source, check_header, line_error
from indexer.errors import CatalogueError
from indexer.protocols import Scalar

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,2})?")
BOM = b"\xef\xbb\xbf"

TRUTHS = {"true": True, "false": False}  # in small letters or not

Kind = type[int] | type[float] | type[bool]
Kinds = Mapping[str, Kind]


def csv_lines(source: Source, kinds: Kinds) -> Iterator[Line]:
    """The rows of a CSV file.

    Args:
        source: The file.
        kinds: What ``find_kinds`` found in it.

    Raises:
        CatalogueError: It cannot be read, is not UTF-8, has no header or lacks a column or a cell.
    """
    for number, cells in read_cells(source):
        yield Line(number, {name: convert(kinds.get(name), text) for name, text in cells.items()})


def convert(kind: Kind | None, text: str) -> Scalar:
    """The value of a cell: a text as it is, a number or truth, or nothing for an empty cell."""
    if kind is None:
        return text
    if kind is bool:
        return TRUTHS.get(text.lower())
    return kind(text) if text else None


def find_kinds(source: Source) -> Kinds:
    """The columns of numbers, whether they are whole, and of truths; reads the file once.

    Raises:
        CatalogueError: As ``csv_lines``.
    """
    whole: dict[str, bool] = {}
    decimal: dict[str, bool] = {}
    truth: dict[str, bool] = {}
    for _, cells in read_cells(source):
        for name, text in cells.items():
            if text:
                whole[name] = whole.get(name, True) and bool(WHOLE.fullmatch(text))
                decimal[name] = decimal.get(name, True) and bool(DECIMAL.fullmatch(text))
                truth[name] = truth.get(name, True) and text.lower() in TRUTHS
    texts = {ID, *PHOTO}
    kinds: dict[str, Kind] = {name: bool for name, truths in truth.items() if truths}
    kinds |= {name: int if whole[name] else float for name, is_ in decimal.items() if is_}
    return {name: kind for name, kind in kinds.items() if name not in texts}


def read_cells(source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each row by column, with the line the row ends on."""
    # Closed here and not when it is collected: an error leaves no open file behind.
    with closing(decode_lines(source)) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise CatalogueError(f"'{source}' is empty; its first line names the columns.")
            if wrong := check_header(header):
                raise line_error(source, reader.line_num, wrong)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise line_error(
                        source,
                        reader.line_num,
                        f"{len(cells)} cells under {len(header)} columns. "
                        "Put a text that holds a comma in double quotes",
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise line_error(source, reader.line_num, f"not CSV: {error}") from error


def decode_lines(source: Source) -> Generator[str]:
    """The lines of a UTF-8 file, with their ends.

    Raises:
        CatalogueError: It cannot be read, or a line is in another encoding; names the line.
    """
    number = 0
    try:
        with source.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield (line.removeprefix(BOM) if number == 1 else line).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"'{source}', line {number}: not UTF-8 ({error.reason} at byte {error.start} of the "
            "line). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise CatalogueError(f"'{source}' cannot be read: {error.strerror}.") from error
