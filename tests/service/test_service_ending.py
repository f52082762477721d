"""A server that is asked to end by a signal, under load: what it has taken is answered whole."""

import json
import re
import signal
import socket
import threading
import time
import uuid
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest

from indexer.catalogues.memory import MemoryCatalogue
from indexer.engines.faiss_engine import FaissEngine
from indexer.pipeline import index_catalogue
from indexer.torch_embedder import TorchEmbedder
from tests.served import address_of, niteru_serve, running

GRACE = 100  # seconds; only a machine that does much else needs many of them


@pytest.fixture
def server(tmp_path, publish, entries, embedder):
    """A server process over a store of its own: its address and the process."""
    publish(tmp_path / "store", entries, embedder)
    with running(tmp_path / "store", decoders=1) as server:
        yield server


class Asking(threading.Thread):
    """A client that makes a call again and again until the server refuses connections.

    Attributes:
        answers: The status of each request by its id; what went wrong for one without an answer.
    """

    def __init__(self, address, call, *, keep=True):
        super().__init__(daemon=True)
        self.address, self.call, self.keep = address, call, keep
        self.answers = {}
        self.refusals = []
        self.start()

    def run(self):
        with ExitStack() as stack:
            http = stack.enter_context(httpx.Client(base_url=self.address, timeout=GRACE))
            for number in range(100_000):
                name = uuid.uuid4().hex
                headers = {"X-Request-Id": name} | ({} if self.keep else {"Connection": "close"})
                try:
                    answer = self.call(http, number, headers)
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    self.answers[name] = repr(error)
                    continue
                if answer.status_code == 503:
                    assert answer.headers["retry-after"]
                    self.refusals.append(answer.json()["type"])
                    time.sleep(0.02)
                    continue
                self.answers[name] = answer.status_code


@contextmanager
def read_aside(process):
    """The lines that a process goes on to write, read in a thread so that it never waits."""
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield lines
    except BaseException:
        process.kill()  # else the reader would wait for it
        raise
    finally:
        reader.join(GRACE)


def ended(process):
    """The status with which a process ends by itself."""
    return process.wait(timeout=GRACE)


def begun(clients, count):
    """Wait until each client has had so many answers."""
    until = time.monotonic() + GRACE
    while any(len(client.answers) < count for client in clients):
        assert time.monotonic() < until, [len(client.answers) for client in clients]
        time.sleep(0.02)


@pytest.mark.parametrize("drain", [0.0, 0.5])
def test_what_was_taken_is_answered_while_the_server_ends(
    tmp_path, publish, entries, embedder, picture, photos, drain
):
    store, photo, put = tmp_path / "store", photos["hats/03"], []
    publish(store, entries, embedder)

    def search(http, number, headers):
        return http.post("/v1/search?limit=3", content=photo, headers=headers)

    def upload(http, number, headers):
        answer = http.put(
            f"/v1/items/new/{number}", content=picture(5000 + number), headers=headers
        )
        if answer.status_code == 201:
            put.append(f"new/{number}")
        return answer

    def ready(http, number, headers):
        return http.get("/readyz", headers=headers)

    with ExitStack() as stack:
        address, process = stack.enter_context(running(store, decoders=1, drain_seconds=drain))
        with read_aside(process) as log:
            asking = [Asking(address, search) for _ in range(3)]
            asking += [Asking(address, search, keep=False) for _ in range(3)]
            asking += [Asking(address, upload)]
            probing = Asking(address, ready, keep=False)
            begun([*asking, probing], 3)
            process.terminate()
            for client in (*asking, probing):
                client.join(GRACE)
            assert ended(process) == 0

    told = "".join(log)
    assert "Traceback" not in told
    for client in (*asking, probing):
        check(client, told)
    assert {kind for client in asking for kind in client.refusals} == set()
    assert set(probing.refusals) <= {"urn:niteru:problem:shutting-down"}
    assert probing.refusals or not drain
    assert len(put) >= 3
    with closing(FaissEngine.open(store)) as engine:
        assert [item.id for item in engine.get(put)] == put


def check(client, told):
    """That a client was answered whatever the server took from it."""
    assert not client.is_alive()
    for name, outcome in client.answers.items():
        # Of a connection that was reset the server's log knows no request.
        assert outcome in (200, 201) or (isinstance(outcome, str) and name not in told), outcome


