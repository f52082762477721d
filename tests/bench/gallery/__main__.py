"""The gallery of docs/models.md: every model trained, measured and looked at.

    python -m tests.bench.gallery                  lists the rows
    python -m tests.bench.gallery ROW [ROW ...]    trains, measures and draws rows, each only once
    python -m tests.bench.gallery --table          puts figures and pictures into the page
    python -m tests.bench.gallery --cifar10        only makes folders of photos of CIFAR-10's sheets

Interrupt a training and run the same again: it goes on. With --minutes a row is only tried: its
weights, figures and pictures go to OUT/tries, never into the page.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.commands.console import say
from tests.bench.gallery.page import read_figures, render
from tests.bench.gallery.row import OUT
from tests.bench.gallery.rows import ROWS, find_row
from tests.bench.gallery.running import Gallery
from tests.bench.gallery.training import write_cifar
from tests.bench.pages import fill_page
from tests.bench.trainings import INTERRUPTED, StoppedError

DOCS = Path(__file__).parents[3] / "docs"
PAGE, FIGURES = DOCS / "models.md", DOCS / "models"


def main(words: Sequence[str] | None = None) -> int:
    """Run the gallery; the exit status."""
    asked = parser().parse_args(words)
    try:
        if asked.table:
            page: Path = asked.page
            page.write_text(fill_page(page.read_text("utf-8"), render(FIGURES)), "utf-8")
            say(f"{page}: figures and pictures are those of {FIGURES}.")
        elif asked.cifar10:
            data: Path = asked.data or Path(os.environ.get("NITERU_DATA", ""))
            write_cifar(data / "cifar-10", asked.out / "cifar10")
        elif asked.rows:
            run_rows(asked)
        else:
            list_rows()
    except StoppedError as stopped:
        say(f"{stopped} was stopped; the same command goes on with it.")
        return INTERRUPTED
    except (ValueError, OSError) as error:
        say(f"gallery: {error}")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m tests.bench.gallery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("rows", nargs="*", metavar="ROW", help="what to train, measure and draw")
    options.add_argument("--data", type=Path, help="folder of the data; else $NITERU_DATA")
    options.add_argument("--out", type=Path, default=Path(OUT), help="where weights go")
    options.add_argument("--again", action="store_true", help="train anew, whatever there is")
    options.add_argument("--minutes", type=float, help="only try, for so long")
    options.add_argument("--redraw", action="store_true", help="only draw the pictures again")
    options.add_argument("--table", action="store_true", help="fill the page")
    options.add_argument("--cifar10", action="store_true", help="lay out CIFAR-10 as photos")
    options.add_argument("--page", type=Path, default=PAGE, help="which page")
    return options


def run_rows(asked: argparse.Namespace) -> None:
    """Train, measure and draw rows, one after the other.

    Raises:
        ValueError: An unknown row, or no data; or a command failed.
    """
    rows = [find_row(name) for name in asked.rows]
    data: Path = asked.data or Path(os.environ.get("NITERU_DATA", ""))
    for row in rows:
        needed = "cifar-10" if row.data.startswith("cifar10/") else row.data.partition("/")[0]
        if not (data / needed).is_dir():
            raise ValueError(
                f"There is no folder {needed} in '{data}'. Give --data FOLDER, or set NITERU_DATA."
            )
    out: Path = asked.out
    if asked.minutes is None:
        gallery = Gallery(data, out, FIGURES)
    else:
        gallery = Gallery(data, out / "tries", out / "tries" / "page")
        rows = [replace(row, minutes=asked.minutes, steps=None) for row in rows]
    for row in rows:
        if asked.redraw:
            gallery.redraw(row)
        else:
            gallery.run(row, again=asked.again)


def list_rows() -> None:
    """Print every row, with a mark where it is measured."""
    measured = read_figures(FIGURES)
    for row in ROWS.values():
        mark = "x" if row.name in measured else " "
        print(f"{mark} {row.name:<20} {row.model:<12} {row.minutes:g} minutes   {row.about}")


if __name__ == "__main__":
    sys.exit(main())
