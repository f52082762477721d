"""A manifest as Parquet; needs the extra ``parquet``."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from indexer.catalogues.manifest import Line, Source, check_header, finite, line_error
from indexer.errors import CatalogueError
from indexer.protocols import Scalar

BATCH = 4096


def parquet_lines(source: Source) -> Iterator[Line]:
    """The rows of a Parquet file, numbered from 1.

    Dates become ISO texts, decimals numbers, NaN nothing.

    Raises:
        CatalogueError: The extra is not installed, no Parquet file, a column missing, or a nested
            value; names the row.
    """
    pyarrow = import_pyarrow()
    number = 0
    try:
        with source.open("rb") as opened, pyarrow.parquet.ParquetFile(opened) as file:
            if wrong := check_header(file.schema_arrow.names):
                raise CatalogueError(f"'{source}': {wrong}.")
            for batch in file.iter_batches(BATCH):
                for values in batch.to_pylist():
                    number += 1
                    row = {name: scalar(source, number, name, v) for name, v in values.items()}
                    yield Line(number, row)
    except pyarrow.ArrowException as error:
        raise CatalogueError(f"'{source}' is no Parquet file: {error}") from error
    except OSError as error:
        raise CatalogueError(f"'{source}' cannot be read: {error}") from error


def scalar(source: Source, number: int, name: str, value: Any) -> Scalar:
    """The value of a cell."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return value if finite(value) else None
        case Decimal():
            return float(value)
        case datetime() | date():
            return value.isoformat()
        case _:
            raise line_error(
                source,
                number,
                f"'{name}' is a {type(value).__name__}; an attribute is a text, a number, a date, "
                "true, false or null",
                unit="row",
            )


def import_pyarrow() -> Any:
    """Import pyarrow with its Parquet reader.

    Raises:
        CatalogueError: It is not installed; names the extra.
    """
    try:
        # Heavy, and only Parquet needs it.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise CatalogueError(
            "Reading Parquet needs pyarrow, which is not installed. Install it with: "
            "pip install 'niteru[parquet]'"
        ) from error
    return pa
