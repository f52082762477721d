"""Can a store be trusted? Kills, crashes, publishes under load, damage, a full disk, two writers.

    python tests/bench/soak_store.py [--kills 500] [--publishes 100] [--seed N] [--json FILE]

    kills      a process upserts, deletes, publishes and collects, and is killed (-9) at a random
               moment: what it acknowledged is there, what it deleted stays away, and only the one
               change under way may be either there or not
    crashes    a process is killed before each step of a publish: the old index answers or the new
    publishes  generations are published while threads search: no search fails, and every answer
               is wholly of one state of the catalogue
    damage     files are cut off, altered, replaced and left over: refused with the reason, and the
               last good generation goes on answering
    disk       a small tmpfs runs full: a clear error, nothing lost, and all is well with space
               again; skipped, with the reason, where none can be mounted
    writers    two writers at once: the second is refused, by the first one's process id
    histories  random calls against a dictionary; the seed is printed, and gives the same again

Ends with 1 if anything was found. A killed process is a fork of this one, so that a kill takes
milliseconds and 500 of them minutes.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from soak_files import soak_damage, soak_disk, soak_publishes
from soaking import (
    NAMES,
    Model,
    SoakError,
    check_answers,
    fill,
    in_child,
    make,
    record,
    require,
    stored,
    vector_of,
)

from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import IndexerError, StoreBusyError
from indexer.filesystem import LocalFileSystem
from indexer.filters import parse_filter
from indexer.generations import (
    GENERATIONS,
    activate,
    current,
    garbage_collect,
    list_ids,
    read_current,
    remove_old,
)
from indexer.store import StoreWriter, open_writer


def change(store: Path, seed: int, pipe: int) -> None:
    """Change a store for ever: tell each change before it, and ``+`` once it is acknowledged."""
    rng = np.random.default_rng(seed)
    with open_writer(store) as writer:
        for number in range(100_000):
            name, sha = NAMES[rng.integers(len(NAMES))], f"{seed}-{number}"
            delete = rng.random() < 0.4
            os.write(pipe, f"{name} {'-' if delete else sha}\n".encode())
            if delete:
                writer.delete([name])
            else:
                writer.upsert([record(name, sha)], fingerprint="f")
            os.write(pipe, b"+\n")
            if number % 5 == 4 and stored(store):
                make(store)
            if number % 20 == 19:
                collect(writer)


def collect(writer: StoreWriter) -> None:
    """Remove old generations, as an indexing run does."""
    remove_old(writer, keep=3)


def apply(model: Model, line: str) -> Model:
    """The model after a change as it is told."""
    name, sha = line.split()
    rest = {key: value for key, value in model.items() if key != name}
    return rest if sha == "-" else {**rest, name: sha}


def soak_kills(folder: Path, count: int, rng: np.random.Generator) -> str:
    """Kill a process that changes a store, again and again, over one store."""
    store, model, changes, unsure = folder / "store", {}, 0, 0
    with open_writer(store):
        pass
    for number in range(count):
        seed = int(rng.integers(2**31))
        child, pipe = in_child(lambda end, seed=seed: change(store, seed, end))
        with os.fdopen(pipe) as told:
            first = told.readline()
            time.sleep(float(rng.uniform(0, 0.25)))
            os.kill(child, signal.SIGKILL)
            lines = [first, *told]
        os.waitpid(child, 0)
        waiting = None
        for line in lines:
            if not line.endswith("\n"):
                break  # killed while telling: the change had not begun
            if line == "+\n":
                model, waiting, changes = apply(model, waiting), None, changes + 1
            else:
                waiting = line
        found = stored(store)
        if waiting is not None and found == apply(model, waiting) != model:
            model, unsure = found, unsure + 1
        both = {key: (model.get(key), found.get(key)) for key in model | found}
        lost = {key: pair for key, pair in both.items() if pair[0] != pair[1]}
        require(not lost, f"kill {number}, seed {seed}: acknowledged and found differ: {lost}")
        check_answers(store, model)
    return (
        f"{count} kills, {changes} acknowledged changes, {unsure} under way that were kept: "
        "0 lost, 0 came back"
    )


class DeadlyFileSystem(LocalFileSystem):
    """Kills its process before step number ``fatal``."""

    def __init__(self, fatal: int) -> None:
        self.left = fatal

    def _step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def make_directory(self, path: Path) -> None:
        self._step()
        super().make_directory(path)

    def write(self, path: Path, data: bytes) -> None:
        self._step()
        path.write_bytes(data[: len(data) // 2])  # a crash half-way through
        self._step()
        super().write(path, data)

    def sync(self, path: Path) -> None:
        self._step()
        super().sync(path)

    def replace(self, source: Path, target: Path) -> None:
        self._step()
        super().replace(source, target)

    def remove_tree(self, path: Path) -> None:
        self._step()
        super().remove_tree(path)


def soak_crashes(folder: Path) -> str:
    """Kill a publish before each of its steps."""
    store, outcomes = folder / "store", {"old": 0, "new": 0}
    model = fill(store, 20)
    for fatal in range(100):
        before = read_current(store)

        def work(_: int, fatal: int = fatal) -> None:
            with open_writer(store):
                make(store, files=DeadlyFileSystem(fatal))

        child, pipe = in_child(work)
        os.close(pipe)
        status = os.waitpid(child, 0)[1]
        outcomes["old" if read_current(store) == before else "new"] += 1
        check_answers(store, model)
        if status == 0:
            break
        require(os.WIFSIGNALED(status), f"step {fatal}: the child failed by itself")
        garbage_collect(store, keep=2)
        leftovers = [path.name for path in (store / GENERATIONS).glob(".*")]
        require(not leftovers, f"left over after collecting: {leftovers}")
    require(min(outcomes.values()) > 1, f"only {outcomes}")
    return (
        f"killed before each of {fatal} steps: the old index answered {outcomes['old']} times, "
        "else the new one"
    )


def soak_writers(folder: Path, count: int) -> str:
    """While one process writes, another is refused, by the first one's id."""
    store = folder / "store"

    def hold(pipe: int) -> None:
        with open_writer(store):
            os.write(pipe, b"held\n")
            time.sleep(60)

    for _ in range(count):
        child, pipe = in_child(hold)
        try:
            os.read(pipe, 5)
            with open_writer(store):
                raise SoakError("two writers at once")
        except StoreBusyError as error:
            require(str(child) in str(error), f"the holder {child} is not named: {error}")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(pipe)
        with open_writer(store):
            pass  # its lock went with it
    return f"{count} times a second writer was refused by name, and let in after a kill"


