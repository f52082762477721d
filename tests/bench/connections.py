"""Clients for the benchmarks of the server that cost next to nothing, and what a load showed.

Client and server share the cores, so a client's own work would be measured as the server's: a
request is made of bytes once, and an answer is read no further than its end.
"""

import itertools
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from measuring import percentile

TIMEOUT = 60.0
BYTES = {"Content-Type": "application/octet-stream"}


def bare(
    path: str, body: bytes, *, method: str = "POST", headers: Mapping[str, str] = BYTES
) -> bytes:
    """A request as it goes over the wire."""
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def form(path: str, name: str, photo: bytes) -> bytes:
    """A form with one file, as a browser sends it."""
    mark = uuid.uuid4().hex
    head = f'Content-Disposition: form-data; name="{name}"; filename="photo.jpg"'
    begin = f"--{mark}\r\n{head}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    end = f"\r\n--{mark}--\r\n".encode()
    kind = f"multipart/form-data; boundary={mark}"
    return bare(path, begin + photo + end, headers={"Content-Type": kind})


class Connection:
    """One connection that is kept open, as a shop's backend would."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = self.connect()

    def connect(self) -> socket.socket:
        """A new one."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.socket.sendall(request)
        answer = self.socket.recv(1 << 16)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self.more()
        head = answer[:end].lower()
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        while len(answer) < end + 4 + int(length):
            answer += self.more()
        return int(head[9:12]), answer[end + 4 :]

    def more(self) -> bytes:
        """What comes next; ends the benchmark if the server hangs up."""
        received = self.socket.recv(1 << 16)
        if not received:
            raise SystemExit("The server hung up in the middle of an answer.")
        return received

    def good(self, request: bytes) -> bytes:
        """The body of an answer; anything but 200 ends the benchmark."""
        status, body = self.ask(request)
        if status != 200:
            raise SystemExit(f"The server answered {status}: {body.decode(errors='replace')}")
        return body

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@dataclass(slots=True)
class Load:
    """What a load showed.

    Attributes:
        rate: Requests a second that were meant to arrive, or were made.
        milliseconds: Of each request that was answered, from when it was meant to be sent.
        refused: Requests that were answered 429.
    """

    rate: float
    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def median(self) -> float:
        """Milliseconds that half of the requests took at most."""
        return percentile(self.milliseconds, 0.5)

    @property
    def p99(self) -> float:
        """Milliseconds that 99 of 100 took at most."""
        return percentile(self.milliseconds, 0.99)


def one_by_one(requests: Sequence[bytes], port: int) -> Load:
    """Each request as soon as the last was answered."""
    with closing(Connection(port)) as connection:
        times = []
        for request in requests:
            started = time.perf_counter()
            connection.good(request)
            times.append(1000 * (time.perf_counter() - started))
    return Load(1000 * len(times) / sum(times), times)


def closed_loop(requests: Sequence[bytes], port: int, clients: int) -> Load:
    """So many clients, each of which asks again as soon as it is answered."""
    waiting = iter(requests)  # a list's iterator gives each to one thread

    def ask(connection: Connection) -> list[float]:
        times = []
        with closing(connection):
            for request in waiting:
                started = time.perf_counter()
                connection.good(request)
                times.append(1000 * (time.perf_counter() - started))
        return times

    connections = [Connection(port) for _ in range(clients)]
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as executor:
        times = list(itertools.chain(*executor.map(ask, connections)))
    return Load(len(requests) / (time.perf_counter() - started), times)


def open_loop(
    requests: Sequence[bytes], port: int, *, rate: float, seconds: float, clients: int = 64
) -> Load:
    """Requests that arrive at a fixed rate, whether or not those before were answered.

    A request's time begins when it was meant to be sent. A client that waits for its answer before
    it asks again would leave out those that a stall delays, and measure the stall once instead.

    Args:
        requests: Sent again from the beginning when they are through.
        port: Of the server.
        rate: Arrivals a second.
        seconds: How long they arrive.
        clients: Connections; where all wait for answers, the next arrival waits for one of them,
            and its time runs.
    """
    arrivals: Iterator[int] = iter(range(int(rate * seconds)))
    lock, load = threading.Lock(), Load(rate)
    connections = [Connection(port) for _ in range(clients)]
    begin = time.perf_counter() + 0.1

    def ask(connection: Connection) -> None:
        with closing(connection):
            while True:
                with lock:
                    number = next(arrivals, None)
                if number is None:
                    return
                meant = begin + number / rate
                time.sleep(max(0.0, meant - time.perf_counter()))
                status, body = connection.ask(requests[number % len(requests)])
                taken = 1000 * (time.perf_counter() - meant)
                with lock:
                    if status == 429:
                        load.refused += 1
                    elif status != 200:
                        raise SystemExit(f"The server answered {status}: {body[:500]!r}")
                    else:
                        load.milliseconds.append(taken)

    with ThreadPoolExecutor(clients) as executor:
        for _ in executor.map(ask, connections):
            pass
    return load


Work = Callable[[threading.Event], None]


def meanwhile(work: Work, measured: Callable[[], Load]) -> Load:
    """What a load shows while other work is done again and again, until it is told to end."""
    end = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        doing = executor.submit(work, end)
        try:
            load = measured()
        finally:
            end.set()
        doing.result()
    return load
