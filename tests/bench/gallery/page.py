"""The tables and sheets of docs/models.md, rendered from the files of figures beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.gallery.measuring import told_measure
from tests.bench.gallery.row import Row, Table
from tests.bench.gallery.rows import ROWS, TABLES
from tests.bench.gallery.running import PEN
from tests.bench.gallery.training import told
from tests.bench.pages import in_lines, in_table

Figures = Mapping[str, Mapping[str, Any]]

HEADS = {
    "binary": ("NLL, nats", "published"),
    "colour": ("bits per dimension", "published, of 50,000 pictures"),
    "likeness": ("KID", "real against real", "published"),
    "sketches": ("L_R", "L_KL", "nats a sketch"),
}
COMMON = ("row", "what", "parameters", "steps", "minutes", "on", "z holds")
SHEETS = "sheets"
COMMANDS = "commands"
WORDS = {
    "samples": "samples",
    "completions": "completions of the upper half, a row for each digit or photo",
    "reconstructions": "drawn again from what the vector keeps: above what was given",
    "interpolation": "from one to another",
    "frames": "the canvas over time; green is where it looks, red where it paints",
    "arithmetic": "the first sketch less the second plus the third",
}


SHOWN = {  # where it is not what the words above say
    ("multiscale", "completions"): "drawn from every fourth pixel across and down, which is known",
}


def read_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """The files of figures of a folder, by row."""
    found = (json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json")))
    return {str(figures["row"]): figures for figures in found}


def render(folder: Path) -> dict[str, str]:
    """Everything of the page that is made here, by the name of its markers."""
    figures = read_figures(folder)
    made = {table.name: render_table(table, figures) for table in TABLES}
    made[SHEETS] = render_sheets(folder, figures)
    made[COMMANDS] = render_commands()
    return made


def render_table(table: Table, figures: Figures) -> str:
    """A Markdown table of the rows that were measured, and the names of those that were not."""
    measured = [name for name in table.rows if name in figures]
    missing = [name for name in table.rows if name not in figures]
    rows = [(*_common(ROWS[n], figures[n]), *_reached(table, n, figures)) for n in measured]
    return in_table((*COMMON, *HEADS[table.name]), rows, missing)


def render_sheets(folder: Path, figures: Figures) -> str:
    """The pictures of every row that was measured."""
    blocks = []
    for name, row in ROWS.items():
        if name not in figures:
            continue
        lines = [f"### {name}: {row.about}", ""]
        for show in row.shows:
            for file in sorted(folder.glob(f"{name}_{show}.*")):
                said = SHOWN.get((row.model, show), WORDS[show])
                said += f", at a temperature of {PEN}" if _by_pen(row, show) else ""
                lines += [f"![{name}, {said}](models/{file.name})", "", f"*{said}*"]
                lines.append("")
        curve = figures[name]["curve"]
        if curve is not None:
            lines += [f"![{name}, {curve} over time](models/{name}_curve.svg)", ""]
        blocks.append("\n".join(lines))
    return "\n".join(blocks) or "None yet.\n"


def _by_pen(row: Row, show: str) -> bool:
    return show == "samples" and row.model in {"sketch_rnn", "srnn"}


def render_commands() -> str:
    """The commands of every row, as a block to copy from."""
    lines = []
    for row in ROWS.values():
        lines += [
            in_lines(told(row)),
            *([in_lines(told_measure(row))] if row.measure_words() else []),
        ]
    return "```sh\n" + "\n".join(lines) + "\n```\n"


def _common(row: Row, found: Mapping[str, Any]) -> tuple[str, ...]:
    nats = found["nats"]
    return (
        f"[`{row.name}`](models/{row.name}.json)",
        row.about,
        f"{found['parameters'] / 1e6:.2f} M",
        f"{found['steps']:,}",
        f"{found['minutes']:.0f}",
        _machine(found.get("device", "cpu")),
        "" if nats is None else f"{nats:.1f} nats",
    )


def _machine(device: str) -> str:
    """``NVIDIA H200`` -> ``H200``; a training without an accelerator uses one core."""
    return "a core" if device == "cpu" else device.removeprefix("NVIDIA ").split(" ")[0]


def _reached(table: Table, name: str, figures: Figures) -> tuple[str, ...]:
    got, row = figures[name]["figures"], ROWS[name]
    if table.name == "binary":
        return (_nll(got), row.published)
    if table.name == "colour":
        return (f"**{got['bits_per_dim']:.3f}**", row.published)
    if table.name == "likeness":
        real = _error(got["kid_real"], got["kid_real_error"])
        return (f"**{_error(got['kid'], got['kid_error'])}**", real, row.published)
    return (f"{got['l_r']:.3f}", f"{got['l_kl']:.3f}", _nll(got))


def _nll(got: Mapping[str, float]) -> str:
    """Exact, or the bound by many draws and, behind it, by one."""
    if "nll" in got:
        return f"**{got['nll']:.2f}**"
    many, one = got["nll_importance_weighted"], got["nll_bound"]
    return f"**≤ {many:.2f}** ({got['samples']} draws), ≤ {one:.2f} (one)"


def _error(value: float, error: float | None) -> str:
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"
