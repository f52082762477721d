"""What a written sample catalogue was made with, and the refusal to mix two of them in a folder."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

RENDERER = 1
"""Raised whenever the same item and scene give other pixels than before."""

SETTINGS_FILE = "catalogue.json"
ITEMS_FILE = "items.csv"
IMAGES = "images"


class SampleError(ValueError):
    """A folder that does not hold what it should, or settings that make no sense."""


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """What a sample catalogue is drawn from; equal settings give equal pixels.

    Attributes:
        items: How many items, at least 1.
        seed: Of the catalogue, 0 or more.
        size: Side of the images in pixels, at least 32.
        photos_per_item: At least 1; every photo of an item is another scene.
        renderer: Version of the drawing code.
    """

    items: int = 2400
    seed: int = 0
    size: int = 256
    photos_per_item: int = 1
    renderer: int = RENDERER

    def __post_init__(self) -> None:
        for name, least in (("items", 1), ("seed", 0), ("size", 32), ("photos_per_item", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise SampleError(f"{name} is {value!r}; give a whole number of at least {least}.")

    def photo_id(self, item: str, photo: int) -> str:
        """The id of a photo of an item: the item's own if it has only one."""
        return item if self.photos_per_item == 1 else f"{item}_{photo}"

    def photo_path(self, item: str, photo: int) -> str:
        """Where that photo lies in the catalogue's folder."""
        return f"{IMAGES}/{self.photo_id(item, photo)}.jpg"


def read_settings(folder: Path) -> CatalogueSettings | None:
    """The settings of the sample catalogue in a folder, None if there is none.

    Raises:
        SampleError: The file is damaged or from another version.
    """
    path = folder / SETTINGS_FILE
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise SampleError(
            f"{path} is not JSON ({error}). Delete the folder and write it again."
        ) from error
    known = {field.name for field in fields(CatalogueSettings)}
    if not isinstance(record, dict) or set(record) != known:
        found = sorted(record) if isinstance(record, dict) else type(record).__name__
        raise SampleError(
            f"{path} has {found} where {sorted(known)} are expected: it is not of this version. "
            "Choose another folder."
        )
    return CatalogueSettings(**record)


def claim_folder(folder: Path, wanted: CatalogueSettings) -> None:
    """Make the folder a catalogue of these settings; a shorter one of the same kind may grow.

    Raises:
        SampleError: The folder holds a catalogue of other settings, or images of another origin.
    """
    found = read_settings(folder)
    if found is None:
        if holds_files(folder / IMAGES):
            raise SampleError(
                f"{folder / IMAGES} holds images but {folder} has no {SETTINGS_FILE}: they are not "
                "of a sample catalogue. Choose another folder."
            )
    else:
        refuse_mixing(folder, found, wanted)
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SETTINGS_FILE, json.dumps(asdict(wanted), indent=2).encode() + b"\n")


def holds_files(folder: Path) -> bool:
    """Whether there is anything in a folder but what a broken-off write has left."""
    return folder.is_dir() and any(not path.name.endswith(".tmp") for path in folder.iterdir())


def refuse_mixing(folder: Path, found: CatalogueSettings, wanted: CatalogueSettings) -> None:
    """Raise SampleError unless ``found`` is the beginning of ``wanted``."""
    differences = [
        f"{field.name} is {getattr(found, field.name)}, not {getattr(wanted, field.name)}"
        for field in fields(CatalogueSettings)
        if field.name != "items" and getattr(found, field.name) != getattr(wanted, field.name)
    ]
    if found.items > wanted.items:
        differences.append(f"it has {found.items} items, more than {wanted.items}")
    if differences:
        raise SampleError(
            f"{folder} holds another sample catalogue: {'; '.join(differences)}. "
            "Ask for the same settings, choose another folder or delete this one."
        )


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file so that there is either all of it or none, whatever happens meanwhile.

    Without ``sync`` that holds for a killed process but not for a power cut.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
