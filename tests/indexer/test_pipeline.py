"""Indexing as a user meets it: the first run, the second day, and what goes wrong."""

import json
import os
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.catalogues import open_catalogue
from indexer.database import connect
from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.faiss_engine import FaissEngine
from indexer.generations import current, list_ids
from indexer.intake import make_record
from indexer.protocols import Entry
from indexer.reading import find_items, read_fact
from indexer.report import Progress
from indexer.store import delete, upsert


def test_the_first_run(run, photos, store, embedder) -> None:
    told: list[Progress] = []
    report = run(progress=told.append)
    assert (report.entries, report.embedded, report.items) == (12, 12, 12)
    assert (report.unchanged, report.failures, report.published) == (0, (), True)
    assert report.recall_at_10 == 1.0
    assert report.message == (
        f"Published generation {report.run} with 12 items (12 embedded, 0 unchanged)."
    )
    assert current(store).id == report.generation == report.run
    assert [(p.done, p.total) for p in told][-3:] == [(12, 12)] * 3
    assert [p.stage for p in told][-2:] == ["build", "publish"]
    written = json.loads((store / "reports" / f"{report.run}.json").read_text())
    assert written == json.loads(report.to_json())
    with closing(connect(store)) as connection:
        assert read_fact(connection, "source") == str(photos)
    with FaissEngine.open(store, fingerprint=embedder.fingerprint) as engine:
        for entry in open_catalogue(photos):
            pixels = embedder.preprocessing.read(Path(entry.uri).read_bytes())
            hit = engine.search(embedder.embed(pixels[None]), 1)[0][0]
            assert hit.id == entry.id
            assert hit.score == pytest.approx(1, abs=1e-6)
            assert engine.get([entry.id])[0].uri == entry.uri


def test_the_second_run_finds_nothing_to_do(counting, run, store) -> None:
    first, embedder = run(), counting()
    second = run(embedder)
    assert embedder.seen == 0
    assert (second.unchanged, second.embedded, second.published) == (12, 0, False)
    assert second.generation == first.generation
    assert list_ids(store) == [first.generation]
    assert second.message.startswith(f"Nothing to publish: generation {first.generation} covers")


def test_only_what_changed_is_embedded(counting, run, photos, store, put_photo) -> None:
    run()
    put_photo(photos / "a/00.png", 100, when=1_600_000_001)  # another photo
    put_photo(photos / "d/new.png", 101)  # a new item
    put_photo(photos / "a/03.png", 3, when=1_600_000_009)  # touched, the same photo
    (photos / "b/01.png").rename(photos / "b/moved.png")  # another name, the same photo
    embedder = counting()
    report = run(embedder)
    assert embedder.seen == report.embedded == 2
    assert (report.reused, report.unchanged, report.entries) == (1, 10, 13)
    assert report.items == 14  # b/01 has vanished, but stays
    assert report.published
    with FaissEngine.open(store) as engine:
        twins = engine.search(engine.vectors(["b/moved"])[0][None], 2)[0]
        assert [hit.id for hit in twins] == ["b/01", "b/moved"]
    again = run(embedder, prune=True)
    assert (again.pruned, again.items, again.published) == (1, 13, True)
    assert embedder.seen == 2
    with FaissEngine.open(store) as engine:
        assert engine.get(["b/01"]) == [None]
    assert run(embedder, prune=True).published is False


def test_a_photo_replaced_within_one_tick_of_the_clock_is_found(run, photos, put_photo, clock):
    just_now = int(clock.now.timestamp()) + 1000
    path = photos / "x.png"
    first = put_photo(path, 50, when=just_now).read_bytes()
    assert run().embedded == 13
    same_size = (put_photo(path, seed, when=just_now).read_bytes() for seed in range(51, 999))
    assert any(len(data) == len(first) and data != first for data in same_size)
    assert run().embedded == 1


