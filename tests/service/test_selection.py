"""Pages, thresholds, groups and copies, against a plain reading of their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.engines.exact import ExactEngine
from indexer.errors import UnknownAttributeError
from indexer.filters import parse_filter
from indexer.protocols import Item
from service import selection
from service.selection import Selection, choose


def engine_of(seed, count, *, copies=0.3, dim=4):
    """Items of three styles or none, of which some are nearly the same."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, dim))
    for n in range(1, count):
        if random.random() < copies:
            rows[n] = rows[random.integers(n)] + 0.01 * random.normal(size=dim)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    styles = [("a", "b", "c", None)[random.integers(4)] for _ in range(count)]
    pairs = [
        (Item(f"{n:03}", f"{n}.png", "0" * 64, {} if s is None else {"style": s}), row)
        for n, (s, row) in enumerate(zip(styles, rows, strict=True))
    ]
    return ExactEngine(pairs, dim=dim, fingerprint="f"), rows, styles


def by_definition(rows, styles, query, wanted):
    """Walk through all items, best first: keep, fold or pass over each."""
    scores = rows.astype(np.float64) @ query.astype(np.float64)
    kept, folded = [], {}
    for n in sorted(range(len(rows)), key=lambda n: (-scores[n], n)):
        name = f"{n:03}"
        if name in wanted.exclude:
            continue
        if wanted.where is not None and styles[n] != "a":
            continue
        if wanted.score_threshold is not None and scores[n] < wanted.score_threshold:
            break
        if len(kept) == wanted.needed:
            break
        if wanted.collapse is not None and kept:
            alike = [float(rows[n] @ rows[k]) for k in kept]
            best = int(np.argmax(alike))
            if alike[best] >= wanted.collapse:
                folded[kept[best]].append(name)
                continue
        style = styles[n]
        full = sum(styles[k] == style for k in kept) == wanted.group_size
        if wanted.group_by and style is not None and full:
            continue
        kept.append(n)
        folded[n] = []
    return [(f"{n:03}", tuple(folded[n])) for n in kept[wanted.offset :]]


wishes = st.builds(
    Selection,
    limit=st.integers(1, 12),
    offset=st.integers(0, 8),
    exclude=st.sampled_from([(), ("000", "003", "nobody")]),
    where=st.sampled_from([None, parse_filter('{"must": [{"key": "style", "match": "a"}]}')]),
    score_threshold=st.sampled_from([None, -0.2, 0.6]),
    group_by=st.sampled_from([None, "style"]),
    group_size=st.integers(1, 3),
    collapse=st.sampled_from([None, 0.5, 0.99]),
)


@given(st.integers(0, 2**31), st.integers(0, 60), wishes)
@settings(max_examples=150, deadline=None)
def test_it_answers_what_the_definition_says(seed, count, wanted):
    engine, rows, styles = engine_of(seed, count)
    query = np.random.default_rng(seed + 1).normal(size=4)
    query = (query / np.linalg.norm(query)).astype(np.float32)

    if wanted.group_by and styles and not any(styles):
        with pytest.raises(UnknownAttributeError):
            choose(engine, query, wanted)
        return
    chosen = choose(engine, query, wanted)

    assert [(c.id, c.collapsed) for c in chosen] == by_definition(rows, styles, query, wanted)
    assert all(c.item is not None and c.item.id == c.id for c in chosen)


@given(st.integers(0, 2**31), st.integers(1, 40), st.booleans())
@settings(max_examples=40, deadline=None)
def test_pages_put_together_are_one_long_answer(seed, size, thinned):
    engine, rows, _ = engine_of(seed, 40)
    options = {"group_by": "style", "group_size": 3, "collapse": 0.9} if thinned else {}

    whole = [c.id for c in choose(engine, rows[0], Selection(40, **options))]
    pages = []
    for offset in range(0, 40, size):
        pages += [c.id for c in choose(engine, rows[0], Selection(size, offset, **options))]

    assert pages == whole


def test_a_group_that_fills_the_first_candidates_does_not_shorten_the_answer(monkeypatch):
    """A hundred copies come first; behind them are the others, found by looking further."""
    near = np.array([1.0, 0.0], np.float32)
    pairs = [(Item(f"near-{n:03}", "x", "0" * 64), near) for n in range(100)]
    far = [(Item(f"far-{n}", "x", "0" * 64), np.array([0, s], np.float32)) for n, s in
           enumerate((1.0, -1.0))]  # fmt: skip
    engine = ExactEngine([*pairs, *far], dim=2, fingerprint="f")

    chosen = choose(engine, near, Selection(3, collapse=0.99))
    assert [c.id for c in chosen] == ["near-000", "far-0", "far-1"]
    assert len(chosen[0].collapsed) == 99

    monkeypatch.setattr(selection, "MOST", 50)  # and no further than that
    assert [c.id for c in choose(engine, near, Selection(3, collapse=0.99))] == ["near-000"]


