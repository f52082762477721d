"""A small catalogue of drawn photos, both engines over it, and a client that calls the app."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

import models
from indexer.catalogues.memory import MemoryCatalogue
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.exact import ExactEngine
from indexer.engines.faiss_engine import FaissEngine
from indexer.pipeline import index_catalogue
from indexer.protocols import Embedder, Engine, Entry, Item
from models.training import weights
from service.addresses import is_public
from service.app import create_app
from service.fetching import Fetcher, Policy
from service.settings import Settings
from tests.service.browsing import address, browser, page, start
from tests.service.clients import over_app
from tests.sites import Names, Site

__all__ = ["address", "browser", "page", "start"]  # fixtures that are written elsewhere

# Ids that are awkward in a path, among plain ones.
AWKWARD = ("a b/ü%2F?#&+", "shoes/image", "image", "dots/../up", "slash/", "x//y", "../etc/passwd",
           "x/line\nbreak", "x/end\n", "x/end", "x/bell\x07\r\x85\u2028", "x/image\n")  # fmt: skip
PLAIN = tuple(f"{kind}/{number:02d}" for kind in ("bags", "hats", "shoes") for number in range(8))


@pytest.fixture(scope="session")
def one_shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the weights for photos, and none of what else is shipped."""
    kept = "pixelvae-clothing"
    folder = tmp_path_factory.mktemp("shipped")
    (folder / kept).symlink_to(weights.SHIPPED / kept)
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(one_shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models other than that for photos have the weights that a test makes, and no others."""
    if Path.cwd() == weights.SHIPPED.parent:  # else a fixture has chosen where it is
        monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "SHIPPED", one_shipped)


class Client:
    """Calls an application over ASGI, without a network, in one event loop."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.runner = asyncio.Runner()
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://niteru.test",
        )

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self.runner.run(self.http.request(method, path, **given))

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def together(self, calls: list[dict[str, Any]]) -> list[httpx.Response]:
        """Make all calls at the same time."""

        async def run() -> list[httpx.Response]:
            return await asyncio.gather(*(self.http.request(**call) for call in calls))

        return self.runner.run(run())

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.app.state.niteru.close()
        self.runner.close()


def draw(seed: int, *, kind: str = "PNG") -> bytes:
    """A photo of 4 x 3 blocks of colour, the same for the same seed."""
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    file = io.BytesIO()
    blocks.resize((160, 120), Image.Resampling.NEAREST).save(file, kind, quality=95)
    return file.getvalue()


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Draws a photo: ``picture(seed, kind="JPEG")``."""
    return draw


@pytest.fixture(scope="session")
def embedder() -> ColourLayoutEmbedder:
    return ColourLayoutEmbedder()


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """The bytes of each item's photo by its id."""
    return {item_id: draw(seed) for seed, item_id in enumerate((*PLAIN, *AWKWARD))}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, bytes]) -> Path:
    """The photos as files, named by their place in ``photos``."""
    folder = tmp_path_factory.mktemp("catalogue")
    for number, data in enumerate(photos.values()):
        (folder / f"{number}.png").write_bytes(data)
    return folder


