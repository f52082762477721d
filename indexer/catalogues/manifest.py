"""A manifest as a catalogue, whatever its format: which column is what, where a path leads."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, final
from urllib.parse import unquote, urlsplit

from indexer.catalogues.photos import read_photo
from indexer.errors import CatalogueError
from indexer.protocols import Entry, Scalar

ID = "id"
# The first of these that a manifest has is the photo's path; the others are attributes.
PHOTO = ("path", "uri", "image")

Row = Mapping[str, Scalar]
Unit = Literal["line", "row"]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a manifest and where it stands, counted from 1."""

    number: int
    row: Row


@final
@dataclass(frozen=True, slots=True)
class ManifestCatalogue:
    """The entries of a manifest, in its order; checked when it is made.

    Attributes:
        path: The manifest file.
        lines: Reads the file from its beginning.
        unit: What a row is called in messages: line or row.
        url: Where the file was fetched from, if it is a copy: relative paths begin there.
        count: How many entries there are.

    Raises:
        CatalogueError: When made: a column or a value is missing, an id twice, or what ``lines``
            refuses; names the line.
    """

    path: Path
    lines: Callable[[Path], Iterator[Line]]
    unit: Unit = "line"
    url: str | None = None
    count: int = field(init=False)

    def __post_init__(self) -> None:
        """Read through once: ids unique, every row complete."""
        seen: dict[str, int] = {}
        for line in self.lines(self.path):
            item_id, _ = self.identify(line)
            if item_id in seen:
                raise self.error(
                    line.number,
                    f"the id '{item_id}' is taken already by {self.unit} {seen[item_id]}. "
                    "Ids have to be unique",
                )
            seen[item_id] = line.number
        object.__setattr__(self, "count", len(seen))

    @property
    def name(self) -> str:
        """The manifest's path, or its URL."""
        return self.url or str(self.path)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Entry]:
        for line in self.lines(self.path):
            item_id, photo = self.identify(line)
            attributes = {k: v for k, v in line.row.items() if k not in (ID, photo)}
            folder = self.path.parent if self.url is None else self.url.rpartition("/")[0]
            yield Entry(item_id, locate(folder, line.row[photo]), attributes)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_listed(entry.uri)

    def identify(self, line: Line) -> tuple[str, str]:
        """A row's id, and the name of the column with its photo."""
        photo = next((name for name in PHOTO if name in line.row), None)
        if photo is None or ID not in line.row:
            missing = ID if ID not in line.row else " or ".join(PHOTO)
            raise self.error(
                line.number,
                f"there is no column {missing}; found {', '.join(line.row) or 'nothing'}. "
                f"A manifest needs the columns {ID} and {PHOTO[0]}",
            )
        value = line.row[ID]
        item_id = value if isinstance(value, str) else str(value)
        if value is None or isinstance(value, bool | float) or not item_id.strip():
            raise self.error(line.number, f"{value!r} is no id; give a text or a whole number")
        if "\0" in item_id:
            raise self.error(line.number, f"the id {item_id!r} holds a zero byte")
        return item_id, photo

    def error(self, number: int, reason: str) -> CatalogueError:
        """An error that names the file and the line."""
        return line_error(self.path, number, reason, unit=self.unit)


def line_error(path: Path, number: int, reason: str, *, unit: Unit = "line") -> CatalogueError:
    """What is wrong with a line of a manifest; ``reason`` is a sentence without its full stop."""
    return CatalogueError(f"'{path}', {unit} {number}: {reason}.")


def locate(folder: Path | str, value: Scalar) -> str:
    """Where a manifest's path leads.

    A relative path is relative to the manifest. What is no path stays as it is, and so does a
    relative one that leaves the manifest's folder: reading it is refused, item by item.
    """
    text = value if isinstance(value, str) else ""
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if not text or "://" in text:
        return text
    if leaves(text):
        return text
    if isinstance(folder, str):  # on another machine, whose absolute paths are none of ours
        return "" if PurePosixPath(text).is_absolute() else f"{folder}/{text}"
    return str(folder / text)


def leaves(text: str) -> bool:
    """Whether a relative path climbs out of where it starts."""
    depth = 0
    for part in PurePosixPath(text).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def read_listed(uri: str) -> bytes:
    """The bytes of a photo a manifest lists.

    Raises:
        OSError: It cannot be read, or its path leaves the manifest's folder.
    """
    if uri and "://" not in uri and not Path(uri).is_absolute():
        raise PermissionError(
            f"the path '{uri}' leaves the folder of the manifest; write an absolute path"
        )
    return read_photo(uri)


def check_header(names: Sequence[str]) -> str | None:
    """What is wrong with the names of the columns, None if nothing is."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"the column {twice[0]!r} is there twice"
    lacking = [ID] if ID not in names else []
    if not any(name in names for name in PHOTO):
        lacking.append(" or ".join(PHOTO))
    if lacking:
        hint = ""
        if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
            hint = ". Columns are separated by commas"
        return f"there is no column {' and no column '.join(lacking)}; found {list(names)}{hint}"
    return None


def finite(value: Scalar) -> bool:
    """Whether a value can be written as JSON."""
    return not isinstance(value, float) or math.isfinite(value)
