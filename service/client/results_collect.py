"""What collecting garbage has removed, as results."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OldGeneration:
    """An index that is not needed, and the bytes that it takes."""

    id: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnneededVectors:
    """The vectors of one embedder, and the bytes that they take, about."""

    fingerprint: str
    vectors: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectReport:
    """What a collection has removed, or would.

    Attributes:
        dry_run: Whether nothing was removed.
        generations: Old indexes.
        held: Ids of old ones that stay, because a process answers from them.
        vectors: That no index needs.
        unfinished: Of indexings that published nothing; they stay.
        vectors_stay: Why vectors stay that nothing seems to need; empty if none does.
        files: How many files that crashes left, and photos that no item names.
        bytes: Of all this, about.
        freed: Bytes that the disk has back; 0 of a dry run.
    """

    dry_run: bool
    generations: tuple[OldGeneration, ...]
    held: tuple[str, ...]
    vectors: tuple[UnneededVectors, ...]
    unfinished: tuple[UnneededVectors, ...]
    vectors_stay: str
    files: int
    bytes: int
    freed: int
