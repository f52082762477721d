"""The real thing: a server process, a socket, the bytes of a photo."""

import asyncio
import re
import signal
import socket
import urllib.error
import urllib.request

import httpx
import pytest

from service.client import AsyncClient, Client, InvalidRequestError, NoAnswerError
from tests.served import running, start


@pytest.fixture
def server(indexed_store):
    """A server process over the catalogue: its address and the process."""
    with running(indexed_store, max_upload_bytes=1_000_000) as server:
        yield server


def test_a_photo_is_searched_over_a_socket(server, photos):
    address, process = server
    with httpx.Client(base_url=address) as http:
        assert http.get("/readyz").json()["items"] == len(photos)
        by_form = http.post(
            "/v1/search", files={"image": ("a.png", photos["hats/03"])}, data={"limit": "3"}
        ).json()
        by_body = http.post("/v1/search?limit=3", content=photos["hats/03"]).json()
        image = http.get(by_form["items"][0]["image"])
        escaped = http.get("/v1/items/shoes%2Fimage")

    assert [item["id"] for item in by_form["items"]] == [item["id"] for item in by_body["items"]]
    assert by_form["items"][0]["id"] == "hats/03"
    assert image.content == photos["hats/03"]
    assert escaped.json()["id"] == "shoes/image"

    process.send_signal(signal.SIGINT)
    log = process.communicate(timeout=20)[1]
    assert process.returncode in (0, -signal.SIGINT)
    assert "POST '/v1/search' -> 200 in" in log
    assert "Traceback" not in log


def test_both_clients_ask_over_a_socket(server, photos):
    address, process = server
    data = photos["hats/03"]
    with Client(address) as client:
        result = client.search(data, limit=3)
        assert result.items[0].id == "hats/03"
        assert client.item_image("dots/../up").data == photos["dots/../up"]
        with pytest.raises(InvalidRequestError) as refused:
            client.search(bytes(2_000_000))
        assert refused.value.slug == "upload-too-large"

    async def ask():
        async with AsyncClient(address) as client:
            both = client.search(data, limit=3), client.search(item_id="bags/01")
            return await asyncio.gather(*both)

    by_photo, by_item = asyncio.run(ask())
    assert by_photo.items == result.items
    assert "bags/01" not in [hit.id for hit in by_item.items]

    process.kill()
    process.wait()
    slept = []
    with Client(address, sleep=slept.append) as client, pytest.raises(NoAnswerError) as failed:
        client.reindex()
    assert len(slept) == 3
    assert not failed.value.perhaps_done


def test_a_refused_upload_reaches_the_client_even_if_it_only_listens_at_the_end(server):
    address, _ = server
    data = bytes(30_000_000)  # more than the buffers of a socket hold
    headers = {"content-type": "image/jpeg"}

    request = urllib.request.Request(f"{address}/v1/search", data=data, headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)
    with refusal.value as answer:
        assert answer.code == 413
        assert answer.headers["content-type"] == "application/problem+json"

    with httpx.Client(base_url=address) as http:
        chunks = (data[:65536] for _ in range(100))
        assert http.post("/v1/search", content=chunks, headers=headers).status_code == 413
        assert http.get("/livez").status_code == 200  # over the same connection


def test_two_requests_in_one_packet_are_both_answered(server):
    host, port = server[0].removeprefix("http://").split(":")
    refused = b"POST /v1/search HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            refused + b"content-length: 3\r\n\r\nabc"
            b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"415", b"200"]


def test_a_server_without_an_index_says_what_to_run(tmp_path):
    with start(tmp_path / "nothing here") as process:
        said = ""
        for line in process.stderr:
            said += line
            if "running on" in line:
                break
        process.kill()

    assert "Nothing has been indexed in" in said
    assert "niteru index CATALOGUE --store" in said


def test_weights_that_do_not_fit_stop_the_server_with_both_names(indexed_store, embedder):
    with start(indexed_store, grid=2) as process:
        said = process.communicate(timeout=30)[1]

    assert process.returncode != 0
    assert embedder.fingerprint in said
    assert type(embedder)(grid=2).fingerprint in said
