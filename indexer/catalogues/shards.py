"""WebDataset shards: tar archives in which files of one name before the dot are one sample.

    17.jpg  17.json  18.jpg  18.json ...

A sample with a photo (``jpg``, ``jpeg``, ``png``, ``webp``) is an item. Its id is the name up to
the first dot, or ``id`` of its JSON; the JSON's other members are its attributes, and so are
``txt`` and ``cls``. The archives stay as they are: a photo is read from where it lies in them.
"""

import glob
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import PurePosixPath
from typing import Any

from indexer.catalogues.manifest import finite
from indexer.catalogues.members import Member
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import filesystem_of, is_remote, open_file
from indexer.errors import CatalogueError
from indexer.protocols import Entry, Scalar

ENDING = ".tar"
PHOTOS = ("jpg", "jpeg", "png", "webp")
TEXTS = ("txt", "cls")
MOST_TEXT = 1_000_000  # bytes of a JSON or a text: attributes, not a photo by another name
PATTERN = re.compile(r"[*?\[{]")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True, slots=True)
class ShardCatalogue:
    """The samples of some shards, shard by shard; checked when it is made.

    Attributes:
        shards: Paths or URLs of the archives, in their order.
        title: What was asked for.
        count: How many items there are.

    Raises:
        CatalogueError: When made: an archive is damaged, compressed or no archive, an id is there
            twice, or a JSON is none; names the archive and the member.
    """

    shards: tuple[str, ...]
    title: str
    count: int = field(init=False)

    def __post_init__(self) -> None:
        """Read all headers once: ids unique, archives whole."""
        seen: dict[str, str] = {}
        for shard in self.shards:
            for entry in read_shard(shard):
                if entry.id in seen:
                    raise CatalogueError(
                        f"The id '{entry.id}' is in '{seen[entry.id]}' and again in '{shard}'. Ids "
                        "have to be unique: name the files differently, or give ids in the JSON."
                    )
                seen[entry.id] = shard
        object.__setattr__(self, "count", len(seen))

    @property
    def name(self) -> str:
        """What was asked for."""
        return self.title

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Entry]:
        for shard in self.shards:
            yield from read_shard(shard)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_photo(entry.uri)


def open_shards(text: str) -> ShardCatalogue:
    """The shards of a path, a URL or a pattern: ``a.tar``, ``s/*.tar``, ``s3://b/{000..017}.tar``.

    Raises:
        CatalogueError: There are none; or as ``ShardCatalogue``.
    """
    shards: list[str] = []
    for one in braces(text):
        if not PATTERN.search(one):
            shards.append(one)
        elif is_remote(one):
            files, path = filesystem_of(one)
            shards += sorted(files.unstrip_protocol(found) for found in files.glob(path))
        else:
            shards += sorted(glob.glob(one))  # noqa: PTH207 - the pattern may be absolute
    if not shards:
        raise CatalogueError(f"There is no archive that '{text}' means.")
    return ShardCatalogue(tuple(shards), text)


def braces(text: str) -> list[str]:
    """``{000..002}`` written out: numbers keep their zeros."""
    parts = RANGE.split(text)  # text, first, last, text, first, last, ..., text
    choices = []
    for number in range(0, len(parts) - 1, 3):
        first, last = parts[number + 1], parts[number + 2]
        ways = [f"{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]
        choices.append([parts[number] + way for way in ways])
    return ["".join(chosen) + parts[-1] for chosen in product(*choices)]


def read_shard(shard: str) -> Iterator[Entry]:
    """The items of one archive.

    Raises:
        CatalogueError: It cannot be read as a tar archive to its end; or as ``make_entry``.
    """
    try:
        with open_file(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            group: dict[str, tarfile.TarInfo] = {}
            before = ""
            for member in archive:
                if not member.isreg():
                    continue
                key, ending = split(member.name)
                if not ending or PurePosixPath(key).name == "":
                    continue  # a hidden file, or one without an ending
                if key != before and group:
                    yield from make_entry(shard, archive, before, group)
                    group = {}
                before = key
                group[ending] = member
            if group:
                yield from make_entry(shard, archive, before, group)
            check_end(archive, file)
    except (tarfile.TarError, EOFError) as error:
        raise CatalogueError(
            f"'{shard}' is no tar archive, or a compressed or damaged one: {error}. Expected plain "
            ".tar, of which members can be read one by one."
        ) from error
    except OSError as error:
        raise CatalogueError(f"'{shard}' cannot be read: {error.strerror or error}.") from error


def check_end(archive: tarfile.TarFile, file: Any) -> None:
    """Refuse an archive that breaks off: what is missing would look like deleted items."""
    file.seek(0, 2)
    if archive.offset > file.tell():
        raise tarfile.ReadError("it breaks off in the middle of a file")
    # At a damaged header tarfile stops as if that were the end, which is zeros alone.
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"its header at byte {archive.offset:,} is damaged")
    file.seek(0, 2)
    file.seek(max(0, file.tell() - tarfile.BLOCKSIZE))
    if file.read().strip(b"\0"):
        raise tarfile.ReadError("its end is missing")


def split(name: str) -> tuple[str, str]:
    """A member's name up to the first dot of its last part, and the rest in small letters."""
    folder, slash, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return f"{folder}{slash}{key}", ending.lower()


def make_entry(
    shard: str, archive: tarfile.TarFile, key: str, group: Mapping[str, tarfile.TarInfo]
) -> Iterator[Entry]:
    """The item of a sample, if it has a photo.

    Raises:
        CatalogueError: Its JSON is no object of plain values.
    """
    photo = next((group[ending] for ending in PHOTOS if ending in group), None)
    if photo is None:
        return
    attributes: dict[str, Scalar] = {}
    for ending in TEXTS:
        if ending in group:
            text = read_text(shard, archive, group[ending]).strip()
            attributes[ending] = int(text) if text.isdecimal() else text
    if "json" in group:
        attributes |= read_attributes(shard, archive, group["json"])
    item_id = str(attributes.pop("id", None) or key)
    member = Member(shard, photo.offset, photo.offset_data, photo.size, photo.name)
    yield Entry(item_id, member.uri, attributes)


def read_text(shard: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """A member as text."""
    if member.size > MOST_TEXT:
        raise CatalogueError(
            f"'{shard}', '{member.name}': it has {member.size:,} bytes; at most {MOST_TEXT:,} are "
            "read of a text."
        )
    file = archive.extractfile(member)
    assert file is not None, "a regular file"
    data = file.read()
    if len(data) != member.size:
        raise tarfile.ReadError("it breaks off in the middle of a file")
    return data.decode("utf-8", "replace")


def read_attributes(
    shard: str, archive: tarfile.TarFile, member: tarfile.TarInfo
) -> dict[str, Scalar]:
    """The attributes in a JSON member; lists and objects in it are left out."""
    try:
        found = json.loads(read_text(shard, archive, member))
    except ValueError as error:
        raise CatalogueError(f"'{shard}', '{member.name}' is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CatalogueError(
            f"'{shard}', '{member.name}' holds a {type(found).__name__}; expected an object."
        )
    return {
        name: value if finite(value) else None
        for name, value in found.items()
        if value is None or isinstance(value, str | int | float | bool)
    }


def is_shards(text: str) -> bool:
    """Whether a path, a URL or a pattern means tar archives."""
    return text.lower().endswith(ENDING)
