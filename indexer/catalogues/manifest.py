"""A manifest as a catalogue, whatever its format: which column is what, where a path leads."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol, final
from urllib.parse import unquote, urlsplit

from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import SCHEMES, is_remote, join, origin_of, scheme_of
from indexer.errors import CatalogueError
from indexer.masking import mask
from indexer.protocols import Entry, Scalar
from indexer.stamps import Status

ID = "id"
# The first of these that a manifest has is the photo's path; the others are attributes.
PHOTO = ("path", "uri", "image")

Row = Mapping[str, Scalar]
Unit = Literal["line", "row"]

NOTHING = Status(0, None)  # is told of a photo that may not be read


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a manifest and where it stands, counted from 1."""

    number: int
    row: Row


class Source(Protocol):
    """A manifest file: a path, or what can be read like one."""

    def __str__(self) -> str: ...

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """It, from its beginning. Raises OSError if it cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the paths of a manifest lead, and where they may not.

    A manifest may be somebody else's, and this machine reaches more than they do: so it leads to
    its own bucket or host, or on this machine to files, and elsewhere only if that is asked for.

    Attributes:
        folder: The manifest's folder: a path, or a URL without a slash at its end.
        others: URLs whose buckets or hosts it may lead to as well.
    """

    folder: Path | str
    others: Sequence[str] = ()

    def locate(self, value: Scalar) -> str:
        """Where a manifest's path leads: a relative one is relative to the manifest.

        What may not be read stays as it is: it is refused item by item.
        """
        text = value if isinstance(value, str) else ""
        if text.startswith("file://") and isinstance(self.folder, Path):
            text = unquote(urlsplit(text).path)
        if not text or is_remote(text) or leaves(text):
            return text
        if isinstance(self.folder, Path):
            return str(self.folder / text)
        return text if text.startswith("/") else join(self.folder, text)

    def refusal(self, uri: str) -> str | None:
        """Why a photo may not be read, None if it may."""
        if not is_remote(uri):
            if not uri or (isinstance(self.folder, Path) and Path(uri).is_absolute()):
                return None  # of an empty path reading it says what is wrong
            if leaves(uri):
                return f"the path '{uri}' leaves the folder of the manifest; write an absolute path"
            return f"the manifest lies elsewhere and may not name files of this machine: '{uri}'"
        if scheme_of(uri) not in SCHEMES:
            return None  # reading it says what is read
        places = [str(self.folder), *self.others]
        allowed = {origin_of(place) for place in places if is_remote(place)}
        if origin_of(uri) in allowed and ".." not in uri.split("/"):
            return None
        shown = "://".join(origin_of(uri))
        return (
            f"'{mask(uri)}' is at another place than the manifest; to allow it: "
            f"--photos-from {shown}, or NITERU_PHOTOS_FROM for a server"
        )


@final
@dataclass(frozen=True, slots=True)
class ManifestCatalogue:
    """The entries of a manifest, in its order; checked when it is made.

    Attributes:
        source: The manifest file.
        lines: Reads the file from its beginning.
        reach: Where its paths may lead.
        unit: What a row is called in messages: line or row.
        count: How many entries there are.

    Raises:
        CatalogueError: When made: a column or a value is missing, an id twice, or what ``lines``
            refuses; names the line.
    """

    source: Source
    lines: Callable[[Source], Iterator[Line]]
    reach: Reach
    unit: Unit = "line"
    count: int = field(init=False)

    def __post_init__(self) -> None:
        """Read through once: ids unique, every row complete."""
        seen: dict[str, int] = {}
        for line in self.lines(self.source):
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
        return mask(str(self.source))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Entry]:
        for line in self.lines(self.source):
            item_id, photo = self.identify(line)
            attributes = {k: v for k, v in line.row.items() if k not in (ID, photo)}
            uri = self.reach.locate(line.row[photo])
            # Of what may not be read nothing is asked either.
            told = None if self.reach.refusal(uri) is None else NOTHING
            yield Entry(item_id, uri, attributes, told)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read, or may not be."""
        if reason := self.reach.refusal(entry.uri):
            raise PermissionError(reason)
        return read_photo(entry.uri)

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
        try:
            return read_id(line.row[ID]), photo
        except ValueError as error:
            raise self.error(line.number, str(error)) from error

    def error(self, number: int, reason: str) -> CatalogueError:
        """An error that names the file and the line."""
        return line_error(self.source, number, reason, unit=self.unit)


def read_id(value: object) -> str:
    """A value as an id. Raises ValueError if it is none, with a reason."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise ValueError(f"{value!r} is no id; give a text or a whole number")
    if "\0" in str(value):
        raise ValueError(f"the id {value!r} holds a zero byte")
    return str(value)


def line_error(source: Source, number: int, reason: str, *, unit: Unit = "line") -> CatalogueError:
    """What is wrong with a line of a manifest; ``reason`` is a sentence without its full stop."""
    return CatalogueError(f"'{source}', {unit} {number}: {reason}.")


def leaves(text: str) -> bool:
    """Whether a relative path climbs out of where it starts."""
    depth = 0
    for part in PurePosixPath(text).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


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
