"""What does a search over HTTP cost beyond decoding, embedding and searching?

    python tests/bench/bench_http.py [--data DIR] [--items 1200] [--requests 400] [--json FILE]

A real ``niteru serve`` process is asked by a client that costs next to nothing, see
``connections.py``; the same photos are searched with in this process, with the same weights and
the same store.

- One at a time: the median time of a request against that of decode + embed + search here, photo
  by photo in turns.
- 32 at once: requests a second against the best rate that this process reaches with a thread on
  every core, each of which decodes, embeds and searches a batch; in turns, and the ratio is the
  median over the rounds.

Client and server share the cores with this process. So the processor time of a search is printed as
well, of each of the three: where all cores are busy it is what decides the rate, and other work on
the machine hardly changes it.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from connections import Connection, bare, closed_loop
from measuring import Target, paired, parser, percentile, positive, report, workplace

from indexer.engines.faiss_engine import FaissEngine
from indexer.pipeline import index_catalogue
from indexer.protocols import Catalogue, Embedder
from indexer.runtime import load_embedder
from models.images import ImageError
from service.commands.console import cores
from service.commands.demo import free_port, serving
from service.commands.indexing import BATCH

LIMIT = 10
CLIENTS = 32
BATCHES = (4, 16, 64)
PATH = f"/v1/search?limit={LIMIT}"
EMPTY = bare("/livez", b"", method="GET")


@dataclass(frozen=True, slots=True)
class InProcess:
    """The same work without HTTP."""

    embedder: Embedder
    engine: FaissEngine

    def search(self, photos: Sequence[bytes]) -> None:
        """Decode, embed and search a batch of photos."""
        pixels = np.stack([self.embedder.preprocessing.read(photo) for photo in photos])
        self.engine.search(self.embedder.embed(pixels), LIMIT)

    def rate(self, photos: Sequence[bytes], batch: int) -> float:
        """Photos a second with a thread on every core."""
        parts = [photos[start : start + batch] for start in range(0, len(photos), batch)]
        started = time.perf_counter()
        with ThreadPoolExecutor(cores()) as executor:
            for _ in executor.map(self.search, parts):
                pass
        return len(photos) / (time.perf_counter() - started)


@dataclass(slots=True)
class Latencies:
    """Milliseconds, one at a time.

    Attributes:
        here, http: Of a search in this process and of one over HTTP.
        empty: Of a request that asks for nothing: what HTTP costs in any case.
        steps: The server's own account of a search.
    """

    here: list[float] = field(default_factory=list)
    http: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)


def readable_photos(catalogue: Catalogue, embedder: Embedder) -> Iterator[bytes]:
    """The photos that can be searched with."""
    for entry in catalogue:
        try:
            data = catalogue.read(entry)
            embedder.preprocessing.read(data)
        except (OSError, ImageError):
            continue
        yield data


Result = TypeVar("Result")


def timed(work: Callable[..., Result], *given: object) -> tuple[Result, float]:
    """What came of it, and the milliseconds that it took."""
    started = time.perf_counter()
    result = work(*given)
    return result, 1000 * (time.perf_counter() - started)


def one_at_a_time(photos: Sequence[bytes], here: InProcess, port: int) -> Latencies:
    """Search with each photo here and over HTTP, in turns."""
    taken = Latencies()
    with closing(Connection(port)) as client:
        for number, photo in enumerate(photos):
            for http in (False, True) if number % 2 else (True, False):
                if http:
                    body, milliseconds = timed(client.good, bare(PATH, photo))
                    taken.http.append(milliseconds)
                    for step, value in json.loads(body)["timings_ms"].items():
                        taken.steps.setdefault(step, []).append(value)
                else:
                    taken.here.append(timed(here.search, [photo])[1])
            taken.empty.append(timed(client.good, EMPTY)[1])
    return taken


def rate_over_http(photos: Sequence[bytes], port: int) -> float:
    """Requests a second by 32 clients at once."""
    return closed_loop([bare(PATH, photo) for photo in photos], port, CLIENTS).rate


@dataclass(slots=True)
class Rates:
    """Searches a second, round by round, and the processor milliseconds of one.

    Attributes:
        batch: The size with which this process is fastest.
        here, http: The rates.
        busy: Processor milliseconds of a search: here, of the server and of the client.
    """

    batch: int
    here: list[float] = field(default_factory=list)
    http: list[float] = field(default_factory=list)
    busy: dict[str, list[float]] = field(default_factory=dict)

    def note(self, who: str, seconds: float, searches: int) -> None:
        """Remember processor time."""
        self.busy.setdefault(who, []).append(1000 * seconds / searches)


def processor_seconds(process: int) -> float:
    """User and system time of a process so far; 0 where the system does not tell it."""
    path = Path(f"/proc/{process}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()  # its name may hold anything but this
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_rates(
    photos: Sequence[bytes], here: InProcess, port: int, *, server: int, rounds: int
) -> Rates:
    """Searches a second here and over HTTP, in turns; ``server`` is the process."""
    tried = {batch: here.rate(photos, batch) for batch in BATCHES}
    rates = Rates(max(tried, key=lambda batch: tried[batch]))
    rate_over_http(photos, port)  # so that both are warm
    for turn in range(rounds):
        for http in (False, True) if turn % 2 else (True, False):
            own, other = time.process_time(), processor_seconds(server)
            if http:
                rates.http.append(rate_over_http(photos, port))
                rates.note("server", processor_seconds(server) - other, len(photos))
            else:
                rates.here.append(here.rate(photos, rates.batch))
            rates.note("client" if http else "here", time.process_time() - own, len(photos))
        print(
            f"round {turn + 1}: here {rates.here[-1]:.0f}, over HTTP {rates.http[-1]:.0f}",
            flush=True,
        )
    return rates


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--requests", type=positive, default=400, help="of each measurement")
    given = options.parse_args()
    embedder = load_embedder(given.weights)
    with workplace(given.data, given.items) as (catalogue, folder):
        store = folder / "store"
        index_catalogue(catalogue, store, embedder, workers=cores(), batch=BATCH)
        photos = list(itertools.islice(readable_photos(catalogue, embedder), given.requests))
        port = free_port()
        with (
            FaissEngine.open(store) as engine,
            serving(store, given.weights, f"http://127.0.0.1:{port}") as server,
        ):
            here = InProcess(embedder, engine)
            one_at_a_time(photos[:20], here, port)
            one = one_at_a_time(photos, here, port)
            many = measure_rates(photos, here, port, server=server.pid, rounds=given.rounds)
    about = {"searches": len(photos), "weights": given.weights, "embedder": type(embedder).__name__}
    tell(one, many, about=about, json_file=given.json)


def tell(one: Latencies, many: Rates, *, about: dict[str, object], json_file: Path | None) -> None:
    """The report."""
    figures = {
        "one at a time: decode + embed + search, ms": median(one.here),
        "one at a time: over HTTP, ms": median(one.http),
        "one at a time: over HTTP, 95 % within, ms": percentile(one.http, 0.95),
        **{f"    of it {step}, ms": median(values) for step, values in one.steps.items()},
        "one at a time: an empty request, ms": median(one.empty),
        f"here, in batches of {many.batch}": median(many.here),
        f"over HTTP, {CLIENTS} at once": median(many.http),
        **{f"    processor time, {who}, ms": median(v) for who, v in sorted(many.busy.items())},
    }
    targets = [
        Target("one at a time: HTTP / here", median(one.http) / median(one.here), 1.25, most=True),
        Target(f"{CLIENTS} at once: HTTP / here", paired(many.http, many.here), 0.85),
    ]
    report(figures, targets, unit="searches/s", about=about, json_file=json_file)


if __name__ == "__main__":
    main()
