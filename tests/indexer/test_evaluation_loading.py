"""Photo sets from every form of photos, and what is said when one is wrong."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from indexer.evaluation import PhotoSetError, UnreadablePhotoError, load_gallery, load_queries
from models.images import Preprocessing


@pytest.fixture
def photo(tmp_path):
    """Write a small photo below the test's folder and give back its path."""

    def write(name, colour=(200, 30, 30)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 8), colour).save(path)
        return path

    return write


def write_idx(prefix, pixels, labels):
    for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        path = prefix.with_name(f"{prefix.name}-{name}-ubyte.gz")
        path.write_bytes(gzip.compress(header + array.tobytes()))


def test_a_folder_tree_names_the_classes(tmp_path, photo):
    for name in ("shop/shirt/b.JPG", "shop/shirt/a.png", "shop/hat/c.webp", "shop/hat/.hidden.jpg"):
        photo(name)
    (tmp_path / "shop/hat/notes.txt").write_text("no photo")
    gallery = load_gallery(tmp_path / "shop")
    assert gallery.ids.tolist() == ["hat/c.webp", "shirt/a.png", "shirt/b.JPG"]
    assert gallery.labels.tolist() == ["hat", "shirt", "shirt"]
    assert gallery.items.tolist() == gallery.ids.tolist()
    assert gallery.senders is None
    assert gallery.name == "shop"
    assert load_queries(tmp_path / "shop", gallery).items is None


def test_a_flat_folder_has_no_classes(tmp_path, photo):
    photo("flat/a.jpg")
    assert load_gallery(tmp_path / "flat").labels is None


def test_metadata_in_the_folder_says_better(tmp_path, photo):
    photo("shop/x/a.jpg"), photo("shop/x/b.jpg")
    (tmp_path / "shop/metadata.csv").write_text(
        "path,label,sender_id\nx/b.jpg,hat,7\nx/a.jpg,coat,\n"
    )
    gallery = load_gallery(tmp_path / "shop")
    assert gallery.labels.tolist() == ["coat", "hat"]
    assert gallery.senders.tolist() == ["", "7"]


def test_metadata_beside_the_folder_serves_a_part(tmp_path, photo):
    photo("shop/train/x/a.jpg"), photo("shop/test/x/b.jpg")
    (tmp_path / "shop/metadata.csv").write_text("path,sender_id\ntrain/x/a.jpg,1\ntest/x/b.jpg,2\n")
    part = load_gallery(tmp_path / "shop/train")
    assert (part.name, part.ids.tolist(), part.senders.tolist()) == (
        "shop/train", ["x/a.jpg"], ["1"],
    )  # fmt: skip
    assert part.labels.tolist() == ["x"]


def test_metadata_beside_the_folder_of_other_photos_is_not_ours(tmp_path, photo):
    photo("shop/train/x/a.jpg")
    (tmp_path / "shop/metadata.csv").write_text("path,label\nelsewhere/b.jpg,hat\n")
    assert load_gallery(tmp_path / "shop/train").labels.tolist() == ["x"]


def test_swapped_backgrounds(tmp_path, photo):
    photo("shop/hat/a.jpg"), photo("shop/hat/b.jpg"), photo("swap/0.jpg")
    (tmp_path / "swap/queries.csv").write_text(
        "query,item_path,label,item_sender_id,background_sender_id\n0.jpg,hat/b.jpg,hat,3,4\n"
    )
    gallery = load_gallery(tmp_path / "shop")
    queries = load_queries(tmp_path / "swap", gallery)
    assert queries.items.tolist() == ["hat/b.jpg"]
    assert (queries.senders.tolist(), queries.owners.tolist()) == (["3"], ["4"])
    assert queries.factors is None
    # The path's end is enough, so that a part of the folder can be the gallery.
    part = load_gallery(tmp_path / "shop/hat")
    assert load_queries(tmp_path / "swap", part).items.tolist() == ["b.jpg"]


def test_a_catalogue_and_its_queries(tmp_path, photo):
    photo("cat/images/1.jpg"), photo("cat/images/1b.jpg"), photo("cat/images/2.jpg")
    photo("queries/q.jpg"), photo("queries/r.jpg")
    (tmp_path / "cat/items.csv").write_text(
        "id,path,kind,item\n"
        "1_0,images/1.jpg,hat,1\n1_1,images/1b.jpg,hat,1\n2_0,images/2.jpg,bag,2\n"
    )
    (tmp_path / "queries/queries.csv").write_text(
        "query,item_id,item_path,factor\nq.jpg,1,images/1.jpg,wearer\nr.jpg,2_0,images/2.jpg,both\n"
    )
    gallery = load_gallery(tmp_path / "cat/items.csv")
    queries = load_queries(tmp_path / "queries", gallery)
    assert gallery.items.tolist() == ["1", "1", "2"]
    assert gallery.labels.tolist() == ["hat", "hat", "bag"]
    assert queries.items.tolist() == ["1", "2"]
    assert queries.factors.tolist() == ["wearer", "both"]
    # The photos of an item find one another.
    assert load_queries(tmp_path / "cat", gallery).items.tolist() == ["1", "1", "2"]


