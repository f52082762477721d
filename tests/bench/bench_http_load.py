"""How fast are searches at a fixed rate, while other work is done, and beside other servers?

    python tests/bench/bench_http_load.py [--data DIR] [--items 1200] [--seconds 10] [--rate 100]
        [--python /tmp/peers/bin/python] [--wrk PATH] [--json FILE]

A real ``niteru serve`` is asked, with the same photos as in ``bench_http.py``:

- An open loop: requests arrive at a fixed rate, and a request's time begins when it was meant to be
  sent, so that a stall is not measured once where it delayed many (``connections.py``).
- The same while the server draws pictures with a model, one job after another.
- The same while it indexes its catalogue, of which every photo has changed, again and again.
- One at a time and 32 at once with wrk, if it is installed (Debian: ``apt-get install wrk``).

With ``--python`` also a LitServe and a BentoML server around the same encoder and index
(``peers/``), in the same run, asked one at a time and 32 at once with the same form. They are no
dependency of niteru; an environment that has them is made with

    python -m venv /tmp/peers
    /tmp/peers/bin/pip install litserve bentoml onnxruntime faiss-cpu pillow numpy
"""

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bench_http import CLIENTS, PATH, readable_photos
from connections import Connection, Load, bare, closed_loop, form, meanwhile, one_by_one, open_loop
from measuring import Target, parser, positive, report, workplace

from indexer.catalogues import open_catalogue
from indexer.pipeline import index_catalogue
from indexer.runtime import load_embedder
from service.commands.console import cores
from service.commands.demo import free_port, serving
from service.commands.indexing import BATCH

PEERS = Path(__file__).parent / "peers"
START_SECONDS = 60.0
# What each server is asked: where its form goes, and the name of its file there.
FORMS = {
    "niteru": (PATH, "image"),
    "LitServe": ("/predict", "request"),
    "BentoML": ("/search", "photos"),
}
PICTURES = 16
# Bodies are drawn in turn, as the other clients do.
WRK_SCRIPT = """
local bodies, n = {{}}, 0
for i = 0, {count} - 1 do
  local file = io.open("{folder}/" .. i, "rb")
  bodies[i] = file:read("*a")
  file:close()
end
request = function()
  n = n + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/octet-stream"}},
    bodies[n % {count}])
end
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def job(connection: Connection, path: str, given: dict[str, object]) -> None:
    """Have a job done, and wait for its end."""
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    request = bare(path, json.dumps(given).encode(), headers=headers)
    status, body = connection.ask(request)
    if status != 202:
        raise SystemExit(f"{path} was answered {status}: {body.decode(errors='replace')}")
    address = json.loads(body)["url"]
    while True:
        told = json.loads(connection.good(bare(address, b"", method="GET")))
        if told["state"] in ("failed", "cancelled"):
            raise SystemExit(f"{path} has {told['state']}: {told}")
        if told["state"] == "done":
            return
        time.sleep(0.1)


def samples_of(weights: str) -> str:
    """Where pictures are asked for."""
    return f"/v1/models/pixelvae/samples?weights={weights}"


def sampling(port: int, weights: str) -> Callable[[threading.Event], None]:
    """Has a model draw pictures, one job after another."""

    def work(end: threading.Event) -> None:
        with closing(Connection(port)) as connection:
            for seed in itertools.count():
                job(connection, samples_of(weights), {"n": PICTURES, "seed": seed})
                if end.is_set():
                    return

    return work


def reindexing(port: int, photos: Sequence[Path]) -> Callable[[threading.Event], None]:
    """Changes every photo's file and has the catalogue indexed, one run after another."""

    def work(end: threading.Event) -> None:
        with closing(Connection(port)) as connection:
            while not end.is_set():
                for photo in photos:  # what follows a JPEG's end is not decoded, but it is hashed
                    with photo.open("ab") as file:
                        file.write(b".")
                job(connection, "/v1/reindex", {})

    return work


