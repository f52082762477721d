"""The tables of docs/embedding.md, rendered from the files of figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tests.bench.pages import in_lines, in_table
from tests.bench.study.rows import PICTURES, ROWS, TABLES, Picture, Row, Table
from tests.bench.study.running import (
    told_command,
    told_evaluation,
    told_sample,
    told_textures,
)

COLUMNS = (  # title, protocol, name of the figure
    ("R@1", "swap", "R@1"),
    ("R@10", "swap", "R@10"),
    ("background share", "swap", "background_share"),
    ("class P@1", "class", "P@1"),
    ("class P@10", "class", "P@10"),
    ("kNN accuracy", "texture", "knn_accuracy"),
)
HEAD = ("row", "what", "steps", "minutes", "s a step", "nats")

Figures = Mapping[str, Mapping[str, Any]]


def read_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """The files of figures of a folder, by row."""
    told = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {str(figures["row"]): figures for figures in told}


def render(folder: Path) -> dict[str, str]:
    """Everything of the page that is made here, by the name of its markers.

    Args:
        folder: Holds the files of figures, and the pictures as far as they are drawn.
    """
    figures = read_figures(folder)
    made = {table.name: render_table(table, figures) for table in TABLES}
    made |= {picture.name: render_picture(picture, folder) for picture in PICTURES}
    return made | {"commands": render_commands(ROWS)}


def render_table(table: Table, figures: Figures) -> str:
    """A Markdown table of the rows that were measured, and the names of those that were not."""
    measured = [name for name in table.rows if name in figures]
    missing = [name for name in table.rows if name not in figures]
    if not measured:
        return in_table((), (), missing)
    first = ROWS[measured[0]]
    rows = [*_raw_pixels(first, figures), *(_cells(ROWS[n], figures[n]) for n in measured)]
    if table.spread and len(measured) > 1:
        rows.append(_spread(first, [figures[name] for name in measured]))
    return in_table((*HEAD, *(title for title, _, _ in _columns(first))), rows, missing)


def render_picture(picture: Picture, folder: Path) -> str:
    """The picture if there is one, and the command that draws it."""
    drawn = (folder / Path(picture.file).name).is_file()
    shown = f"![{picture.about}]({picture.file})\n\n" if drawn else ""
    return f"{shown}```sh\n{in_lines(picture.command)}\n```\n"


def render_commands(rows: Mapping[str, Row]) -> str:
    """The command of every row, and how a row is measured, as blocks to copy from."""
    made = (told_sample(), told_textures())
    training = "\n".join(in_lines(c) for c in (*made, *map(told_command, rows.values())))
    blocks = [f"```sh\n{training}\n```\n"]
    for protocols in dict.fromkeys(row.protocols for row in rows.values()):
        some = "each `ROW` on texture" if "texture" in protocols else "each other `ROW`"
        measuring = "\n".join(in_lines(told_evaluation(name, "ROW")) for name in protocols)
        blocks.append(f"\nand for {some}\n\n```sh\n{measuring}\n```\n")
    return "".join(blocks)


def _cells(row: Row, told: Mapping[str, Any]) -> tuple[str, ...]:
    nats = told["rate_nats"]
    return (
        f"[`{row.name}`](embedding/{row.name}.json)",
        row.about,
        f"{told['steps']:,}",
        f"{told['minutes']:.1f}",
        f"{told['seconds_a_step']:.2f}",
        "" if nats is None else f"{nats:.1f}",
        *_intervals(row, told["retrieval"]),
    )


def _raw_pixels(row: Row, figures: Figures) -> list[tuple[str, ...]]:
    """What raw pixels give where they were measured beside a row, as a line."""
    if "raw_pixels" not in figures[row.name]:
        return []
    found = figures[row.name]["raw_pixels"]
    return [("", "raw pixels", "", "", "", "", *_intervals(row, found))]


def _columns(row: Row) -> list[tuple[str, str, str]]:
    """Those of the row's protocols."""
    return [column for column in COLUMNS if column[1] in row.protocols]


def _intervals(row: Row, found: Mapping[str, Any]) -> list[str]:
    return [_interval(found[protocol]["figures"][name]) for _, protocol, name in _columns(row)]


def _spread(row: Row, several: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Mean and standard deviation over the rows: of seeds, not of queries."""
    cells = []
    for _, protocol, name in _columns(row):
        means = [told["retrieval"][protocol]["figures"][name]["mean"] for told in several]
        cells.append(f"**{_decimals(mean(means))}** ±{_decimals(stdev(means))}")
    return ("", f"mean of {len(several)}, ± standard deviation", "", "", "", "", *cells)


def _interval(figure: Mapping[str, float]) -> str:
    """Mean, and half the 95 % interval."""
    return f"{_decimals(figure['mean'])} ±{_decimals((figure['high'] - figure['low']) / 2)}"


def _decimals(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
