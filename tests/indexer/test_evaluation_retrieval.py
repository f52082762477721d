"""From photos on disk to a table: figures of known retrievals, and what is refused."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import EmbedderError
from indexer.evaluation import (
    NothingToMeasureError,
    PhotoSet,
    PhotoSetError,
    PixelCache,
    UnreadablePhotoError,
    compare_retrieval,
    evaluate_retrieval,
    format_table,
)
from indexer.evaluation.photos import ArrayImages
from models.images import Preprocessing


@dataclass(frozen=True)
class AngleEmbedder:
    """A photo of one grey level becomes a point on the circle: level = angle in degrees."""

    dim: int = 2
    fingerprint: str = "angle"
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(4, 1, "stretch"))

    def embed(self, pixels):
        angle = np.deg2rad(pixels[:, 0, 0, 0].astype(np.float32))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def photos(name, levels, **columns):
    pixels = np.array(levels, np.uint8)[:, None, None] + np.zeros((1, 4, 4), np.uint8)
    ids = np.array([f"{name}{row}" for row in range(len(levels))])
    known = {column: np.array(values, np.str_) for column, values in columns.items()}
    return PhotoSet(name, ArrayImages(pixels), **({"keys": ids, "ids": ids} | known))


def measure(gallery, queries):
    report = evaluate_retrieval(AngleEmbedder(), gallery, queries, cache=PixelCache(workers=1))
    return report, {name: round(figure.mean, 4) for name, figure in report.figures.items()}


def test_a_background_swap_worked_by_hand():
    # Degrees on a circle; the twelve photos of the gallery and who sent them.
    gallery = photos(
        "g", range(0, 120, 10), items=[str(n) for n in range(12)], senders=[*"aabbccddeeff"]
    )
    # The ten nearest to 1 are the items 0 to 9, two of them from b. 51 is farthest from 110 and
    # then from 0: the ten nearest are the items 1 to 10, one of them from f.
    queries = photos("q", [1, 51], items=["0", "11"], owners=["b", "f"], senders=["a", "f"])
    _, figures = measure(gallery, queries)
    assert figures == {"R@1": 0.5, "R@10": 0.5, "background_share": 0.15}


def test_classes_without_the_sender_worked_by_hand():
    gallery = photos(
        "g",
        [10, 20, 30, 40, 50],
        labels=["hat", "bag", "bag", "hat", "hat"],
        senders=["me", "x", "x", "y", "y"],
    )
    # Without my own photo the nearest to 11 is the bag at 20; two of the four left are bags.
    # The vote is two to two: the nearest decides.
    queries = photos("q", [11], labels=["bag"], senders=["me"])
    report, figures = measure(gallery, queries)
    assert figures == {"P@1": 1, "P@10": 0.5, "knn_accuracy": 1}
    assert report.left_out_of_classes == ("the photo itself", "photos of the query's sender")
    assert report.chance == {"P@1": 0.5, "P@10": 0.5}
    stranger, figures = measure(gallery, photos("q", [11], labels=["bag"]))
    assert figures == {"P@1": 0, "P@10": 0.4, "knn_accuracy": 0}
    assert stranger.left_out_of_classes == ("the photo itself",)


def test_a_photo_is_no_answer_to_itself():
    both = photos("g", [10, 11, 90], labels=["hat", "hat", "bag"])
    _, figures = measure(both, both)
    assert figures["P@1"] == pytest.approx(2 / 3, abs=1e-4)  # the bag finds a hat
    items = replace(both, items=np.array(["1", "1", "2"]))
    with pytest.raises(PhotoSetError, match=r"asks for the item '2', of which .* no other photo"):
        measure(items, items)


def test_unknown_queries_are_not_counted():
    gallery = photos("g", [10, 20], labels=["hat", "bag"])
    report, figures = measure(gallery, photos("q", [11, 12, 19], labels=["hat", "", "hat"]))
    assert figures["P@1"] == 0.5
    assert report.figures["P@1"].queries == 2


def test_an_item_may_have_several_photos():
    gallery = photos("g", [10, 80, 90], items=["1", "2", "1"])
    _, figures = measure(gallery, photos("q", [89], items=["1"]))
    assert figures["R@1"] == 1


def test_the_item_itself_says_nothing_of_classes():
    labels = ["hat", "bag", "hat"]
    gallery = photos("g", [10, 80, 90], items=["1", "2", "3"], labels=labels)
    report, figures = measure(gallery, photos("q", [89], items=["3"], labels=["hat"]))
    assert figures == {"R@1": 1, "R@10": 1, "P@1": 0, "P@10": 0.5, "knn_accuracy": 0}
    assert report.chance["P@1"] == 0.5


def test_chance_is_what_random_vectors_give():
    generator = np.random.default_rng(0)
    items = [str(n // 3) for n in range(60)]
    gallery = photos("g", generator.permutation(60) * 3, items=items, senders=[*"abcdef"] * 10)
    queries = photos(
        "q",
        generator.integers(0, 180, 4000),
        items=generator.integers(0, 20, 4000).astype(str),
        owners=generator.choice([*"abc"], 4000),
    )
    report, figures = measure(gallery, queries)
    for name, expected in report.chance.items():
        assert figures[name] == pytest.approx(expected, abs=0.025), name
    assert report.chance["R@1"] == pytest.approx(3 / 60)
    missed = np.prod([(57 - drawn) / (60 - drawn) for drawn in range(10)])
    assert report.chance["R@10"] == pytest.approx(1 - missed)


def test_figures_by_what_was_changed():
    gallery = photos("g", [10, 50, 90], items=["1", "2", "3"])
    queries = photos(
        "q", [10, 50, 10], items=["1", "2", "3"], factors=["wearer", "background", "background"]
    )
    report, _ = measure(gallery, queries)
    parts = {factor: named["R@1"] for factor, named in report.by_factor.items()}
    assert (parts["wearer"].mean, parts["wearer"].queries) == (1, 1)
    assert (parts["background"].mean, parts["background"].queries) == (0.5, 2)
    table = format_table([report])
    assert "· background changed" in table
    assert "· wearer changed" in table


def test_sets_with_nothing_in_common():
    gallery = photos("g", [10], labels=["hat"])
    for columns in ({}, {"labels": ["bag"]}, {"items": ["1"]}):
        with pytest.raises(NothingToMeasureError, match="neither items, classes nor senders"):
            measure(gallery, photos("q", [10], **columns))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda rows: rows[:, :1], r"returned \(2, 1\) .*expected \(2, 2\) finite"),
        (lambda rows: rows * np.float32("nan"), "values that are not finite"),
    ],
)
def test_an_embedder_that_breaks_its_promise(broken, words):
    class Broken(AngleEmbedder):
        def embed(self, pixels):
            return broken(super().embed(pixels))

    gallery = photos("g", [10, 20], labels=["hat", "bag"])
    with pytest.raises(EmbedderError, match=words):
        evaluate_retrieval(Broken(), gallery, gallery)


class CountingImages(ArrayImages):
    """Counts what is decoded."""

    __slots__ = ("reads",)

    def read(self, row, preprocessing):
        self.reads.append((row, preprocessing))
        return super().read(row, preprocessing)


def test_photos_are_decoded_once_for_embedders_that_prepare_alike():
    images = CountingImages(np.zeros((600, 4, 4), np.uint8))
    object.__setattr__(images, "reads", [])
    ids = np.array([str(n) for n in range(600)])
    gallery = PhotoSet("g", images, keys=ids, ids=ids, labels=np.array(["hat"] * 600))
    queries = photos("q", [1], labels=["hat"])
    cache = PixelCache(workers=2)
    for _ in range(2):
        evaluate_retrieval(AngleEmbedder(), gallery, queries, cache=cache)
    assert len(images.reads) == 600
    evaluate_retrieval(ColourLayoutEmbedder(), gallery, queries, cache=cache)
    assert len(images.reads) == 1200
    # Without room they are decoded again, and give the same.
    small = PixelCache(max_bytes=100, workers=2)
    first = list(small.batches(gallery, Preprocessing(4, 1)))
    assert [len(batch) for batch in first] == [256, 256, 88]
    evaluate_retrieval(AngleEmbedder(), gallery, queries, cache=small)
    assert len(images.reads) == 2400


@pytest.fixture
def shop(tmp_path):
    """Twenty photos of two classes, and queries that darken two of them."""
    generator = np.random.default_rng(0)
    for n in range(20):
        folder = tmp_path / "shop" / "train" / ("hat" if n % 2 else "bag")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = generator.integers(60, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((40, 50), Image.Resampling.NEAREST).save(folder / f"{n}.png")
    (tmp_path / "swap").mkdir()
    lines = ["query,item_path"]
    for n in (3, 4):
        item = f"train/{'hat' if n % 2 else 'bag'}/{n}.png"
        photo = np.asarray(Image.open(tmp_path / "shop" / item)) - 20
        Image.fromarray(photo.astype(np.uint8)).save(tmp_path / "swap" / f"{n}.png")
        lines.append(f"{n}.png,{item}")
    (tmp_path / "swap" / "queries.csv").write_text("\n".join(lines))
    return tmp_path


def test_everything_from_folders_to_a_table(shop):
    seen = []
    reports = compare_retrieval(
        {"colours": ColourLayoutEmbedder()},
        shop / "shop",
        shop / "swap",
        comparators=True,
        workers=2,
        progress=lambda *state: seen.append(state),
    )
    assert [report.embedder for report in reports] == [
        "raw pixels", "PCA, whitened", "HOG", "colours",
    ]  # fmt: skip
    for report in reports:
        assert report.figures["R@10"].mean == 1
    assert seen[-2:] == [("colours: queries", 2, 2), ("colours: gallery", 20, 20)]
    again = json.loads(json.dumps([report.to_json() for report in reports]))
    assert again[3]["figures"]["R@1"] == {"mean": 1, "low": 1, "high": 1, "queries": 2}
    assert again[0]["gallery"] == {"name": "shop", "photos": 20}
    lines = format_table(reports).splitlines()
    assert " ".join(lines[0].split()) == "| embedder | dim | R@1 | R@10 |"
    assert " ".join(lines[5].split()) == "| HOG | 1764 | 1.000 ±.000 | 1.000 ±.000 |"
    assert len({len(line) for line in lines[:7]}) == 1
    assert lines[-1].startswith(
        "2 queries (swap) in a gallery of 20 photos (shop); mean ± half the 95 % interval."
    )


def test_an_unreadable_photo_stops_the_measurement(shop):
    (shop / "shop" / "train" / "hat" / "7.png").write_bytes(b"\x89PNG no")
    with pytest.raises(UnreadablePhotoError, match=r"7\.png"):
        compare_retrieval({"colours": ColourLayoutEmbedder()}, shop / "shop", shop / "swap")


def test_names_are_unique_and_there_is_something_to_measure(shop):
    with pytest.raises(ValueError, match="two embedders named 'HOG'"):
        compare_retrieval(
            {"HOG": ColourLayoutEmbedder()}, shop / "shop", shop / "swap", comparators=True
        )
    with pytest.raises(ValueError, match="no embedder"):
        compare_retrieval({}, shop / "shop", shop / "swap")


def test_components_are_fitted_without_the_items_asked_for(shop):
    named = [
        report.embedder
        for report in compare_retrieval(
            {}, shop / "shop" / "train", shop / "swap", comparators=True, workers=1
        )
    ]
    # Eighteen photos are not asked for: too few for 64 components, which the name says.
    assert named[1] == "PCA, whitened (fitted on the gallery)"


def test_a_table_is_over_the_same_photos():
    gallery = photos("g", [10, 20], labels=["hat", "bag"])
    one, _ = measure(gallery, photos("q", [10], labels=["hat"]))
    two, _ = measure(gallery, photos("r", [10], labels=["hat"]))
    for reports in ([], [one, two]):
        with pytest.raises(ValueError, match="over the same photos"):
            format_table(reports)
