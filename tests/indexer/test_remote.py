"""Catalogues in other places, over fsspec's ``memory://``: what is listed, read, refused."""

import hashlib
import json
import logging

import pytest

from indexer.catalogues import open_catalogue
from indexer.catalogues.photos import read_photo
from indexer.catalogues.places import SCHEMES, filesystem_of, name_of, read_status, status_of
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import CatalogueError
from indexer.pipeline import index_catalogue
from indexer.protocols import Entry
from indexer.stamps import UNKNOWN
from tests.shards_made import LONG_AGO, empty_memory, png, put_remote, sample, tar

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install '.[remote]'")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402
from fsspec.registry import _registry  # noqa: E402

SHOP = "memory://shop"
HIDDEN = "webhdfs"  # a kind that no package here reads, so that a stand-in can


class Stubborn(MemoryFileSystem):
    """Tells an ETag and no time, as S3 does; notes what is read, and fails where it is told to."""

    protocol = HIDDEN
    store: dict = {}  # noqa: RUF012 - as in its base
    pseudo_dirs = [""]  # noqa: RUF012
    read: list = []  # noqa: RUF012
    trouble: dict = {}  # noqa: RUF012 - exceptions by what is listed or read
    links: dict = {}  # noqa: RUF012 - where they lead

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace(f"{HIDDEN}://", "memory://"))

    def _tell(self, info):
        told = {key: value for key, value in info.items() if key != "created"}
        if info["type"] == "file":
            digest = hashlib.md5(self.store[info["name"]].getvalue()).hexdigest()
            told["ETag"] = f'"{digest}"'
        return told

    def ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        if path in self.trouble:
            raise self.trouble[path]
        target = self.links.get(path, path)
        found = [self._tell(info) for info in super().ls(target, detail=True, **kwargs)]
        for info in found:
            info["name"] = info["name"].replace(target, path, 1)
        below = [link for link in self.links if link.rpartition("/")[0] == path]
        return found + [{"name": link, "size": 9, "type": "link"} for link in below]

    def info(self, path, **kwargs):
        path = self._strip_protocol(path)
        return self._tell(super().info(self.links.get(path, path), **kwargs))

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.read.append(path)
        if path in self.trouble:
            raise self.trouble[path]
        return super().cat_file(path, start=start, end=end, **kwargs)


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """Empty places, and the stand-in in the place of a kind."""
    monkeypatch.setitem(_registry, HIDDEN, Stubborn)
    Stubborn.store.clear()
    Stubborn.pseudo_dirs[:] = [""]
    empty_memory()
    yield
    for noted in (Stubborn.trouble, Stubborn.links, Stubborn.read):
        noted.clear()


@pytest.fixture
def index(tmp_path):
    """Index a place into a store."""

    def run(place, photos_from=(), **given):
        catalogue = open_catalogue(place, photos_from=photos_from)
        embedder = ColourLayoutEmbedder()
        return index_catalogue(catalogue, tmp_path / "s", embedder, workers=2, batch=2, **given)

    return run


def refusal(place: str) -> str:
    with pytest.raises(CatalogueError) as caught:
        list(open_catalogue(place))
    return str(caught.value)


def test_a_folder_is_listed_as_one_on_this_machine():
    for name in ("b/z.JPG", "b/a.webp", "a.png", "c.jpeg", "b/x.y.Png", "d e/ü#?.jpg"):
        put_remote(f"{SHOP}/p/{name}", name.encode())
    for name in ("notes.txt", ".hidden.jpg", ".cache/x.jpg", "b/._a.jpg", "noending"):
        put_remote(f"{SHOP}/p/{name}", b"")
    catalogue = open_catalogue(f"{SHOP}/p/")
    entries = list(catalogue)
    assert [entry.id for entry in entries] == ["a", "c", "b/a", "b/x.y", "b/z", "d e/ü#?"]
    assert entries[0].uri == f"{SHOP}/p/a.png"
    assert [catalogue.read(entry).decode() for entry in entries][-2:] == ["b/z.JPG", "d e/ü#?.jpg"]
    assert catalogue.name == f"{SHOP}/p"
    put_remote(f"{SHOP}/p/a.webp", b"")
    message = refusal(f"{SHOP}/p")
    assert f"'{SHOP}/p/a.png' and '{SHOP}/p/a.webp' would both be the item 'a'" in message


@pytest.mark.parametrize("depth", ["/shop", "/shop/b", "/shop/b/c"])
@pytest.mark.parametrize("trouble", [PermissionError("Access Denied"), FileNotFoundError(),
                                     RuntimeError("slow down")])  # fmt: skip