def test_queries_by_path_in_a_catalogue(tmp_path, photo):
    photo("cat/images/1.jpg"), photo("queries/q.jpg")
    (tmp_path / "cat/items.csv").write_text("id,path\nred-hat,images/1.jpg\n")
    (tmp_path / "mine.csv").write_text("query,item_path\nqueries/q.jpg,images/1.jpg\n")
    queries = load_queries(tmp_path / "mine.csv", load_gallery(tmp_path / "cat"))
    assert (queries.name, queries.items.tolist()) == ("mine", ["red-hat"])


def test_catalogues_without_a_common_item_have_nothing_to_be_found(tmp_path, photo):
    for name in ("one", "two"):
        photo(f"{name}/a.jpg")
        (tmp_path / name / "items.csv").write_text(f"id,path,item,label\na,a.jpg,{name},hat\n")
    gallery = load_gallery(tmp_path / "one")
    assert load_queries(tmp_path / "two", gallery).items is None


def test_idx_files(tmp_path):
    pixels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    write_idx(tmp_path / "train", pixels, np.array([2, 0, 2], np.uint8))
    gallery = load_gallery(tmp_path / "train")
    assert gallery.labels.tolist() == ["2", "0", "2"]
    assert gallery.ids.tolist() == ["train/00000", "train/00001", "train/00002"]
    read = gallery.images.read(1, Preprocessing(size=4, channels=1))
    assert (read[..., 0] == pixels[1]).all()
    queries = load_queries(tmp_path / "train", gallery)
    assert (queries.keys == gallery.keys).all()
    assert queries.items is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-5], "cannot be read"),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1]), "should hold 1 x 2 x 2 = 4 bytes"),
        (lambda data: gzip.compress(b"\x00\x00\x0d\x03" + bytes(16)), "not an idx file"),
        (lambda data: b"no gzip", "cannot be read"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, damage, words):
    write_idx(tmp_path / "t10k", np.zeros((1, 2, 2), np.uint8), np.zeros(1, np.uint8))
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PhotoSetError, match=words) as error:
        load_gallery(tmp_path / "t10k")
    assert str(path) in str(error.value)


def test_images_without_a_label_each_are_refused(tmp_path):
    write_idx(tmp_path / "t10k", np.zeros((2, 2, 2), np.uint8), np.zeros(1, np.uint8))
    with pytest.raises(PhotoSetError, match=r"2 images.* 1 labels"):
        load_gallery(tmp_path / "t10k")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("items.csv", "id,file\n1,a.jpg\n", "no column 'path'; found id, file"),
        ("items.csv", "id,path\n", "a header but no lines"),
        ("items.csv", "", "no column 'id'; found none"),
        ("items.csv", "id,path\n1,a.jpg\n1,a.jpg\n", "the id '1' more than once"),
        ("items.csv", "id,path\n1,b.jpg\n", "no such file"),
        ("items.csv", "id,path\n1,a.jpg,red, blue\n", "line 2: more values than columns"),
        ("items.csv", "id,path\n1,a.jpg\n2\n", "line 3: the column 'path' is empty"),
        ("metadata.csv", "path,label\nb.jpg,hat\n", "does not list the photo 'a.jpg'"),
        ("metadata.csv", "path,label\na.jpg,hat\nb.jpg,hat\n", "lists the photo 'b.jpg', but"),
        ("metadata.csv", "file,label\na.jpg,hat\n", "no column 'path'"),
    ],
)
def test_a_wrong_table_is_refused_by_file_and_line(tmp_path, photo, file, text, words):
    photo("a.jpg")
    (tmp_path / file).write_text(text)
    with pytest.raises(PhotoSetError, match=words) as error:
        load_gallery(tmp_path)
    assert file in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("query,label\na.jpg,hat\n", "neither a column 'item_id' nor 'item_path'"),
        ("query,item_id\na.jpg,nothing\n", "line 2: the item 'nothing' is not in the gallery"),
        ("query,item_id\nb.jpg,hat/a.jpg\n", "no such file"),
        ("photo,item_id\na.jpg,hat/a.jpg\n", "no column 'query'; found photo, item_id"),
    ],
)
def test_wrong_queries_are_refused(tmp_path, photo, text, words):
    photo("shop/hat/a.jpg"), photo("queries/a.jpg")
    (tmp_path / "queries/queries.csv").write_text(text)
    with pytest.raises(PhotoSetError, match=words):
        load_queries(tmp_path / "queries", load_gallery(tmp_path / "shop"))


def test_another_encoding_is_refused(tmp_path):
    (tmp_path / "items.csv").write_bytes("id,path\nmütze,a.jpg\n".encode("latin-1"))
    with pytest.raises(PhotoSetError, match="CSV file in UTF-8"):
        load_gallery(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(PhotoSetError, match=r"no photos at .*nowhere"):
        load_gallery(tmp_path / "nowhere")
    with pytest.raises(PhotoSetError, match="no photos in"):
        load_gallery(tmp_path)


def test_an_unreadable_photo_is_named(tmp_path, photo):
    path = photo("shop/hat/a.jpg")
    path.write_bytes(path.read_bytes()[:-40])
    gallery = load_gallery(tmp_path / "shop")
    with pytest.raises(UnreadablePhotoError, match=r"a\.jpg.*leaves nothing out"):
        gallery.images.read(0, Preprocessing())
    path.unlink()
    with pytest.raises(UnreadablePhotoError, match=r"a\.jpg"):
        gallery.images.read(0, Preprocessing())
