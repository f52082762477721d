"""Limits of size and time, request ids, and errors nobody foresaw."""

import asyncio
import logging
import time

import httpx
import pytest

from indexer.errors import StoreCorruptError
from service import gate
from service.gate import Gate

MB = 1 << 20


class Stuck:
    """An embedder that takes its time."""

    def __init__(self, embedder, seconds):
        self.embedder, self.seconds = embedder, seconds
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self.embedder, name)

    def embed(self, pixels):
        self.calls += 1
        time.sleep(self.seconds)
        return self.embedder.embed(pixels)


class Broken:
    """An engine whose searches fail."""

    def __init__(self, engine, error):
        self.engine, self.error = engine, error

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def __len__(self):
        return len(self.engine)

    def search(self, *_, **__):
        raise self.error


async def in_chunks(data, pauses=0.0):
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]
        await asyncio.sleep(pauses)


@pytest.mark.parametrize(
    "path",
    ["/", "/livez", "/healthz", "/readyz", "/metrics", "/v1/items/hats/03", "/v1/items/none",
     "/v1/items/hats/03/image?side=32", "/v1/generations", "/v1/jobs", "/v1/nothing-here"],
)  # fmt: skip
def test_head_is_answered_as_get_without_a_body(serve, indexed_store, embedder, path):
    from indexer.engines.faiss_engine import FaissEngine  # noqa: PLC0415

    client = serve(engine=FaissEngine.open(indexed_store), store=indexed_store)
    whole, head = client.get(path), client.request("HEAD", path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert whole.content
    for name in ("content-type", "etag"):
        assert head.headers.get(name) == whole.headers.get(name)
    assert "x-request-id" in head.headers


def test_a_size_of_thousands_of_digits_is_too_large(client, check_problem):
    headers = {"content-length": "9" * 5000, "content-type": "image/png"}
    answer = client.post("/v1/search", content=in_chunks(b"x"), headers=headers)
    check_problem(answer, 413, "upload-too-large")


def test_head_is_told_as_such(client, caplog):
    with caplog.at_level(logging.INFO, "service.gate"):
        client.request("HEAD", "/livez")
    assert "HEAD '/livez' -> 200" in caplog.text
    counted = client.get("/metrics").text
    assert 'niteru_requests_total{method="HEAD",route="/livez",status="200"} 1.0' in counted


def test_head_is_not_for_what_lasts_as_long_as_a_job_or_only_posts(client, check_problem):
    assert client.request("HEAD", "/v1/jobs/none/events").status_code == 405
    assert client.request("HEAD", "/v1/search").status_code == 405


@pytest.mark.parametrize("path", ["/v1/search", "/v1/embed", "/v1/nothing-here", "/readyz"])
def test_an_announced_size_over_the_limit_is_refused_unread(client, check_problem, path):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-length": str(20 * MB + 1), "content-type": "image/png"}
    problem = check_problem(
        client.post(path, content=unread(), headers=headers), 413, "upload-too-large"
    )

    assert problem["max_upload_bytes"] == 20 * MB
    assert problem["detail"].startswith("20,971,521 bytes were announced; at most 20,971,520 are")


def test_bytes_are_counted_as_they_arrive(serve, check_problem, picture):
    client = serve(max_upload_bytes=100_000)
    data = bytes(150_000)
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + data
    for body, kind in (
        (data, "image/png"),
        (form, "multipart/form-data; boundary=b"),
        (b'{"item_id": "' + b"a" * 150_000, "application/json"),
    ):
        response = client.post(
            "/v1/search", content=in_chunks(body), headers={"content-type": kind}
        )
        assert "content-length" not in response.request.headers
        problem = check_problem(response, 413, "upload-too-large")
        assert problem["detail"].startswith("More than 100,000 bytes arrived")
    exactly = picture(0) + bytes(100_000 - len(picture(0)))
    assert client.post("/v1/search", content=in_chunks(exactly)).status_code == 200


def run_gate(messages, app, **limits):
    """Run the gate over a request made of ``messages``; the messages of the answer."""
    answer = []

    async def receive():
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def send(message):
        answer.append(message)

    headers = [(b"content-type", b"image/png"), (b"transfer-encoding", b"chunked")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "query_string": b"",
        "headers": headers,
    }
    limits = {"max_upload_bytes": 10, "request_timeout": 5.0, **limits}
    asyncio.run(Gate(app, **limits)(scope, receive, send))
    return answer


def test_a_refused_body_is_read_to_its_end_before_the_answer_ends():
    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass

    left = [{"type": "http.request", "body": b"12345678", "more_body": n < 3} for n in range(4)]

    answer = run_gate(left, app)

    assert left == []
    assert [message["type"] for message in answer] == [
        "http.response.start",
        "http.response.body",
        "http.response.body",
    ]
    assert answer[0]["status"] == 413
    assert [message["more_body"] for message in answer[1:]] == [True, False]
    assert answer[2]["body"] == b""


def test_a_client_that_never_stops_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr(gate, "LINGER_SECONDS", 0.05)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 429, "headers": []})
        await send({"type": "http.response.body", "body": b"busy"})

    answer = run_gate([{"type": "http.request", "body": b"1", "more_body": True}], app)

    assert answer[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_other_protocols_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Gate(app, max_upload_bytes=1, request_timeout=1)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]


def test_a_body_that_comes_too_slowly_is_408(serve, check_problem, picture):
    client = serve(request_timeout=0.2)

    response = client.post("/v1/search", content=in_chunks(picture(0) * 1000, pauses=0.05))

    problem = check_problem(response, 408, "slow-upload")
    assert "had not arrived completely after 0.2 s" in problem["detail"]


