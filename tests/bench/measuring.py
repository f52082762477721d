"""What the benchmarks share: their options, the photos they measure on, and how they report."""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from indexer.catalogues import open_catalogue
from indexer.protocols import Catalogue
from indexer.sample import write_catalogue
from service.cli import WEIGHTS
from service.commands.console import cores

ITEMS = 1200


@dataclass(frozen=True, slots=True)
class Target:
    """A figure with the value it should have.

    Attributes:
        name: What is measured.
        value: What was found.
        bound: What it should be at least, or at most.
        most: Whether the bound is the most it should be.
    """

    name: str
    value: float
    bound: float
    most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the bound."""
        return self.value <= self.bound if self.most else self.value >= self.bound

    def __str__(self) -> str:
        sign = "<=" if self.most else ">="
        verdict = "met" if self.met else "missed"
        return f"{self.name:<52} {self.value:8.2f}  (target {sign} {self.bound:g}: {verdict})"


def parser(about: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark; ``about`` is the module's docstring."""
    options = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", type=Path, help="measure on these photos (a folder or a manifest)"
    )
    options.add_argument(
        "--items",
        type=positive,
        default=ITEMS,
        help="items of the sample catalogue, without --data",
    )
    options.add_argument("--weights", default=WEIGHTS, help="a weights folder, or a name")
    options.add_argument("--rounds", type=positive, default=3, help="how often all is measured")
    options.add_argument("--json", type=Path, help="also write the figures to this file")
    return options


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


@contextmanager
def workplace(data: Path | None, items: int) -> Iterator[tuple[Catalogue, Path]]:
    """The catalogue to measure on, and a temporary folder beside it for stores."""
    with tempfile.TemporaryDirectory(prefix="niteru-bench-") as name:
        folder = Path(name)
        if data is None:
            print(f"rendering {items:,} items ...", flush=True)
            write_catalogue(folder / "catalogue", items=items)
            data = folder / "catalogue" / "items.csv"
        yield open_catalogue(data), folder


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def paired(above: list[float], below: list[float]) -> float:
    """The median of the ratios of what was measured side by side.

    On a machine that does other things meanwhile, both of a pair were slowed down alike.
    """
    return median(a / b for a, b in zip(above, below, strict=True))


def report(
    figures: dict[str, float], targets: list[Target], *, unit: str, about: dict[str, object],
    json_file: Path | None,
) -> None:  # fmt: skip
    """Print the figures and targets as a table, and write them as JSON if asked to."""
    about = {**about, "cores": cores(), "load": os.getloadavg(), "machine": platform.machine()}
    print("\n" + ", ".join(f"{name} {value}" for name, value in about.items()))
    for name, value in figures.items():
        print(f"{name:<52} {value:8.2f}  {unit_of(name, unit)}")
    for target in targets:
        print(target)
    if json_file is not None:
        told = {
            "about": about,
            "figures": figures,
            "targets": [{**asdict(target), "met": target.met} for target in targets],
        }
        json_file.write_text(json.dumps(told, indent=2, default=str) + "\n", "utf-8")


def unit_of(name: str, unit: str) -> str:
    """The unit of a figure: a rate unless its name says that it is a time."""
    return "ms" if name.endswith(", ms") else unit
