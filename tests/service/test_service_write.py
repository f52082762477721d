"""Items put, changed and deleted over HTTP, on a real store."""

import json
from pathlib import Path

import pytest

from indexer.database import connect
from indexer.engines.faiss_engine import FaissEngine
from indexer.store import open_writer
from service.links import item_path


@pytest.fixture
def store(tmp_path, publish, entries, embedder) -> Path:
    publish(tmp_path / "store", entries, embedder)
    return tmp_path / "store"


@pytest.fixture
def shop(serve, store, embedder):
    return serve(engine=FaissEngine.open(store, fingerprint=embedder.fingerprint), store=store)


def found(client, photo, **options):
    response = client.post("/v1/search", params=options, content=photo)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


def kept(store):
    return [path for path in (store / "photos").rglob("*") if path.is_file()]


def test_an_item_is_found_from_the_answer_on(shop, store, picture):
    photo = picture(77)
    before = shop.post("/v1/search", content=photo).json()["total"]

    response = shop.request(
        "PUT", "/v1/items/new/one", files={"image": ("a.png", photo)},
        data={"attributes": '{"price": 3, "sale": true}'},
    )  # fmt: skip

    assert response.status_code == 201
    assert response.headers["location"] == "/v1/items/new/one"
    assert response.json()["attributes"] == {"price": 3, "sale": True}
    assert shop.get("/v1/items/new/one").json() == response.json()
    assert shop.get("/v1/items/new/one/image").content == photo
    answer = shop.post("/v1/search?limit=1", content=photo).json()
    assert answer["items"][0]["id"] == "new/one"
    assert answer["total"] == before + 1
    where = {"must": [{"key": "sale", "match": True}]}
    assert found(shop, photo, filter=json.dumps(where)) == ["new/one"]
    # Another process sees it too, from the disk.
    row = connect(store).execute("SELECT deleted FROM items WHERE id = 'new/one'").fetchone()
    assert row == (0,)


def test_putting_again_replaces_all_of_it(shop, store, picture):
    first, second = picture(77), picture(78)
    for number, photo in enumerate((first, second)):
        response = shop.request("PUT", "/v1/items/x", content=photo,
                                params={"attributes": json.dumps({"n": number})})  # fmt: skip
        assert response.status_code == (201, 200)[number]

    assert shop.get("/v1/items/x/image").content == second
    assert shop.get("/v1/items/x").json()["attributes"] == {"n": 1}
    assert [path.read_bytes() for path in kept(store)] == [second]
    shop.request("PUT", "/v1/items/x", content=second)
    assert shop.get("/v1/items/x").json()["attributes"] == {}


def test_one_photo_of_two_items_is_one_file_and_goes_with_the_last(shop, store, picture):
    photo = picture(77)
    for name in ("a", "b"):
        assert shop.request("PUT", f"/v1/items/{name}", content=photo).status_code == 201
    assert len(kept(store)) == 1

    assert shop.request("DELETE", "/v1/items/a").status_code == 204
    assert shop.get("/v1/items/b/image").content == photo
    assert shop.request("DELETE", "/v1/items/b").status_code == 204
    assert kept(store) == []


def test_attributes_change_and_the_photo_stays(shop, photos):
    response = shop.request("PATCH", "/v1/items/hats/03", json={"attributes": {"price": 1.5}})

    assert response.status_code == 200
    assert response.json()["attributes"] == {"price": 1.5}
    assert shop.get("/v1/items/hats/03/image").content == photos["hats/03"]
    assert found(shop, photos["hats/03"], limit=1) == ["hats/03"]


def test_a_deleted_item_is_gone_and_stays_gone(shop, store, photos, embedder):
    assert shop.request("DELETE", "/v1/items/hats/03").status_code == 204

    assert "hats/03" not in found(shop, photos["hats/03"], limit=100)
    assert shop.get("/v1/items/hats/03").status_code == 404
    assert shop.request("DELETE", "/v1/items/hats/03").status_code == 404
    assert "hats/03" not in found(shop, photos["hats/03"], limit=100, exact=True)