def soak_histories(folder: Path, count: int, seed: int) -> str:
    """Random calls against a dictionary."""
    calls = 0
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        store, model = folder / f"{number}", {}
        with open_writer(store) as writer:
            writer.upsert([record("i00", "first")], fingerprint="f")
            make(store)
        model["i00"] = "first"
        with FaissEngine.open(store) as engine:
            for step in range(30):
                calls += 1
                try:
                    one_call(store, model, engine, rng, step)
                except SoakError as error:
                    told = f"seed {seed}, history {number}, step {step}: {error}"
                    raise SoakError(told) from error
        shutil.rmtree(store)
    return f"{count} histories of 30 calls, seed {seed}: {calls} calls agree with a dictionary"


def one_call(
    store: Path, model: Model, engine: FaissEngine, rng: np.random.Generator, step: int
) -> None:
    """One random call, and a search compared with the model."""
    names = [NAMES[n] for n in rng.integers(len(NAMES), size=rng.integers(1, 6))]
    match int(rng.integers(6)):
        case 0 | 1:
            with open_writer(store) as writer:
                writer.upsert([record(n, f"{step}") for n in names], fingerprint="f")
            model.update((name, f"{step}") for name in names)
        case 2:
            with open_writer(store) as writer:
                there = len({name for name in names if name in model})
                require(writer.delete(names) == there, "deleted another number than there were")
            for name in names:
                model.pop(name, None)
        case 3 if model:
            with open_writer(store):
                make(store)
        case 4:
            generation = list_ids(store)[rng.integers(len(list_ids(store)))]
            activate(store, generation)
        case _:
            garbage_collect(store, keep=int(rng.integers(1, 4)))
    if rng.random() < 0.7:
        engine.refresh()
    below, query = int(rng.integers(len(NAMES))), vector_of(f"q{rng.integers(9)}")
    where = parse_filter(json.dumps({"must": [{"key": "n", "range": {"lt": below}}]}))
    passing = [name for name in model if int(name[1:]) < below]
    true = sorted((-float(vector_of(n + model[n]) @ query), n) for n in passing)[:7]
    hits = engine.search(query[None], 7, where=where, exact=bool(rng.integers(2)))[0]
    require([hit.id for hit in hits] == [name for _, name in true], f"{hits} instead of {true}")
    require((len(engine), engine.count(where)) == (len(model), len(passing)), "counts differ")
    serving = current(store)
    require(serving is not None and serving.manifest is not None, "no sound generation")


def main() -> None:
    """Run every part, print what was found, and write JSON."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--kills", type=int, default=500)
    options.add_argument("--publishes", type=int, default=100)
    options.add_argument("--damages", type=int, default=300)
    options.add_argument("--writers", type=int, default=20)
    options.add_argument("--histories", type=int, default=50)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--json", type=Path, help="also write what was found to this file")
    args = options.parse_args()
    faiss.omp_set_num_threads(1)
    print(f"seed {args.seed}", flush=True)
    rng = np.random.default_rng(args.seed)
    parts: dict[str, Callable[[Path], str]] = {
        "kills": lambda folder: soak_kills(folder, args.kills, rng),
        "crashes": soak_crashes,
        "writers": lambda folder: soak_writers(folder, args.writers),
        "damage": lambda folder: soak_damage(folder, args.damages, rng),
        "disk": soak_disk,
        "histories": lambda folder: soak_histories(folder, args.histories, args.seed),
        "publishes": lambda folder: soak_publishes(folder, args.publishes),
    }
    told: dict[str, object] = {"seed": args.seed}
    failed = False
    with tempfile.TemporaryDirectory(prefix="niteru-soak-") as name:
        for part, run in parts.items():
            started = time.perf_counter()
            try:
                told[part] = run(Path(name) / part)
            except (SoakError, IndexerError) as error:
                told[part], failed = f"FOUND: {error}", True
            print(f"{part:<10} {told[part]} ({time.perf_counter() - started:.0f} s)", flush=True)
    if args.json:
        args.json.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
