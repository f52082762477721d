"""``niteru index``, ``generations`` and ``rollback``: the life of an index."""

import sys
from collections.abc import Sequence
from contextlib import closing, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from indexer.catalogues import open_catalogue
from indexer.demands import Demands
from indexer.engines.choice import EngineChoice
from indexer.generations import Generation
from indexer.pipeline import index_catalogue
from indexer.protocols import Catalogue, Embedder
from indexer.publishing import Generations
from indexer.report import IndexReport, Progress
from indexer.runtime import Runtime, load_embedder
from indexer.weights_at_hand import choose_to_index
from indexer.workers import Workers, ray_workers
from service.commands.console import Bar, cores, print_json, say, stop_on_signal

BATCH = 32


def run_index(
    catalogue: str,
    store: Path,
    *,
    weights: str | None,
    usual: str,
    runtime: Runtime,
    workers: int | Literal["ray"] | None,
    prune: bool,
    demands: Demands,
    choice: EngineChoice,
    as_json: bool,
    photos_from: Sequence[str] = (),
) -> IndexReport:
    """Bring a store up to date with a catalogue, showing how it goes."""
    folder = choose_to_index(store, choice, named=weights, usual=usual)
    embedder = load_embedder(folder, runtime=runtime)
    chosen = ray_workers(folder, runtime, batch=BATCH) if workers == "ray" else workers
    # Ray prints what happens to its nodes, and it is no data.
    with redirect_stdout(sys.stderr), closing(choice.generations(store)) as generations:
        report = index_with_bar(
            open_catalogue(catalogue, photos_from=photos_from), store, embedder, chosen,
            prune=prune, demands=demands, generations=generations, weights=folder,
        )  # fmt: skip
    if as_json:
        print_json(asdict(report) | {"message": report.message})
        return report
    for failure in report.failures[:10]:
        say(f"left out {failure.id}: {failure.reason}")
    if len(report.failures) > 10:
        where = store / "reports" / f"{report.run}.json"
        say(f"... and {len(report.failures) - 10} more: see {where}")
    print(f"{report.message} {report.seconds:.1f} s.")
    return report


def index_with_bar(
    catalogue: Catalogue,
    store: Path,
    embedder: Embedder,
    workers: int | Workers | None,
    *,
    prune: bool,
    demands: Demands | None = None,
    generations: Generations | None = None,
    weights: Path | None = None,
) -> IndexReport:
    """Index with a progress bar; an interrupt stops the run with all it has done kept."""
    bar = Bar(" items")

    def show(progress: Progress) -> None:
        failed = f"{progress.failed} left out" if progress.failed else ""
        bar.show(progress.stage, progress.done, progress.total, failed)

    try:
        with stop_on_signal() as should_stop:
            return index_catalogue(
                catalogue, store, embedder, workers=workers or cores(), batch=BATCH, prune=prune,
                demands=demands, progress=show, should_stop=should_stop,
                generations=generations, weights=weights,
            )  # fmt: skip
    finally:
        bar.close()


def run_generations(store: Path, *, choice: EngineChoice, as_json: bool) -> None:
    """List the generations of a store, oldest first."""
    with closing(choice.generations(store)) as found:
        generations = found.listed()
    if as_json:
        print_json([describe(generation) for generation in generations])
        return
    if not generations:
        print(
            f"No generation in {store} yet. Make one with: niteru index CATALOGUE --store {store}"
        )
    for generation in generations:
        told = describe(generation)
        mark = "*" if generation.current else " "
        print(
            f"{mark} {generation.id}  {told.get('count', '?'):>9} items  "
            f"{told.get('index', 'unreadable'):<12} recall@10 {told.get('recall_at_10', '-')}  "
            f"{told.get('fingerprint', '')}"
        )


def describe(generation: Generation) -> dict[str, Any]:
    """A generation as data."""
    manifest = {} if generation.manifest is None else generation.manifest.model_dump(mode="json")
    return {"id": generation.id, "current": generation.current, **manifest}


def run_rollback(generation_id: str, store: Path, *, choice: EngineChoice) -> None:
    """Let another generation answer, from the next query on."""
    with closing(choice.generations(store)) as found:
        generation = found.activate(generation_id)
    print(f"Generation {generation.id} answers now. A running server takes it up by itself.")
