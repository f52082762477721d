"""Writing sample catalogues: complete, resumable, never mixed."""

import csv
import json
import resource

import numpy as np
import pytest
from PIL import Image

from indexer.sample import (
    KINDS,
    CatalogueSettings,
    SampleError,
    draw_items,
    draw_scene,
    read_settings,
    render,
    write_catalogue,
    write_queries,
)
from indexer.sample.settings import write_atomically
from indexer.sample.write import change_scene

SMALL = {"items": 10, "size": 32, "workers": 1}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def files_of(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


class StoppedError(Exception):
    """Stands for a user's interrupt."""


def stop_after(count):
    def progress(done, total):
        if done >= count:
            raise StoppedError

    return progress


def test_a_catalogue_has_a_row_and_an_image_for_each_item(tmp_path):
    settings = write_catalogue(tmp_path / "shop", **SMALL)
    assert settings == CatalogueSettings(items=10, size=32) == read_settings(tmp_path / "shop")
    rows = rows_of(tmp_path / "shop/items.csv")
    items = draw_items(0, 10)
    assert [row["id"] for row in rows] == [item.id for item in items]
    for row, item in zip(rows, items, strict=True):
        scene = draw_scene(0, item.number)
        assert row == {
            "id": item.id,
            "path": f"images/{item.id}.jpg",
            "item": item.id,
            "kind": item.kind,
            "colour": item.colours[0].name,
            "pattern": item.pattern.kind,
            "background": scene.background.kind,
            "wearer": scene.wearer.kind,
            "price": f"{item.price:.2f}",
        }
        with Image.open(tmp_path / "shop" / row["path"]) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (32, 32), "RGB")
            written = np.asarray(image, np.float32)
        made = np.asarray(render(item, scene, 32).image, np.float32)
        assert np.abs(written - made).mean() < 14  # what JPEG costs so small an image


def test_several_photos_of_an_item_share_its_name(tmp_path):
    write_catalogue(tmp_path, **{**SMALL, "items": 3}, photos_per_item=2, masks=True)
    rows = rows_of(tmp_path / "items.csv")
    first = draw_items(0, 1)[0].id
    assert [row["id"] for row in rows[:2]] == [f"{first}_0", f"{first}_1"]
    assert [row["item"] for row in rows[:2]] == [first, first]
    assert len(rows) == len({row["id"] for row in rows}) == 6
    for row in rows:
        assert (tmp_path / row["path"]).is_file()
        assert row["mask"] == f"masks/{row['id']}.png"
        with Image.open(tmp_path / row["mask"]) as mask:
            assert (mask.mode, mask.size) == ("L", (32, 32))
    assert (tmp_path / rows[0]["path"]).read_bytes() != (tmp_path / rows[1]["path"]).read_bytes()


def test_several_processes_write_the_same_bytes(tmp_path):
    seen = []  # 17 photos are two full tasks and one photo more
    write_catalogue(tmp_path / "one", items=17, size=32, workers=1)
    write_catalogue(
        tmp_path / "two",
        items=17,
        size=32,
        workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert seen[0] == (0, 17)
    assert seen[-1] == (17, 17)
    assert seen == sorted(seen)


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    write_catalogue(tmp_path / "whole", items=20, size=32, workers=1)
    with pytest.raises(StoppedError):
        write_catalogue(tmp_path / "shop", items=20, size=32, workers=1, progress=stop_after(8))
    assert not (tmp_path / "shop/items.csv").exists()
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "shop/images").iterdir()}
    assert len(there) == 8
    done = []
    write_catalogue(
        tmp_path / "shop",
        items=20,
        size=32,
        workers=1,
        progress=lambda count, _: done.append(count),
    )
    assert done[0] == 8
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert files_of(tmp_path / "shop") == files_of(tmp_path / "whole")


def test_a_stopped_pool_goes_on_too(tmp_path):
    with pytest.raises(StoppedError):
        write_catalogue(tmp_path, items=30, size=32, workers=2, progress=stop_after(8))
    write_catalogue(tmp_path, items=30, size=32, workers=1)
    assert len(rows_of(tmp_path / "items.csv")) == len(list((tmp_path / "images").iterdir())) == 30


def test_damaged_and_missing_files_are_made_again(tmp_path):
    write_catalogue(tmp_path, **SMALL)
    before = files_of(tmp_path)
    cut, gone, empty = sorted((tmp_path / "images").iterdir())[:3]
    cut.write_bytes(cut.read_bytes()[:-40])
    gone.unlink()
    empty.write_bytes(b"")
    write_catalogue(tmp_path, **SMALL)
    assert files_of(tmp_path) == before


def test_masks_can_be_added_later(tmp_path):
    write_catalogue(tmp_path, **SMALL)
    write_catalogue(tmp_path, **SMALL, masks=True)
    assert len(list((tmp_path / "masks").iterdir())) == 10


def test_a_catalogue_can_grow_but_not_shrink(tmp_path):
    write_catalogue(tmp_path / "grown", **{**SMALL, "items": 4})
    write_catalogue(tmp_path / "grown", **SMALL)
    write_catalogue(tmp_path / "fresh", **SMALL)
    assert files_of(tmp_path / "grown") == files_of(tmp_path / "fresh")
    with pytest.raises(SampleError, match="10 items, more than 4"):
        write_catalogue(tmp_path / "grown", **{**SMALL, "items": 4})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0, not 1"),
        ({"size": 40}, "size is 32, not 40"),
        ({"photos_per_item": 2}, "photos_per_item is 1, not 2"),
    ],
)
def test_another_catalogue_is_not_mixed_in(tmp_path, change, message):
    write_catalogue(tmp_path, **{**SMALL, "items": 2})
    before = files_of(tmp_path)
    with pytest.raises(SampleError, match=message):
        write_catalogue(tmp_path, **{**SMALL, "items": 2, **change})
    assert files_of(tmp_path) == before


