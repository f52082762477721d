"""Search by URL: real servers on this machine, and the addresses that a stranger may not name."""

import asyncio
import ssl
import subprocess
import time
from shutil import which

import pytest

from service.fetching import DirectConnector, Policy
from tests.sites import HOST, Names, Site, answer, gone


def ask(client, site, path="/a.jpg", scheme="http", host=HOST, **more):
    return client.post("/v1/search", json={"url": f"{scheme}://{host}:{site.port}{path}", **more})


def test_a_photo_at_a_url_finds_what_it_finds_as_an_upload(fetching, site, photos):
    site.answers["/a.jpg?size=1"] = [answer(photos["hats/03"], "Content-Type: text/html")]
    client = fetching()

    found = ask(client, site, "/a.jpg?size=1#part", limit=4)

    assert found.status_code == 200, found.text
    uploaded = client.post("/v1/search?limit=4", content=photos["hats/03"]).json()
    assert found.json()["items"] == uploaded["items"]
    assert found.json()["items"][0]["id"] == "hats/03"
    assert found.json()["timings_ms"]["receive"] > 0
    (asked,) = site.asked
    assert asked.startswith("GET /a.jpg?size=1 HTTP/1.1\r\n")
    assert f"Host: {HOST}:{site.port}\r\n" in asked
    assert "cookie" not in asked.lower()
    assert "authorization" not in asked.lower()


def test_options_hold_for_it_and_are_told_before_anything_is_fetched(
    fetching, site, photos, check_problem
):
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    client = fetching()
    asked = {"limit": 3, "crop": [0, 0, 0.5, 1], "exclude": ["hats/03"]}
    part = ask(client, site, **asked).json()
    by_upload = client.post("/v1/search", params={**asked, "crop": "0,0,0.5,1"},
                            content=photos["hats/03"]).json()  # fmt: skip
    assert part["items"] == by_upload["items"]

    for wrong in ({"limit": 100_000}, {"crop": "1,2"}, {"limti": 2}, {"item_id": "hats/03"}):
        check_problem(ask(client, site, **wrong), 422, "invalid-request")
    assert len(site.asked) == 1


def test_chunks_and_a_body_that_ends_with_the_connection(fetching, site, photos):
    data = photos["hats/03"]
    half = len(data) // 2
    site.answers["/chunks"] = [
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n%s\r\n" % (half, data[:half]), 0.05,
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(data) - half, data[half:]),
    ]  # fmt: skip
    site.answers["/close"] = [b"HTTP/1.1 200 OK\r\n\r\n", data[:half], 0.05, data[half:]]
    client = fetching()
    for path in site.answers:
        found = ask(client, site, path, limit=1)
        assert found.json()["items"][0]["id"] == "hats/03"


def test_the_bytes_decide_what_it_is(fetching, site, check_problem):
    site.answers["/page"] = [answer(b"<!doctype html><title>No</title>", "Content-Type: image/png")]
    site.answers["/none"] = [answer(b"")]
    site.answers["/half"] = [answer(b"\x89PNG\r\n\x1a\n")]
    client = fetching()
    check_problem(ask(client, site, "/page"), 415, "unsupported-format")
    for path, reason in (("/none", "empty"), ("/half", "corrupt")):
        problem = check_problem(ask(client, site, path), 422, "unusable-image")
        assert problem["reason"] == reason


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([gone()], "answered 404"),
        ([answer(b"", "Location: /b.jpg", status="302 Found")], "Redirects are not followed"),
        ([answer(b"", "Location: http://169.254.169.254/", status="307 No")], "not followed"),
        ([answer(b"x", "Content-Encoding: gzip")], "as 'gzip'"),
        ([answer(b"x" * 100)[:-50]], "broke off"),
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], "no HTTP"),
        ([], "broke off"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000], "no HTTP"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 0.2], "no HTTP"),
    ],
)
def test_what_is_no_photo_is_a_failure_of_the_other_side(
    fetching, site, check_problem, parts, found
):
    site.answers["/a.jpg"] = parts

    problem = check_problem(ask(fetching(), site), 502, "url-failed")

    assert found in problem["detail"]
    assert len(site.asked) == 1  # and /b.jpg was never asked for


