"""The Python clients against the application: every call, by both of them."""

import hashlib
import inspect
import io
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from indexer.engines.exact import ExactEngine
from indexer.engines.faiss_engine import FaissEngine
from indexer.protocols import Item
from indexer.torch_embedder import TorchEmbedder
from service import client as package
from service.app import open_engine
from service.client import AsyncClient, Client, Write, calls_models
from service.client.results import Progress
from service.errors import ServiceError
from service.settings import Settings

KEY = "search-key-0123456789"


@pytest.fixture
def asked(ask, client):
    return ask(client)


@pytest.fixture
def shop(ask, serve, tmp_path, publish, entries, embedder):
    """A client of a service over a store of its own, which may be written."""
    store = tmp_path / "shop"
    publish(store, entries, embedder)
    engine = FaissEngine.open(store, fingerprint=embedder.fingerprint)
    return ask(serve(engine=engine, store=store))


def ids(result):
    return [hit.id for hit in result.items]


def test_a_photo_is_searched_with_as_path_bytes_or_file(asked, client, photos, folder):
    data = photos["hats/03"]
    path = folder / f"{list(photos).index('hats/03')}.png"
    expected = client.post("/v1/search?limit=3", content=data).json()

    with path.open("rb") as file:
        for photo in (data, path, io.BytesIO(data), file):
            result = asked.search(photo, limit=3)
            assert [(hit.id, hit.score) for hit in result.items] == [
                (item["id"], item["score"]) for item in expected["items"]
            ]
    assert (result.total, result.generation) == (expected["total"], "one")
    assert result.items[0].attributes == {"number": list(photos).index("hats/03")}
    assert result.timings_ms.total > 0


def test_an_item_and_examples_are_searched_with(asked, client, photos):
    by_item = client.post("/v1/search", json={"item_id": "hats/03"}).json()
    assert ids(asked.search(item_id="hats/03")) == [item["id"] for item in by_item["items"]]

    named = {"positives": ["hats/03", "bags/01"], "negatives": ["shoes/02"]}
    by_name = client.post("/v1/search", json=named).json()
    assert ids(asked.search(**named)) == [item["id"] for item in by_name["items"]]

    mixed = asked.search(positives=[photos["hats/03"], "bags/01"], negatives=[photos["shoes/02"]])
    form = {"positives": "bags/01"}
    files = [
        ("positives", ("a", photos["hats/03"])),
        ("negatives", ("a", photos["shoes/02"])),
    ]
    expected = client.post("/v1/search", data=form, files=files).json()
    assert ids(mixed) == [item["id"] for item in expected["items"]]


@pytest.mark.parametrize("by", ["photo", "item"])
def test_options_reach_the_server(asked, photos, by):
    given = [photos["hats/03"]] if by == "photo" else []
    named = {"item_id": "hats/03"} if by == "item" else {}
    where = {"must": [{"key": "number", "range": {"lt": 12}}]}

    result = asked.search(
        *given, **named, limit=4, offset=1, exclude=["bags/00", "bags/01"], filter=where,
        exact=True, score_threshold=-1, group_by="number", group_size=2, collapse=0.9999,
    )  # fmt: skip

    assert len(result.items) == 4
    assert all(hit.attributes["number"] in range(2, 12) for hit in result.items)
    assert result.total == 12  # that pass the filter
    everything = asked.search(
        *given, **named, limit=5, filter=where, exclude=["bags/00", "bags/01"]
    )
    assert ids(result) == ids(everything)[1:]


def test_a_thousand_ids_are_excluded(asked, photos):
    """They would not fit into a query string."""
    names = [f"{number:03}-{'x' * 100}" for number in range(999)]
    assert ids(asked.search(photos["hats/03"], limit=1, exclude=[*names, "hats/03"])) != ["hats/03"]