def test_a_folder_that_cannot_be_listed_is_no_empty_one(index, depth, trouble):
    """Else ``--prune`` would delete all that is in it."""
    root = f"{HIDDEN}://shop"
    for name in ("a.png", "b/b.png", "b/c/c.png"):
        Stubborn().pipe_file(f"/shop/{name}", png(ord(name[-5])))
    assert index(root).items == 3
    Stubborn.trouble[depth] = trouble
    with pytest.raises(CatalogueError, match=r"cannot be (listed|read)|no catalogue at"):
        index(root, prune=True)
    Stubborn.trouble.clear()
    assert index(root, prune=True).unchanged == 3


def test_a_folder_that_cannot_be_listed_when_it_is_pruned_deletes_nothing(index):
    root = f"{HIDDEN}://shop"
    for name in ("a.png", "b/b.png"):
        Stubborn().pipe_file(f"/shop/{name}", png(ord(name[-5])))
    index(root)

    def fail(progress) -> None:
        if progress.stage == "prune":
            Stubborn.trouble["/shop/b"] = PermissionError("Access Denied")

    with pytest.raises(CatalogueError, match="Access Denied"):
        index(root, prune=True, progress=fail)
    Stubborn.trouble.clear()
    assert index(root, prune=True).items == 2


def test_stars_find_no_less_where_a_folder_cannot_be_listed():
    for name in ("a", "b"):
        Stubborn().pipe_file(f"/shop/{name}/0.tar", tar(sample(name, 1)))
    root = f"{HIDDEN}://shop"
    assert [e.id for e in open_catalogue(f"{root}/*/*.tar")] == ["a", "b"]
    Stubborn.trouble["/shop/b"] = PermissionError("Access Denied")
    assert "cannot be listed: Access Denied" in refusal(f"{root}/*/*.tar")


def test_where_a_link_leads_is_asked():
    """Listed as a link, a folder would be no folder, and a photo no photo."""
    for name in ("far/b/1.png", "far/2.png", "shop/3.png"):
        Stubborn().pipe_file(f"/{name}", png(1))
    Stubborn.links |= {"/shop/b": "/far/b", "/shop/c.png": "/far/2.png", "/shop/d": "/nowhere"}
    entries = list(open_catalogue(f"{HIDDEN}://shop"))
    assert [entry.id for entry in entries] == ["3", "c", "b/1"]
    Stubborn.trouble["/shop/b"] = PermissionError("Access Denied")
    assert "cannot be listed: Access Denied" in refusal(f"{HIDDEN}://shop")


def test_a_page_of_links_may_name_a_photo_twice_and_one_that_is_deeper():
    class Page(Stubborn):
        def ls(self, path, detail=True, **kwargs):
            deep = [{"name": f"{self._strip_protocol(path)}/b/1.png", "size": None, "type": "file"}]
            return super().ls(path, detail=detail, **kwargs) + (
                deep * 2 if "/b" not in path else []
            )

    _registry[HIDDEN] = Page
    for name in ("a.png", "b/1.png", "b/2.png"):
        Page().pipe_file(f"/shop/{name}", png(1))
    assert [e.id for e in open_catalogue(f"{HIDDEN}://shop")] == ["a", "b/1", "b/2"]


def test_a_manifest_leads_to_photos_beside_it_and_in_its_own_bucket():
    put_remote(f"{SHOP}/p/img/1.png", png(1))
    put_remote(f"{SHOP}/other/2.png", png(2))
    lines = [
        {"id": 1, "path": "img/1.png", "kind": "hat"},
        {"id": 2, "path": f"{SHOP}/other/2.png"},
    ]
    put_remote(f"{SHOP}/p/items.jsonl", "\n".join(map(json.dumps, lines)).encode())
    catalogue = open_catalogue(f"{SHOP}/p/items.jsonl")
    assert list(catalogue) == [
        Entry("1", f"{SHOP}/p/img/1.png", {"kind": "hat"}), Entry("2", f"{SHOP}/other/2.png")
    ]  # fmt: skip
    assert [catalogue.read(entry) for entry in catalogue] == [png(1), png(2)]
    assert catalogue.name == f"{SHOP}/p/items.jsonl"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/passwd", "may not name files of this machine"),
        ("file:///etc/passwd", "'file' is not read"),
        ("../outside.png", "leaves the folder"),
        ("a/../../outside.png", "leaves the folder"),
        ("memory://elsewhere/x.png", "--photos-from memory://elsewhere"),
        ("memory://shop/../elsewhere/x.png", "another place than the manifest"),
        ("https://shop/x.png", "--photos-from https://shop"),
        (f"{SHOP}/x.png::file:///etc/passwd", "is not read"),
        ("memory://elsewhere/x.tar#offset=512&size=1&header=0&name=x.png", "--photos-from"),
    ],
)
def test_a_manifest_elsewhere_leads_nowhere_but_to_its_own_bucket(path, expected):
    put_remote("memory://elsewhere/x.png", b"secret")
    put_remote("memory://elsewhere/x.tar", tar({"x.png": b"s"}))
    put_remote(f"{SHOP}/outside.png", b"secret")
    put_remote(f"{SHOP}/p/items.jsonl", json.dumps({"id": "1", "path": path}).encode())
    catalogue = open_catalogue(f"{SHOP}/p/items.jsonl")
    (entry,) = catalogue
    with pytest.raises(OSError, match=expected):
        catalogue.read(entry)