def test_pictures_that_somebody_waits_for_are_drawn_to_their_end(tmp_path, make_weights, entries):
    folder, store = tmp_path / "weights" / "one", tmp_path / "store"
    make_weights(folder)
    index_catalogue(
        MemoryCatalogue(entries), store, TorchEmbedder.load(folder), workers=1, batch=8,
        weights=folder,
    )  # fmt: skip
    samples = "/v1/models/pixelvae/samples"

    def sample(http, number, headers):
        return http.post(f"{samples}?n=2", headers=headers | {"Prefer": "wait=60"})

    patient = {"NITERU_REQUEST_TIMEOUT": "100", "NITERU_DRAIN_SECONDS": "0.5"}
    with niteru_serve(tmp_path, **patient) as process:
        address, _ = address_of(process)
        with read_aside(process) as log:
            client = Asking(address, sample)
            begun([client], 2)
            with httpx.Client(base_url=address) as http:
                jobs = [
                    http.post(f"{samples}?n=64", headers={"Prefer": "respond-async"}).json()
                    for _ in range(6)
                ]
                process.terminate()
            client.join(GRACE)
            assert ended(process) == 0

    assert len(jobs) == 6
    told = "".join(log)
    assert "Traceback" not in told
    check(client, told)
    assert set(client.refusals) <= {"urn:niteru:problem:shutting-down"}


def connect(address):
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=GRACE)


def answered(connection):
    """The statuses of all answers that come until the connection is closed, and the headers."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    return re.findall(rb"HTTP/1.1 (\d+)", received), received


ALIVE = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"


def test_requests_that_are_on_their_way_are_answered(server):
    address, process = server
    with connect(address) as kept, connect(address) as idle:
        kept.sendall(ALIVE)
        assert b" 200 " in kept.recv(65536)
        # As if the machine were too busy to let the server run: the signal is the first it sees.
        process.send_signal(signal.SIGSTOP)
        fresh = [connect(address) for _ in range(20)]
        for connection in (kept, *fresh):
            connection.sendall(ALIVE)
        process.terminate()
        process.send_signal(signal.SIGCONT)
        for connection in (kept, *fresh):
            assert answered(connection)[0] == [b"200"]
            connection.close()
        assert answered(idle) == ([], b"")  # nothing was asked, so nothing was lost
    assert ended(process) == 0


def begin_upload(address, photo):
    """A connection over which half of a search has been sent."""
    connection = connect(address)
    head = f"POST /v1/search HTTP/1.1\r\nhost: a\r\ncontent-length: {len(photo)}\r\n"
    kind = "content-type: image/png\r\nexpect: 100-continue\r\n\r\n"
    connection.sendall((head + kind).encode())
    assert b"100 Continue" in connection.recv(65536)  # so the server has begun to read it
    connection.sendall(photo[:100])
    return connection


def test_an_upload_that_has_begun_is_taken_to_its_end(server, photos):
    address, process = server
    photo = photos["hats/03"]
    with connect(address) as kept, begin_upload(address, photo) as connection:
        process.send_signal(signal.SIGINT)
        time.sleep(1.5)  # longer than open connections are given
        assert answered(kept) == ([], b"")
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        connection.sendall(photo[100:])
        statuses, received = answered(connection)
    assert statuses == [b"200"]
    assert b'"hats/03"' in received
    assert b"\r\nconnection: close\r\n" in received
    assert ended(process) == 0


def test_a_second_signal_ends_it_at_once(server, photos):
    address, process = server
    with begin_upload(address, photos["hats/03"]):
        process.terminate()
        until = time.monotonic() + GRACE
        while process.poll() is None and time.monotonic() < until:
            with ExitStack() as stack:
                try:
                    stack.enter_context(connect(address))
                except ConnectionRefusedError:
                    break
            time.sleep(0.02)
        assert process.poll() is None  # it waits for the upload
        process.terminate()
        assert process.wait(timeout=5) == -signal.SIGTERM


def told_of(stream):
    """What the events of a stream say, one after the other."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_an_indexing_is_stopped_and_gone_on_with_by_the_next_server(
    tmp_path, publish, entries, embedder, many
):
    store = tmp_path / "store"
    publish(store, entries, embedder)
    with running(store, catalogue=str(many), decoders=1) as (address, process):
        with httpx.Client(base_url=address, timeout=3 * GRACE) as http:
            job = http.post("/v1/reindex").json()
            with http.stream("GET", job["events"]) as stream:
                events = told_of(stream)
                while next(events).get("done", 0) == 0:
                    pass
                process.terminate()
                *_, last = events
        assert ended(process) == 0
        assert "Traceback" not in process.stderr.read()
    assert last["state"] == "cancelled"

    with running(store, catalogue=str(many), decoders=1) as (address, process):
        with read_aside(process), httpx.Client(base_url=address, timeout=GRACE) as http:
            (found,) = http.get("/v1/jobs").json()["jobs"]
            assert found["id"] == job["id"]
            assert found["problem"]["type"] == "urn:niteru:problem:reindex-interrupted"
            again = http.post("/v1/reindex").json()
            until = time.monotonic() + 3 * GRACE
            while (ends := http.get(again["url"]).json())["state"] in ("waiting", "running"):
                assert time.monotonic() < until
                time.sleep(0.1)
            report = http.get(ends["result"]).json()
            process.kill()
        assert report["unchanged"] > 0
        assert report["embedded"] + report["unchanged"] == len(list(many.iterdir()))
