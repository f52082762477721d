"""``niteru models`` and ``evaluate retrieval``: what there is, and how good it is."""

import json
from collections.abc import Sequence
from pathlib import Path

from indexer.evaluation.report import RetrievalReport, format_table
from indexer.evaluation.retrieval import compare_retrieval
from indexer.runtime import load_embedder
from models.training.weights import (
    METRICS,
    find_weights,
    read_metrics,
    write_atomically,
)
from service.commands.answers import answer_sheet, save_picture
from service.commands.console import Bar, print_json, say
from service.model_cards import model_cards


def run_models(*, as_json: bool) -> None:
    """List every model, what it can do, the weights there are of it, and their figures."""
    cards = model_cards()
    if as_json:
        print_json(
            [
                {
                    "name": card.name, "about": card.about, "modality": card.modality,
                    "abilities": card.abilities, "presets": card.presets, "train": card.train,
                    "weights": [weights.name for weights in card.weights],
                    "figures": {weights.name: weights.figures for weights in card.weights},
                }
                for card in cards
            ]
        )  # fmt: skip
        return
    for card in cards:
        print(f"{card.name:<12} {card.about}")
        print(f"{'':<12} can: {', '.join(card.abilities)}")
        print(f"{'':<12} presets: {', '.join(card.presets)}")
        weights = ", ".join(weights.told() for weights in card.weights)
        print(f"{'':<12} weights: {weights or f'none yet: {card.train}'}")


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
