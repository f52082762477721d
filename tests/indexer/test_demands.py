"""What is asked of an index is remembered with it, and changed by asking for something else."""

import json
from contextlib import closing

import pytest

from indexer.database import ReaderPool
from indexer.demands import Demands, parse_memory, read_asked
from indexer.engines.policy import IndexPolicy
from indexer.errors import GenerationError
from indexer.generations import activate, current, list_ids
from indexer.manifest import Asked, Manifest
from indexer.pipeline import policy_for
from indexer.publishing import LocalGenerations


def asked_of(store) -> tuple[float, int | None]:
    asked = current(store).manifest.asked
    return asked.recall, asked.memory


def test_what_was_asked_is_asked_again_until_something_else_is(run, store, photos, put_photo):
    assert run().recall_asked == 0.95
    first = run(demands=Demands(0.99, 10**6))
    assert first.published  # though no photo has changed: it is for another demand
    assert asked_of(store) == (0.99, 10**6)
    assert not run().published
    assert not run(demands=Demands(0.99)).published
    put_photo(photos / "new.png", 77)
    report = run()
    assert report.published
    assert (report.recall_asked, report.memory_asked) == (0.99, 10**6)
    assert json.loads(report.to_json())["memory_asked"] == 10**6
    assert asked_of(store) == (0.99, 10**6)
    assert run(demands=Demands(memory="any")).published
    assert asked_of(store) == (0.99, None)
    assert not run().published


def test_the_memory_of_a_small_catalogue_is_bounded_too(run, store, photos, put_photo):
    for seed in range(200):
        put_photo(photos / f"{seed}.png", 100 + seed)
    count = run().items
    dim = current(store).manifest.dim
    flat = (4 * dim + 8) * count
    run(demands=Demands(0.5, flat))
    assert current(store).manifest.index == "Flat"
    report = run(demands=Demands(0.5, flat - 1))
    assert report.published
    manifest = current(store).manifest
    assert manifest.index != "Flat"
    assert manifest.curve[-1].bytes_per_item * count < flat
    with pytest.raises(GenerationError, match="fits into 1,000 bytes"):
        run(demands=Demands(memory=1000))
    assert current(store).id == report.generation


def test_what_was_not_built_is_not_remembered(run, store, monkeypatch):
    run(demands=Demands(0.9))
    stopped = run(demands=Demands(0.99), should_stop=lambda: True)
    assert stopped.stopped
    assert asked_of(store) == (0.9, None)

    def refuse(self, writer, pool, **given):
        raise GenerationError("no index fits")

    with monkeypatch.context() as patched:
        patched.setattr(LocalGenerations, "publish", refuse)
        with pytest.raises(GenerationError, match="no index fits"):
            run(demands=Demands(memory=1))
    assert not run().published
    assert asked_of(store) == (0.9, None)


def test_a_rollback_takes_what_was_asked_back(run, store, clock):
    before = run(demands=Demands(0.8)).generation
    run(demands=Demands(0.9))
    activate(store, before)
    assert read_asked(LocalGenerations(store, clock)) == Asked(recall=0.8)
    assert not run().published


def test_a_damaged_generation_does_not_make_it_forgotten(run, store, clock):
    run(demands=Demands(0.8))
    run(demands=Demands(0.9))
    newest = list_ids(store)[-1]
    (store / "generations" / newest / "manifest.json").write_text("{}")
    assert read_asked(LocalGenerations(store, clock)).recall == 0.8
    (store / "CURRENT").write_text("nonsense\n")
    assert read_asked(LocalGenerations(store, clock)).recall == 0.8
    assert run().published


def test_a_policy_of_ones_own_is_what_is_asked(run, store):
    assert run(policy=IndexPolicy(recall=0.7)).recall_asked == 0.7
    assert asked_of(store) == (0.7, None)


def test_a_manifest_that_does_not_say_was_made_for_the_usual(run, store):
    run()
    told = current(store).manifest.model_dump(mode="json")
    told.pop("asked")
    assert Manifest.model_validate(told).asked == Asked(recall=0.95, memory=None)


def test_amounts_of_memory():
    texts = ("2GB", "500 MB", "1.5g", "1024", "any", " Any ")
    assert [parse_memory(text) for text in texts] == [
        2 * 10**9, 5 * 10**8, 15 * 10**8, 1024, "any", "any",
    ]  # fmt: skip
    for wrong in ("much", "0", "0.1", "-1GB", "", "2GBB", "٢GB", "10000000000GB",
                  "9" * 400 + "GB"):  # fmt: skip
        with pytest.raises(ValueError, match="expected one like 500MB or 2GB, or any"):
            parse_memory(wrong)
    with pytest.raises(ValueError, match="memory is '2GB'"):
        Demands(memory="2GB")


class Server:
    """Generations that lie on a server, and not in the store."""

    def __init__(self, *listed):
        self.generations = list(listed)

    def listed(self):
        return self.generations


class Nowhere(LocalGenerations):
    """Folders of the store, before there is one."""

    def listed(self):
        return []


def test_the_first_index_on_another_engine_has_to_reach_what_the_last_had_to(run, store):
    run(demands=Demands(0.99, 10**6))
    with closing(ReaderPool(store)) as pool:
        there = policy_for(Demands(), Server(), pool, 64)
        assert (there.recall, there.memory) == (0.99, None)
        assert policy_for(Demands(0.9), Server(), pool, 64).recall == 0.9
        back = policy_for(Demands(), Nowhere(store), pool, 64)
        assert (back.recall, back.memory) == (0.99, 10**6)


def test_an_engine_that_has_an_index_goes_on_with_what_was_asked_of_it(run, store):
    run(demands=Demands(0.9))
    old = LocalGenerations(store).listed()
    run(demands=Demands(0.99))
    with closing(ReaderPool(store)) as pool:
        assert policy_for(Demands(), Server(*old), pool, 64).recall == 0.9