def test_foreign_images_are_left_alone(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/mine.jpg").write_bytes(b"mine")
    with pytest.raises(SampleError, match=r"no catalogue\.json"):
        write_catalogue(tmp_path, **SMALL)
    assert list(files_of(tmp_path)) == ["images/mine.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "list"),
        ('{"items": 3}', "not of this version"),
        (
            '{"items": "3", "seed": 0, "size": 32, "photos_per_item": 1, "renderer": 1}',
            "items is '3'",
        ),
        (
            '{"items": 3, "seed": 0, "size": 32, "photos_per_item": 1, "renderer": 0}',
            "renderer is 0",
        ),
    ],
)
def test_a_damaged_or_older_catalogue_is_named(tmp_path, text, message):
    (tmp_path / "catalogue.json").write_text(text, "utf-8")
    with pytest.raises(SampleError, match=message):
        write_catalogue(tmp_path, **SMALL)


@pytest.mark.parametrize(
    "wrong", [{"items": 0}, {"seed": -1}, {"size": 31}, {"photos_per_item": 0}, {"workers": 0}]
)
def test_senseless_settings_are_refused(tmp_path, wrong):
    (name,) = wrong
    with pytest.raises(SampleError, match=name):
        write_catalogue(tmp_path / "shop", **{**SMALL, **wrong})


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as full as a disk can be made here
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, bytes(200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_of(tmp_path) == {"photo.jpg": b"old"}


def test_queries_show_catalogue_items(tmp_path):
    write_catalogue(tmp_path / "shop", **SMALL)
    count = write_queries(
        tmp_path / "queries", tmp_path / "shop", factor="background", queries=6, workers=1
    )
    assert count == 6
    rows = rows_of(tmp_path / "queries/queries.csv")
    assert list(rows[0]) == ["query", "item_id", "item_path", "factor", "kind"]
    by_id = {row["id"]: row for row in rows_of(tmp_path / "shop/items.csv")}
    assert len({row["item_id"] for row in rows}) == 6
    for row in rows:
        entry = by_id[row["item_id"]]
        assert (row["item_path"], row["kind"]) == (entry["path"], entry["kind"])
        assert row["factor"] == "background"
        with Image.open(tmp_path / "queries" / row["query"]) as image:
            assert image.size == (32, 32)


def test_queries_need_only_the_settings_and_run_twice(tmp_path):
    settings = CatalogueSettings(items=8, size=32, photos_per_item=2)
    for _ in range(2):
        write_queries(tmp_path, settings, factor="both", queries=8, workers=1)
    rows = rows_of(tmp_path / "queries.csv")
    assert {row["item_id"] for row in rows} == {f"{item.id}_0" for item in draw_items(0, 8)}


@pytest.mark.parametrize("factor", ["background", "wearer", "both"])
def test_a_query_changes_what_it_says(factor):
    for number in range(20):
        old, new = draw_scene(0, number), change_scene(0, number, factor, 7)
        assert (old.background.kind != new.background.kind) == (factor != "wearer")
        assert (old.background == new.background) == (factor == "wearer")
        assert (old.wearer.kind != new.wearer.kind) == (factor != "background")
        assert (old.wearer == new.wearer) == (factor == "background")
        assert old.camera != new.camera
        assert abs(old.camera.angle - new.camera.angle) < 0.07


def test_queries_are_not_mixed_either(tmp_path):
    settings = CatalogueSettings(items=4, size=32)
    write_queries(tmp_path / "q", settings, queries=2, workers=1)
    for change in ({"seed": 1}, {"factor": "wearer"}, {"queries": 3}):
        with pytest.raises(SampleError, match="holds queries made with"):
            write_queries(tmp_path / "q", settings, **{"queries": 2, "workers": 1, **change})
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.txt").write_text("mine", "utf-8")
    with pytest.raises(SampleError, match="is not empty"):
        write_queries(tmp_path / "other", settings, queries=2, workers=1)
    (tmp_path / "q/queries.json").write_text("{", "utf-8")
    with pytest.raises(SampleError, match="is not JSON"):
        write_queries(tmp_path / "q", settings, queries=2, workers=1)


def test_wrong_requests_for_queries_are_explained(tmp_path):
    settings = CatalogueSettings(items=4, size=32)
    with pytest.raises(SampleError, match="5 queries of 4 items"):
        write_queries(tmp_path / "q", settings, queries=5)
    with pytest.raises(SampleError, match="'pose'"):
        write_queries(tmp_path / "q", settings, queries=2, factor="pose")
    with pytest.raises(SampleError, match="seed is -3"):
        write_queries(tmp_path / "q", settings, queries=2, seed=-3)
    with pytest.raises(SampleError, match=r"it has no catalogue\.json"):
        write_queries(tmp_path / "q", tmp_path / "nowhere", queries=2)
    assert not (tmp_path / "q").exists()
    write_catalogue(tmp_path / "shop", **SMALL)
    with pytest.raises(SampleError, match="write the queries beside it"):
        write_queries(tmp_path / "shop", tmp_path / "shop", queries=2)


def test_ids_begin_with_a_kind(tmp_path):
    write_catalogue(tmp_path, **SMALL)
    assert json.loads((tmp_path / "catalogue.json").read_text("utf-8"))["items"] == 10
    assert {row["id"].split("-")[0] for row in rows_of(tmp_path / "items.csv")} <= set(KINDS)
