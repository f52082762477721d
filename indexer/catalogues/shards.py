"""WebDataset shards: tar archives in which files of one name before the dot are one sample.

A sample with a photo (``jpg``, ``jpeg``, ``png``, ``webp``) is an item. Its id is the name up to
the first dot, or ``id`` of its JSON; the JSON's other members are its attributes, and so are
``txt`` and ``cls``. The archives stay as they are: a photo is read from where it lies in them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.catalogues.patterns import find_files
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import open_file, remote_errors, status_of
from indexer.catalogues.samples import make_entry, read_samples
from indexer.errors import CatalogueError
from indexer.masking import mask
from indexer.protocols import Entry

ENDING = ".tar"
# So many entries are kept from when the shards were checked; of more, shards are read again.
KEPT = 50_000


@dataclass(frozen=True, slots=True)
class ShardCatalogue:
    """The samples of some shards, shard by shard; checked when it is made.

    A photo that is packed as a link is an entry that cannot be read, so that it is reported.

    Attributes:
        shards: Paths or URLs of the archives, in their order.
        title: What was asked for.
        count: How many items there are.
        kept: Entries by shard, of the first shards.

    Raises:
        CatalogueError: When made: an archive is damaged, compressed or no archive, a member or an
            id is there twice, or a JSON is none; names the archive and the member.
    """

    shards: tuple[str, ...]
    title: str
    count: int = field(init=False)
    kept: Mapping[str, Sequence[Entry]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read all headers once: ids unique, archives whole."""
        seen: dict[str, str] = {}
        kept: dict[str, Sequence[Entry]] = {}
        for shard in self.shards:
            entries = read_shard(shard)
            for entry in entries:
                if entry.id in seen:
                    raise CatalogueError(
                        f"The id '{entry.id}' is in '{seen[entry.id]}' and again in '{shard}'. Ids "
                        "have to be unique: name the files differently, or give ids in the JSON."
                    )
                seen[entry.id] = shard
            if len(seen) <= KEPT:
                kept[shard] = entries
        object.__setattr__(self, "count", len(seen))
        object.__setattr__(self, "kept", kept)

    @property
    def name(self) -> str:
        """What was asked for."""
        return mask(self.title)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Entry]:
        for shard in self.shards:
            kept = self.kept.get(shard)
            yield from read_shard(shard) if kept is None else kept

    # Without a self, which would take what is kept to every node of a cluster.
    @staticmethod
    def read(entry: Entry) -> bytes:
        """The bytes of an entry's photo. Raises OSError if they cannot be read."""
        return read_photo(entry.uri)


def open_shards(text: str) -> ShardCatalogue:
    """The shards of a path, a URL or a pattern: ``a.tar``, ``s/*.tar``, ``s3://b/{000..017}.tar``.

    Raises:
        CatalogueError: There are none; or as ``ShardCatalogue``.
    """
    shards = find_files(text)
    if not shards:
        raise CatalogueError(f"There is no archive that '{text}' means.")
    return ShardCatalogue(tuple(shards), text)


def read_shard(shard: str) -> list[Entry]:
    """The items of one archive.

    Raises:
        CatalogueError: It cannot be read as a tar archive to its end; or as ``make_entry``.
    """
    try:
        # Before it is read: if it changes meanwhile, the next run finds another status.
        status = status_of(shard)
        with remote_errors(shard), open_file(shard) as file:
            samples = read_samples(file, shard)
    except OSError as error:
        raise CatalogueError(f"'{shard}' cannot be read: {error.strerror or error}.") from error
    entries = (make_entry(shard, key, sample, status) for key, sample in samples.items())
    return [entry for entry in entries if entry is not None]


def is_shards(text: str) -> bool:
    """Whether a path, a URL or a pattern means tar archives."""
    return text.lower().endswith(ENDING)