def test_indexing_the_catalogue_again_keeps_what_was_put(
    shop, store, photos, picture, publish, entries, embedder
):
    """Not lost by --prune, not doubled, and in the new index itself."""
    photo = picture(77)
    shop.request("PUT", "/v1/items/new", content=photo, params={"attributes": '{"n": 1}'})
    publish(store, [entry for entry in entries if entry.id != "hats/03"], embedder)

    assert found(shop, photo, limit=1) == ["new"]
    assert shop.get("/v1/items/new").json()["attributes"] == {"n": 1}
    names = found(shop, photo, limit=100)
    assert sorted(names) == sorted({*photos, "new"} - {"hats/03"})


def test_a_batch_has_a_status_for_each(shop, photos, picture):
    listed = [
        {"id": "one", "attributes": {"n": 1}, "image": "a"},
        {"id": "bad", "image": "b"},
        {"id": "hats/03", "attributes": {"n": 9}},
        {"id": "nobody", "attributes": {"n": 9}},
    ]
    response = shop.post(
        "/v1/items/batch",
        files={"a": ("a", picture(77)), "b": ("b", b"no image at all")},
        data={"items": json.dumps(listed), "delete": ["hats/01", "ghost"]},
    )

    assert response.status_code == 200
    told = {item["id"]: item for item in response.json()["items"]}
    statuses = {name: item["status"] for name, item in told.items()}
    assert statuses == {
        "one": 201, "bad": 415, "hats/03": 200, "nobody": 404, "hats/01": 204, "ghost": 404,
    }  # fmt: skip
    assert "image" in told["bad"]["detail"]
    assert found(shop, picture(77), limit=1) == ["one"]
    assert shop.get("/v1/items/hats/03").json()["attributes"] == {"n": 9}
    assert shop.get("/v1/items/hats/01").status_code == 404


def test_what_is_wrong_with_one_item_fails_no_other(shop, store, photos, picture):
    listed = [
        {"id": "list", "attributes": {"n": [1]}, "image": "a"},
        {"id": "one", "attributes": {"n": 1}, "image": "b"},
        {"id": "number", "attributes": 5},
        {"id": "hats/03", "attributes": {"n": 2**63}},
        {"id": "hats/04", "attributes": '{"n": 4}'},
        {"id": "misspelt", "atributes": {"n": 1}},
        {"id": "nameless", "image": 5},
        {"id": "photoless", "image": "z"},
        {"id": "zero\0", "image": "c"},
    ]
    response = shop.post(
        "/v1/items/batch",
        files={name: (name, picture(70 + n)) for n, name in enumerate("abc")},
        data={"items": json.dumps(listed), "delete": ["hats/01"]},
    )

    assert response.status_code == 200, response.text
    told = response.json()["items"]
    assert [item["id"] for item in told] == [*(item["id"] for item in listed), "hats/01"]
    assert [item["status"] for item in told] == [422, 201, 422, 422, 200, 422, 422, 422, 422, 204]
    for item, word in zip(told, ("attributes: expected", None, "attributes", "63 bits", None,
                                 "atributes: There is no such", "image", "'z'", "zero", None),
                          strict=True):  # fmt: skip
        assert item["detail"] is None if word is None else word in item["detail"]
    assert shop.get("/v1/items/one/image").content == picture(71)
    assert shop.get("/v1/items/hats/03").json()["attributes"] == {"number": 11}
    assert shop.get("/v1/items/hats/04").json()["attributes"] == {"n": 4}
    assert shop.get("/v1/items/list").status_code == 404
    assert [path.read_bytes() for path in kept(store)] == [picture(71)]  # of the refused, none
    alone = shop.post("/v1/items/batch", json={"items": [listed[3]]}).json()["items"]
    assert alone == [told[3]]