def test_unreadable_photos_are_listed_and_skipped(run, photos, store, put_photo) -> None:
    good = (photos / "a/00.png").read_bytes()
    put_photo(photos / "bad/empty.jpg", data=b"")
    put_photo(photos / "bad/text.jpg", data=b"hello")
    put_photo(photos / "bad/cut.png", data=good[: len(good) // 2])
    (photos / "bad/dangling.png").symlink_to(photos / "nowhere.png")
    (photos / "bad/folder.jpg").mkdir()
    os.mkfifo(photos / "bad/pipe.webp")
    report = run()
    reasons = {failure.id: failure.reason for failure in report.failures}
    assert list(reasons) == ["bad/cut", "bad/dangling", "bad/empty", "bad/pipe", "bad/text"]
    assert "0 bytes" in reasons["bad/empty"]
    assert "b'hello'" in reasons["bad/text"]
    assert "damaged or cut off" in reasons["bad/cut"]
    assert reasons["bad/dangling"] == "No such file or directory"
    assert (report.embedded, report.items, report.entries) == (12, 12, 17)
    assert "5 left out" in report.message
    written = json.loads((store / "reports" / f"{report.run}.json").read_text())
    assert written["failures"][0]["uri"] == str(photos / "bad/cut.png")
    again = run()
    assert len(again.failures) == 5  # still wrong, still said
    assert not again.published


def test_an_item_whose_photo_became_unreadable_keeps_its_vector(run, photos, store, put_photo):
    run()
    put_photo(photos / "a/00.png", data=b"broken", when=1_600_000_001)
    report = run(prune=True)
    assert [failure.id for failure in report.failures] == ["a/00"]
    assert (report.items, report.pruned) == (12, 0)


def test_names_that_are_no_unicode_are_failures(run, photos, put_photo) -> None:
    try:
        put_photo(Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")))
    except OSError:
        pytest.skip("this file system takes no such name")
    report = run()
    assert report.items == 12
    assert "no valid Unicode" in report.failures[0].reason


def test_equal_photos_are_embedded_once(counting, run, photos, put_photo) -> None:
    for n in range(9):
        put_photo(photos / f"copies/{n}.png", 3)
    embedder = counting()
    report = run(embedder, workers=1)
    assert embedder.seen == 12 == report.embedded
    assert (report.reused, report.items) == (9, 21)


def test_changed_attributes_need_no_embedding_and_no_generation(run, photos, store, tmp_path):
    manifest = tmp_path / "photos" / "items.csv"
    manifest.write_text("id,path,price\n1,a/00.png,10\n2,b/01.png,20\n")
    first = run(catalogue=open_catalogue(manifest))
    manifest.write_text("id,path,price,brand\n1,a/00.png,12,x\n2,b/01.png,20,\n")
    with FaissEngine.open(store) as engine:
        report = run(catalogue=open_catalogue(manifest))
        assert (report.described, report.embedded, report.published) == (2, 0, False)
        assert report.generation == first.generation
        assert engine.get(["1"])[0].attributes == {"price": 12, "brand": "x"}


def test_other_weights_leave_the_generation_served_alone(
    counting, run, photos, store, put_photo
) -> None:
    old, new = counting(), counting(ColourLayoutEmbedder(grid=2))
    run(old)
    put_photo(photos / "a/00.png", 100, when=1_600_000_001)
    with FaissEngine.open(store) as engine:
        before = engine.vectors(["a/00"])[0]
        report = run(new)
        assert (new.seen, report.items) == (12, 12)
        assert engine.generation != report.generation
        np.testing.assert_array_equal(engine.vectors(["a/00"])[0], before)
        assert len(engine.search(before[None], 99)[0]) == 12
    back = run(old)  # and back again: only the photo changed meanwhile is embedded
    assert back.embedded == 1
    assert back.published
    assert current(store).manifest.fingerprint == old.fingerprint


def test_weights_that_are_known_already_are_published_without_embedding(run, store, counting):
    old, new = counting(), counting(ColourLayoutEmbedder(grid=2))
    run(old)
    run(new)
    report = run(old)
    assert (report.embedded, report.published, old.seen) == (0, True, 12)
    assert current(store).manifest.fingerprint == old.fingerprint


def test_a_stopped_run_goes_on_later(counting, run, store) -> None:
    embedder, asked = counting(), iter([False, False, True])
    stopped = run(embedder, should_stop=lambda: next(asked, True), workers=1)
    assert stopped.stopped
    assert not stopped.published
    assert 4 <= stopped.embedded == embedder.seen < 12
    assert stopped.generation is None
    assert "run the same command again" in stopped.message
    assert current(store) is None
    assert json.loads((store / "reports" / f"{stopped.run}.json").read_text())["stopped"]
    report = run(embedder)
    assert embedder.seen == 12
    assert report.unchanged == stopped.embedded
    assert report.items == 12


def test_a_run_stopped_before_the_build_publishes_nothing(run, store) -> None:
    done: list[Progress] = []
    report = run(progress=done.append, should_stop=lambda: bool(done) and done[-1].done == 12)
    assert (report.stopped, report.embedded, current(store)) == (True, 12, None)
    assert run().published


def test_all_workers_embed(counting, run, photos, put_photo) -> None:
    for seed in range(60):
        put_photo(photos / f"many/{seed:03}.png", 1000 + seed)
    embedder = counting()
    run(embedder, workers=3, batch=2)
    assert len(embedder.threads) > 1
    assert threading.get_ident() not in embedder.threads
    one, three = run(workers=1), run(workers=3)
    assert replace(one, run="", seconds=0) == replace(three, run="", seconds=0)


@pytest.mark.parametrize("setting", ["workers", "batch", "keep"])
def test_settings_below_one_are_refused(run, setting) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        run(**{setting: 0})


def test_one_photo_by_hand(run, photo, store, embedder) -> None:
    run()
    record = make_record(Entry("hand", "/elsewhere.png", {"n": 1}), photo(900), embedder)
    with FaissEngine.open(store) as engine:
        upsert(store, [record], fingerprint=embedder.fingerprint)
        assert engine.search(record.vector[None], 1)[0][0].id == "hand"
        assert engine.get(["hand"]) == [record.item]
        delete(store, ["hand"])
        assert engine.search(record.vector[None], 1)[0][0].id != "hand"
    with closing(connect(store)) as connection:
        assert find_items(connection, ["hand"]) == [None]


@pytest.mark.real_data
def test_real_photos_are_all_indexed_and_find_themselves(run, real_data, store) -> None:
    catalogue = open_catalogue(real_data / "clothing" / "validation")
    report = run(catalogue=catalogue, batch=32)
    assert (report.items, report.failures) == (530, ())
    with FaissEngine.open(store) as engine:
        for entry in list(catalogue)[::25]:
            vector = engine.vectors([entry.id])[0]
            assert engine.search(vector[None], 1)[0][0].score == pytest.approx(1, abs=1e-6)
    assert run(catalogue=catalogue).unchanged == 530


def test_the_example_of_the_readme_runs(photos, photo, tmp_path, monkeypatch, capsys) -> None:
    readme = Path(indexer.__file__).with_name("README.md").read_text("utf-8")
    code = readme.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "query.jpg").write_bytes(photo(4))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "Published generation" in capsys.readouterr().out
    with FaissEngine.open(tmp_path / "store") as engine:
        assert len(engine) == 12