@pytest.fixture
def many(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    """A catalogue that takes some seconds: photos that differ in bytes that no decoder reads."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1500):
        (folder / f"{number}.png").write_bytes(photos["hats/03"] + str(number).encode())
    return folder


@pytest.fixture(scope="session")
def vectors(embedder: Embedder, photos: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {
        item_id: embedder.embed(embedder.preprocessing.read(data)[np.newaxis])[0]
        for item_id, data in photos.items()
    }


@pytest.fixture(scope="session")
def entries(photos: dict[str, bytes], folder: Path) -> list[Entry]:
    """The catalogue: each photo with its number."""
    return [
        Entry(item_id, str(folder / f"{number}.png"), {"number": number})
        for number, item_id in enumerate(photos)
    ]


@pytest.fixture
def exact(embedder, entries, photos, vectors) -> ExactEngine:
    """The engine in memory over the catalogue."""
    items = [
        (
            Item(e.id, e.uri, hashlib.sha256(photos[e.id]).hexdigest(), e.attributes),
            vectors[e.id],
        )
        for e in entries
    ]
    return ExactEngine(items, dim=embedder.dim, fingerprint=embedder.fingerprint, generation="one")


@pytest.fixture(scope="session")
def publish() -> Callable[..., str]:
    """Indexes entries into a store and answers the generation: ``publish(store, entries, by)``."""

    def run(store: Path, entries: list[Entry], embedder: Embedder) -> str:
        catalogue = MemoryCatalogue(entries)
        report = index_catalogue(catalogue, store, embedder, workers=1, batch=8, prune=True)
        assert report.generation is not None
        return report.generation

    return run


@pytest.fixture(scope="session")
def indexed_store(tmp_path_factory, publish, entries, embedder) -> Path:
    """A store on the disk with one generation of the catalogue; only to be read."""
    store = tmp_path_factory.mktemp("indexed") / "store"
    publish(store, entries, embedder)
    return store


@pytest.fixture(params=["exact", "faiss"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn over the same catalogue."""
    if request.param == "exact":
        return request.getfixturevalue("exact")
    return FaissEngine.open(request.getfixturevalue("indexed_store"))


@pytest.fixture
def serve(tmp_path: Path, embedder: Embedder, exact: Engine) -> Iterator[Callable[..., Client]]:
    """Starts a service: ``serve(engine=..., embedder=..., max_limit=5)``; closes it at the end."""
    clients: list[Client] = []

    def start(*, engine: Engine = exact, embedder: Embedder = embedder, **settings: Any) -> Client:
        given = {"store": tmp_path / "store", "refresh_interval": 0, "threads": 2, **settings}
        given.setdefault("decoders", 0)  # starting processes for every test would take minutes
        app = create_app(Settings(**given), embedder=embedder, engine=engine)
        clients.append(Client(app))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    """A service over the engine in memory, with the default settings."""
    return serve()


@pytest.fixture
def each_client(serve: Callable[..., Client], engine: Engine) -> Client:
    """A service over each engine in turn, with the default settings."""
    return serve(engine=engine)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory, make_weights) -> Path:
    """A folder whose ``weights`` hold, by the model's name, one of each that learned nothing."""
    folder = tmp_path_factory.mktemp("gallery")
    for name in models.available():
        if hasattr(models.find_preset(name, "tiny").config, "size"):  # a model of pictures
            make_weights(folder / "weights" / name, name=name)
    return folder


@pytest.fixture(scope="session")
def pens(tmp_path_factory, make_weights) -> Path:
    """A folder with weights of both stroke models and of one of pixels, which learned nothing."""
    folder = tmp_path_factory.mktemp("pens")
    for name in ("sketch_rnn", "srnn", "vae"):
        make_weights(folder / "weights" / name, name=name)
    return folder


@pytest.fixture(params=["blocking", "awaiting"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a Python client of a service, of each kind in turn: ``ask(client, key=...)``."""
    return lambda served, **given: over_app(request.param, served.app, served.runner, **given)


@pytest.fixture
def drawing(serve: Callable[..., Client], gallery: Path, monkeypatch) -> Callable[..., Client]:
    """Starts a service in the gallery: ``drawing(max_jobs=1)``; it waits long for its jobs."""
    monkeypatch.chdir(gallery)
    return lambda **given: serve(**{"job_wait": 100.0, "request_timeout": 150.0, **given})


@pytest.fixture
def artist(drawing: Callable[..., Client]) -> Client:
    """A service in the gallery, with the default settings otherwise."""
    return drawing()


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server of this machine."""
    with Site() as made:
        yield made
        made.leave.set()
        made.shutdown()


@pytest.fixture
def fetching(serve: Callable[..., Client], site: Site) -> Callable[..., Client]:
    """Starts a service that may fetch from this machine, on the port of the site."""

    def start(
        *, names: Any = None, connect: Any = None, seconds: float = 5.0, at_once: int = 8,
        allows: Any = None, **settings: Any,
    ) -> Client:  # fmt: skip
        client = serve(fetch_urls=True, **settings)
        state = client.app.state.niteru
        assert state.fetcher.policy.allows is is_public
        assert state.fetcher.policy.ports == {80, 443}
        state.fetcher = Fetcher(
            max_bytes=state.settings.max_upload_bytes,
            seconds=seconds,
            at_once=at_once,
            policy=Policy(allows or (lambda address: address.is_loopback), frozenset({site.port})),
            resolve=names or Names(photos_example=["127.0.0.1"]),
            connect=connect,
        )
        return client

    return start


@pytest.fixture(scope="session")
def check_problem() -> Callable[..., dict[str, Any]]:
    """Checks that a response is a complete problem and returns it."""

    def check(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert problem["type"] == f"urn:niteru:problem:{slug}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"].endswith((".", "/docs."))
        assert problem["instance"] == response.request.url.path
        assert problem["request_id"] == response.headers["x-request-id"]
        return problem

    return check