def test_a_batch_as_json_changes_and_deletes(shop):
    response = shop.post(
        "/v1/items/batch",
        json={"items": [{"id": "hats/03", "attributes": {"n": 2}}], "delete": ["hats/01"]},
    )

    assert [item["status"] for item in response.json()["items"]] == [200, 204]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": {"id": "a"}}, "items"),
        ({"items": [{"id": "a"}, {"attributes": {}}]}, "items.1.id"),
        ({"items": [{"id": 5}]}, "items.0.id"),
        ({"items": [{"id": "x" * 1025}]}, "items.0.id"),
        ({"items": [{"id": "a"}, "b"]}, "items.1"),
        ({"items": [{"id": f"{n}"} for n in range(65)]}, "items"),
        ({"items": [{"id": "a"}], "delete": ["a"]}, "items"),
        ({"items": [{"id": "a"}, {"id": "a", "attributes": 5}]}, "items"),
        ({"delete": [""]}, "delete.0"),
        ({"remove": ["a"]}, "remove"),
    ],
)
def test_what_a_batch_cannot_mean(shop, check_problem, body, field):
    problem = check_problem(shop.post("/v1/items/batch", json=body), 422, "invalid-request")
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("text", ["[]", '{"a": {}}', '{"a": NaN}', '{"a": 1e999}', "{", '{"a":[]}',
                                  '{"a": 9223372036854775808}', '{"a": "\\ud800"}',
                                  '{"\\udfff": 1}'])  # fmt: skip
def test_attributes_that_are_none(shop, picture, check_problem, text):
    response = shop.request("PUT", "/v1/items/x", content=picture(77), params={"attributes": text})
    assert check_problem(response, 422, "invalid-request")["errors"][0]["field"] == "attributes"
    assert shop.get("/v1/items/x").status_code == 404


def test_a_field_of_a_batch_holds_one_photo(shop, picture, check_problem):
    sent = [("p", ("a", picture(1))), ("p", ("b", picture(2)))]
    body = {"items": json.dumps([{"id": "b1", "image": "p"}])}
    problem = check_problem(
        shop.post("/v1/items/batch", files=sent, data=body), 422, "invalid-request"
    )
    assert "p: It stands 2 times in the form" in problem["detail"]
    assert shop.get("/v1/items/b1").status_code == 404


def test_a_bad_photo_changes_nothing(shop, store, photos, check_problem):
    for body, status in ((b"", 422), (b"no image", 415), (photos["hats/03"][:200], 422)):
        response = shop.request("PUT", "/v1/items/hats/03", content=body)
        assert response.status_code == status
    assert shop.get("/v1/items/hats/03/image").content == photos["hats/03"]
    assert not (store / "photos").exists()


def test_while_somebody_writes_the_answer_is_409(shop, store, picture, monkeypatch, check_problem):
    monkeypatch.setattr("service.shelf.WAIT", 0.0)
    with open_writer(store):
        response = shop.request("PUT", "/v1/items/x", content=picture(77))
        check_problem(response, 409, "store-busy")
        check_problem(shop.request("DELETE", "/v1/items/hats/03"), 409, "store-busy")
    assert response.headers["retry-after"] == "10"
    assert not (store / "photos").exists()  # photos too are kept and dropped by one writer alone
    assert shop.request("PUT", "/v1/items/x", content=picture(77)).status_code == 201


def test_many_clients_at_once_all_get_in(shop, picture):
    calls = [
        {"method": "PUT", "url": f"/v1/items/c/{n}", "content": picture(100 + n)} for n in range(12)
    ]
    assert {response.status_code for response in shop.together(calls)} == {201}
    for n in range(12):
        assert found(shop, picture(100 + n), limit=1) == [f"c/{n}"]


def test_ids_of_every_kind_survive(shop, picture):
    controls = ("a", "a\n", "a\nb", "batch\n", "\t\r\x1b")
    names = ("a/image", "../x", "x y", "a%2Fb", "ü", "batch", *controls)
    for item_id in names:
        response = shop.request("PUT", item_path(item_id), content=picture(77))
        assert response.status_code == 201, item_id
        assert response.json()["id"] == item_id
        assert shop.get(item_path(item_id)).json()["id"] == item_id
    for item_id in names:
        path = item_path(item_id)
        changed = shop.request("PATCH", path, json={"attributes": {"name": item_id}})
        assert (changed.status_code, changed.json()["id"]) == (200, item_id)
    for item_id in reversed(names):  # each takes away itself alone
        assert shop.get(item_path(item_id)).json()["attributes"] == {"name": item_id}
        assert shop.request("DELETE", item_path(item_id)).status_code == 204
        assert shop.get(item_path(item_id)).status_code == 404
