"""What holds for every catalogue: it can be read again, and only what changed is embedded again."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from indexer.catalogues import open_catalogue
from indexer.catalogues.photos import read_photo
from indexer.database import ReaderPool
from indexer.errors import CatalogueError, NothingToIndexError
from indexer.pipeline import index_catalogue
from indexer.protocols import Catalogue, Entry
from indexer.reading import find_items
from tests.indexer.conftest import CountingEmbedder, encode_photo
from tests.shards_made import LONG_AGO, empty_memory, memory, put_file, put_remote, tar

PLACES = ("folder", "items.csv", "items.jsonl", "items.parquet", "shards")
KINDS = (*PLACES, *(f"remote {place}" for place in PLACES))
SHARDS = {"00": "abc", "01": "def"}  # which keys are in which


@dataclass
class Shop:
    """Photos by id, kept as one kind of catalogue keeps them."""

    kind: str
    root: str
    put: Callable[[str, bytes, int], object]
    photos: dict[str, bytes] = field(default_factory=dict)
    when: int = LONG_AGO

    @property
    def gone(self) -> str:
        """What is said of a photo that is not there."""
        remote = self.kind.startswith("remote")
        return "there is no such file" if remote else "No such file or directory"

    @property
    def manifest(self) -> str | None:
        """The name of its manifest, if it has one."""
        name = self.kind.removeprefix("remote ")
        return name if name.startswith("items") else None

    @property
    def source(self) -> str:
        return f"{self.root}/{self.manifest}" if self.manifest else self.root

    def write(self, *keys: str) -> None:
        """Write what has changed of these keys, a second later than the last time."""
        self.when += 1
        if self.kind.endswith("shards"):
            for name, held in SHARDS.items():
                if set(held) & set(keys):
                    members = {f"{key}.png": self.photos[key] for key in held if key in self.photos}
                    self.put(f"{self.root}/{name}.tar", tar(members), self.when)
            return
        for key in keys:
            if key in self.photos:
                self.put(f"{self.root}/{key}.png", self.photos[key], self.when)
        if self.manifest:
            rows = [{"id": key, "path": f"{key}.png"} for key in self.photos]
            self.put(self.source, as_manifest(self.manifest, rows), self.when)

    def spoil(self) -> None:
        """Make it a catalogue that cannot be read to its end."""
        if self.kind.endswith("shards"):
            self.put(f"{self.root}/01.tar", tar({"d.png": b"d" * 3000})[:2000], self.when)
        elif self.manifest:
            rows = [{"id": key, "path": f"{key}.png"} for key in "aba"]
            self.put(self.source, as_manifest(self.manifest, rows), self.when)
        else:
            self.put(f"{self.root}/b.webp", self.photos["b"], self.when)

    def open(self) -> "Counted":
        return Counted(open_catalogue(self.source))


def as_manifest(name: str, rows: list[dict[str, str]]) -> bytes:
    """Rows as a manifest, by the ending of its name."""
    if name.endswith(".jsonl"):
        return "\n".join(map(json.dumps, rows)).encode()
    if name.endswith(".csv"):
        return "\n".join(["id,path", *(f"{row['id']},{row['path']}" for row in rows)]).encode()
    pa = pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@dataclass
class Counted:
    """A catalogue, and which of its photos were read."""

    inner: Catalogue
    seen: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.inner)

    def read(self, entry: Entry) -> bytes:
        self.seen.append(entry.id)
        return self.inner.read(entry)


@pytest.fixture(params=KINDS)
def shop(request, tmp_path) -> Shop:
    kind: str = request.param
    if kind.startswith("remote"):
        empty_memory()
        made = Shop(kind, "memory://bucket/shop", put_remote)
    else:
        made = Shop(kind, str(tmp_path / "shop"), lambda path, *rest: put_file(Path(path), *rest))
    made.photos = {key: encode_photo(seed) for seed, key in enumerate("abcdef")}
    made.write(*made.photos)
    return made


@pytest.fixture
def index(shop, tmp_path):
    """Index the shop: the report, and the ids whose photos were read."""

    def run(embedder=None, catalogue=None, **settings):
        catalogue = catalogue or shop.open()
        report = index_catalogue(
            catalogue, tmp_path / "store", embedder or CountingEmbedder(),
            **{"workers": 2, "batch": 2, **settings},
        )  # fmt: skip
        return report, sorted(catalogue.seen)

    return run


def test_it_can_be_gone_through_again_and_its_photos_are_read(shop):
    catalogue = shop.open()
    first = list(catalogue)
    assert [entry.id for entry in first] == list(shop.photos)
    assert list(catalogue) == first
    assert catalogue.name == shop.source
    assert {entry.id: catalogue.read(entry) for entry in first} == shop.photos


def test_what_the_store_names_is_read_again_without_the_catalogue(shop, index, tmp_path):
    index()
    pool = ReaderPool(tmp_path / "store")
    with pool.read() as connection:
        items = find_items(connection, list(shop.photos))
    pool.close()
    assert {item.id: read_photo(item.uri) for item in items} == shop.photos


def test_the_second_run_reads_and_embeds_nothing(index, shop):
    report, read = index()
    assert (report.embedded, report.items, read) == (6, 6, list("abcdef"))
    report, read = index()
    assert (report.unchanged, report.embedded, report.published, read) == (6, 0, False, [])


def test_a_changed_photo_is_found_and_only_it_is_embedded(index, shop):
    index()
    shop.photos["b"] = encode_photo(99)
    shop.write("b")
    report, read = index()
    assert (report.embedded, report.failures, report.items) == (1, (), 6)
    assert report.unchanged + report.described == 5
    assert read == (list("abc") if shop.kind.endswith("shards") else ["b"])
    assert index()[1] == []


def test_new_and_vanished_items(index, shop):
    index()
    del shop.photos["f"]
    shop.photos["e"] = encode_photo(50)
    shop.write("e", "f")
    if shop.kind.endswith("folder"):
        remove(shop, "f")
    report, _ = index(prune=True)
    assert (report.embedded, report.pruned, report.items) == (1, 1, 5)


def test_pruning_loses_nothing_that_is_there(index, shop):
    index()
    for key in "bf":
        shop.photos[key] = encode_photo(ord(key))
        shop.write(key)
        report, _ = index(prune=True)
        assert (report.pruned, report.failures, report.items) == (0, (), 6)


def test_a_catalogue_that_cannot_be_read_to_its_end_prunes_nothing(index, shop):
    index()
    shop.spoil()
    with pytest.raises(CatalogueError):
        index(prune=True)
    if shop.kind.endswith("folder"):
        remove(shop, "b", ".webp")
    shop.write(*shop.photos)
    report, _ = index(prune=True)
    assert (report.pruned, report.embedded, report.items) == (0, 0, 6)


def test_other_weights_embed_all_of_it(index):
    index()
    embedder = CountingEmbedder(name="others")
    report, _ = index(embedder)
    assert (report.embedded, embedder.seen) == (6, 6)


def test_a_stopped_run_goes_on_where_it_was(index):
    answers = iter([False, False, True])
    report, _ = index(should_stop=lambda: next(answers, True), workers=1)
    assert report.stopped
    assert 0 < report.embedded < 6
    again, _ = index()
    assert (again.embedded, again.unchanged) == (6 - report.embedded, report.embedded)


def test_photos_that_vanish_after_they_were_listed_are_left_out(shop, index):
    catalogue = shop.open()
    entries = list(catalogue)
    shards = shop.kind.endswith("shards")
    remove(shop, "00" if shards else "c")
    catalogue.inner = Listed(catalogue.inner, entries)
    report, _ = index(catalogue=catalogue)
    gone = SHARDS["00"] if shards else "c"
    assert [(f.id, f.reason) for f in report.failures] == [(key, shop.gone) for key in gone]
    assert report.embedded == 6 - len(gone)


def test_all_photos_that_vanish_after_they_were_listed_publish_nothing(shop, index):
    catalogue = shop.open()
    catalogue.inner = Listed(catalogue.inner, list(catalogue))
    for name in SHARDS if shop.kind.endswith("shards") else shop.photos:
        remove(shop, name)
    with pytest.raises(NothingToIndexError, match=shop.gone):
        index(catalogue=catalogue)


@dataclass
class Listed:
    """A catalogue as it was when it was listed."""

    inner: Catalogue
    entries: list[Entry]

    @property
    def name(self) -> str:
        return self.inner.name

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def read(self, entry: Entry) -> bytes:
        return self.inner.read(entry)


def remove(shop: Shop, name: str, ending: str = ".png") -> None:
    path = f"{shop.root}/{name}{'.tar' if shop.kind.endswith('shards') else ending}"
    if shop.kind.startswith("remote"):
        memory().rm_file(path)
    else:
        Path(path).unlink()
