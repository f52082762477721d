"""Figures of embedders side by side, for people and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from indexer.evaluation.answers import Answers
from indexer.evaluation.measures import Figure
from indexer.evaluation.truth import Name

TITLES: Mapping[Name, str] = {
    "R@1": "R@1",
    "R@10": "R@10",
    "background_share": "background share",
    "P@1": "P@1",
    "P@10": "P@10",
    "knn_accuracy": "kNN accuracy",
}


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """What one embedder finds with a set of queries in a gallery.

    Attributes:
        embedder: Its name.
        fingerprint: Its fingerprint.
        dim: Length of its vectors.
        gallery: Name of the gallery.
        gallery_size: Photos in it.
        queries: Name of the queries.
        query_count: Photos in them.
        left_out_of_classes: What is no answer in P and kNN; empty if classes are not known.
        figures: By name, as far as they can be known.
        by_factor: The same for the queries with one thing changed, by what was changed.
        chance: What neighbours drawn by lot would give, where that has an expectation.
        answers: What was found for each query, if that was asked for; not part of the JSON.
    """

    embedder: str
    fingerprint: str
    dim: int
    gallery: str
    gallery_size: int
    queries: str
    query_count: int
    left_out_of_classes: tuple[str, ...]
    figures: Mapping[Name, Figure]
    by_factor: Mapping[str, Mapping[Name, Figure]] = field(default_factory=dict)
    chance: Mapping[Name, float] = field(default_factory=dict)
    answers: Answers | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, object]:
        """Nothing but dicts, strings and numbers."""
        return {
            "embedder": self.embedder,
            "fingerprint": self.fingerprint,
            "dim": self.dim,
            "gallery": {"name": self.gallery, "photos": self.gallery_size},
            "queries": {"name": self.queries, "photos": self.query_count},
            "left_out_of_classes": list(self.left_out_of_classes),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "by_factor": {
                factor: {name: figure.to_json() for name, figure in figures.items()}
                for factor, figures in self.by_factor.items()
            },
            "chance": dict(self.chance),
        }


def format_table(reports: Sequence[RetrievalReport]) -> str:
    """A Markdown table with a row for each embedder, reading well as plain text.

    Raises:
        ValueError: No report, or reports of different sets of photos.
    """
    if len({(r.gallery, r.gallery_size, r.queries, r.query_count) for r in reports}) != 1:
        raise ValueError(
            f"A table shows one or more reports over the same photos; found {len(reports)} reports "
            f"of the queries {sorted({r.queries for r in reports})} in the galleries "
            f"{sorted({r.gallery for r in reports})}."
        )
    first = reports[0]
    names = [name for name in TITLES if any(name in r.figures for r in reports)]
    rows = [["embedder", "dim", *(TITLES[name] for name in names)]]
    rows.append(["by lot", "", *(_decimals(first.chance.get(name)) for name in names)])
    for report in reports:
        rows.append([report.embedder, str(report.dim), *_cells(report.figures, names)])
        if len(report.by_factor) > 1:
            rows += [
                [f"· {factor} changed", "", *_cells(figures, names)]
                for factor, figures in report.by_factor.items()
            ]
    return f"{_markdown(rows)}\n\n{_caption(first)}"


def _caption(report: RetrievalReport) -> str:
    reasons = ", ".join(report.left_out_of_classes)
    left_out = f" Left out of P and kNN: {reasons}." if reasons else ""
    factors = ", ".join(report.by_factor)
    changed = f", {factors} changed" if len(report.by_factor) == 1 else ""
    return (
        f"{report.query_count:,} queries ({report.queries}{changed}) in a gallery of "
        f"{report.gallery_size:,} photos ({report.gallery}); mean ± half the 95 % interval."
        f"{left_out}"
    )


def _cells(figures: Mapping[Name, Figure], names: Sequence[Name]) -> list[str]:
    cells = []
    for name in names:
        figure = figures.get(name)
        half = "" if figure is None else f" ±{_decimals((figure.high - figure.low) / 2)}"
        cells.append(_decimals(None if figure is None else figure.mean) + half)
    return cells


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        name, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join([name, *rest])} |")
    lines.insert(1, f"| {' | '.join('-' * width for width in widths)} |")
    return "\n".join(lines)
