"""The samples of a WebDataset shard: which members belong together, and what they say.

    17.jpg  17.json  18.txt  18.jpg  18.json ...

A key is a member's name up to the first dot after its last slash. All members of a key are one
sample, wherever in the shard they stand. Names that begin with a dot are passed over.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from indexer.catalogues.manifest import ID, finite, read_id
from indexer.catalogues.members import Member
from indexer.catalogues.tar_headers import Header, read_at, read_headers
from indexer.errors import CatalogueError
from indexer.protocols import Entry, Scalar
from indexer.stamps import Status

PHOTOS = ("jpg", "jpeg", "png", "webp")
TEXTS = ("txt", "cls", "json")
MOST_TEXT = 1_000_000  # bytes of a JSON or a text: attributes, not a photo by another name
CLASS = re.compile(r"-?(0|[1-9][0-9]{0,17})")


@dataclass(slots=True)
class Sample:
    """What a shard has of one key.

    Attributes:
        members: By what they are: ``photo``, ``txt``, ``cls``, ``json``.
        texts: The bytes of those that are texts and of a text's size.
    """

    members: dict[str, Header] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)


def read_samples(file: BinaryIO, shard: str) -> dict[str, Sample]:
    """The samples by key, in the order of their first members.

    Args:
        file: The shard.
        shard: Its path or URL, for messages.

    Raises:
        CatalogueError: The shard is damaged, or has two members where a key has one: the other
            would be left out unnoticed.
    """
    samples: dict[str, Sample] = {}
    for header in read_headers(file, shard):
        key, ending = split(header.name)
        if header.folder or is_hidden(header.name) or ending not in PHOTOS + TEXTS:
            continue
        sample = samples.setdefault(key, Sample())
        kind = "photo" if ending in PHOTOS else ending
        if kind in sample.members:
            raise CatalogueError(
                f"'{shard}' has '{sample.members[kind].name}' and '{header.name}' for the one key "
                f"'{key}'. Pack each name once, and one photo for each key."
            )
        sample.members[kind] = header
        # Now, because going back costs a request where the shard is elsewhere.
        if kind != "photo" and header.trouble is None and header.size <= MOST_TEXT:
            sample.texts[kind] = read_at(file, header.offset, header.size)
    return samples


def split(name: str) -> tuple[str, str]:
    """A member's name up to the first dot of its last part, and the rest in small letters."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    key, _, ending = last.partition(".")
    return f"{folder}{slash}{key}", ending.lower()


def is_hidden(name: str) -> bool:
    """Whether a name, or a folder in it, begins with a dot; ``..`` is no name."""
    parts = name.removeprefix("./").split("/")
    return any(part.startswith(".") and part != ".." for part in parts)


def make_entry(shard: str, key: str, sample: Sample, status: Status) -> Entry | None:
    """The item of a sample, None if it has no photo.

    Raises:
        CatalogueError: What describes it cannot be read, or its JSON is no object.
    """
    photo = sample.members.get("photo")
    if photo is None:
        return None
    attributes: dict[str, Scalar] = {}
    item_id = key
    if "txt" in sample.members:
        attributes["txt"] = read_text(shard, sample, "txt").strip()
    if "cls" in sample.members:
        text = read_text(shard, sample, "cls").strip()
        attributes["cls"] = int(text) if CLASS.fullmatch(text) else text
    if "json" in sample.members:
        where = f"'{shard}', '{sample.members['json'].name}'"
        told = read_object(where, read_text(shard, sample, "json"))
        if ID in told:
            try:
                item_id = read_id(told[ID])
            except ValueError as error:
                raise CatalogueError(f"{where}: {error}.") from error
        attributes |= {name: value for name, value in plain(told).items() if name != ID}
    stamped = status._replace(size=photo.size)
    return Entry(item_id, Member.of(shard, photo).uri, attributes, stamped)


def read_text(shard: str, sample: Sample, kind: str) -> str:
    """A member as text. Raises CatalogueError if it is none."""
    header = sample.members[kind]
    where = f"'{shard}', '{header.name}'"
    if header.trouble is not None:
        raise CatalogueError(f"{where}: {header.trouble}.")
    if header.size > MOST_TEXT:
        raise CatalogueError(
            f"{where}: it has {header.size:,} bytes; at most {MOST_TEXT:,} are read of a text."
        )
    try:
        return sample.texts[kind].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{where}: not UTF-8 ({error.reason}).") from error


def read_object(where: str, text: str) -> Mapping[str, object]:
    """The object that a JSON holds. Raises CatalogueError if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"{where} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CatalogueError(f"{where} holds a {type(found).__name__}; expected an object.")
    return found


def plain(told: Mapping[str, object]) -> dict[str, Scalar]:
    """What of an object can be an attribute; lists and objects in it are left out."""
    return {
        name: value if finite(value) else None
        for name, value in told.items()
        if value is None or isinstance(value, str | int | float | bool)
    }