@pytest.mark.parametrize(
    "parts",
    [
        [answer(b"x" * 3000)],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 500] * 5, 5.0],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 3000, 5.0],
    ],
)
def test_no_more_bytes_are_read_than_of_an_upload(fetching, site, check_problem, parts):
    site.answers["/a.jpg"] = parts

    problem = check_problem(ask(fetching(max_upload_bytes=2000), site), 413, "upload-too-large")

    assert problem["max_upload_bytes"] == 2000


@pytest.mark.parametrize(
    "parts", [[10.0], [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x", 0.05] * 200]], ids=["silent", "drops"]
)
def test_slowness_has_an_end(fetching, site, check_problem, parts):
    site.answers["/a.jpg"] = parts
    client = fetching(seconds=0.4)
    started = time.monotonic()

    problem = check_problem(ask(client, site), 502, "url-failed")

    assert "0.4 s in all" in problem["detail"]
    assert time.monotonic() - started < 4
    assert client.app.state.niteru.fetcher.admission.active == 0


def test_connecting_has_an_end_of_its_own(fetching, site, check_problem, monkeypatch):
    async def never(address, port, *, tls_name):
        await asyncio.sleep(30)

    monkeypatch.setattr("service.fetching.CONNECT_SECONDS", 0.2)
    started = time.monotonic()

    problem = check_problem(ask(fetching(connect=never), site), 502, "url-failed")

    assert "0.2 s to connect" in problem["detail"]
    assert time.monotonic() - started < 4


def test_only_so_many_are_fetched_at_once(fetching, site, photos):
    site.answers["/slow"] = [0.6, answer(photos["hats/03"])]
    client = fetching(at_once=2)
    call = {"method": "POST", "url": "/v1/search",
            "json": {"url": f"http://{HOST}:{site.port}/slow"}}  # fmt: skip
    upload = {"method": "POST", "url": "/v1/search", "content": photos["hats/03"]}

    answers = client.together([call] * 4 + [upload])

    assert [response.status_code for response in answers] == [200, 200, 429, 429, 200]
    assert answers[2].json()["type"].endswith(":overloaded")
    assert answers[2].headers["retry-after"]
    assert client.app.state.niteru.fetcher.admission.active == 0


def test_off_by_default_and_nothing_is_asked(serve, site, check_problem):
    client = serve()
    assert client.app.state.niteru.fetcher is None

    problem = check_problem(ask(client, site), 422, "url-refused")

    assert "NITERU_FETCH_URLS=true" in problem["detail"]
    url = f"http://{HOST}:{site.port}/a.jpg"
    for path, named in (
        ("/v1/embed", {"url": url}),
        ("/v1/explain", {"url": url}),
        ("/v1/search/batch", {"urls": [url], "item_ids": ["hats/03"]}),
    ):
        check_problem(client.post(path, json=named), 422, "url-refused")
    assert not site.asked


def test_this_machine_is_not_reached_unless_a_test_allows_it(serve, site, check_problem):
    """The policy, resolver and connector of a server, with no more than its port changed."""
    client = serve(fetch_urls=True)
    fetcher = client.app.state.niteru.fetcher
    fetcher.policy = Policy(ports=frozenset({site.port}))
    # The system reads all of these as loopback.
    for host in ("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]",
                 "[::ffff:127.0.0.1]", "0.0.0.0"):  # fmt: skip
        problem = check_problem(ask(client, site, host=host), 422, "url-refused")
        assert "not a public one" in problem["detail"], host
    assert not site.asked


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("file:///etc/passwd", "scheme 'file'"),
        ("ftp://photos.example/a.jpg", "scheme 'ftp'"),
        ("gopher://photos.example/", "scheme 'gopher'"),
        ("data:image/png;base64,AAAA", "scheme 'data'"),
        ("photos.example/a.jpg", "expected https://HOST/PATH"),
        ("//photos.example/a.jpg", "expected https://HOST/PATH"),
        ("https://", "the host ''"),
        ("https:///a.jpg", "the host ''"),
        ("http://user:secret@photos.example/", "a user or a password"),
        ("http://photos.example@evil.example/", "a user or a password"),
        ("http://photos.example:22/", "found the port 22; expected 80 or 443"),
        ("http://photos.example:99999/", "cannot be read"),
        ("http://photos.example:x/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://photos.example/a b", "Escape them"),
        ("http://photos.example/\r\nHost: x", "Escape them"),
        ("http://photos.example\\@evil.example/", "Escape them"),
        ("http://ph\u00f6tos.example/", "xn--"),
        ("\thttp://photos.example/", "Escape them"),
    ],
)
def test_what_is_no_url_of_the_web_is_refused_before_its_name_is_resolved(
    serve, check_problem, url, found
):
    client, names = serve(fetch_urls=True), Names()
    client.app.state.niteru.fetcher.resolve = names

    problem = check_problem(client.post("/v1/search", json={"url": url}), 422, "url-refused")

    assert found in problem["detail"]
    assert "secret" not in problem["detail"]
    assert not names.asked


