"""How fast, how right and how small is a search among many items?

    nice python tests/bench/bench_search.py [--items 100000] [--folder DIR] [--json FILE]

Vectors are synthetic: clusters that overlap (one centre for each hundred items, noise of .7 of a
centre's length), so that neighbours lie in several lists. Queries are vectors moved by noise to a
cosine of .8, as somebody else's photo would lie; they are not those the index was chosen with. All
runs on one thread, a query at a time.

Pieces, each kept in the folder when it is done, so that a run that was stopped goes on:

    store    the items with their vectors, in ``items.sqlite``
    build    ``build_index`` chooses, builds and publishes
    search   recall and time through the engine: the index alone, and the whole search
    filters  recall and time where 50, 10, 1 and .1 % pass, and after an item has changed
    looks    the same where half and a quarter pass that lie together (``looks.py``)
    open     a new process, from opening the store to its first answer, and its memory
    publish  the slowest in a hundred searches while generations are published, and before
    faiss    the fastest that FAISS alone gives at recall .95: a graph, and a grid of list counts,
             codings, efforts and numbers of candidates ranked again, with vectors in memory
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import faiss
import numpy as np
from looks import by_looks
from measuring import Target, percentile, positive, report
from vectors import (
    RECALL,
    Figures,
    K,
    best_of_faiss,
    blocks,
    draw_queries,
    each,
    everything,
    recall,
    true_numbers,
)

from indexer.database import ReaderPool, connect
from indexer.engines.candidates import is_graph, search_index
from indexer.engines.faiss_engine import FaissEngine
from indexer.engines.faiss_index import IndexPolicy, build_index
from indexer.engines.stored import VECTORS
from indexer.filters import Filter, parse_filter
from indexer.generations import INDEX, current, publish
from indexer.manifest import Contents
from indexer.protocols import Item
from indexer.reading import count_items
from indexer.store import Record, open_writer

SHARES = (0.5, 0.1, 0.01, 0.001)


def make_store(store: Path, items: int, dim: int) -> Figures:
    """Put the items in; goes on where it was."""
    started, done = time.perf_counter(), 0
    if store.exists():
        with closing(connect(store)) as connection:
            done = count_items(connection)
    order = np.random.default_rng(3).permutation(items)  # attributes say nothing of the place
    with open_writer(store) as writer:
        for start, vectors in blocks(items, dim):
            if start + len(vectors) <= done:
                continue
            records = [
                Record(Item(f"{start + n}", "", f"{start + n}", {"n": int(order[start + n])}), v)
                for n, v in enumerate(vectors)
            ]
            writer.upsert(records, fingerprint="bench")
    size = sum(path.stat().st_size for path in store.glob("items.sqlite*"))
    return {
        "storing, us an item": 1e6 * (time.perf_counter() - started) / max(1, items - done),
        "items.sqlite, bytes an item": size / items,
    }


def build(store: Path, args: argparse.Namespace) -> Figures:
    """Choose, build and publish."""
    policy = IndexPolicy(flat_limit=0, recall=RECALL, memory=args.memory)
    with open_writer(store), closing(ReaderPool(store)) as pool:

        def make(path: Path) -> Contents:
            with pool.read() as connection:
                return build_index(connection, path, fingerprint="bench", policy=policy)

        made = publish(store, make)
    assert made.manifest is not None
    for trial in made.manifest.curve:
        print(
            f"  {trial.index:<18} effort {trial.nprobe:>5}  recall {trial.recall_at_10:.3f}  "
            f"{trial.microseconds:8.0f} us  on {trial.items:,}",
            flush=True,
        )
    size = (made.path / INDEX).stat().st_size
    return {
        "choosing and building, s": made.manifest.build_seconds,
        "index, bytes an item": size / made.manifest.count,
        "recall@10 in the manifest": made.manifest.recall_at_10,
    }


def search(store: Path, queries: np.ndarray, true: np.ndarray) -> Figures:
    """The chosen index alone and the whole search, with what both find."""
    with FaissEngine.open(store) as engine:
        opened = engine._view.opened
        effort, width = opened.manifest.nprobe, opened.width(K)
        each(queries[:20], lambda query: engine.search(query, K))
        answers, _ = each(queries, lambda query: engine.search(query, K)[0])
        again = np.tile(queries, (3, 1))  # the grid of FAISS has seen them before, too
        _, alone = each(
            again, lambda query: search_index(opened.index, query, width, effort=effort)
        )
        _, whole = each(again, lambda query: engine.search(query, K))
    found = [{int(hit.id) for hit in hits} for hits in answers]
    return {
        "recall@10 on other queries": recall(found, true),
        "the index alone, ms": median(alone),
        "the whole search, ms": median(whole),
    }


def filtered(store: Path, queries: np.ndarray, items: int) -> Figures:
    """Recall against an exact search, and time against an unfiltered one."""
    figures: Figures = {}
    with FaissEngine.open(store) as engine:
        some = queries[:50]
        each(some[:10], lambda query: engine.search(query, K))
        for share in SHARES:
            where: Filter = parse_filter(
                json.dumps({"must": [{"key": "n", "range": {"lt": max(K, int(share * items))}}]})
            )
            started = time.perf_counter()
            engine.search(some[:1], K, where=where)
            first = 1000 * (time.perf_counter() - started)
            true = engine.search(some, K, exact=True, where=where)
            plain = each(some, lambda query: engine.search(query, K))[1]
            answers, times = each(
                some, lambda query, where=where: engine.search(query, K, where=where)[0]
            )
            same = [
                len({h.id for h in a} & {h.id for h in t}) / len(t)
                for a, t in zip(answers, true, strict=True)
            ]
            name = f"{100 * share:g} % pass"
            figures[f"{name}: recall@10"] = float(np.mean(same))
            figures[f"{name}: time / unfiltered"] = median(times) / median(plain)
            figures[f"{name}: the first search, ms"] = first
            figures[f"{name}: after a change, ms"] = median(after_changes(engine, some[:1], where))
    return figures


def after_changes(engine: FaissEngine, query: np.ndarray, where: Filter) -> list[float]:
    """Milliseconds of a search after an item was stored once more, ten times."""
    (item,), (vector,) = engine.get(["0"]), engine.vectors(["0"])
    record, times = Record(item, vector), []
    with open_writer(engine.store) as writer:
        writer.index_changes()  # as publishing does; this store may be older
        for _ in range(10):
            writer.upsert([record], fingerprint=engine.fingerprint)
            started = time.perf_counter()
            engine.search(query, K, where=where)
            times.append(1000 * (time.perf_counter() - started))
    return times


def first_answer(store: Path, dim: int) -> None:
    """In a process of its own: print seconds to the first answer, and bytes of memory."""
    query = np.random.default_rng(5).standard_normal((1, dim)).astype(np.float32)
    query /= np.linalg.norm(query)
    started = time.perf_counter()
    with FaissEngine.open(store) as engine:
        engine.search(query, K)
        seconds = time.perf_counter() - started
    # Not getrusage, which counts what the parent held before this process was another program.
    status = Path("/proc/self/status").read_text().splitlines()
    told = {line.split(":")[0]: line.split()[1] for line in status if line.endswith("kB")}
    peak, own = 1024 * int(told["VmHWM"]), 1024 * int(told["RssAnon"])
    print(json.dumps([seconds, peak, own]))


def opening(store: Path, dim: int) -> Figures:
    """Time and memory of a new process; the file is in the page cache, as after publishing."""
    words = [sys.executable, __file__, "--first-answer", str(store), "--dim", str(dim)]
    runs = [json.loads(subprocess.check_output(words)) for _ in range(3)]
    return {
        "open to first answer, s": min(run[0] for run in runs),
        "resident at most, MB": max(run[1] for run in runs) / 1e6,
        "of that its own, MB": max(run[2] for run in runs) / 1e6,
    }


def republish(store: Path, times: int) -> None:
    """In a process of its own: publish the current index again and again."""
    os.nice(5)
    for _ in range(times):
        made = current(store)
        assert made is not None
        assert made.manifest is not None
        contents = Contents.model_validate(
            {name: getattr(made.manifest, name) for name in Contents.model_fields}
        )

        def copy(path: Path, made=made, contents=contents) -> Contents:
            for name in (INDEX, VECTORS):
                shutil.copyfile(made.path / name, path.with_name(name))
            return contents

        with open_writer(store):
            publish(store, copy)


def publishing(store: Path, queries: np.ndarray, times: int) -> Figures:
    """The slowest in a hundred searches before and while generations are published."""
    with FaissEngine.open(store) as engine:

        def ask(query: np.ndarray) -> object:
            engine.refresh()
            return engine.search(query, K)

        each(queries, ask)
        before = [t for _ in range(5) for t in each(queries, ask)[1]]
        words = [sys.executable, __file__, "--republish", str(times), "--folder", str(store.parent)]
        generation, seen, during = engine.generation, set(), []
        with subprocess.Popen(words) as child:
            while child.poll() is None:
                during += each(queries[:20], ask)[1]
                seen.add(engine.generation)
        assert child.returncode == 0
    return {
        "p99 before, ms": percentile(before, 0.99),
        "p99 while publishing, ms": percentile(during, 0.99),
        "the slowest while publishing, ms": max(during),
        "searches while publishing": float(len(during)),
        "generations taken up": float(len(seen - {generation})),
    }


def built_graph(store: Path) -> Path | None:
    """The index that was published, if it is a graph."""
    made = current(store)
    if made is None or made.manifest is None or not is_graph(made.manifest.index):
        return None
    return made.path / INDEX


def run(args: argparse.Namespace, folder: Path) -> Figures:
    """Every piece that is not done yet."""
    store, kept = folder / "store", folder / "pieces.json"
    asked = {"items": args.items, "dim": args.dim, "queries": args.queries, "memory": args.memory}
    told = json.loads(kept.read_text()) if kept.exists() else {"asked": asked, "pieces": {}}
    if told["asked"] != asked:
        sys.exit(f"{folder} holds a run of {told['asked']}; give another --folder, or the same.")
    vectors = everything(args.items, args.dim)
    queries = draw_queries(vectors, args.queries)
    truth: list[np.ndarray] = []

    def true() -> np.ndarray:
        if not truth:
            truth.append(true_numbers(vectors, queries))
        return truth[0]

    pieces: dict[str, Callable[[], Figures]] = {
        "store": lambda: make_store(store, args.items, args.dim),
        "build": lambda: build(store, args),
        "search": lambda: search(store, queries, true()),
        "filters": lambda: filtered(store, queries, args.items),
        "looks": lambda: by_looks(store, queries),
        "open": lambda: opening(store, args.dim),
        "publish": lambda: publishing(store, queries, args.publishes),
        "faiss": lambda: best_of_faiss(vectors, queries, true(), built_graph(store)),
    }
    for name, piece in pieces.items():
        if name not in told["pieces"] and name not in args.skip:
            started = time.perf_counter()
            told["pieces"][name] = piece()
            kept.write_text(json.dumps(told, indent=2))
            print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return {name: value for piece in told["pieces"].values() for name, value in piece.items()}


def targets(figures: Figures) -> list[Target]:
    """What of it has a bound."""
    found = [
        Target("recall@10", figures["recall@10 on other queries"], RECALL),
        Target("open to first answer, s", figures["open to first answer, s"], 1, most=True),
        Target("resident at most, MB", figures["resident at most, MB"], 4000, most=True),
        Target(
            "p99 while publishing / before",
            figures["p99 while publishing, ms"] / figures["p99 before, ms"],
            2,
            most=True,
        ),
    ]
    if "FAISS, the best, ms" in figures:
        best = figures["FAISS, the best, ms"]
        found += [
            Target("the index alone / the best of FAISS", figures["the index alone, ms"] / best,
                   1.1, most=True),
            Target("the whole search / the best of FAISS", figures["the whole search, ms"] / best,
                   1.1, most=True),
        ]  # fmt: skip
    for share in SHARES:
        name = f"{100 * share:g} % pass"
        found.append(Target(f"{name}: recall@10", figures[f"{name}: recall@10"], 0.99))
        ratio = f"{name}: time / unfiltered"
        found.append(Target(ratio, figures[ratio], 2, most=True))
    return found


def main() -> None:
    """Measure, print, and write JSON."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--items", type=positive, default=100_000, help="how many")
    options.add_argument("--dim", type=positive, default=128, help="numbers in a vector")
    options.add_argument("--queries", type=positive, default=200, help="how many")
    options.add_argument("--memory", type=positive, help="bytes the index may take")
    options.add_argument("--publishes", type=positive, default=5, help="how many generations")
    options.add_argument("--folder", type=Path, help="keep the store here, and go on from it")
    options.add_argument("--skip", nargs="*", default=[], choices=["faiss"], help="pieces")
    options.add_argument("--json", type=Path, help="also write the figures to this file")
    options.add_argument("--first-answer", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--republish", type=positive, help=argparse.SUPPRESS)
    args = options.parse_args()
    faiss.omp_set_num_threads(1)
    if args.first_answer:
        first_answer(args.first_answer, args.dim)
        return
    if args.republish:
        republish(args.folder / "store", args.republish)
        return
    with tempfile.TemporaryDirectory(prefix="niteru-bench-") as name:
        folder = args.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        figures = run(args, folder)
    about = {
        "items": args.items,
        "dim": args.dim,
        "queries": args.queries,
        "faiss": faiss.__version__,
    }
    report(figures, targets(figures), unit="", about=about, json_file=args.json)


if __name__ == "__main__":
    main()
