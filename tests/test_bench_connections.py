"""The benchmarks' client: what it reads of an answer, and that a stall is not hidden."""

import socket
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))

from connections import Connection, Load, bare, closed_loop, form, one_by_one, open_loop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 4\r\n\r\ngood"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Answers each request as it is told; one thread for each connection."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.lock = threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection:
            while request := connection.recv(1 << 16):
                with self.lock:
                    self.asked.append(request)
                    number = len(self.asked)
                for part in self.answer(number):
                    connection.sendall(part)
                    time.sleep(0.002)


@pytest.fixture
def server():
    made = []

    def start(answer=lambda _: [ANSWER]):
        made.append(Server(answer))
        return made[-1]

    yield start
    for one in made:
        one.listening.close()


def test_an_answer_that_comes_in_pieces_is_read_to_its_end(server):
    pieces = server(lambda _: [ANSWER[:20], ANSWER[20:-2], ANSWER[-2:]])
    connection = Connection(pieces.port)

    assert [connection.ask(bare("/x", b"")) for _ in range(3)] == [(200, b"good")] * 3
    connection.close()


def test_a_request_is_whole(server):
    asked = server()
    connection = Connection(asked.port)
    connection.ask(form("/search", "image", b"\xff\xd8 photo"))
    connection.close()

    head, _, body = asked.asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /search HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    mark = head.partition(b"boundary=")[2].partition(b"\r\n")[0]
    assert body.startswith(b"--" + mark)
    assert body.endswith(b"--" + mark + b"--\r\n")
    assert b'name="image"' in body
    assert b"\xff\xd8 photo" in body


def test_anything_but_200_ends_a_benchmark(server):
    with pytest.raises(SystemExit, match="429"):
        one_by_one([bare("/x", b"")], server(lambda _: [BUSY]).port)


def test_every_request_is_made_once(server):
    asked = server()
    requests = [bare(f"/{n}", b"") for n in range(40)]

    load = closed_loop(requests, asked.port, 4)

    assert sorted(asked.asked) == sorted(requests)
    assert len(load.milliseconds) == 40


def test_a_stall_delays_all_that_were_meant_to_come_meanwhile(server):
    stall = 0.5

    def answer(number):
        if number == 10:
            time.sleep(stall)
        return [ANSWER]

    load = open_loop([bare("/x", b"")], server(answer).port, rate=50, seconds=1, clients=1)

    assert len(load.milliseconds) == 50
    # In half a second 25 more were meant to come: half of these waited for half of it at least.
    assert sum(taken > 250 for taken in load.milliseconds) >= 10
    assert load.p99 >= 400


def test_what_is_refused_is_counted_apart(server):
    load = open_loop(
        [bare("/x", b"")], server(lambda n: [BUSY if n % 2 else ANSWER]).port,
        rate=100, seconds=0.2,
    )  # fmt: skip

    assert (len(load.milliseconds), load.refused) == (10, 10)


def test_percentiles():
    load = Load(1.0, [float(n) for n in range(1, 101)])

    assert (load.median, load.p99) == (51.0, 100.0)
