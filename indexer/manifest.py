"""What a generation says of itself: ``manifest.json``, with the hash of each file and its own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.checked import is_settled, note_checked, read_checked
from indexer.errors import GenerationCorruptError

MANIFEST = "manifest.json"
FORMAT = 1
RECALL = 0.95  # recall@10 that is asked of an index if nobody says more


class Frozen(BaseModel):
    """Immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(Frozen):
    """A file of a generation."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Asked(Frozen):
    """What was asked of an index.

    Attributes:
        recall: The recall@10 that it had to reach.
        memory: Bytes that it might take; None is any number.
    """

    recall: float = Field(default=RECALL, ge=0, le=1)
    memory: int | None = Field(default=None, ge=1)


class Trial(Frozen):
    """One point of the curve the index was chosen from: measured, not predicted.

    Attributes:
        index: FAISS factory string.
        nprobe: The effort: lists to probe, or ``efSearch`` of a graph.
        recall_at_10: Part of the ten true neighbours found.
        microseconds: A search, with the reading of its candidates' true vectors.
        items: How many it was measured on; of a graph a sample at first.
        bytes_per_item: Of the index.
    """

    index: str
    nprobe: int
    recall_at_10: float
    microseconds: float
    items: int | None = None
    bytes_per_item: int | None = None


class Contents(Frozen):
    """What an index holds and how well it was measured to answer.

    Attributes:
        engine: The engine that reads it.
        index: FAISS factory string, or Milvus's name of the kind.
        nprobe: Lists to probe for the measured recall, or ``efSearch`` of a graph; 0 for Flat.
        nlist: Lists in the index; 0 for an index without lists.
        breadth: Candidates that are ranked again, as a multiple of what codes of 8 bits need.
        count: Vectors in the index.
        dim: Numbers in a vector.
        fingerprint: The embedder's.
        change: The store's change number when it was built.
        last_row: The highest row number by then.
        recall_at_10: Part of the ten true neighbours found, read back from the written file.
        recall_queries: Held-out, photo-like queries it was measured with.
        recall_views: How many of them are altered photos; the others are made by noise.
        build_seconds: Time to choose, train, fill, write and measure.
        curve: What was tried on the way.
        asked: What it was chosen for, and what the next one is, unless something else is asked.
    """

    engine: Literal["faiss", "milvus"] = "faiss"
    index: str
    nprobe: int = Field(ge=0)
    nlist: int = Field(ge=0)
    breadth: int = Field(default=1, ge=1)
    count: int = Field(ge=1)
    dim: int = Field(ge=1)
    fingerprint: str
    change: int = Field(ge=0)
    last_row: int = Field(ge=0)
    recall_at_10: float = Field(ge=0, le=1)
    recall_queries: int = Field(ge=1)
    recall_views: int = Field(default=0, ge=0)
    build_seconds: float = Field(ge=0)
    curve: tuple[Trial, ...] = ()
    asked: Asked = Asked()


class Manifest(Contents):
    """Contents, origin and files of a generation."""

    format: int = FORMAT
    id: str
    created: str
    niteru: str
    files: Mapping[str, FileRecord]

    def dump(self) -> bytes:
        """As stored: JSON whose ``checksum`` is the SHA-256 of the rest."""
        body = self.model_dump(mode="json")
        return (json.dumps({**body, "checksum": checksum(body)}, indent=2) + "\n").encode()


def checksum(body: Mapping[str, object]) -> str:
    """SHA-256 of a manifest without its checksum, whatever its layout."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation's folder.

    Raises:
        GenerationCorruptError: Missing, damaged, of a newer format, or another folder's.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise GenerationCorruptError(refusal(folder.name, f"it has no {MANIFEST}")) from None
    return parse_manifest(data, folder.name)


def parse_manifest(data: bytes | str, generation: str) -> Manifest:
    """Check the manifest of a generation, as ``Manifest.dump`` wrote it.

    Raises:
        GenerationCorruptError: Damaged, of a newer format, or another generation's.
    """

    def refused(reason: str) -> GenerationCorruptError:
        return GenerationCorruptError(refusal(generation, reason))

    try:
        body = json.loads(data)
    except ValueError as error:
        raise refused(f"{MANIFEST} is no JSON: {error}") from error
    if not isinstance(body, dict) or "checksum" not in body:
        raise refused(f"{MANIFEST} is not one of niteru's")
    found = body.pop("checksum")
    if found != checksum(body):
        raise refused(f"{MANIFEST} was altered: checksum differs")
    if body.get("format") != FORMAT:
        raise refused(f"{MANIFEST} has format {body.get('format')}, this niteru reads {FORMAT}")
    try:
        manifest = Manifest.model_validate(body)
    except ValidationError as error:
        raise refused(f"{MANIFEST} is incomplete: {error}") from error
    if manifest.id != generation:
        raise refused(f"{MANIFEST} belongs to generation '{manifest.id}'")
    return manifest


def hash_file(path: Path) -> FileRecord:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(sha256=digest, bytes=file.tell())


def hash_files(paths: Iterable[Path]) -> dict[str, FileRecord]:
    """Sizes and hashes of a generation's new files, by name; large ones are noted as checked."""
    found, settled = {}, {}
    for path in paths:
        quiet = is_settled(path)
        found[path.name] = record = hash_file(path)
        if quiet:
            settled[path.name] = record.sha256
    if settled:
        note_checked(path.parent, settled)
    return found


def check_files(folder: Path, manifest: Manifest, *, trust: bool = False) -> None:
    """Compare every file of a generation with its manifest.

    Args:
        folder: The generation's.
        manifest: What it says.
        trust: Do not read a large file again that was found sound and has not changed since.

    Raises:
        GenerationCorruptError: Names the first file that differs, and how.
    """
    known = read_checked(folder) if trust else {}
    sound = dict(known)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise GenerationCorruptError(refusal(folder.name, f"{name} is missing"))
        size = path.stat().st_size
        if size != expected.bytes:
            reason = f"{name} has {size:,} bytes instead of {expected.bytes:,}"
            raise GenerationCorruptError(refusal(folder.name, reason))
        if known.get(name) == expected.sha256:
            continue
        quiet = is_settled(path)
        if hash_file(path) != expected:
            raise GenerationCorruptError(
                refusal(folder.name, f"{name} was altered: its SHA-256 is not the manifest's")
            )
        if quiet:
            sound[name] = expected.sha256
    if trust and sound != known:
        note_checked(folder, sound)


def refusal(generation: str, reason: str) -> str:
    """The message of a refused generation: what is wrong and what to do."""
    return (
        f"The generation '{generation}' is refused: {reason}. Go back to another one with "
        "'niteru rollback', or build a new one with 'niteru index': items.sqlite holds everything."
    )
