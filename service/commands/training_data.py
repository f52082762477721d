"""What ``niteru train --data`` may name, as tensors: catalogues of photos, or one array."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from indexer.catalogues import open_catalogue
from indexer.errors import CatalogueError
from indexer.evaluation.idx import find_idx, read_idx
from models.training.arrays import Pixels, read_bits, tensors_from_array
from models.training.photos import Photo, PhotoTensors, Prepared, Skipped, load_photos
from models.training.processes import Processes
from models.training.train import Plan
from service.commands.console import Bar, cores


def load_data(
    plan: Plan, data: Sequence[Path], *, cache: Path, processes: Processes
) -> PhotoTensors:
    """Read everything a training sees, with a progress bar in the leading process.

    Args:
        plan: Says which sizes are needed and whether items are cut out.
        data: Catalogues; or one prefix of idx files (``mnist/train``) or one ``.npz`` of packed
            bits, of which the split ``train`` is taken.
        cache: Remembers item masks.
        processes: Share the cores between them.
    """
    arrays = [path for path in data if is_array(path)]
    if arrays:
        if len(data) > 1:
            raise CatalogueError(
                f"{arrays[0]} is one array and cannot be joined with other --data."
            )
        pixels = read_array(arrays[0], "train")
        config = plan.config
        return tensors_from_array(pixels, size=config.size, target=config.target_size)
    return _load_photos(plan, read_photos(data), cache=cache, processes=processes)


def is_array(path: Path) -> bool:
    """Whether a path names an array of small pictures rather than a catalogue."""
    return path.suffix == ".npz" or find_idx(path) is not None


def read_array(path: Path, split: str) -> Pixels:
    """The pictures of an array: (N, H, W) uint8. An idx prefix names its split by itself."""
    idx = find_idx(path)
    return read_bits(path, split) if idx is None else read_idx(idx[0], ndim=3)


def read_photos(catalogues: Sequence[Path]) -> list[Photo]:
    """The photos of catalogues: a manifest's ``item`` and ``mask`` columns are made use of."""
    photos: list[Photo] = []
    for path in catalogues:
        for entry in open_catalogue(path):
            item, mask = entry.attributes.get("item"), entry.attributes.get("mask")
            photos.append(
                Photo(
                    id=entry.id,
                    path=Path(entry.uri),
                    group=None if item is None else f"{path}:{item}",
                    mask=None if mask is None else path.parent / str(mask),
                )
            )
    if not photos:
        raise CatalogueError(f"No photo was found in {', '.join(map(str, catalogues))}.")
    return photos


def _load_photos(
    plan: Plan, photos: Sequence[Photo], *, cache: Path, processes: Processes
) -> PhotoTensors:
    display = Bar(" photos")

    def show(stream: Iterable[Prepared | Skipped]) -> Iterable[Prepared | Skipped]:
        for done, result in enumerate(stream, 1):
            if processes.rank == 0:
                display.show("read and cut out", done, len(photos))
            yield result
        display.close()

    return load_photos(
        photos,
        side=plan.load_side,
        target=plan.config.target_size,
        channels=plan.config.channels,
        cut=plan.recipe.views.swap > 0 or plan.recipe.views.canonical,
        cache=cache,
        workers=max(1, cores() // processes.world),
        progress=show,
    )