def test_the_next_address_is_tried_if_one_refuses(fetching, site, photos):
    site.answers["/a.jpg"] = [answer(photos["hats/03"])]
    # Nobody listens at ::1, nor at 127.0.0.2 on that port.
    client = fetching(names=Names(photos_example=["::1", "127.0.0.2", "127.0.0.1"]))

    assert ask(client, site, limit=1).json()["items"][0]["id"] == "hats/03"
    nobody = fetching(names=Names(photos_example=["127.0.0.2"]))
    assert ask(nobody, site).status_code == 502


def test_a_host_that_does_not_exist(fetching, site, check_problem):
    problem = check_problem(ask(fetching(names=Names()), site), 502, "url-failed")
    assert f"no host '{HOST}'" in problem["detail"]


def test_proxies_of_the_environment_are_not_used(fetching, site, photos, monkeypatch):
    with Site() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        site.answers["/a.jpg"] = [answer(photos["hats/03"])]
        assert ask(fetching(), site).status_code == 200
        proxy.shutdown()
        assert not proxy.asked


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the host and its key, trusted by nobody but a test."""
    if which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def secure(certificate):
    """A site that speaks TLS; notes the names that clients ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Site(context) as made:
        made.names = names
        yield made
        made.leave.set()
        made.shutdown()


def test_tls_is_spoken_with_the_name_and_not_with_the_address(
    fetching, site, secure, certificate, photos, check_problem
):
    secure.answers["/a.jpg"] = [answer(photos["hats/03"])]
    trusting = DirectConnector(ssl.create_default_context(cafile=str(certificate / "cert.pem")))
    names = Names(photos_example=["127.0.0.1"], other_example=["127.0.0.1"])
    client = fetching(connect=trusting, names=names)
    fetcher = client.app.state.niteru.fetcher
    fetcher.policy = Policy(fetcher.policy.allows, frozenset({secure.port}))

    assert ask(client, secure, scheme="https", limit=1).json()["items"][0]["id"] == "hats/03"
    assert secure.names == [HOST]
    assert f"Host: {HOST}:{secure.port}\r\n" in secure.asked[0]
    # Another name than the certificate's; and a certificate that nobody here has vouched for.
    other = ask(client, secure, scheme="https", host="other.example")
    check_problem(other, 502, "url-failed")
    fetcher.connect = DirectConnector()
    check_problem(ask(client, secure, scheme="https"), 502, "url-failed")
    assert len(secure.asked) == 1