def test_work_that_takes_too_long_is_504(serve, embedder, check_problem, picture):
    client = serve(request_timeout=0.2, embedder=Stuck(embedder, 0.5))

    response = client.post("/v1/search", content=picture(0))

    problem = check_problem(response, 504, "took-too-long")
    assert "not ready after 0.2 s" in problem["detail"]
    assert response.headers["retry-after"] == "5"


def test_one_request_too_many_is_429_and_is_told_when_to_come_back(
    serve, embedder, check_problem, picture
):
    client = serve(max_concurrent=3, embedder=Stuck(embedder, 0.3))
    calls = [{"method": "POST", "url": "/v1/search", "content": picture(n)} for n in range(5)]

    responses = client.together(calls)

    assert sorted(response.status_code for response in responses) == [200, 200, 200, 429, 429]
    for response in responses:
        if response.status_code == 429:
            assert "3 requests" in check_problem(response, 429, "overloaded")["detail"]
            assert response.headers["retry-after"] == "1"
    assert client.get("/livez").status_code == 200
    assert client.post("/v1/search", content=picture(0)).status_code == 200


def test_many_who_ask_whether_it_is_ready_cost_one_search(serve, embedder):
    stuck = Stuck(embedder, 0.2)
    client = serve(embedder=stuck)
    answers = client.together([{"method": "GET", "url": "/readyz"}] * 20)
    assert [answer.json()["status"] for answer in answers] == ["ready"] * 20
    assert stuck.calls <= 2
    assert client.get("/readyz").status_code == 200  # and a later one asks again
    assert stuck.calls <= 3


def test_request_ids_are_taken_over_if_they_are_plain(client):
    assert (
        client.get("/livez", headers={"x-request-id": "a-1.b"}).headers["x-request-id"] == "a-1.b"
    )
    for strange in ("a b", "a\tb", "", "x" * 65, "<b>"):
        own = client.get("/livez", headers={"x-request-id": strange}).headers["x-request-id"]
        assert own != strange
        assert len(own) == 32


def test_a_request_is_logged_in_one_line(client, caplog):
    caplog.set_level(logging.INFO, "service.gate")

    client.get("/v1/items/a%0Ab", headers={"x-request-id": "r1"})

    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("GET '/v1/items/a\\nb' -> 404 in ")
    assert line.endswith(" ms [r1]")


def test_an_id_with_a_line_break_is_one_line_of_the_log_and_its_route_in_the_counts(client, caplog):
    caplog.set_level(logging.INFO, "service.gate")

    for path in ("x/line%0Abreak", "x/end%0A", "x/end%0A/image", "x/bell%07%0D%C2%85%E2%80%A8"):
        assert client.get(f"/v1/items/{path}").status_code == 200

    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert record.getMessage().isascii()
    counted = client.get("/metrics").text
    assert 'route="/v1/items/{item_id:path}",status="200"} 3.0' in counted
    assert 'route="/v1/items/{item_id:path}/image",status="200"} 1.0' in counted


def test_an_unforeseen_error_is_a_500_that_tells_nothing(
    serve, exact, check_problem, picture, caplog
):
    caplog.set_level(logging.INFO)
    client = serve(engine=Broken(exact, RuntimeError("secret /path/of/ours")))

    response = client.post("/v1/search", content=picture(0))

    problem = check_problem(response, 500, "internal-error")
    assert "secret" not in response.text
    assert "/path" not in response.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert problem["request_id"] in record.getMessage()
    assert "secret /path/of/ours" in caplog.text
    assert "POST '/v1/search' -> 500 in" in caplog.text
    assert 'route="/v1/search",status="500"} 1.0' in client.get("/metrics").text
    assert client.get("/livez").status_code == 200


def test_a_store_that_fails_is_a_503_that_tells_no_paths(
    serve, exact, check_problem, picture, caplog
):
    client = serve(engine=Broken(exact, StoreCorruptError("'/data/items.sqlite' is damaged")))

    for response in (client.post("/v1/search", content=picture(0)), client.get("/readyz")):
        problem = check_problem(response, 503, "store-unavailable")
        assert "/data" not in response.text
        assert f"[{problem['request_id']}] StoreCorruptError: '/data/items" in caplog.text
        assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("POST", "/v1/search/", 404, "not-found"),
        ("GET", "/v1/search", 405, "method-not-allowed"),
        ("POST", "/v1/items/a", 405, "method-not-allowed"),
        ("PUT", "/readyz", 405, "method-not-allowed"),
    ],
)
def test_routes_that_are_not_there(client, check_problem, method, path, status, slug):
    response = client.request(method, path)

    problem = check_problem(response, status, slug)
    assert f"'{path}'" in problem["detail"]
    if status == 405:
        assert response.headers["allow"] in problem["detail"]


def test_a_client_that_leaves_while_sending_is_no_error(client, caplog):
    caplog.set_level(logging.INFO, "service")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/search",
        "raw_path": b"/v1/search",
        "query_string": b"",
        "headers": [(b"content-length", b"50")],
        "scheme": "http",
        "server": ("niteru.test", 80),
        "root_path": "",
    }
    messages = [{"type": "http.request", "body": b"12", "more_body": True}]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        pass

    client.runner.run(client.app(scope, receive, send))

    assert "The client left while it was sending." in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_prefix_of_a_proxy_is_in_the_links(client):
    transport = httpx.ASGITransport(client.app, root_path="/shop")

    async def read():
        async with httpx.AsyncClient(transport=transport, base_url="http://niteru.test") as http:
            return await http.get("/v1/items/hats/03")

    assert client.runner.run(read()).json()["image"] == "/shop/v1/items/hats/03/image"
