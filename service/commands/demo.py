"""``niteru demo`` and ``sample-catalogue``: the main job end to end, on photos of our own."""

import csv
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from statistics import median

from indexer.catalogues import open_catalogue
from indexer.runtime import load_embedder
from indexer.sample import Factor, write_catalogue, write_queries
from service.binding import check_address
from service.commands.console import Bar, say
from service.commands.indexing import index_with_bar
from service.commands.pictures import Row, draw_results
from service.commands.requesting import fetch, search

NEEDED = 0.85  # share of the queries that must find their item first; the weights reach .93
LIMIT = 5
START_SECONDS = 60.0


class DemoError(ValueError):
    """The demo did not do what it should."""


@dataclass(frozen=True, slots=True)
class Query:
    """A photo and the item that it shows."""

    photo: Path
    item: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server found for a query, and how long the request took."""

    query: Query
    found: tuple[str, ...]
    scores: tuple[float, ...]
    milliseconds: float

    @property
    def right(self) -> bool:
        """Whether the item stands first."""
        return bool(self.found) and self.found[0] == self.query.item


def run_demo(
    folder: Path, *, items: int, queries: int, port: int, weights: str, once: bool
) -> None:
    """Render, index, serve, query; then stay up, or with ``once`` judge the answers.

    Raises:
        AddressError: The port is taken.
        DemoError: The server did not start, or too few answers were right.
    """
    check_address("127.0.0.1", port)  # first: without these two nothing else is worth a wait
    embedder = load_embedder(weights)
    with timed(f"rendered {items:,} items and {queries} photos of them on other backgrounds"):
        catalogue = folder / "catalogue"
        render(catalogue, items=items)
        asked = render_queries(folder / "queries", catalogue, queries, "background")
    with timed("indexed"):
        store = folder / "store"
        report = index_with_bar(
            open_catalogue(catalogue / "items.csv"), store, embedder, None, prune=True
        )
        if report.stopped:
            raise DemoError(report.message)
    address = f"http://127.0.0.1:{port or free_port()}"
    with serving(store, weights, address) as server:
        with timed("queried"):
            answers = [ask(address, query) for query in asked]
        tell(answers)
        picture = folder / "results.png"
        draw_results(rows(answers[:12], catalogue)).save(picture)
        print(f"A picture of the answers: {picture}")
        if not once:
            stay(address, asked[0], server)
    right = sum(answer.right for answer in answers)
    if right < NEEDED * len(answers):
        raise DemoError(
            f"Only {right} of {len(answers)} photos found their item first; "
            f"at least {NEEDED:.0%} should with the shipped weights."
        )


def run_sample_catalogue(
    out: Path,
    *,
    items: int,
    photos_per_item: int,
    masks: bool,
    queries: int,
    factor: Factor,
    size: int,
    seed: int,
) -> None:
    """Write a sample catalogue, and photos of its items in other scenes."""
    render(out, items=items, photos_per_item=photos_per_item, masks=masks, size=size, seed=seed)
    print(f"{out / 'items.csv'}: {items:,} items.")
    if queries:
        folder = out.with_name(f"{out.name}-{factor}")
        render_queries(folder, out, queries, factor)
        print(f"{folder / 'queries.csv'}: {queries:,} photos, another {factor} in each.")


def render(
    folder: Path,
    *,
    items: int,
    photos_per_item: int = 1,
    masks: bool = False,
    size: int = 256,
    seed: int = 0,
) -> None:
    """Render a catalogue with a progress bar."""
    bar = Bar(" photos")
    try:
        write_catalogue(
            folder, items=items, seed=seed, size=size, photos_per_item=photos_per_item,
            masks=masks, progress=lambda done, total: bar.show("render", done, total),
        )  # fmt: skip
    finally:
        bar.close()


def render_queries(folder: Path, catalogue: Path, queries: int, factor: Factor) -> list[Query]:
    """Photograph items again with one factor changed."""
    write_queries(folder, catalogue, factor=factor, queries=queries)
    with (folder / "queries.csv").open(newline="", encoding="utf-8") as file:
        return [Query(folder / row["query"], row["item_id"]) for row in csv.DictReader(file)]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a step took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(store: Path, weights: str, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``niteru serve`` until the block ends.

    Raises:
        DemoError: It did not become ready.
    """
    port = address.rsplit(":", 1)[1]
    log = store / "server.log"
    command = [sys.executable, "-m", "service", "serve", "--store", str(store)]
    command += ["--weights", weights, "--port", port]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - ours
    try:
        with timed("server ready"):
            wait_until_ready(server, address, log)
        yield server
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Ask the server's readiness probe until it says yes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise DemoError(
                f"The server did not start at {address}: {' | '.join(last) or 'it said nothing'}. "
                "If the port is taken, choose another: NITERU_PORT=8001 make demo."
            )
        try:
            if fetch(address, "GET", "/readyz", timeout=2.0)[0] == 200:
                return
        except (ConnectionError, HTTPException):
            pass
        time.sleep(0.1)
    raise DemoError(f"The server was not ready after {START_SECONDS:.0f} s; its log: {log}")


def ask(address: str, query: Query) -> Answer:
    """Search with a photo, as any client would."""
    items, milliseconds = search(address, query.photo, LIMIT)
    return Answer(
        query, tuple(i["id"] for i in items), tuple(i["score"] for i in items), milliseconds
    )


def tell(answers: Sequence[Answer]) -> None:
    """Print what was asked and found."""
    for answer in answers:
        rank = answer.found.index(answer.query.item) + 1 if answer.query.item in answer.found else 0
        verdict = f"found at place {rank}" if rank else f"not among the first {LIMIT}"
        best = f"{answer.scores[0]:.3f} {answer.found[0]}" if answer.found else "nothing"
        print(
            f"  {answer.query.item:<22} on another background: {verdict:<24} "
            f"best: {best:<28} {answer.milliseconds:5.1f} ms"
        )
    right = sum(answer.right for answer in answers)
    print(
        f"{right} of {len(answers)} photos found their item first; a query took "
        f"{median(answer.milliseconds for answer in answers):.1f} ms (median)."
    )


def rows(answers: Sequence[Answer], catalogue: Path) -> list[Row]:
    """The answers as rows of a picture."""
    paths = {entry.id: Path(entry.uri) for entry in open_catalogue(catalogue / "items.csv")}
    return [
        Row(
            answer.query.photo,
            tuple(paths[item] for item in answer.found),
            answer.found.index(answer.query.item) if answer.query.item in answer.found else None,
        )
        for answer in answers
    ]


def stay(address: str, query: Query, server: subprocess.Popen[bytes]) -> None:
    """Wait for an interrupt, having said what can be done meanwhile."""
    print(
        f"\nServing at {address} until interrupted (its documentation: {address}/docs). Try:\n"
        f"  curl -F image=@{query.photo} '{address}/v1/search?limit=5'"
    )
    try:
        server.wait()
        raise DemoError("The server ended by itself.")
    except KeyboardInterrupt:
        say("\nStopped.")
