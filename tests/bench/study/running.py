"""Training a row by the public command line and measuring what came of it; each done only once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indexer.evaluation import (
    PhotoSet,
    PixelCache,
    evaluate_retrieval,
    load_gallery,
    load_queries,
)
from indexer.evaluation.comparators import RawPixelEmbedder
from indexer.protocols import Embedder
from indexer.runtime import load_embedder
from models.images import Preprocessing
from models.training.weights import (
    WeightsError,
    fingerprint_weights,
    read_metrics,
    write_atomically,
)
from service.commands.console import Bar, cores, say
from tests.bench.study.rows import DATA, OUT, PROTOCOLS, SAMPLE_OPTIONS, TEXTURE, Row, place
from tests.bench.study.texture import SIDE, is_drawn, write_textures
from tests.bench.trainings import Command, TrainingError, call, call_niteru, train_once


@dataclass
class Study:
    """Runs rows.

    Attributes:
        data: The folder that holds clothing/ and background-swap/, and mnist/ for the textures.
        out: Where weights go, a folder for each row.
        figures: Where the files of figures go.
        device: Where torch trains.
        niteru: Runs a command and returns its exit status; injected so that tests need no process.
    """

    data: Path
    out: Path
    figures: Path
    device: str = "cpu"
    niteru: Command = call_niteru
    cache: PixelCache = field(default_factory=lambda: PixelCache(workers=cores()))
    sets: dict[str, tuple[PhotoSet, PhotoSet]] = field(default_factory=dict)
    pixels: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, row: Row, *, again: bool = False) -> Path:
        """Train a row and measure it, each unless it is done: the file of its figures.

        Args:
            row: What to train.
            again: Begin anew, whatever there is.

        Raises:
            TrainingError: The folder holds another training, or the training failed.
            StoppedError: The training was interrupted.
        """
        folder = self.out / row.name
        if row.textured:
            self.draw_textures()
        sample = row.sample_words(out=str(self.out))
        if sample and not (self.out / "sample" / "items.csv").is_file():
            call(row.name, sample, self.niteru)
        words = row.train_words(data=str(self.data), out=str(self.out), device=self.device)
        train_once(row.name, words, folder, told=told_command(row), niteru=self.niteru, again=again)
        return self._measure(row, folder)

    def draw_textures(self) -> None:
        """Draw the digits over texture, unless they are there: what rows on texture are made of.

        Raises:
            PhotoSetError: There is no MNIST in the data folder.
        """
        folder = self.out / TEXTURE
        if is_drawn(folder):
            return
        say(f"{folder}: digits are laid over texture.")
        write_textures(self.data / "mnist", folder)

    def _measure(self, row: Row, folder: Path) -> Path:
        file = self.figures / f"{row.name}.json"
        about = describe_run(row, folder, device=self.device)
        if file.is_file() and _is_of(json.loads(file.read_text()), about):
            say(f"{row.name}: {file} is measured.")
            return file
        embedder = load_embedder(folder)
        measured = {name: self._ask(name, embedder, row.name) for name in row.protocols}
        if row.textured:
            about["raw_pixels"] = self._ask_pixels()
        self.figures.mkdir(parents=True, exist_ok=True)
        write_atomically(file, _json({**about, "retrieval": measured}))
        say(f"{row.name}: {file}")
        return file

    def _ask(self, protocol: str, embedder: Embedder, name: str) -> dict[str, Any]:
        """What an embedder finds by a protocol: figures, and what neighbours by lot would give."""
        bar = Bar(" photos")
        gallery, queries = self._photos(protocol)
        report = evaluate_retrieval(
            embedder, gallery, queries, name=name, cache=self.cache, progress=bar.show
        )
        bar.close()
        told = report.to_json()
        return {key: _short(told[key]) for key in ("figures", "chance")}

    def _ask_pixels(self) -> dict[str, Any]:
        """What raw pixels find on texture, measured once for all rows."""
        if not self.pixels:
            raw = RawPixelEmbedder(Preprocessing(SIDE, 1, "edge"))
            self.pixels["texture"] = self._ask("texture", raw, "raw pixels")
        return self.pixels

    def _photos(self, protocol: str) -> tuple[PhotoSet, PhotoSet]:
        """The photos of a protocol, read once for all rows, so that the cache knows them again."""
        if protocol not in self.sets:
            data, out = str(self.data), str(self.out)
            gallery, queries = (Path(place(p, data=data, out=out)) for p in PROTOCOLS[protocol])
            photos = load_gallery(gallery)
            self.sets[protocol] = photos, load_queries(queries, photos)
        return self.sets[protocol]


def told_command(row: Row, *, device: str = "cpu") -> str:
    """The command as a reader would type it, free of this machine's folders."""
    return "niteru " + " ".join(row.train_words(device=device))


def told_sample() -> str:
    """The command that renders the sample, as a reader would type it."""
    return f"niteru sample-catalogue {OUT}/sample {' '.join(SAMPLE_OPTIONS)}"


def told_textures() -> str:
    """The command that lays digits over texture, as a reader would type it."""
    return f"python -m tests.bench.study --textures --data {DATA} --out {OUT}"


def told_evaluation(protocol: str, name: str) -> str:
    """The command that measures a row, as a reader would type it."""
    gallery, queries = map(place, PROTOCOLS[protocol])
    return f"niteru evaluate retrieval {OUT}/{name} --gallery {gallery} --queries {queries}"


def describe_run(row: Row, folder: Path, *, device: str) -> dict[str, Any]:
    """What gave the figures: command, length, size, machine, and what the vector holds.

    Raises:
        TrainingError: The weights do not say how they were made.
    """
    try:
        training = read_metrics(folder)["training"]
        last = training["last_steps"]
        steps, minutes = training["steps"], training["minutes"]
        return {
            "row": row.name,
            "model": row.model,
            "command": told_command(row, device=device),
            "device": device,
            "fingerprint": fingerprint_weights(folder),
            "seed": training["seed"],
            "steps": steps,
            "minutes": minutes,
            "seconds_a_step": round(60 * minutes / steps, 3),
            "photos": training["photos"],
            "photos_with_mask": training["photos_with_mask"],
            "parameters": training["parameters"],
            "rate_nats": _rounded(last, "kl"),
            "active_units": _rounded(last, "active_units"),
            "bits_per_dim": _rounded(last, "bits_per_dim"),
            "machine": f"{training['machine']}, {training['precision']}, {cores()} cores",
        }
    except (KeyError, WeightsError) as error:
        raise TrainingError(
            f"The weights in {folder} do not say how they were made: {error!r}. Give --again."
        ) from error


def _rounded(last: Mapping[str, float], key: str) -> float | None:
    return round(last[key], 3) if key in last else None


def _short(told: Any) -> Any:
    """The same data, its numbers to four decimals: one query of 530 is .0019."""
    if isinstance(told, dict):
        return {key: _short(value) for key, value in told.items()}
    return round(told, 4) if isinstance(told, float) else told


def _is_of(told: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    """Whether figures are of this training; where they were measured does not matter."""
    return all(told.get(key) == about[key] for key in ("command", "fingerprint"))


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
