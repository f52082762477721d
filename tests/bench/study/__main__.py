"""The study of docs/embedding.md: what makes an embedding see the item, not the background?

    python -m tests.bench.study                      lists the rows
    python -m tests.bench.study ROW [ROW ...]        trains and measures rows, each only once
    python -m tests.bench.study --table              puts what was measured into the page
    python -m tests.bench.study --textures           only makes the data of the rows on texture
    python -m tests.bench.study --dial FOLDER [FOLDER ...] --photo FILE

Interrupt a training and run the same again: it goes on. With --steps or --minutes a row is only
tried: its weights go to OUT/tries and its figures beside them, never into the page.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.commands.answers import SMALL, save_picture
from service.commands.console import say
from tests.bench.pages import fill_page
from tests.bench.study.dial import draw_dial
from tests.bench.study.rows import OUT, ROWS, Row, find_row
from tests.bench.study.running import Study
from tests.bench.study.tables import read_figures, render
from tests.bench.trainings import INTERRUPTED, StoppedError

DOCS = Path(__file__).parents[3] / "docs"
PAGE, FIGURES = DOCS / "embedding.md", DOCS / "embedding"


def main(words: Sequence[str] | None = None) -> int:
    """Run the study; the exit status."""
    asked = parser().parse_args(words)
    figures: Path = asked.figures or FIGURES
    try:
        if asked.dial:
            draw(asked)
        elif asked.table:
            page: Path = asked.page
            page.write_text(fill_page(page.read_text("utf-8"), render(figures)), "utf-8")
            say(f"{page}: the tables are those of {figures}.")
        elif asked.textures:
            Study(data_folder(asked), asked.out or Path(OUT), figures).draw_textures()
        elif asked.rows:
            run_rows(asked)
        else:
            list_rows(figures)
    except StoppedError as stopped:
        say(f"{stopped} was stopped; the same command goes on with it.")
        return INTERRUPTED
    except (ValueError, OSError) as error:
        say(f"study: {error}")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m tests.bench.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("rows", nargs="*", metavar="ROW", help="what to train and measure")
    options.add_argument("--data", type=Path, help="folder of the photos; else $NITERU_DATA")
    options.add_argument(
        "--out", type=Path, help=f"where weights go, else {OUT}; with --dial the picture's file"
    )
    options.add_argument("--figures", type=Path, help="where figures are; else docs/embedding")
    options.add_argument("--device", default="cpu", help="where torch trains")
    options.add_argument("--again", action="store_true", help="train anew, whatever there is")
    length = options.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="only try, with so many steps")
    length.add_argument("--minutes", type=float, help="only try, for so long")
    options.add_argument("--table", action="store_true", help="fill the page's tables")
    options.add_argument("--page", type=Path, default=PAGE, help="which page")
    options.add_argument("--textures", action="store_true", help="lay digits over texture")
    options.add_argument("--dial", type=Path, nargs="+", help="weights to draw the picture from")
    options.add_argument("--photo", type=Path, help="the photo of that picture")
    options.add_argument("--seed", type=int, default=0, help="of that picture")
    return options


def run_rows(asked: argparse.Namespace) -> None:
    """Train and measure rows, one after the other.

    Raises:
        ValueError: An unknown row, or no photos; or what the study refuses.
    """
    rows = [find_row(name) for name in asked.rows]
    data = data_folder(asked)
    for needed in dict.fromkeys("mnist" if row.textured else "clothing" for row in rows):
        if not (data / needed).is_dir():
            raise ValueError(
                f"There is no folder {needed} in '{data}'. Give --data FOLDER, or set NITERU_DATA."
            )
    tried = asked.steps is not None or asked.minutes is not None
    out = asked.out or Path(OUT)
    out = out / "tries" if tried else out
    figures = asked.figures or (out / "figures" if tried else FIGURES)
    study = Study(data, out, figures, device=asked.device)
    for row in rows:
        study.run(shortened(row, asked) if tried else row, again=asked.again)


def data_folder(asked: argparse.Namespace) -> Path:
    """Where the photos are."""
    return asked.data or Path(os.environ.get("NITERU_DATA", ""))


def draw(asked: argparse.Namespace) -> None:
    """Draw the picture of the dial.

    Raises:
        ValueError: No photo, or weights that do not draw.
    """
    if asked.photo is None:
        raise ValueError("--dial draws what weights say of a photo: give --photo FILE.")
    file: Path = asked.out or FIGURES / "dial_picture.jpg"
    save_picture(draw_dial(asked.dial, asked.photo, seed=asked.seed), file, limit=SMALL)
    say(f"{file}: a row for each of {len(asked.dial)} weights.")


def shortened(row: Row, asked: argparse.Namespace) -> Row:
    """The row with the length that was asked for."""
    return replace(row, steps=asked.steps, minutes=asked.minutes)


def list_rows(figures: Path) -> None:
    """Print every row, with a mark where it is measured."""
    measured = read_figures(figures)
    for row in ROWS.values():
        length = f"{row.steps} steps" if row.steps else f"{row.minutes:g} minutes"
        mark = "x" if row.name in measured else " "
        print(f"{mark} {row.name:<14} {row.model:<12} {length:<12} {row.about}")


if __name__ == "__main__":
    sys.exit(main())
