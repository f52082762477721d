"""``niteru models`` and ``evaluate retrieval``: what there is, and how good it is."""

import json
from collections.abc import Sequence
from pathlib import Path

import models
from indexer.evaluation.report import RetrievalReport, format_table
from indexer.evaluation.retrieval import compare_retrieval
from indexer.runtime import load_embedder
from models.training.weights import (
    CONFIG,
    METRICS,
    find_weights,
    read_description,
    read_metrics,
    write_atomically,
)
from service.commands.answers import answer_sheet, save_picture
from service.commands.console import Bar, print_json, say


def run_models(*, as_json: bool) -> None:
    """List every model, the weights there are of it, and their figures."""
    shipped = find_all_weights()
    listed = [
        {
            "name": name,
            "about": models.describe(name),
            "presets": sorted(models.presets(name)),
            "weights": [folder.name for folder in shipped.get(name, [])],
            "figures": {folder.name: read_metrics(folder) for folder in shipped.get(name, [])},
        }
        for name in models.available()
    ]
    if as_json:
        print_json(listed)
        return
    for line in listed:
        print(f"{line['name']:<12} {line['about']}")
        print(f"{'':<12} presets: {', '.join(line['presets'])}")
        weights = ", ".join(line["weights"]) or f"none yet: niteru train {line['name']} --data DIR"
        print(f"{'':<12} weights: {weights}")


def find_all_weights() -> dict[str, list[Path]]:
    """Weights folders here and beside our packages, by the name of their model."""
    beside = Path(models.__file__).parent.parent / "weights"
    places = (Path("weights"), beside)
    folders = {path.parent.resolve() for place in places for path in place.glob(f"*/{CONFIG}")}
    found: dict[str, list[Path]] = {}
    for folder in sorted(folders):
        found.setdefault(read_description(folder)["model"], []).append(folder)
    return found


def run_retrieval(
    weights: Sequence[str],
    gallery: Path,
    queries: Path,
    *,
    comparators: bool,
    backgrounds: Path | None,
    seed: int,
    record: bool,
    picture: Path | None,
    rows: int,
    as_json: bool,
) -> None:
    """Measure weights on photos with known answers.

    ``record`` adds the figures to the weights' metrics.json; ``picture`` shows ``rows`` queries.
    """
    embedders = {name: load_embedder(name) for name in weights}
    bar = Bar(" photos")
    try:
        reports = compare_retrieval(
            embedders, gallery, queries, comparators=comparators, backgrounds=backgrounds,
            seed=seed, answers=picture is not None, progress=bar.show,
        )  # fmt: skip
    finally:
        bar.close()
    if picture is not None:
        answers = {r.embedder: r.answers for r in reports if r.answers is not None}
        save_picture(answer_sheet(answers, rows, seed=seed), picture)
        say(f"{picture}: {rows} queries and what was found for them.")
    if record:
        for report in reports:
            if report.embedder in embedders:
                record_report(find_weights(report.embedder), report)
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        print(format_table(reports))


def record_report(folder: Path, report: RetrievalReport) -> None:
    """Put a measurement into the figures of a weights folder, in place of an earlier one."""
    metrics = read_metrics(folder)
    told = report.to_json() | {"embedder": folder.name}
    metrics.setdefault("retrieval", {})[f"{report.queries} in {report.gallery}"] = told
    write_atomically(folder / METRICS, (json.dumps(metrics, indent=2) + "\n").encode())
