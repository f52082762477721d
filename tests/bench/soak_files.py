"""Parts of the soak of a store: publishes under load, damaged files, a full disk."""

import subprocess
import threading
from pathlib import Path

import numpy as np
from soaking import (
    NAMES,
    SoakError,
    check_answers,
    fill,
    make,
    record,
    require,
    stored,
    vector_of,
)

from indexer.engines.faiss_engine import FaissEngine
from indexer.errors import GenerationError, StoreFullError
from indexer.generations import CURRENT, GENERATIONS, garbage_collect, read_current
from indexer.store import open_writer


def soak_publishes(folder: Path, count: int) -> str:
    """Publish under load; every answer is wholly of one state."""
    store, query, items = folder / "store", vector_of("query"), NAMES[:30]

    def put(state: int) -> None:
        with open_writer(store) as writer:
            writer.upsert([record(name, f"{state}") for name in items], fingerprint="f")
            make(store)

    put(0)
    allowed = {
        tuple(sorted(round(float(vector_of(f"{n}{state}") @ query), 4) for n in items))
        for state in range(count + 1)
    }
    stop, asked, wrong = threading.Event(), [0, 0, 0], []

    def ask(place: int, engine: FaissEngine) -> None:
        while not stop.is_set():
            try:
                engine.refresh()
                hits = engine.search(query[None], 99)[0]
                scores = tuple(sorted(round(hit.score, 4) for hit in hits))
                if scores not in allowed and not any(
                    len(scores) == len(a) and np.allclose(scores, a, atol=2e-4) for a in allowed
                ):
                    wrong.append(f"mixed: {hits}")
            except Exception as error:  # noqa: BLE001 - whatever fails is what is looked for
                wrong.append(f"failed: {error!r}")
            asked[place] += 1

    with FaissEngine.open(store) as engine:
        threads = [threading.Thread(target=ask, args=(n, engine)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for state in range(1, count + 1):
                put(state)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    require(not wrong, f"{len(wrong)} of {sum(asked)} answers: {wrong[:3]}")
    require(min(asked) > 0, "a thread asked nothing")
    return f"{count} publishes, {sum(asked)} searches meanwhile: 0 failed, 0 mixed"


def soak_damage(folder: Path, count: int, rng: np.random.Generator) -> str:
    """Damage the newest generation in every way; it is refused, and the one before answers."""
    store = folder / "store"
    model = fill(store, 20)
    with FaissEngine.open(store) as engine:
        old = engine.generation
        with open_writer(store):
            make(store)
        new = read_current(store)
        assert new is not None
        for number in range(count):
            name = ("index.faiss", "manifest.json", CURRENT)[number % 3]
            path = store / CURRENT if name == CURRENT else store / GENERATIONS / new / name
            whole = path.read_bytes()
            path.write_bytes(damaged(whole, number // 3 % 4, rng))
            for call in (lambda: FaissEngine.open(store).close(), engine.refresh):
                try:
                    call()
                except GenerationError as error:
                    require(len(str(error)) > 40, f"{name}: says little: {error}")
                else:
                    raise SoakError(f"damage {number} of {name} was not noticed")
            require(engine.generation == old, "the engine left its generation")
            require(len(engine.search(vector_of("query")[None], 99)[0]) == 20, "it answers no more")
            path.write_bytes(whole)
            engine._refused = None  # what was refused is remembered until another is current
        require(engine.refresh(), "the mended generation is not taken up")
    (store / f"{CURRENT}.tmp").write_text("half")
    for name in (".staging-20200101T000000Z-0000", ".staging-x"):
        (store / GENERATIONS / name).mkdir()
        (store / GENERATIONS / name / "index.faiss").write_bytes(b"half")
    with open_writer(store):
        make(store)
    require(not list((store / GENERATIONS).glob(".*")), "leftovers stayed")
    check_answers(store, model)
    return f"{count} damaged files refused, each with its reason; leftovers of crashes removed"


def damaged(whole: bytes, how: int, rng: np.random.Generator) -> bytes:
    """Cut off, altered, another program's, or empty; never what it was."""
    place = int(rng.integers(1, len(whole) - 1))
    if how == 0:
        return whole[:place]
    if how == 1:
        return whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
    return b"\x89PNG\r\n\x1a\n" + rng.bytes(50) if how == 2 else b""


def soak_disk(folder: Path) -> str:
    """Fill a small disk while upserting and publishing, free some of it, and go on."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "skipped: there is no mount command"
    if mounted.returncode:
        return f"skipped: no tmpfs can be mounted here ({mounted.stderr.strip()})"
    try:
        return fill_and_free(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_and_free(folder: Path) -> str:
    """What is asked of a full disk."""
    store, ballast, rest, model = folder / "store", folder / "ballast", folder / "rest", {}
    ballast.write_bytes(bytes(1_000_000))
    full = {"upsert": 0, "publish": 0}
    for number in range(20_000):
        name, sha = NAMES[number % len(NAMES)], f"{number}-" + "x" * 2000
        try:
            with open_writer(store) as writer:
                writer.upsert([record(name, sha)], fingerprint="f")
            model[name] = sha
        except StoreFullError as error:
            require("No space" in str(error), str(error))
            full["upsert"] += 1
            break
        if number % 10 == 9:
            generation = read_current(store)
            try:
                with open_writer(store):
                    make(store)
            except StoreFullError:
                full["publish"] += 1
                require(read_current(store) == generation, "a failed publish changed CURRENT")
    require(full["upsert"] == 1, "the disk never ran full")
    generation = read_current(store)
    eat(rest)
    try:
        with open_writer(store):
            make(store)
    except StoreFullError:
        full["publish"] += 1
    require(full["publish"] > 0, "an index was published on a full disk")
    require(read_current(store) == generation, "a failed publish changed CURRENT")
    ballast.unlink()
    rest.unlink()
    require(stored(store) == model, "what was acknowledged before the disk was full is gone")
    garbage_collect(store, keep=1)
    with open_writer(store) as writer:
        writer.upsert([record("i00", "after")], fingerprint="f")
        make(store)
    check_answers(store, {**model, "i00": "after"})
    return f"full after {number} changes, refused in our words: nothing lost, works again"


def eat(path: Path) -> None:
    """Leave no space at all."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
