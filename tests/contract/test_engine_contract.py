"""What every engine promises, over all engines and over all places a vector can be in."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import FingerprintMismatchError, QueryError
from indexer.filters import parse_filter
from indexer.protocols import Hit, Item
from tests.contract.engines import PAIRS, QUERIES, assert_same, brute_force, draw_pairs


def test_an_item_finds_itself_first(start) -> None:
    engine = start().engine
    for item, vector in PAIRS[::20]:
        best = engine.search(vector[None], 3)[0][0]
        assert best == Hit(item.id, 1)


def test_a_copy_scores_1_whatever_float32_rounds(start) -> None:
    """Neither less, so that a threshold of 1 finds it, nor as much as what is only nearly one."""
    vectors = np.stack([vector for _, vector in PAIRS])
    near = vectors + np.roll(vectors, 1, axis=1) * np.float32(1e-3)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    others = [(Item(f"a{n:03}", "u", "s"), row) for n, row in enumerate(near)]
    engine = start([*PAIRS, *others]).engine
    # What another batch or another machine makes of the same photo.
    noise = np.random.default_rng(3).standard_normal(vectors.shape).astype(np.float32)
    for queries in (vectors, vectors * (1 + np.float32(2e-7) * noise)):
        found = engine.search(queries.astype(np.float32), 2)
        for (item, _), (near_item, _), hits in zip(PAIRS, others, found, strict=True):
            assert [hit.id for hit in hits] == [item.id, near_item.id]
            assert hits[0].score == 1
            assert 1 - 1e-5 < hits[1].score < 1 - 1e-8


def test_scores_fall_and_are_cosines(start) -> None:
    for hits in start().engine.search(QUERIES, 50):
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert -1 <= scores[-1] <= scores[0] <= 1
        assert len({hit.id for hit in hits}) == 50


def test_exact_is_brute_force(start) -> None:
    for hits, query in zip(start().engine.search(QUERIES, 12, exact=True), QUERIES, strict=True):
        assert_same(hits, brute_force(PAIRS, query, 12))


@pytest.mark.parametrize("exact", [False, True])
def test_a_limit_beyond_the_items_gives_them_all(start, exact) -> None:
    engine = start().engine
    assert len(engine) == 300
    for limit in (300, 1000):
        for hits in engine.search(QUERIES[:2], limit, exact=exact):
            assert len({hit.id for hit in hits}) == len(hits) == 300


def test_equal_scores_are_in_the_order_of_ids(start) -> None:
    vector = PAIRS[0][1]
    names = ["b", "a", *(f"t{n:02}" for n in range(60)), "Z", "é"]
    twins = [(Item(name, "u", "same"), vector) for name in names]
    engine = start([*PAIRS, *twins]).engine
    expected = sorted([*names, "i000"])
    for limit in (1, 3, 62, 64):
        assert [hit.id for hit in engine.search(vector[None], limit)[0]] == expected[:limit]


def test_upserts_are_visible_at_once(start) -> None:
    harness = start()
    (item, vector), moved = draw_pairs(1, seed=5, prefix="new")[0], draw_pairs(1, seed=6)[0][1]
    harness.upsert([(item, vector)])
    assert len(harness.engine) == 301
    assert harness.engine.search(vector[None], 1)[0][0].id == item.id
    assert harness.engine.get([item.id]) == [item]
    harness.upsert([(PAIRS[7][0], moved)])  # an item of the index gets another photo
    assert len(harness.engine) == 301
    assert harness.engine.search(moved[None], 1)[0][0].id == "i007"
    everything = harness.engine.search(PAIRS[7][1][None], 400)[0]
    assert [hit.id for hit in everything].count("i007") == 1
    scores = {hit.id: hit.score for hit in everything}
    assert scores["i007"] == pytest.approx(float(moved @ PAIRS[7][1]), abs=1e-5)
    np.testing.assert_array_equal(harness.engine.vectors(["i007"])[0], moved)


def test_deleted_items_never_come_back(start) -> None:
    harness = start()
    harness.upsert(draw_pairs(3, seed=5, prefix="new"))
    harness.delete(["i004", "new001", "never-there"])
    assert len(harness.engine) == 301
    for exact in (False, True):
        for hits in harness.engine.search(QUERIES, 400, exact=exact):
            assert len(hits) == 301
            assert not {"i004", "new001"} & {hit.id for hit in hits}
    assert harness.engine.get(["i004", "i005"]) == [None, PAIRS[5][0]]
    assert harness.engine.vectors(["i004"]) == [None]
    harness.upsert([PAIRS[4]])  # put on sale again
    assert harness.engine.search(PAIRS[4][1][None], 1)[0][0].id == "i004"


def test_excluded_items_do_not_shorten_the_answer(start) -> None:
    engine = start().engine
    for query in QUERIES:
        out = [hit.id for hit in brute_force(PAIRS, query, 40)]
        rest = [pair for pair in PAIRS if pair[0].id not in out]
        hits = engine.search(query[None], 10, exact=True, exclude=[*out, out[0], "never-there"])
        assert_same(hits[0], brute_force(rest, query, 10))
        assert len(engine.search(query[None], 10, exclude=out)[0]) == 10
    everyone = [item.id for item, _ in PAIRS]
    assert engine.search(QUERIES[:1], 5, exclude=everyone) == [[]]
    assert [h.id for h in engine.search(QUERIES[:1], 5, exclude=everyone[1:])[0]] == ["i000"]


def test_a_batch_is_answered_like_single_queries(start) -> None:
    engine = start().engine
    queries = np.concatenate([QUERIES] * 5)
    for query, hits in zip(queries, engine.search(queries, 9), strict=True):
        assert hits == engine.search(query[None], 9)[0]  # scores to the last bit
    assert engine.search(queries[:0], 9) == []


def test_concurrent_searches_equal_serial_ones(start) -> None:
    engine = start().engine
    asked = [(n % 7, 1 + n % 23, n % 3 == 0) for n in range(120)]

    def answer(case: tuple[int, int, bool]) -> list[list[Hit]]:
        return engine.search(QUERIES[case[0] :][:1], case[1], exact=case[2])

    expected = [answer(case) for case in asked]
    with ThreadPoolExecutor(6) as executor:
        assert list(executor.map(answer, asked)) == expected


def test_a_store_with_nothing_left_answers_nothing(start) -> None:
    harness = start(PAIRS[:3])
    harness.delete([item.id for item, _ in PAIRS[:3]])
    assert len(harness.engine) == 0
    assert harness.engine.search(QUERIES[:2], 5) == [[], []]
    assert harness.engine.search(QUERIES[:2], 5, exact=True) == [[], []]


def test_get_and_vectors_keep_the_order_asked_for(start) -> None:
    engine = start().engine
    assert engine.get(["i002", "none", "i000", "i002"]) == [
        PAIRS[2][0],
        None,
        PAIRS[0][0],
        PAIRS[2][0],
    ]
    vectors = engine.vectors(["none", "i001"])
    assert vectors[0] is None
    np.testing.assert_array_equal(vectors[1], PAIRS[1][1])
    assert engine.get([]) == []
    assert engine.vectors([]) == []


def test_a_new_generation_is_taken_up_by_refresh(start) -> None:
    harness = start()
    engine, before = harness.engine, harness.engine.generation
    assert engine.refresh() is False
    harness.publish(draw_pairs(20, seed=9, prefix="j"))
    assert engine.refresh() is True
    assert engine.generation != before
    assert engine.refresh() is False
    assert len(engine) == 20
    assert_same(
        engine.search(QUERIES[:1], 5, exact=True)[0],
        brute_force(draw_pairs(20, seed=9, prefix="j"), QUERIES[0], 5),
    )


def test_a_switch_under_way_mixes_no_answer(start) -> None:
    harness = start()
    generations = [
        PAIRS,
        *([(item, vector) for item, vector in draw_pairs(300, seed=s)] for s in (2, 3)),
    ]
    allowed = [brute_force(pairs, QUERIES[0], 300) for pairs in generations]

    def ask(_: int) -> list[Hit]:
        harness.engine.refresh()
        return harness.engine.search(QUERIES[:1], 300, exact=True)[0]

    with ThreadPoolExecutor(3) as executor:
        answers = executor.map(ask, range(60))
        for pairs in generations[1:]:
            harness.publish(pairs)
        for answer in answers:
            scores = np.array([hit.score for hit in answer])
            differences = [np.abs(scores - [h.score for h in other]).max() for other in allowed]
            assert min(differences) < 1e-5
    harness.engine.refresh()
    assert_same(ask(0), allowed[-1])


def test_another_embedders_generation_is_refused_and_the_old_one_answers(start) -> None:
    harness = start()
    harness.publish(PAIRS, fingerprint="other-weights")
    for _ in range(2):
        with pytest.raises(FingerprintMismatchError, match=r"other-weights.*'f'") as caught:
            harness.engine.refresh()
        assert (caught.value.found, caught.value.expected) == ("other-weights", "f")
    assert harness.engine.fingerprint == "f"
    assert harness.engine.search(PAIRS[3][1][None], 1)[0][0].id == "i003"
    harness.publish(PAIRS, fingerprint="f")
    assert harness.engine.refresh() is True


def test_queries_that_cannot_be_answered_are_refused(start) -> None:
    engine = start(PAIRS[:5]).engine
    for queries, limit, expected in (
        (QUERIES[:, :-1], 5, r"\(7, 15\)"),
        (QUERIES[0], 5, r"\(16,\)"),
        (QUERIES * 2, 5, "unit length"),
        (QUERIES * np.float32(np.nan), 5, "unit length"),
        (QUERIES * 0, 5, "unit length"),
        (QUERIES, 0, "limit"),
        (QUERIES, -1, "limit"),
    ):
        with pytest.raises(QueryError, match=expected):
            engine.search(queries, limit)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["upsert", "delete"]),
            st.lists(st.integers(0, 14), min_size=1, max_size=5),
            st.integers(0, 99),
        ),
        max_size=8,
    )
)
def test_any_history_ends_in_the_same_answers_as_a_dictionary(start, history) -> None:
    pairs = draw_pairs(10)
    harness, model = start(pairs), {item.id: (item, vector) for item, vector in pairs}
    for action, numbers, seed in history:
        ids = [f"i{number:03}" for number in numbers]
        if action == "delete":
            harness.delete(ids)
            for item_id in ids:
                model.pop(item_id, None)
        else:
            changed = [draw_pairs(15, seed)[number] for number in dict.fromkeys(numbers)]
            harness.upsert(changed)
            model.update({item.id: (item, vector) for item, vector in changed})
        assert len(harness.engine) == len(model)
        for query, hits in zip(QUERIES, harness.engine.search(QUERIES, 4, exact=True), strict=True):
            assert_same(hits, brute_force(list(model.values()), query, 4))
    harness.engine.close()


@pytest.mark.parametrize(("below", "exact"), [(1, False), (2, False), (40, False), (250, True)])
def test_a_filter_loses_nothing_that_passes(start, below, exact) -> None:
    where = parse_filter(f'{{"must": [{{"key": "n", "range": {{"lt": {below}}}}}]}}')
    engine, passing = start().engine, PAIRS[:below]
    assert engine.count(where) == below
    for hits, query in zip(
        engine.search(QUERIES, 5, exact=exact, where=where), QUERIES, strict=True
    ):
        assert_same(hits, brute_force(passing, query, 5))
    assert (
        engine.search(QUERIES[:1], 5, exclude=["i000"], where=where)[0]
        == engine.search(QUERIES[:1], 5, exact=True, exclude=["i000"], where=where)[0]
    )


def test_a_filter_sees_what_changes(start) -> None:
    where = parse_filter('{"must": [{"key": "n", "range": {"gte": 298}}]}')
    harness = start()
    assert harness.engine.count() == 300
    found = harness.engine.search(QUERIES[:1], 9, where=where)[0]
    assert {hit.id for hit in found} == {"i298", "i299"}
    harness.delete(["i299"])
    harness.upsert([(Item("late", "u", "s", {"n": 999}), QUERIES[0])])
    assert harness.engine.count(where) == 2
    found = harness.engine.search(QUERIES[:1], 9, where=where)[0]
    assert [hit.id for hit in found] == ["late", "i298"]
