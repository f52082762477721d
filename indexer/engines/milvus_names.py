"""What collections and their alias are called: ``niteru`` and ``niteru_20261125T101500Z_1a2b``."""

from indexer.generations import ID


def collection_name(name: str, generation_id: str) -> str:
    """The collection of a generation."""
    return f"{name}_{generation_id.replace('-', '_')}"


def generation_of(collection: str, name: str) -> str | None:
    """The id of the generation that a collection is, None if it is a stranger."""
    if not collection.startswith(f"{name}_"):
        return None
    generation_id = collection.removeprefix(f"{name}_").replace("_", "-")
    return generation_id if ID.match(generation_id) else None
