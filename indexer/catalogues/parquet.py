"""A manifest as Parquet; needs the extra ``parquet``."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from indexer.catalogues.manifest import Line, Manifest, Row, check_header, finite, read_listed
from indexer.errors import CatalogueError
from indexer.protocols import Entry, Scalar

BATCH = 4096


@dataclass(frozen=True)
class ParquetCatalogue:
    """The entries of a Parquet manifest, in its order.

    Dates become ISO texts, decimals numbers, NaN nothing.

    Raises:
        CatalogueError: When made: the extra is not installed, no Parquet file, a column missing, a
            nested value, an id twice; names the row.
    """

    path: Path
    _manifest: Manifest = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check every row."""
        object.__setattr__(self, "_manifest", Manifest(self.path, self._lines, unit="row"))

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
        pyarrow = import_pyarrow()
        number = 0
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                if wrong := check_header(file.schema_arrow.names):
                    raise CatalogueError(f"'{self.path}': {wrong}.")
                for batch in file.iter_batches(BATCH):
                    for values in batch.to_pylist():
                        number += 1
                        yield Line(number, self._row(number, values))
        except pyarrow.ArrowException as error:
            raise CatalogueError(f"'{self.path}' is no Parquet file: {error}") from error
        except OSError as error:
            raise CatalogueError(f"'{self.path}' cannot be read: {error}") from error

    def _row(self, number: int, values: dict[str, Any]) -> Row:
        return {name: self._scalar(number, name, value) for name, value in values.items()}

    def _scalar(self, number: int, name: str, value: Any) -> Scalar:
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
                raise CatalogueError(
                    f"'{self.path}', row {number}: '{name}' is a {type(value).__name__}; an "
                    "attribute is a text, a number, a date, true, false or null."
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
