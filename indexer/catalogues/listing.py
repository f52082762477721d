"""What is in a folder, here or elsewhere; a folder that cannot be listed is an error.

Left out unnoticed, what is in it would look like deleted items. So fsspec's own ``find`` and
``glob`` are not used, nor Python's ``glob``: they pass over such folders.
"""

import errno
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from indexer.catalogues.places import filesystem_of, is_remote, read_status, remote_errors
from indexer.errors import CatalogueError
from indexer.masking import mask
from indexer.stamps import Status


class Listed(NamedTuple):
    """A file in a folder, and its status if the listing told it."""

    name: str
    status: Status | None = None


class Listing(NamedTuple):
    """Names of folders, and files, each sorted by name; what begins with a dot is left out."""

    folders: list[str]
    files: list[Listed]


def list_folder(folder: str) -> Listing:
    """What is in a folder.

    Raises:
        CatalogueError: It cannot be listed.
    """
    try:
        return list_remote(folder) if is_remote(folder) else list_local(folder)
    except OSError as error:
        advice = (
            "Are the address and the credentials in the environment right?"
            if is_remote(folder)
            else "Make it readable, or move it out of the catalogue."
        )
        raise CatalogueError(
            f"The folder '{folder}' cannot be listed: {error.strerror or error}. {advice} "
            "A part left out unnoticed would look like deleted items."
        ) from error


def list_local(folder: str) -> Listing:
    """What is in a folder of this machine. Raises OSError if it cannot be listed."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            else:
                files.append(Listed(entry.name))
    return Listing(sorted(folders), sorted(files, key=by_name))


def list_remote(url: str) -> Listing:
    """What is in a folder elsewhere. Raises OSError if it cannot be listed, or is a file."""
    files, path = filesystem_of(url)
    own = path.rstrip("/")
    with remote_errors(url):
        files.invalidate_cache(path)  # a listing is kept by some, and this is another run
        found = files.ls(path, detail=True)
    folders, listed = set(), {}
    for told in found:
        whole = str(told["name"]).rstrip("/")
        name = whole.removeprefix(f"{own}/")  # of a page of links it may be deeper than a folder
        if whole == own:  # some stores keep an empty object in a folder's place
            if told["type"] == "file" and told.get("size"):
                raise NotADirectoryError(errno.ENOTDIR, "it is a file", mask(url))
        elif not name or any(part.startswith(".") for part in name.split("/")):
            continue
        elif is_directory(files, told, url):
            folders.add(name)
        else:
            listed[name] = Listed(name, read_status(told))
    return Listing(sorted(folders), sorted(listed.values(), key=by_name))


def is_directory(files: Any, told: Mapping[str, Any], url: str) -> bool:
    """Whether what was listed is a folder; where a link leads is asked."""
    if told["type"] in ("file", "directory"):
        return bool(told["type"] == "directory")
    try:
        with remote_errors(url):
            return bool(files.info(told["name"])["type"] == "directory")
    except FileNotFoundError:  # reading it says so
        return False


def by_name(file: Listed) -> str:
    """The order of files."""
    return file.name