def test_a_manifest_of_this_machine_leads_elsewhere_only_if_that_is_asked_for(tmp_path, index):
    put_remote(f"{SHOP}/x.png", png(1))
    manifest = tmp_path / "items.csv"
    (tmp_path / "y.png").write_bytes(png(2))
    manifest.write_text(f"id,path\nx,{SHOP}/x.png\ny,y.png\nz,http://shop/z.png\n")
    report = index(manifest)
    assert [f.id for f in report.failures] == ["x", "z"]
    assert "to allow it: --photos-from memory://shop" in report.failures[0].reason
    assert [entry.status.stamp(None) for entry in open_catalogue(manifest) if entry.status] == [
        UNKNOWN, UNKNOWN
    ]  # fmt: skip
    report = index(manifest, photos_from=[f"{SHOP}/"])
    assert ([f.id for f in report.failures], report.items) == (["z"], 2)
    # What is not allowed any more is reported, and stays.
    report = index(manifest, prune=True)
    assert ([f.id for f in report.failures], report.items) == (["x", "z"], 2)
    with pytest.raises(CatalogueError, match="'shop' is no place that photos may come from"):
        open_catalogue(manifest, photos_from=["shop"])


def test_a_manifest_is_read_once_and_its_errors_name_its_url():
    put_remote(f"{SHOP}/items.csv", b"id,path\n1,a.jpg\n")
    catalogue = open_catalogue(f"{SHOP}/items.csv")
    copy = catalogue.source.copy
    put_remote(f"{SHOP}/items.csv", b"id,path\n1,a.jpg\n1,b.jpg\n")
    assert [entry.id for entry in catalogue] == ["1"]
    assert f"'{SHOP}/items.csv', line 3: the id '1' is taken" in refusal(f"{SHOP}/items.csv")
    assert "cannot be read: there is no such file" in refusal(f"{SHOP}/nothing.csv")
    assert copy.exists()
    del catalogue
    assert not copy.parent.exists()


def test_shards_are_read_member_by_member():
    for number in range(2):
        data = tar(sample(f"i{number}", 7 + number, kind="x"))
        put_remote(f"{SHOP}/s/{number}.tar", data)
    for pattern in ("{0..1}.tar", "{0,1}.tar", "*.tar", ""):
        catalogue = open_catalogue(f"{SHOP}/s/{pattern}")
        assert [(e.id, dict(e.attributes)) for e in catalogue] == [
            ("i0", {"kind": "x"}), ("i1", {"kind": "x"})
        ]  # fmt: skip
        assert [catalogue.read(e) for e in catalogue] == [png(7), png(8)]
    assert "2.tar' cannot be read: there is no such file" in refusal(f"{SHOP}/s/{{0..2}}.tar")
    put_remote(f"{SHOP}/s/1.tar", data[:700])
    assert "without the mark of a tar's end" in refusal(f"{SHOP}/s")


def test_a_server_that_knows_no_ranges_sends_the_whole(monkeypatch):
    def whole(self, path, start=None, end=None, **kwargs):
        return MemoryFileSystem.cat_file(self, path, **kwargs)

    monkeypatch.setattr(Stubborn, "cat_file", whole)
    Stubborn().pipe_file("/shop/0.tar", tar([*sample("a", 1), *sample("b", 2)]))
    catalogue = open_catalogue(f"{HIDDEN}://shop/0.tar")
    assert [catalogue.read(entry) for entry in catalogue] == [png(1), png(2)]


def test_names_of_the_web_are_written_as_people_write_them():
    assert name_of("https://shop/p", "a%20b/c%C3%BC.png") == "a b/cü.png"
    assert name_of("s3://shop/p", "a%20b.png") == "a%20b.png"