def test_what_cannot_be_searched_with_is_refused_before_it_is_sent(asked, photos, tmp_path):
    with pytest.raises(TypeError, match=r"Give Path\('photo.jpg'\)"):
        asked.search("photo.jpg")
    with pytest.raises(TypeError, match="one of photo"):
        asked.search()
    with pytest.raises(TypeError, match="one of photo"):
        asked.search(photos["hats/03"], item_id="hats/03")
    with pytest.raises(TypeError, match="limt"):
        asked.search(photos["hats/03"], limt=3)
    with pytest.raises(TypeError, match="mode 'rb'"):
        asked.search(io.StringIO("text"))
    with pytest.raises(FileNotFoundError):
        asked.search(tmp_path / "none.jpg")


def test_a_batch_has_an_answer_for_each(asked, photos):
    result = asked.search_batch(
        [photos["hats/03"], b"no image"], item_ids=["bags/01", "none"], limit=2
    )
    by_query = {answer.query: answer for answer in result.answers}

    assert ids(by_query["0"])[0] == "hats/03"
    assert (by_query["1"].status, by_query["1"].items) == (415, ())
    assert len(by_query["bags/01"].items) == 2
    assert by_query["none"].status == 404
    assert "none" in by_query["none"].detail
    assert len(asked.search_batch(item_ids=["bags/01"]).answers) == 1


def test_vectors_are_read(asked, photos, vectors, embedder):
    embedding = asked.embed(photos["hats/03"])
    assert embedding.vector == pytest.approx(vectors["hats/03"].tolist(), abs=1e-6)
    assert (embedding.dim, embedding.fingerprint) == (embedder.dim, embedder.fingerprint)


def test_an_explanation_is_read_as_data_and_as_a_picture(
    ask, serve, make_weights, tmp_path, photos
):
    weights = make_weights(tmp_path / "weights")
    learned = TorchEmbedder.load(weights)
    data = photos["hats/03"]
    vector = learned.embed(learned.preprocessing.read(data)[np.newaxis])[0]
    (tmp_path / "photo").write_bytes(data)
    item = Item("hats/03", str(tmp_path / "photo"), hashlib.sha256(data).hexdigest(), {})
    engine = ExactEngine(
        [(item, vector), (replace(item, id="hats/04"), vector)],
        dim=learned.dim,
        fingerprint=learned.fingerprint,
        generation="one",
    )
    asked = ask(serve(engine=engine, embedder=learned, weights=str(weights)))

    told = asked.explain(data, draws=2, nearest=1, seed=3)
    for picture in (told.photo, told.outline, *told.draws):
        assert Image.open(io.BytesIO(picture)).format == "PNG"
    assert (len(told.draws), told.seed, ids(told)) == (2, 3, ["hats/03"])
    assert Image.open(io.BytesIO(asked.explain_sheet(data, draws=1))).format == "PNG"
    of_item = asked.explain_item("hats/03", draws=2, nearest=1, seed=3)
    assert (of_item.photo, of_item.draws) == (told.photo, told.draws)
    assert ids(of_item) == ["hats/04"]
    assert Image.open(io.BytesIO(asked.explain_item_sheet("hats/03", draws=1))).format == "PNG"


def test_a_url_is_sent_as_one(asked):
    with pytest.raises(package.InvalidRequestError, match="NITERU_FETCH_URLS") as refused:
        asked.search(url="https://photos.example/a.jpg")
    assert refused.value.slug == "url-refused"
    url = "https://photos.example/a.jpg"
    for call in (asked.embed, asked.explain, asked.explain_sheet):
        with pytest.raises(package.InvalidRequestError, match="url-refused"):
            call(url=url)
        with pytest.raises(TypeError, match="one of photo and url"):
            call(b"photo", url=url)
    with pytest.raises(package.InvalidRequestError, match="url-refused"):
        asked.search_batch([b"photo"], urls=[url])
    for examples in ({"positive_urls": [url]}, {"positives": ["a"], "negative_urls": [url]}):
        with pytest.raises(package.InvalidRequestError, match="url-refused"):
            asked.search(**examples)
        with pytest.raises(TypeError, match="one of photo, item_id, url"):
            asked.search(b"photo", **examples)
    with pytest.raises(TypeError, match="one of photo, item_id, url"):
        asked.search(b"photo", url=url)


