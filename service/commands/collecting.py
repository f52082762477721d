"""``niteru gc``: what of a store nobody needs any more, told or removed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from indexer.engines.choice import EngineChoice
from indexer.garbage import Garbage, collect, find_garbage
from service.commands.console import Bar, print_json, stop_on_signal


def run_gc(
    store: Path,
    *,
    keep: int,
    unfinished: bool,
    dry_run: bool,
    choice: EngineChoice,
    as_json: bool,
) -> bool:
    """Collect, or tell what would be collected; whether it was stopped before its end."""
    bar = Bar(" rows")
    with closing(choice.generations(store)) as generations:
        if dry_run:
            found = find_garbage(store, generations, keep=keep, unfinished=unfinished)
        else:
            try:
                with stop_on_signal() as should_stop:
                    found = collect(
                        store, generations, keep=keep, unfinished=unfinished,
                        progress=lambda done, total: bar.show("collect", done, total),
                        should_stop=should_stop,
                    )  # fmt: skip
            finally:
                bar.close()
        spare = None if found or keep == 1 else find_garbage(store, generations, keep=1)
    if as_json:
        print_json(describe(found, store) | {"dry_run": dry_run})
        return found.stopped
    print("\n".join([*lines(found), outcome(found, dry_run=dry_run)]))
    if spare:
        print(
            f"For going back, {len(spare.generations)} older indexes are kept: with --keep 1, "
            f"about {in_bytes(spare.bytes)} would be free."
        )
    return found.stopped


def lines(found: Garbage) -> Iterator[str]:
    """What goes, and what stays and why."""
    for old in found.generations:
        size = in_bytes(old.bytes) if old.bytes else "on the server"
        yield f"generation {old.id}: {size}"
    for one in found.vectors:
        yield f"{one.vectors:,} vectors of {one.fingerprint}: about {in_bytes(one.bytes)}"
    if found.files:
        names = ", ".join(path.name for path in found.files[:3])
        more = f" and {len(found.files) - 3:,} more" if len(found.files) > 3 else ""
        size = in_bytes(found.file_bytes)
        yield f"half-made files and photos of no item: {size} ({names}{more})"
    if found.unused:
        yield f"unused within items.sqlite: {in_bytes(found.unused)}"
    for name in found.held:
        yield f"generation {name} stays: a process answers from it"
    for one in found.unfinished:
        yield (
            f"{one.vectors:,} vectors of {one.fingerprint} stay: they are of an indexing that has "
            f"published nothing, and may go on (--unfinished: about {in_bytes(one.bytes)})"
        )
    if found.vectors_stay:
        yield f"vectors stay: {found.vectors_stay}"


def outcome(found: Garbage, *, dry_run: bool) -> str:
    """The last line."""
    if dry_run and not found.bytes:
        return "Nothing to collect."
    if dry_run:
        return f"About {in_bytes(found.bytes)} would be free. Nothing was changed (--dry-run)."
    if found.stopped:
        return f"Stopped. {in_bytes(found.freed)} are free; the same command goes on."
    return f"{in_bytes(found.freed)} are free now." if found.freed else "Nothing to collect."


def describe(found: Garbage, store: Path) -> dict[str, Any]:
    """It as data, without properties of Python."""
    return {
        "generations": [{"id": old.id, "bytes": old.bytes} for old in found.generations],
        "held": list(found.held),
        "vectors": [told(one) for one in found.vectors],
        "unfinished": [told(one) for one in found.unfinished],
        "vectors_stay": found.vectors_stay,
        "files": [str(path.relative_to(store.absolute())) for path in found.files],
        "file_bytes": found.file_bytes,
        "unused_bytes": found.unused,
        "bytes": found.bytes,
        "freed_bytes": found.freed,
        "stopped": found.stopped,
    }


def told(one: Any) -> dict[str, Any]:
    """The vectors of an embedder as data."""
    return {"fingerprint": one.fingerprint, "vectors": one.vectors, "bytes": one.bytes}


def in_bytes(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
