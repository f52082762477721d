"""Where photos are that a store keeps itself, as ``items.sqlite`` has it.

A store may be moved, restored elsewhere, or be seen at another path by a server in a container, so
no path of such a photo is written down: it is put together with where the store is now.
"""

import os
from collections.abc import Iterator
from pathlib import Path

PHOTOS = "photos"
HEX = "[0-9a-f]"
OWN = "store:"  # in items.sqlite, what the place of a photo begins with that the store keeps


def own_place(store: Path, uri: str) -> str:
    """Where a photo is, as ``items.sqlite`` has it: of the store's own without their path."""
    mine = f"{store.absolute() / PHOTOS}{os.sep}"
    return f"{OWN}{PHOTOS}/{uri.removeprefix(mine)}" if uri.startswith(mine) else uri


def read_place(store: Path, place: str) -> str:
    """Where a photo is; the other way round."""
    if not place.startswith(OWN):
        return place
    return str(store.absolute() / place.removeprefix(OWN))


def find_own(store: Path) -> Iterator[Path]:
    """The photos that a store keeps, by their names: a folder of that name may be somebody's."""
    for path in (store / PHOTOS).glob(f"{HEX * 2}/{HEX * 64}.*"):
        if path.parent.name == path.name[:2]:
            yield path
