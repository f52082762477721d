"""Arrays of small pictures: read as written, refused when they do not fit."""

import numpy as np
import pytest

from models.training.arrays import give_labels, read_bits, read_labels, tensors_from_array


def test_bits_survive_packing(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 2, (5, 28, 28), dtype=np.uint8)
    packed = np.packbits(pictures.reshape(5, 784), axis=1)
    np.savez(tmp_path / "bits.npz", train=packed, test=packed[:2])
    assert np.array_equal(read_bits(tmp_path / "bits.npz", "train"), pictures * 255)
    assert len(read_bits(tmp_path / "bits.npz", "test")) == 2


def test_what_is_no_such_file_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", train=np.zeros((3, 784), np.uint8))
    with pytest.raises(ValueError, match="found uint8"):
        read_bits(tmp_path / "a.npz", "train")
    with pytest.raises(ValueError, match=r"no split 'valid'. Splits: train"):
        read_bits(tmp_path / "a.npz", "valid")
    (tmp_path / "b.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"b\.npz is no"):
        read_bits(tmp_path / "b.npz", "train")


def test_an_array_is_trained_on_as_it_is():
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    tensors = tensors_from_array(pixels, size=28, target=28)
    assert np.array_equal(tensors.pixels.numpy()[:, 0], pixels)
    assert not tensors.trusted.any()
    assert tensors.groups.tolist() == [0, 1]
    with pytest.raises(ValueError, match="--preset mnist"):
        tensors_from_array(pixels, size=64, target=32)


def test_labels_are_whole_numbers_of_a_split(tmp_path):
    np.savez(tmp_path / "a.npz", train=np.array([2, 0], np.uint8), valid=np.zeros(2), test=[[1]])
    read = read_labels(tmp_path / "a.npz", "train")
    assert (read.tolist(), read.dtype) == ([2, 0], np.int64)
    with pytest.raises(ValueError, match=r"'valid': expected whole numbers .* found float64"):
        read_labels(tmp_path / "a.npz", "valid")
    with pytest.raises(ValueError, match=r"found int64 \(1, 1\)"):
        read_labels(tmp_path / "a.npz", "test")
    with pytest.raises(ValueError, match=r"no split 'others'. Splits: train, valid, test"):
        read_labels(tmp_path / "a.npz", "others")


def test_other_labels_are_other_data():
    pixels = np.zeros((2, 28, 28), np.uint8)
    plain = tensors_from_array(pixels, size=28, target=28)
    given = [give_labels(plain, np.array(labels)) for labels in ([0, 1], [0, 1], [1, 0])]
    assert given[0].labels.tolist() == [0, 1]
    assert given[0].digest == given[1].digest
    assert len({plain.digest, given[0].digest, given[2].digest}) == 3