def test_an_etag_tells_what_changed_even_if_the_size_did_not(index):
    first, second = (png(shade).ljust(200, b"\0") for shade in (1, 2))
    root = f"{HIDDEN}://shop"
    Stubborn().pipe_file("/shop/a.png", first)
    Stubborn().pipe_file("/shop/b.png", png(3))
    assert index(root).embedded == 2
    Stubborn.read.clear()
    assert index(root).unchanged == 2
    assert Stubborn.read == []
    Stubborn().pipe_file("/shop/a.png", second)
    assert index(root).embedded == 1
    assert Stubborn.read == ["/shop/a.png"]
    Stubborn.trouble["/shop/b.png"] = RuntimeError("slow down")
    with pytest.raises(OSError, match="RuntimeError: slow down"):
        read_photo(f"{root}/b.png")


def test_what_a_place_tells(clock):
    same = read_status({"size": 3, "ETag": '"x"', "mtime": clock().timestamp()})
    assert same.stamp(clock) == read_status({"size": 3, "ETag": "x"}).stamp(clock)
    assert same.stamp(clock) != read_status({"size": 3, "ETag": "y"}).stamp(clock)
    assert same.stamp(clock) != read_status({"size": 4, "ETag": "x"}).stamp(clock)
    assert read_status({"size": 3, "mtime": clock().timestamp()}).stamp(clock) == UNKNOWN
    assert read_status({"size": 3, "mtime": LONG_AGO}).stamp(clock) == (3, LONG_AGO * 10**9)
    assert read_status({"size": 3}).stamp(clock) == UNKNOWN
    assert read_status({"size": None, "ETag": "x"}) is None


SECRETS = ("hunter2", "AKIA123", "t0ken", "c2ln")
OPEN = f"{HIDDEN}://ada:hunter2@shop"


def test_a_password_in_a_url_is_used_and_never_told(index, tmp_path, caplog, capsys):
    """Whatever is wrong: messages, the report on the disk, the store's facts, the log."""
    caplog.set_level(logging.INFO)
    Stubborn().pipe_file("/ada:hunter2@shop/a.png", png(1))
    Stubborn().pipe_file("/ada:hunter2@shop/b.png", b"no photo")
    report = index(OPEN)
    assert report.items == 1
    assert report.source == f"{HIDDEN}://***@shop"
    assert report.failures[0].uri == f"{HIDDEN}://***@shop/b.png"
    told = [report.to_json(), str(report), caplog.text, *capsys.readouterr()]
    told += [path.read_text() for path in (tmp_path / "s" / "reports").iterdir()]
    Stubborn().pipe_file("/ada:hunter2@shop/a.jpg", png(1))
    told.append(refusal(OPEN))
    for error in (PermissionError(f"denied: {OPEN}"), RuntimeError(f"{OPEN}?sig=c2ln failed")):
        Stubborn.trouble["/ada:hunter2@shop"] = error
        told.append(refusal(OPEN))
    for name in ("items.csv", "x.tar", "{0..1}.tar", "{3..1}.tar", "*/*.tar", "none"):
        told.append(refusal(f"{OPEN}/{name}"))
    for url in (f"{OPEN}/x.png", "https://t0ken@shop::/x.png?sig=c2ln", f"{OPEN}::x"):
        with pytest.raises(OSError, match=r"\*\*\*") as caught:
            read_photo(url)
        told.append(str(caught.value))
    assert not [text for text in told if any(secret in text for secret in SECRETS)]


def test_what_cannot_be_reached_is_told():
    assert "no catalogue at 'memory://nothing'" in refusal("memory://nothing")
    put_remote(f"{SHOP}/readme.txt", b"words")
    assert "it is a file" in refusal(f"{SHOP}/readme.txt")
    assert "'file' is not read; expected one of s3" in refusal("file:///etc")
    for url in ("zip::memory://shop/a.zip", "simplecache::memory://shop/a.png"):
        with pytest.raises(OSError, match="is not read"):
            read_photo(url)
    with pytest.raises(FileNotFoundError):
        status_of(f"{SHOP}/none.png")
    put_remote(f"{SHOP}/big.png", b"0" * 100)
    with pytest.raises(OSError, match="at most 50"):
        read_photo(f"{SHOP}/big.png", max_bytes=50)


def test_a_kind_whose_package_is_missing_names_it():
    assert "s3" in SCHEMES
    try:
        import s3fs  # noqa: F401, PLC0415
    except ImportError:
        with pytest.raises(OSError, match="s3fs"):
            filesystem_of("s3://bucket/a.png")
