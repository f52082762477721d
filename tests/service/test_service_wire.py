"""Hostile bytes over a socket, and what a real server's log says of them."""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from service import server
from service.server import Bounded
from tests.served import running

SECRET = "0123456789-a-secret-of-the-admin"
KEYED = {"authorization": f"Bearer {SECRET}"}


async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def listening():
    """The port of an application behind the protocol, in a thread of this process."""
    config = uvicorn.Config(app, port=0, http=Bounded, log_level="warning", lifespan="off")
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not served.started:
        time.sleep(0.01)
    yield served.servers[0].sockets[0].getsockname()[1]
    served.should_exit = True
    thread.join(10)


def exchange(port, *parts, pause=0.0):
    """What comes back until the connection ends, sent as fast as it is taken."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            received += b"".join(iter(lambda: connection.recv(65536), b""))
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n"
LAST = b"connection: close\r\n\r\n"


def test_a_head_has_a_bound():
    with listening() as port:
        fits = [b"a%d: %s\r\n" % (n, bytes([97]) * 1000) for n in range(50)]
        assert exchange(port, HEAD, *fits, LAST).startswith(b"HTTP/1.1 200 ")
        # More than buffers hold, so that it is only sent to its end if the server reads it.
        endless = [b"a%d: %s\r\n" % (n, bytes([97]) * 60_000) for n in range(500)]
        answer = exchange(port, HEAD, *endless, LAST)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        assert exchange(port, HEAD, LAST).endswith(b"ok")


def test_a_head_has_to_come_in_time(monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with listening() as port:
        assert exchange(port) == b""
        began = time.monotonic()
        drops = [bytes([letter]) for letter in HEAD]
        assert exchange(port, *drops, LAST, pause=0.1) == b""
        assert time.monotonic() - began < 10
        # Within a request that has begun, and between two, other bounds hold.
        body = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n"
        slow = exchange(port, body + LAST, b"a", b"b", b"c", pause=0.4)
        assert slow.startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def told(tmp_path, publish, entries, embedder):
    """A server with keys that logs for machines; its address, and its log after the block."""
    publish(tmp_path / "store", entries, embedder)
    lines = []
    with running(
        tmp_path / "store", decoders=1, log_format="json", api_keys=f"admin:{SECRET}",
        max_upload_bytes=100_000, fetch_urls=True, rate_limit=1000,
    ) as (address, process):  # fmt: skip
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()

        def end():
            process.terminate()
            assert process.wait(30) == 0
            reader.join(10)
            return lines

        yield address, end


def test_the_log_of_a_server_is_json_and_tells_no_secrets(told, photos):
    address, end = told
    hostile = ["a b", "x" * 10_000, "{}", 'a"b', "\u00fc".encode(), "a\tb", ""]
    with httpx.Client(base_url=address, headers=KEYED, timeout=30) as http:
        for name in hostile:
            answer = http.get("/livez", headers={"x-request-id": name})
            assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert http.get("/livez", headers={"x-request-id": "shop-1:a.b_c"}).headers[
            "x-request-id"
        ] == "shop-1:a.b_c"  # fmt: skip
        for data in (photos["hats/03"], photos["hats/03"][:200], bytes(200_000), b"GIF89a"):
            http.post("/v1/search", content=data)
        for url in (f"http://127.0.0.1/{SECRET}", f"http://u:{SECRET}@example.test/", "file:///x"):
            assert http.post("/v1/search", json={"url": url}).status_code == 422
        http.get("/v1/items/a%0Ab%1b%22%E2%80%A8/c", params={"key": SECRET})
        http.get("/" + "p" * 5000)
        assert http.post("/v1/generations/none/activate").status_code == 404
        http.headers["authorization"] = f"Bearer {SECRET}x"
        assert http.get("/v1/jobs").status_code == 401
    port = int(address.rpartition(":")[2])
    broken = b"GET /livez HTTP/1.1\r\nhost: a\r\nx-request-id: a\r\n folded\r\n\x00: b\r\n\r\n"
    assert exchange(port, broken).startswith(b"HTTP/1.1 400 ")
    assert exchange(port, HEAD + b"x-request-id: a\rb: c\r\n" + LAST).startswith(b"HTTP/1.1 400 ")

    lines = end()
    assert len(lines) > len(hostile) + 10
    for line in lines:
        one = json.loads(line)
        assert {"time", "level", "logger", "message"} <= set(one)
        assert len(line) < 3000
    text = "".join(lines)
    assert SECRET not in text
    assert "IHDR" not in text  # of the photos, which are PNG
    assert "Traceback" not in text
    statuses = {one.get("status") for one in map(json.loads, lines)}
    assert {200, 401, 404, 413, 415, 422} <= statuses
