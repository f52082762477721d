"""Many files in one word, as the shell writes them: ``{train,val}-{000..003}.tar``, ``*/*.tar``."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from indexer.catalogues.listing import list_folder
from indexer.catalogues.places import filesystem_of, folder_of, is_remote, join
from indexer.errors import CatalogueError

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
MAGIC = re.compile(r"[*?\[]")
MOST = 100_000


def find_files(pattern: str) -> list[str]:
    """The paths or URLs that a pattern means, in its order; those of a star in that of their names.

    What is there by that very name is meant, whatever is in the name.

    Raises:
        CatalogueError: The pattern is none, or a folder cannot be listed.
    """
    if is_there(pattern):
        return [pattern]
    found: list[str] = []
    for one in expand(pattern):
        found += [one] if not MAGIC.search(one) or is_there(one) else match(one)
    return found


def is_there(place: str) -> bool:
    """Whether there is a file of this very name; asked where it might be a pattern."""
    if not (MAGIC.search(place) or BRACES.search(place)):
        return False
    if not is_remote(place):
        return Path(place).is_file()
    try:
        files, path = filesystem_of(place)
        return bool(files.isfile(path))
    except OSError:
        return False


def expand(pattern: str) -> list[str]:
    """The names that braces stand for, in their order.

    A number that begins with zeros is written as wide as it is.

    Raises:
        CatalogueError: Braces hold neither a range nor names, or there would be too many.
    """
    names = [""]
    place = 0
    for found in BRACES.finditer(pattern):
        options = list(choices(found[1], pattern))
        if len(names) * len(options) > MOST:
            raise CatalogueError(f"'{pattern}' stands for more than {MOST:,} files.")
        before = pattern[place : found.start()]
        names = [f"{name}{before}{option}" for name in names for option in options]
        place = found.end()
    rest = pattern[place:]
    if any("{" in name or "}" in name for name in (*names, rest)):
        raise CatalogueError(f"'{pattern}': braces within braces, or a brace alone, mean nothing.")
    return [f"{name}{rest}" for name in names]


def choices(inner: str, pattern: str) -> Iterator[str]:
    """What braces stand for."""
    found = RANGE.fullmatch(inner)
    if found is None:
        if "," not in inner:
            raise CatalogueError(
                f"'{pattern}': {{{inner}}} is neither a range as {{000..003}} nor names as {{a,b}}."
            )
        yield from inner.split(",")
        return
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < MOST:
        raise CatalogueError(f"'{pattern}': {{{inner}}} has to count up, to {MOST:,} at most.")
    width = max(map(len, found.groups())) if any(is_padded(n) for n in found.groups()) else 0
    for number in range(first, last + 1):
        yield f"{number:0{width}}"


def is_padded(number: str) -> bool:
    """Whether a number is written with zeros before it."""
    return len(number) > 1 and number.startswith("0")


def match(pattern: str) -> list[str]:
    """The files that stars, question marks and brackets stand for, sorted within each folder."""
    if "**" in pattern:
        raise CatalogueError(f"'{pattern}': ** is not read; write a star for each folder.")
    start, rest = fixed_part(pattern)
    folders = [start]
    *between, last = rest.split("/")
    for part in between:
        folders = [
            join(folder, name)
            for folder in folders
            for name in list_folder(folder).folders
            if fnmatchcase(name, part)
        ]
    return [
        join(folder, file.name)
        for folder in folders
        for file in list_folder(folder).files
        if fnmatchcase(file.name, last)
    ]


def fixed_part(pattern: str) -> tuple[str, str]:
    """A pattern as the folder that it begins in and the rest, which has stars in it.

    A folder of this machine that is there by its very name is one, whatever is in the name.
    """
    if not is_remote(pattern):
        parent = next(parent for parent in Path(pattern).parents if parent.is_dir())
        return str(parent), str(Path(pattern).relative_to(parent))
    place = MAGIC.search(pattern)
    assert place is not None, "it was looked for before"
    folder = folder_of(pattern[: place.start()])
    return folder, pattern[len(folder) :].lstrip("/")