def test_grouping_by_what_no_item_has_is_refused_and_by_what_few_have_is_not():
    engine, rows, styles = engine_of(3, 40)
    with pytest.raises(UnknownAttributeError, match=r"'stile'\. Did you mean 'style'\?"):
        choose(engine, rows[0], Selection(3, group_by="stile"))
    with pytest.raises(UnknownAttributeError, match=r"'price'\. There are: style\."):
        choose(engine, rows[0], Selection(3, group_by="price"))
    # None of those that are looked at has it, or nothing is: others have it all the same.
    without = tuple(f"{n:03}" for n, style in enumerate(styles) if style is not None)
    few = choose(engine, rows[0], Selection(3, group_by="style", exclude=without))
    assert len(few) == 3
    assert all(choice.item.attributes == {} for choice in few)
    where = parse_filter('{"must": [{"key": "style", "match": "none such"}]}')
    assert choose(engine, rows[0], Selection(3, group_by="style", where=where)) == []
    with pytest.raises(UnknownAttributeError, match="stile"):
        choose(engine, rows[0], Selection(3, group_by="stile", where=where))
    engine.delete([f"{n:03}" for n in range(40)])
    assert choose(engine, rows[0], Selection(3, group_by="style")) == []


def test_of_many_attributes_some_are_named():
    names = {f"attribute {n:02}": n for n in range(30)}
    row = np.array([1, 0], np.float32)
    engine = ExactEngine([(Item("a", "x", "0" * 64, names), row)], dim=2, fingerprint="f")
    with pytest.raises(UnknownAttributeError, match=r"There are: attribute 00, .* 19, …") as caught:
        choose(engine, row, Selection(1, group_by="x"))
    assert "attribute 20" not in str(caught.value)


# -- over HTTP -----------------------------------------------------------------------------------


def found(response):
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


def test_pages_over_http(each_client, photos):
    body = photos["hats/03"]
    whole = found(each_client.post("/v1/search?limit=6", content=body))

    second = each_client.post("/v1/search?limit=3&offset=3", content=body)

    assert found(second) == whole[3:]
    assert second.json()["total"] == len(photos)
    assert found(each_client.post("/v1/search?limit=3&offset=5000", content=body)) == []


def test_a_threshold_over_http(each_client):
    asked = {"item_id": "hats/03", "limit": 8}
    answer = each_client.post("/v1/search", json=asked).json()["items"]
    middle = answer[3]["score"]

    response = each_client.post("/v1/search", json={**asked, "score_threshold": middle})

    assert found(response) == [item["id"] for item in answer if item["score"] >= middle]


def test_a_threshold_of_1_finds_copies(each_client, photos):
    for item_id, photo in photos.items():
        response = each_client.post("/v1/search?score_threshold=1", content=photo)
        assert found(response) == [item_id]
        assert response.json()["items"][0]["score"] == 1


def test_copies_are_folded_at_1_and_what_is_nearly_one_is_not():
    """Rows whose products with themselves are less than 1 in float32, and more, and their twins."""
    rows = np.random.default_rng(0).standard_normal((60, 48)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert (np.vecdot(rows, rows) < 1).any()
    near = rows + np.roll(rows, 1, axis=1) * np.float32(1e-3)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    pairs = [(Item(f"{kind}{n:02}", "x", "0" * 64), row) for kind, these in
             (("a", rows), ("b", rows), ("c", near)) for n, row in enumerate(these)]  # fmt: skip
    engine = ExactEngine(pairs, dim=48, fingerprint="f")

    chosen = choose(engine, rows[0], Selection(200, collapse=1.0))

    assert len(chosen) == 120
    assert {c.id: c.collapsed for c in chosen if c.id[0] == "a"} == {
        f"a{n:02}": (f"b{n:02}",) for n in range(60)
    }


def test_groups_and_copies_over_http(each_client, photos, vectors):
    form = {"limit": "40", "group_by": "number", "collapse": "0.9999"}
    response = each_client.post("/v1/search", files={"image": ("a", photos["hats/03"])}, data=form)
    items = response.json()["items"]

    numbers = [item["attributes"]["number"] for item in items]
    assert len(set(numbers)) == len(numbers)
    folded = [name for item in items for name in item["collapsed"]]
    assert not set(folded) & set(found(response))
    assert all(float(vectors[item["id"]] @ vectors[name]) >= 0.9998
               for item in items for name in item["collapsed"])  # fmt: skip


def test_an_attribute_that_no_item_has_groups_nothing_silently(each_client, photos, check_problem):
    photo = photos["hats/03"]
    sent = (
        {"content": photo, "params": {"group_by": "nummer"}},
        {"files": {"image": ("a", photo)}, "data": {"group_by": "nummer"}},
        {"json": {"item_id": "hats/03", "group_by": "nummer"}},
        {"json": {"positives": ["hats/03"], "group_by": "nummer"}},
    )
    for body in sent:
        problem = check_problem(each_client.post("/v1/search", **body), 422, "invalid-request")
        told = "No item has an attribute 'nummer'. Did you mean 'number'? There are: number."
        assert problem["detail"] == f"group_by: {told}"
        assert problem["errors"] == [{"field": "group_by", "message": told}]
    batch = {"item_ids": ["hats/03", "none"], "group_by": "nummer"}
    answers = each_client.post("/v1/search/batch", json=batch).json()["answers"]
    assert [answer["status"] for answer in answers] == [422, 404]
    assert "nummer" in answers[0]["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("offset=-1", "offset"),
        ("offset=9001", "offset"),
        ("score_threshold=2", "score_threshold"),
        ("collapse=0", "collapse"),
        ("group_by=", "group_by"),
        ("group_size=2", "group_size"),
    ],
)
def test_wrong_options_are_named(client, photos, query, field):
    response = client.post(f"/v1/search?{query}", content=photos["hats/03"])

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
