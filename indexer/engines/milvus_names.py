"""What collections and their alias are called: ``niteru`` and ``niteru_20261125T101500Z_1a2b``."""

import re

from indexer.errors import QueryError
from indexer.generations import ID

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")


def check_name(name: str) -> str:
    """Return a name that Milvus takes for an alias as it is; refuse any other.

    Raises:
        QueryError: It has other characters, or is too long.
    """
    if not NAME.match(name):
        raise QueryError(
            f"{name[:120]!r} cannot be the name of an alias in Milvus: expected up to 100 letters, "
            "digits and underscores, no digit first."
        )
    return name


def collection_name(name: str, generation_id: str) -> str:
    """The collection of a generation."""
    return f"{name}_{generation_id.replace('-', '_')}"


def generation_of(collection: str, name: str) -> str | None:
    """The id of the generation that a collection is, None if it is a stranger."""
    if not collection.startswith(f"{name}_"):
        return None
    generation_id = collection.removeprefix(f"{name}_").replace("_", "-")
    return generation_id if ID.match(generation_id) else None