def with_wrk(wrk: str, folder: Path, photos: Sequence[bytes], port: int, *, clients: int) -> Load:
    """What wrk measures in some seconds; only its median and its 99th percentile are known."""
    for number, photo in enumerate(photos):
        (folder / str(number)).write_bytes(photo)
    script = folder / "photos.lua"
    script.write_text(WRK_SCRIPT.format(count=len(photos), folder=folder, path=PATH), "utf-8")
    given = ["-t1", f"-c{clients}", "-d8s", "--latency", "-s", str(script)]
    told = subprocess.run(
        [wrk, *given, f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True
    ).stdout
    if "Non-2xx" in told:
        raise SystemExit(f"wrk was not always answered 200:\n{told}")
    shares = dict(re.findall(r"(50|99)%\s+(\S+)", told))
    rate = float(re.findall(r"Requests/sec:\s+(\S+)", told)[0])
    half, most = (in_milliseconds(shares[share]) for share in ("50", "99"))
    return Load(rate, [half] * 98 + [most] * 2)


def in_milliseconds(text: str) -> float:
    """``1.23ms``, ``900us`` or ``2.1s``."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * UNITS[unit]


@contextmanager
def peer(
    command: Sequence[str], *, store: Path, weights: str, probe: bytes, port: int
) -> Iterator[None]:
    """Run another server until the block ends."""
    given = {
        "NITERU_BENCH_STORE": str(store.absolute()),
        "NITERU_BENCH_WEIGHTS": weights,
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": os.pathsep.join([str(PEERS), str(PEERS.parents[2])]),
    }
    log = store / f"peer-{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **given}, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(server, probe, port, log)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for(server: subprocess.Popen[bytes], probe: bytes, port: int, log: Path) -> None:
    """Ask until there is an answer."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with closing(Connection(port)) as connection:
                if connection.ask(probe)[0] == 200:
                    return
        except OSError:
            pass
        time.sleep(0.3)
    raise SystemExit(f"{server.args} does not answer: {log.read_text(errors='replace')[-2000:]}")


def commands(python: str, port: int) -> dict[str, list[str]]:
    """How the other servers are started."""
    bento = [f"{PEERS / 'bentoml_search.py'}:Searching", "-p", str(port), "--host", "127.0.0.1"]
    return {
        "LitServe": [python, str(PEERS / "litserve_search.py"), str(port)],
        "BentoML": [python, "-m", "bentoml", "serve", *bento],
    }


class Figures(dict[str, float]):
    """Figures by their names, printed as they come."""

    def note(self, name: str, load: Load, *, rate: bool) -> None:
        """The percentiles of a load, and its rate if that was measured and not given."""
        self[f"{name}: median, ms"] = load.median
        self[f"{name}: 99 % within, ms"] = load.p99
        if rate:
            self[f"{name}: a second"] = load.rate
        if load.refused:
            self[f"{name}: refused, of 100"] = (
                100 * load.refused / (load.refused + len(load.milliseconds))
            )
        print(f"{name}: {load.median:.1f} ms, p99 {load.p99:.1f} ms", flush=True)


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--requests", type=positive, default=400, help="different photos")
    options.add_argument("--seconds", type=positive, default=10, help="of each open loop")
    options.add_argument("--rate", type=positive, default=100, help="arrivals a second in it")
    options.add_argument("--python", help="of an environment with litserve and bentoml; see above")
    options.add_argument("--wrk", default=shutil.which("wrk"), help="the load generator, if at all")
    given = options.parse_args()
    figures = Figures()
    embedder = load_embedder(given.weights)
    with workplace(given.data, given.items) as (catalogue, folder):
        store = folder / "store"
        index_catalogue(catalogue, store, embedder, workers=cores(), batch=BATCH)
        photos = list(itertools.islice(readable_photos(catalogue, embedder), given.requests))
        requests = [bare(PATH, photo) for photo in photos]
        if given.data is None:
            os.environ["NITERU_CATALOGUE"] = catalogue.name
        port = free_port()
        with serving(store, given.weights, f"http://127.0.0.1:{port}"):
            closed_loop(requests, port, CLIENTS)  # so that it is warm
            targets = measure_beside(given, catalogue.name, requests, port, figures)
            measure_wrk(given.wrk, folder, photos, port, figures)
            forms = [form(*FORMS["niteru"], photo) for photo in photos]
            rate = measure_form("niteru", forms, port, figures, given.rounds)
        targets += measure_peers(given, store, photos, figures, rate)
    about = {"weights": given.weights, "arrivals": given.rate, "wrk": given.wrk or "not installed"}
    report(figures, targets, unit="searches/s", about=about, json_file=given.json)


def measure_wrk(
    wrk: str | None, folder: Path, photos: Sequence[bytes], port: int, figures: Figures
) -> None:
    """One at a time and several at once."""
    if wrk is None:
        print("wrk is not installed: left out.", flush=True)
        return
    bodies = folder / "bodies"
    bodies.mkdir()
    for clients in (1, CLIENTS):
        load = with_wrk(wrk, bodies, photos, port, clients=clients)
        figures.note(f"wrk, {clients} at once", load, rate=True)


def measure_beside(
    given: argparse.Namespace, catalogue: str, requests: Sequence[bytes], port: int,
    figures: Figures,
) -> list[Target]:  # fmt: skip
    """An open loop alone, and beside each kind of other work."""

    def load() -> Load:
        return open_loop(requests, port, rate=given.rate, seconds=given.seconds)

    with closing(Connection(port)) as connection:  # torch is loaded with the first
        job(connection, samples_of(given.weights), {"n": 1, "seed": 0})
    quiet = load()
    figures.note(f"{given.rate} a second", quiet, rate=False)
    works = {"a model samples": sampling(port, given.weights)}
    if given.data is None:  # photos of the caller's are not touched
        files = [Path(entry.uri) for entry in open_catalogue(catalogue)]
        works["the catalogue is indexed"] = reindexing(port, files)
    targets = []
    for what, work in works.items():
        found = meanwhile(work, load)
        figures.note(f"{given.rate} a second, {what}", found, rate=False)
        name = f"99 % within: {what} / before"
        targets.append(Target(name, found.p99 / quiet.p99, 2, most=True))
    return targets


def measure_form(
    who: str, forms: Sequence[bytes], port: int, figures: Figures, rounds: int
) -> float:
    """A server with a form, one at a time and several at once; answers how many a second."""
    closed_loop(forms, port, CLIENTS)
    figures.note(f"{who}, a form, 1 at once", one_by_one(forms, port), rate=False)
    loads = [closed_loop(forms, port, CLIENTS) for _ in range(rounds)]
    middle = sorted(loads, key=lambda load: load.rate)[len(loads) // 2]
    figures.note(f"{who}, a form, {CLIENTS} at once", middle, rate=True)
    return middle.rate


def measure_peers(
    given: argparse.Namespace, store: Path, photos: Sequence[bytes], figures: Figures, rate: float
) -> list[Target]:
    """The other servers, one after the other; ``rate`` is niteru's with several at once."""
    if given.python is None:
        print("Without --python the other servers are left out.", flush=True)
        return []
    targets = []
    for who in ("LitServe", "BentoML"):
        port = free_port()
        forms = [form(*FORMS[who], photo) for photo in photos]
        command = commands(given.python, port)[who]
        with peer(command, store=store, weights=given.weights, probe=forms[0], port=port):
            other = measure_form(who, forms, port, figures, given.rounds)
        targets.append(Target(f"{CLIENTS} at once: niteru / {who}", rate / other, 1))
    return targets


if __name__ == "__main__":
    main()
