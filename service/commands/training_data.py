"""What ``niteru train --data`` may name, as tensors: catalogues of photos, arrays of pictures."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import models
from indexer.catalogues import SUFFIXES, ShardCatalogue, open_catalogue
from indexer.errors import CatalogueError
from indexer.evaluation.idx import find_idx, read_idx
from models.training.arrays import Pixels, photos_from_array, read_bits, tensors_from_array
from models.training.joined import join, weigh
from models.training.photos import Photo, PhotoTensors, Prepared, Skipped, load_photos
from models.training.processes import Processes
from models.training.strokes import StrokeTensors
from models.training.train import Plan
from service.commands.console import Bar, cores, say
from service.commands.stroke_data import load_stroke_data, refuse_strokes

WEIGHT = re.compile(r"(?P<path>.+)@(?P<weight>\d+(?:\.\d+)?)")
NAMED = 5  # masks of the shop's own that are named if they cannot be used


@dataclass(frozen=True, slots=True)
class Source:
    """One ``--data``: where it is and as how many items it counts (None: as many as it has)."""

    path: Path
    weight: float | None = None


def parse_source(text: Path) -> Source:
    """``PATH`` or ``PATH@WEIGHT``; what exists under the whole text is a path.

    Raises:
        CatalogueError: A weight of zero.
    """
    found = WEIGHT.fullmatch(str(text))
    if found is None or text.exists() or is_array(text):
        return Source(text)
    weight = float(found["weight"])
    if weight <= 0:
        raise CatalogueError(f"{text}: a weight is a positive number; leave out what has none.")
    return Source(Path(found["path"]), weight)


def load_data(
    plan: Plan,
    data: Sequence[Path],
    *,
    cache: Path,
    processes: Processes,
    masks: Path | None = None,
) -> PhotoTensors | StrokeTensors:
    """Read everything a training sees; the leading process shows how far it is and what it found.

    Args:
        plan: Says which sizes are needed and whether items are cut out.
        data: Catalogues, prefixes of idx files (``mnist/train``) and ``.npz`` files of packed bits,
            of which the split ``train`` is taken; each with ``@WEIGHT`` if it counts for more or
            less than the items it has. For a stroke model ``.npz`` files of drawings.
        cache: Remembers item masks.
        processes: Share the cores between them.
        masks: Folder with the shop's own masks.
    """
    if models.modality(plan.name) == "strokes":
        return load_stroke_data(plan, data, masks=masks)
    sources = [parse_source(path) for path in data]
    arrays = [source for source in sources if is_array(source.path)]
    catalogues = [source for source in sources if not is_array(source.path)]
    cut, config = plan.recipe.views.need_masks, plan.config
    if masks is not None and not (cut and catalogues):
        why = "--data names no photos" if cut else "no item is cut out in this training"
        raise CatalogueError(f"--masks {masks} says nothing here: {why}. Leave it out.")
    if not catalogues and len(arrays) == 1 and config.channels == 1:
        # A likelihood is one of the pictures as they are, so these are never scaled.
        pixels = read_array(arrays[0].path, "train")
        return tensors_from_array(pixels, size=config.size, target=config.target_size)
    loaded = []
    if catalogues:
        photos = read_photos([source.path for source in catalogues], masks=masks)
        loaded.append(_load_photos(plan, photos, cache=cache, processes=processes))
    loaded += [
        photos_from_array(
            read_array(source.path, "train"), name=str(source.path), side=plan.load_side,
            target=config.target_size, channels=config.channels, cut=cut,
        )
        for source in arrays
    ]  # fmt: skip
    joined = weigh(join(loaded), [source.weight for source in [*catalogues, *arrays]])
    if cut and processes.rank == 0:
        say(describe_masks(joined))
    return joined


def is_array(path: Path) -> bool:
    """Whether a path names an array of small pictures rather than a catalogue."""
    return path.suffix == ".npz" or find_idx(path) is not None


def read_array(path: Path, split: str) -> Pixels:
    """The pictures of an array: (N, H, W) uint8. An idx prefix names its split by itself."""
    refuse_strokes(path)
    idx = find_idx(path)
    return read_bits(path, split) if idx is None else read_idx(idx[0], ndim=3)


def read_photos(catalogues: Sequence[Path], *, masks: Path | None = None) -> list[Photo]:
    """The photos of catalogues: a manifest's ``item`` and ``mask`` columns are made use of.

    Args:
        catalogues: Folders or manifests.
        masks: Folder with masks of the shop's own, named like the photos: see ``give_masks``.

    Raises:
        CatalogueError: There is no photo, it is not a file, or ``masks`` does not fit.
    """
    photos: list[Photo] = []
    for source, path in enumerate(catalogues):
        root = path if path.is_dir() else path.parent
        own: list[Photo] = []
        catalogue = open_catalogue(path)
        if isinstance(catalogue, ShardCatalogue):
            raise CatalogueError(
                f"'{path}' holds its photos in tar shards, which are indexed but not trained on. "
                "Unpack them into a folder."
            )
        for entry in catalogue:
            item, mask = entry.attributes.get("item"), entry.attributes.get("mask")
            own.append(
                Photo(
                    id=entry.id,
                    path=Path(entry.uri),
                    group=f"{path}\0{entry.id}" if item is None else f"{path}:{item}",
                    mask=None if mask is None else path.parent / str(mask),
                    source=source,
                )
            )
        photos += own if masks is None else give_masks(own, root, masks)
    if not photos:
        raise CatalogueError(f"No photo was found in {', '.join(map(str, catalogues))}.")
    if masks is not None:
        _check_masks(photos, masks)
    return photos


def give_masks(photos: Sequence[Photo], root: Path, masks: Path) -> list[Photo]:
    """The photos, ``root/a/b.jpg`` with the mask ``masks/a/b.png`` (or .jpg ...) if there is one.

    A mask that the photo has from its manifest stays.
    """
    given = []
    for photo in photos:
        mask = photo.mask
        if mask is None and photo.path.is_relative_to(root):
            wanted = masks / photo.path.relative_to(root)
            names = (wanted.with_suffix(suffix) for suffix in sorted(SUFFIXES, reverse=True))
            mask = next((name for name in names if name.is_file()), None)
        given.append(replace(photo, mask=mask))
    return given


def _check_masks(photos: Sequence[Photo], masks: Path) -> None:
    """Masks must be found, be no photos of the catalogue, and belong to one photo each."""
    folder = masks.resolve()
    inside = [photo.path for photo in photos if photo.path.resolve().is_relative_to(folder)]
    if inside:
        raise CatalogueError(
            f"{inside[0]} lies in --masks {masks} and in --data, so that masks would be trained on "
            "as photos. Keep the masks in a folder of their own."
        )
    used = Counter(p.mask for p in photos if p.mask is not None and p.mask.is_relative_to(masks))
    if not used:
        photo = photos[0].path
        raise CatalogueError(
            f"--masks {masks} has no mask for any of {len(photos):,} photos. The mask of {photo} "
            f"would have its name, within that folder, and end in {', '.join(sorted(SUFFIXES))}."
        )
    mask, times = used.most_common(1)[0]
    if times > 1:
        raise CatalogueError(
            f"{mask} would be the mask of {times} photos. Give each --data other names, or name "
            "the masks in the column 'mask' of a manifest."
        )


def describe_masks(photos: PhotoTensors) -> str:
    """How many photos have a trusted mask, and why the others have none."""
    trusted, total = int(photos.trusted.sum()), len(photos)
    lines = [f"{trusted:,} of {total:,} photos have a mask that is trusted."]
    reasons = Counter(photo.reason for photo in photos.unmasked if not photo.own)
    if reasons:
        counted = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())
        lines.append(f"Used whole, for want of one: {counted}.")
    own = [photo for photo in photos.unmasked if photo.own]
    if own:
        lines.append(f"{len(own):,} masks of your own cannot be used; these photos are used whole:")
        lines += [f"  {photo.id}: {photo.reason}" for photo in own[:NAMED]]
        lines += [f"  ... and {len(own) - NAMED:,} more"] if len(own) > NAMED else []
    return "\n".join(lines)


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
        cut=plan.recipe.views.need_masks,
        cache=cache,
        workers=max(1, cores() // processes.world),
        progress=show,
    )
