"""A server over photos that are no files: in tar shards, and in other places."""

import contextlib
import io
import json

import pytest
from PIL import Image

from indexer.engines.faiss_engine import FaissEngine
from indexer.protocols import Item
from service.app import open_engine
from service.cli import main
from service.commands.pictures import Row, draw_results
from service.explanation import MISSING, thumbnail
from service.settings import Settings
from tests.shards_made import empty_memory, memory, put_file, put_remote, tar

SHELVES = {"hats": 3, "shoes": 4}


@pytest.fixture(params=["memory://bucket/shards", "shards", "memory://bucket/photos"])
def source(request, tmp_path, picture):
    """A catalogue of seven photos that are no files of their own."""
    root, put = str(request.param), put_remote
    if root.startswith("memory"):
        empty_memory()
    else:
        root, put = str(tmp_path / root), lambda path, data: put_file(tmp_path / path, data)
    for seed, (shelf, count) in enumerate(SHELVES.items()):
        photos = {f"{shelf}/{n}.png": picture(10 * seed + n) for n in range(count)}
        if root.endswith("shards"):
            put(f"{root}/{shelf}.tar", tar(photos))
        else:
            for name, data in photos.items():
                put(f"{root}/{name}", data)
    return root


@pytest.fixture
def client(serve, embedder, source, tmp_path):
    """A server that has indexed it by ``POST /v1/reindex``."""
    given = {"store": tmp_path / "store", "catalogue": source}
    client = serve(engine=open_engine(Settings(**given), embedder), embedder=embedder, **given)
    job = client.post("/v1/reindex").json()
    client.get(job["events"])  # ends with the job
    told = client.get(job["url"]).json()
    assert (told["state"], told["subject"]) == ("done", source.rpartition("/")[2])
    assert client.get(told["result"]).json()["items"] == sum(SHELVES.values())
    return client


def test_photos_are_served_from_where_they_are(client, picture):
    assert client.get("/v1/items/hats/2/image").content == picture(2)
    found = client.post("/v1/search?limit=1", content=picture(13)).json()["items"]
    assert found[0]["id"] == "shoes/3"
    photo = client.get(found[0]["image"])
    assert (photo.content, photo.headers["content-type"]) == (picture(13), "image/png")


def test_photos_that_went_are_missing_and_no_place_is_told(client, source, check_problem):
    if source.startswith("memory"):
        memory().store.clear()
    else:
        for path in (client.app.state.niteru.settings.store.parent / "shards").iterdir():
            path.unlink()
    problem = check_problem(client.get("/v1/items/hats/2/image"), 404, "photo-missing")
    assert "cannot be read any more" in problem["detail"]
    assert "bucket" not in problem["detail"]
    assert "shards" not in problem["detail"]


def test_sheets_show_them(client, picture, tmp_path):
    with FaissEngine.open(tmp_path / "store") as engine:
        (item,) = engine.get(["hats/1"])
    shown = thumbnail(item.uri, 40)
    assert shown.getcolors(1) is None or shown.getcolors(1)[0][1] != MISSING
    (tmp_path / "query.png").write_bytes(picture(1))
    sheet = draw_results([Row(tmp_path / "query.png", (item.uri,))], side=40)
    query, found = (sheet.crop((left, 6, left + 40, 46)) for left in (6, 24 + 46))
    assert query.tobytes() == found.tobytes()


def test_what_a_client_writes_is_never_gone_to(client, picture, tmp_path):
    secret = put_remote("memory://inside/secret.png", picture(77))
    assert client.get("/v1/items/hats/0").status_code == 200
    attributes = json.dumps({"uri": secret, "path": secret, "image": secret})
    answer = client.request(
        "PUT", "/v1/items/mine", files={"image": picture(5)}, data={"attributes": attributes}
    )
    assert answer.status_code == 201, answer.text
    assert client.get("/v1/items/mine/image").content == picture(5)
    for item_id in (secret, f"{secret}.tar#offset=512&size=1&header=0&name=x"):
        assert client.get(f"/v1/items/{item_id}/image").status_code == 404
    with FaissEngine.open(tmp_path / "store") as engine:
        (item,) = engine.get(["mine"])
    assert isinstance(item, Item)
    assert item.uri.startswith(str(tmp_path / "store" / "photos"))


