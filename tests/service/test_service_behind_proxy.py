"""Two servers behind one port, by the configuration of nginx that the README shows."""

import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.served import address_of, running, start

README = Path(__file__).parents[2] / "service" / "README.md"
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{shown}
}}
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def port_of(address):
    return address.rpartition(":")[2]


@pytest.fixture
def behind(tmp_path, publish, entries, embedder, folder, request):
    """The address of the proxy, and the store, settings and processes of both servers."""
    if shutil.which("nginx") is None:
        pytest.skip("there is no nginx here: apt-get install nginx")
    store, port = tmp_path / "store", str(free_port())
    publish(store, entries, embedder)
    given = {"catalogue": str(folder), "decoders": 1, "trusted_proxies": ["127.0.0.1"]}
    given["rate_limit"] = getattr(request, "param", None)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(store, **given)) for _ in range(2)]
        (shown,) = re.findall(r"```nginx\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        one, two = (port_of(address) for address, _ in servers)
        ports = {"8000": port, "8001": one, "8002": two}
        shown = re.sub(r"\b800[0-2]\b", lambda found: ports[found[0]], shown)
        file = tmp_path / "nginx.conf"
        file.write_text(NGINX.format(folder=tmp_path, shown=shown), "utf-8")
        nginx = stack.enter_context(
            subprocess.Popen(
                ["nginx", "-p", tmp_path, "-c", file], stderr=subprocess.PIPE, text=True
            )
        )
        stack.callback(nginx.terminate)
        http = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        until = time.monotonic() + 30
        while True:
            try:
                assert http.get("/livez").status_code == 200
                break
            except httpx.ConnectError:
                assert nginx.poll() is None, nginx.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield http, servers, lambda: start(store, port=int(ports["8002"]), **given)


def asked(address):
    """How many searches a server has answered."""
    text = httpx.get(f"{address}/metrics").text
    found = re.findall(r'requests_total\{[^}]*route="/v1/search",status="200"\} ([0-9.]+)', text)
    return float(found[0]) if found else 0.0


def test_both_answer_and_jobs_are_found(behind, photos):
    http, servers, _ = behind
    for _ in range(20):
        assert http.post("/v1/search?limit=1", content=photos["hats/03"]).status_code == 200
    assert all(asked(address) >= 5 for address, _ in servers)
    assert http.get("/metrics").status_code == 404  # each tells of itself
    job = http.post("/v1/reindex").json()
    with http.stream("GET", job["events"]) as stream:
        assert "event: end" in list(stream.iter_lines())
    for _ in range(6):
        assert http.get(job["url"]).json()["state"] == "done"


@pytest.mark.parametrize("behind", [6], indirect=True)
def test_who_asks_is_whom_the_proxy_names(behind):
    http, servers, _ = behind

    def refused(address):
        """Whether a client that pretends to be ever another one is told that it asks too often."""
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")  # where the proxy is not
        with httpx.Client(base_url=address, transport=elsewhere, timeout=60) as client:
            for number in range(60):
                pretended = {"X-Forwarded-For": f"203.0.113.{number}"}
                answer = client.get("/v1/generations", headers=pretended)
                if answer.status_code == 429:
                    return int(answer.headers["retry-after"]) > 0
                assert answer.status_code == 200
        return False

    assert refused(http.base_url)
    assert http.get("/v1/generations").status_code == 200  # another client's
    assert refused(servers[0][0])  # nor is it believed of one that is no proxy


def test_one_after_the_other_is_started_again_and_no_search_fails(behind, photos):
    http, servers, again = behind
    statuses = []

    def search():
        answer = http.post("/v1/search?limit=1", content=photos["hats/03"])
        statuses.append(answer.status_code)

    for _ in range(6):
        search()
    _, process = servers[1]
    process.terminate()
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        search()
    assert process.poll() == 0
    for _ in range(6):
        search()
    with again() as process:
        address, _ = address_of(process)
        until = time.monotonic() + 60
        while asked(address) == 0 and time.monotonic() < until:
            search()
        assert asked(address) > 0
        process.kill()
    assert set(statuses) == {200}
