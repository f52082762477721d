"""A manifest as JSON lines: one object a line, UTF-8; blank lines are skipped."""

import json
from collections.abc import Iterator
from contextlib import closing

from indexer.catalogues.delimited import decode_lines
from indexer.catalogues.manifest import Line, Row, Source, finite, line_error


def json_lines(source: Source) -> Iterator[Line]:
    """The objects of a JSONL file.

    Raises:
        CatalogueError: It cannot be read, is not UTF-8, or a line is no object or holds a nested
            value; names the line.
    """
    with closing(decode_lines(source)) as lines:
        for number, text in enumerate(lines, 1):
            if text.strip():
                yield Line(number, parse_row(source, number, text))


def parse_row(source: Source, number: int, text: str) -> Row:
    """The object of a line."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise line_error(source, number, f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise line_error(source, number, f"expected an object, found {type(row).__name__}")
    for name, value in row.items():
        if not (value is None or isinstance(value, str | int | float | bool)):
            raise line_error(
                source,
                number,
                f"'{name}' is a {type(value).__name__}; an attribute is a text, "
                "a number, true, false or null",
            )
        if not finite(value):
            raise line_error(source, number, f"'{name}' is {value}, which is no number")
    return row