def test_every_item_is_read_with_its_photo_whatever_its_id(asked, photos):
    for item_id, data in photos.items():
        item = asked.item(item_id)
        assert (item.id, item.sha256) == (item_id, hashlib.sha256(data).hexdigest())
        image = asked.item_image(item_id)
        assert (image.data, image.media_type) == (data, "image/png")
        assert image.etag == f'"{item.sha256}"'
    small = asked.item_image("hats/03", side=40)
    assert (small.media_type, Image.open(io.BytesIO(small.data)).size) == ("image/jpeg", (40, 30))


def test_items_are_put_changed_and_deleted(shop, picture):
    put = shop.put_item("new/ä #1", picture(77), {"price": 3, "sale": True, "note": None})
    assert (put.id, put.attributes) == ("new/ä #1", {"price": 3, "sale": True, "note": None})
    assert ids(shop.search(picture(77), limit=1)) == ["new/ä #1"]
    assert shop.change_item("new/ä #1", {"price": 4.5}).attributes == {"price": 4.5}
    assert shop.put_item("new/ä #1", picture(78)).attributes == {}
    assert shop.delete_item("new/ä #1") is None
    with pytest.raises(package.NotFoundError):
        shop.item("new/ä #1")


@pytest.mark.parametrize("item_id", [".", ".."])
def test_items_of_dots_are_no_way_up(shop, picture, item_id):
    assert shop.put_item(item_id, picture(77)).id == item_id
    assert shop.item_image(item_id).data == picture(77)
    assert shop.delete_item(item_id) is None


def test_many_items_are_written_at_once(shop, picture):
    statuses = shop.write_items(
        [
            Write("new/1", {"n": 1}, picture(77)),
            Write("new/2", photo=io.BytesIO(b"no image")),
            Write("hats/03", {"n": 2}),
        ],
        delete=["hats/04", "none"],
    )
    assert [(one.id, one.status) for one in statuses] == [
        ("new/1", 201), ("new/2", 415), ("hats/03", 200), ("hats/04", 204), ("none", 404),
    ]  # fmt: skip
    assert shop.item("new/1").attributes == {"n": 1}
    assert shop.item("hats/03").attributes == {"n": 2}
    assert [one.status for one in shop.write_items(delete=["hats/03"])] == [204]


def test_generations_are_listed_and_activated(shop):
    (only,) = shop.generations().generations
    assert (only.current, only.serving, only.items) == (True, True, shop.ready().items)
    assert shop.activate(only.id).generations == (only,)
    with pytest.raises(package.NotFoundError) as unknown:
        shop.activate("none")
    assert unknown.value.slug == "unknown-generation"


def test_the_catalogue_is_counted_and_mapped(asked, client, photos):
    told = asked.facets(most=3)
    assert (told.total, len(told.attributes)) == (len(photos), 1)
    (number,) = told.attributes
    assert (number.key, number.distinct, len(number.values)) == ("number", len(photos), 3)
    assert all(type(one.value) is int and one.items == 1 for one in number.values)
    where = {"must": [{"key": "number", "range": {"lt": 5}}]}
    assert asked.facets(filter=where).total == 5
    drawn = asked.catalogue_map()
    assert drawn.generation == "one"
    assert [(place.id, place.image) for place in drawn.places] == [
        (place["id"], place["image"]) for place in client.get("/v1/map").json()["places"]
    ]


def test_the_server_says_that_it_is_there(asked, photos):
    assert asked.alive() is None
    assert asked.healthy() is None
    assert asked.welcome().search == "/v1/search"
    asked.search(photos["hats/03"])
    assert 'route="/v1/search"' in asked.metrics()


def test_the_catalogue_is_indexed_again_as_a_job(ask, serve, embedder, folder, tmp_path, photos):
    given = {"store": tmp_path / "store", "catalogue": folder}
    engine = open_engine(Settings(**given), embedder)
    asked = ask(serve(engine=engine, **given))
    told = []

    job = asked.reindex(prune=True)
    after = asked.wait(job.id, progress=told.append)

    assert (job.kind, job.ended, after.state) == ("reindex", False, "done")
    assert told[-1].done == told[-1].total or told[-1].stage == "publish"
    report = asked.result(job.id)
    assert (report.published, report.embedded) == (True, len(photos))
    assert (report.recall_at_10, report.recall_asked, report.memory_asked) == (1.0, 0.95, None)
    assert asked.jobs() == (asked.job(job.id),)
    again = asked.reindex(recall=0.9, memory="1GB")
    asked.wait(again.id)
    report = asked.result(again.id)
    assert (report.recall_asked, report.memory_asked) == (0.9, 10**9)