def test_the_command_line_indexes_and_shows_them(source, picture, tmp_path):
    (tmp_path / "query.png").write_bytes(picture(11))
    store = tmp_path / "by-hand"

    pattern = f"{source}/{{hats,shoes}}.tar" if source.endswith("shards") else source
    assert "7 items (7 embedded" in run_niteru("index", pattern, "--store", store)
    assert "Nothing to publish" in run_niteru("index", pattern, "--store", store)
    found = json.loads(
        run_niteru("search", tmp_path / "query.png", "--store", store, "--limit", 2, "--json",
               "--picture", tmp_path / "sheet.png")
    )  # fmt: skip
    assert found[0]["id"] == "shoes/1"
    assert found[0]["uri"].startswith(source)
    assert ("#offset=" in found[0]["uri"]) == source.endswith("shards")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300


def run_niteru(*words: object) -> str:
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.suppress(SystemExit):
        main([str(word) for word in words])
    return stdout.getvalue()


@pytest.fixture
def manifest(tmp_path, picture):
    """A manifest of this machine whose photos are at another place."""
    empty_memory()
    rows = [put_remote(f"memory://ada:hunter2@cdn/{n}.png", picture(n)) for n in range(3)]
    path = put_file(tmp_path / "here.png", picture(9)).with_name("items.csv")
    lines = ["id,path", "here,here.png", *(f"{n},{uri}" for n, uri in enumerate(rows))]
    return put_file(path, "\n".join(lines).encode())


def test_the_place_of_photos_is_named_on_the_command_line(manifest, picture, tmp_path):
    store = tmp_path / "by-hand"
    said = run_niteru("index", manifest, "--store", store)
    assert "1 items (1 embedded, 0 unchanged, 3 left out)" in said
    reports = "".join(path.read_text() for path in (store / "reports").iterdir())
    assert "to allow it: --photos-from memory://cdn" in reports
    assert "hunter2" not in reports
    said = run_niteru("index", manifest, "--store", store, "--photos-from", "memory://cdn")
    assert "4 items (3 embedded, 1 unchanged)" in said
    (tmp_path / "query.png").write_bytes(picture(2))
    search = ("search", tmp_path / "query.png", "--store", store, "--limit", 1)
    assert "memory://***@cdn/2.png" in run_niteru(*search)
    assert "hunter2" not in said + run_niteru(*search, "--json")


def test_the_place_of_photos_is_a_setting_of_the_server(
    manifest, serve, embedder, picture, tmp_path
):
    given = {"store": tmp_path / "store", "catalogue": str(manifest),
             "photos_from": "memory://cdn, memory://other"}  # fmt: skip
    client = serve(engine=open_engine(Settings(**given), embedder), embedder=embedder, **given)
    job = client.post("/v1/reindex").json()
    client.get(job["events"])
    assert client.get(client.get(job["url"]).json()["result"]).json()["items"] == 4
    assert client.get("/v1/items/2/image").content == picture(2)


def test_a_password_of_the_catalogue_is_told_to_nobody(serve, embedder, picture, tmp_path, caplog):
    empty_memory()
    catalogue = "memory://ada:hunter2@shop"
    put_remote(f"{catalogue}/a.png", picture(1))
    given = {"store": tmp_path / "store", "catalogue": catalogue}
    client = serve(engine=open_engine(Settings(**given), embedder), embedder=embedder, **given)
    job = client.post("/v1/reindex").json()
    client.get(job["events"])
    told = client.get(job["url"]).json()
    assert (told["state"], told["subject"]) == ("done", "***@shop")
    put_remote(f"{catalogue}/a.jpg", picture(1))
    failed = client.post("/v1/reindex").json()
    client.get(failed["events"])
    assert client.get(failed["url"]).json()["state"] == "failed"
    assert "would both be the item 'a'" in caplog.text
    assert "hunter2" not in caplog.text + client.get("/v1/jobs").text
