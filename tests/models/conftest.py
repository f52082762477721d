"""Small photos with a known item, made of numbers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.training.photos import Photo


def item_photo(rng: np.random.Generator, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A bright rectangle with stripes on a smooth dark background, and where it is."""
    ramp = np.linspace(20, 70, side)[None, :, None]
    pixels = ramp + rng.normal(0, 4, (side, side, 3)) + rng.integers(0, 20, 3)
    mask = np.zeros((side, side), bool)
    top, left = rng.integers(side // 5, side // 4, 2)
    mask[top : side - top, left : side - left] = True
    colour = rng.integers(140, 250, 3)
    stripes = 25 * (np.arange(side) // rng.integers(4, 9) % 2)[:, None, None]
    pixels = np.where(mask[..., None], colour - stripes + rng.normal(0, 3, pixels.shape), pixels)
    return pixels.clip(0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four photos of items."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(item_photo(rng)[0]).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def photos(photo_folder: Path) -> list[Photo]:
    """The same as a list for training."""
    return [Photo(path.stem, path) for path in sorted(photo_folder.iterdir())]
