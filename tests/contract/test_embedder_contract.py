"""What every embedder promises; a further one is one more entry of ``EMBEDDERS``."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.embedders import ColourLayoutEmbedder
from indexer.onnx_embedder import OnnxEmbedder
from indexer.protocols import Embedder
from indexer.runtime import load_embedder
from indexer.torch_embedder import TorchEmbedder
from models.training.export import export_encoder

# Each is given a folder with weights "a" to "c": runtimes of the same ones share a fingerprint.
EMBEDDERS: dict[str, Callable[[Path], Embedder]] = {
    "colour-layout": lambda _: ColourLayoutEmbedder(),
    "colour-layout-fine": lambda _: ColourLayoutEmbedder(grid=8, size=64),
    "torch": lambda folder: TorchEmbedder.load(folder / "a"),
    "onnx": lambda folder: OnnxEmbedder.load(folder / "b"),
    "openvino": lambda folder: load_embedder(folder / "c", runtime="openvino"),
}
EXTRAS = {"openvino"}  # those that an install may lack
MISSING = {name for name in EXTRAS if find_spec(name) is None}


def entry(name: str):
    """An embedder as a parameter; skipped where its extra is not installed."""
    reason = f"{name} is not installed: pip install '.[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(name in MISSING, reason=reason))


@pytest.fixture(scope="module")
def weights(make_weights, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate("abc"):
        export_encoder(make_weights(folder / name, seed=seed))
    return folder


@pytest.fixture(params=[entry(name) for name in sorted(EMBEDDERS)])
def embedder(request, weights) -> Embedder:
    return EMBEDDERS[request.param](weights)


@pytest.fixture
def pixels(embedder) -> np.ndarray:
    """(9, H, W, C): noise, and the plain pictures that are nowhere: black, white, grey."""
    side, channels = embedder.preprocessing.size, embedder.preprocessing.channels
    shape = (side, side, channels)
    noise = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    plain = [np.full((1, *shape), value, np.uint8) for value in (0, 128, 255)]
    return np.concatenate([noise, *plain])


def test_vectors_are_finite_float32_of_unit_length(embedder, pixels) -> None:
    vectors = embedder.embed(pixels)
    assert vectors.shape == (len(pixels), embedder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(embedder, pixels) -> None:
    together = embedder.embed(pixels)
    alone = np.concatenate([embedder.embed(pixels[n : n + 1]) for n in range(len(pixels))])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(pixels[::-1]), together[::-1], atol=1e-5)


def test_the_same_pixels_give_the_same_vector(embedder, pixels) -> None:
    np.testing.assert_array_equal(embedder.embed(pixels), embedder.embed(pixels.copy()))


def test_pixels_are_not_changed(embedder, pixels) -> None:
    before = pixels.copy()
    embedder.embed(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_no_photos_give_no_vectors(embedder, pixels) -> None:
    assert embedder.embed(pixels[:0]).shape == (0, embedder.dim)


def test_threads_get_what_one_thread_gets(embedder, pixels) -> None:
    expected = embedder.embed(pixels)
    with ThreadPoolExecutor(4) as executor:
        for vectors in executor.map(embedder.embed, [pixels] * 12):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_preprocessing_gives_what_embed_takes(embedder) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 50), (200, 30, 90)).save(file, "JPEG")
    pixels = embedder.preprocessing.read(file.getvalue())
    assert embedder.embed(pixels[None]).shape == (1, embedder.dim)


def test_pixels_of_another_size_or_type_are_refused(embedder, pixels) -> None:
    with pytest.raises(ValueError, match="Expected uint8 pixels of shape"):
        embedder.embed(pixels[:, :-1])
    with pytest.raises(ValueError, match="Expected uint8 pixels of shape"):
        embedder.embed(pixels.astype(np.float32))


def test_a_small_change_of_a_photo_is_a_small_change_of_its_vector(embedder, pixels) -> None:
    photo = pixels[:1]
    touched = (photo.astype(np.int16) + 2).clip(0, 255).astype(np.uint8)
    own, near, far = embedder.embed(np.concatenate([photo, touched, pixels[7:8]]))
    assert own @ near > own @ far


def test_the_fingerprint_is_of_the_embedder_not_of_the_object(weights) -> None:
    makers = [make for name, make in EMBEDDERS.items() if name not in MISSING]
    for make in makers:
        assert make(weights).fingerprint == make(weights).fingerprint
    prints = [make(weights).fingerprint for make in makers]
    assert len(set(prints)) == len(prints)