def test_what_takes_long_is_waited_for_and_told_of(ask, drawing):
    slow = drawing(job_wait=0)
    asked, told = ask(slow), []
    result = asked.samples("vae", n=2, seed=7, progress=told.append)
    assert told[-1] == Progress(done=2, total=2, stage=told[-1].stage)
    assert result == asked.samples("vae", n=2, seed=7)


def test_a_job_is_started_followed_and_read(ask, artist):
    asked = ask(artist)
    job = asked.start(calls_models.samples("vae", n=2, seed=7))
    assert (job.kind, job.subject) == ("samples", "vae")
    events = list(asked.events(job.id))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "end"
    assert events[-1].job == asked.job(job.id)
    shown = {n: data for e in events if e.kind == "picture" for n, data in e.pictures.items()}
    assert [shown[0], shown[1]] == list(asked.result(job.id).pictures)
    assert list(asked.events(job.id, after=len(events) - 1)) == events[-1:]


def test_a_cancelled_job_is_an_error_to_those_who_wait(ask, artist):
    asked, begun, go = ask(artist), threading.Event(), threading.Event()

    def work(job):
        begun.set()
        go.wait(20)
        job.check()

    artist.app.state.niteru.jobs.submit("hold", "x", work)
    assert begun.wait(10)
    job = asked.start(calls_models.samples("vae"))
    assert asked.cancel(job.id).state == "cancelled"
    with pytest.raises(package.JobError, match="it was cancelled") as ended:
        asked.wait(job.id)
    assert ended.value.job.state == "cancelled"
    with pytest.raises(package.ConflictError) as nothing:
        asked.result(job.id)
    assert nothing.value.slug == "no-result"
    go.set()


def test_a_key_is_sent_and_not_shown(ask, serve, photos):
    keyed = serve(api_keys=f"search:{KEY}")
    asked = ask(keyed, key=KEY)
    assert ids(asked.search(photos["hats/03"], limit=1)) == ["hats/03"]
    with pytest.raises(package.KeyRefusedError) as low:
        asked.delete_item("hats/03")
    assert (low.value.slug, low.value.status) == ("role-too-low", 403)
    assert low.value.extensions == {"role": "search", "needed": "write"}
    with pytest.raises(package.KeyRefusedError) as none:
        ask(keyed).item("hats/03")
    assert none.value.slug == "key-required"
    settings = getattr(asked, "client", asked).settings
    assert KEY not in repr(settings)


def test_problems_say_what_the_server_says(asked, client, photos):
    with pytest.raises(package.InvalidRequestError) as refused:
        asked.search(photos["hats/03"][:200])
    problem = refused.value
    assert (problem.slug, problem.status) == ("unusable-image", 422)
    assert problem.extensions["reason"] == "corrupt"
    assert len(problem.request_id) == 32
    assert problem.detail in str(problem)
    assert problem.request_id in str(problem)


def kinds(error=ServiceError):
    found = error.__subclasses__()
    return [*found, *(kind for parent in found for kind in kinds(parent))]


def test_every_error_of_the_server_has_a_kind_here_or_is_its_failure():
    told = {kind.slug: package.errors.BY_STATUS.get(kind.status) for kind in kinds()}
    assert {slug for slug, kind in told.items() if kind is None} == {
        "cannot-explain", "cannot-generate", "cannot-reindex", "internal-error", "url-failed",
    }  # fmt: skip
    assert told["too-many-requests"] is package.OverloadedError


def test_both_clients_have_the_same_calls():
    def public(kind):
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if not name.startswith("_") and name != "close"
        }

    assert public(Client) == public(AsyncClient)
    assert {"search", "write_items", "samples", "events"} < set(public(Client))
    assert inspect.getdoc(Client.search) == inspect.getdoc(AsyncClient.search)
