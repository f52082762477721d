"""Keys and roles: who is let in, what the others are told, and what a server without keys does."""

import asyncio
import hashlib
import threading
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.job import StoppedError
from service.keys import KeysError, read_keys, role_needed
from service.reindexing import LANE
from service.settings import Settings, is_loopback

SEARCH, WRITE, ADMIN = (f"{role}-key-0123456789" for role in ("search", "write", "admin"))
LISTED = f"search:{SEARCH},write:{WRITE}, admin:{ADMIN}"


def bearer(key):
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def keyed(serve):
    return serve(api_keys=LISTED)


def test_a_key_lets_in_by_either_header(keyed, photos):
    for headers in (bearer(SEARCH), bearer(ADMIN), {"x-api-key": WRITE}):
        answer = keyed.post("/v1/search?limit=1", content=photos["hats/03"], headers=headers)
        assert answer.status_code == 200, headers
        assert answer.json()["items"][0]["id"] == "hats/03"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, "There is no key with the request"),
        ({"authorization": "Basic c2VhcmNoOmtleQ=="}, "There is no key with the request"),
        (bearer(""), "The key is not known"),
        (bearer(SEARCH[:-1]), "The key is not known"),
        (bearer(SEARCH + "0"), "The key is not known"),
        (bearer(SEARCH.upper()), "The key is not known"),
        (bearer(f"search:{SEARCH}"), "The key is not known"),
        ({"x-api-key": b"\xff\xfe" * 9}, "The key is not known"),
        # One of two keys is wrong: the request is not let in by the other.
        ({**bearer("wrong"), "x-api-key": ADMIN}, "The key is not known"),
    ],
)
def test_strangers_are_told_how_to_send_a_key(keyed, check_problem, photos, headers, found):
    for method, path in (("POST", "/v1/search"), ("GET", "/v1/items/hats/03"), ("GET", "/none")):
        content = photos["hats/03"] if method == "POST" else None
        answer = keyed.request(method, path, content=content, headers=headers)
        problem = check_problem(answer, 401, "key-required")
        assert problem["detail"].startswith(found)
        assert "Authorization: Bearer KEY" in problem["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer realm="niteru"'


def test_a_job_is_stopped_by_whoever_may_start_it(keyed, check_problem):
    """What models draw with any key, what works on the store with an admin's."""
    jobs = keyed.app.state.niteru.jobs
    going = threading.Event()

    def work(job):
        while not job.stopping:
            going.wait(0.01)
        raise StoppedError

    for lane, allowed in (("models", SEARCH), (LANE, ADMIN)):
        job = jobs.submit("test", "subject", work, lane=lane)
        address = f"/v1/jobs/{job.id}"
        if allowed == ADMIN:
            refused = keyed.request("DELETE", address, headers=bearer(WRITE))
            problem = check_problem(refused, 403, "role-too-low")
            assert (problem["role"], problem["needed"]) == ("write", "admin")
            assert not job.stopping
        assert keyed.request("DELETE", address, headers=bearer(allowed)).status_code == 200
        assert job.stopping


@pytest.mark.parametrize("path", ["/", "/livez", "/healthz", "/readyz", "/docs", "/openapi.json"])
def test_probes_and_the_description_need_no_key(keyed, path):
    assert keyed.get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "key", "needed"),
    [
        ("DELETE", "/v1/items/hats/03", SEARCH, "write"),
        ("PUT", "/v1/items/hats/03", SEARCH, "write"),
        ("POST", "/v1/generations/one/activate", WRITE, "admin"),
        ("POST", "/v1/something-new", WRITE, "admin"),
        ("POST", "/v1/searching", WRITE, "admin"),
    ],
)
def test_a_role_may_not_do_what_is_above_it(keyed, check_problem, method, path, key, needed):
    problem = check_problem(keyed.request(method, path, headers=bearer(key)), 403, "role-too-low")

    assert (problem["role"], problem["needed"]) == (key.partition("-")[0], needed)
    assert keyed.request(method, path, headers=bearer(ADMIN)).status_code not in (401, 403)


def test_a_call_that_nobody_thought_of_is_the_admins():
    assert role_needed("DELETE", "/") == "admin"
    assert role_needed("POST", "/livez") == "admin"
    assert role_needed("GET", "/metrics") == "admin"
    assert role_needed("POST", "/v1/items") == "write"
    assert role_needed("POST", "/v1/itemsandmore") == "admin"
    assert role_needed("GET", "/v1/whatever") == "search"


def test_a_line_break_after_a_path_is_no_way_around_a_role(keyed):
    assert keyed.get("/metrics", headers=bearer(SEARCH)).status_code == 403
    for path in ("/metrics%0A", "/livez%0A", "/%0A", "/v1/generations%0A"):
        assert keyed.get(path).status_code == 401
        assert keyed.get(path, headers=bearer(ADMIN)).status_code == 404


def test_the_answer_begins_before_a_byte_of_the_body_is_read(keyed):
    order = []
    body = [{"type": "http.request", "body": b"x" * 100, "more_body": n < 2} for n in range(3)]

    async def receive():
        order.append("read")
        return body.pop(0)

    async def send(message):
        order.append(message["type"])

    scope = {
        "type": "http", "method": "POST", "path": "/v1/search", "raw_path": b"/v1/search",
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(b"content-type", b"image/jpeg"), (b"content-length", b"300")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(keyed.app(scope, receive, send))

    # What still comes is thrown away, so that the client sees the answer.
    assert order[0] == "http.response.start"
    assert order.count("read") == 3


def test_keys_of_a_file_and_of_the_setting_count_together(tmp_path, serve):
    file = tmp_path / "keys"
    file.write_text(f"# the shop\n\nsearch:{SEARCH}\n  admin:{ADMIN}\n", "utf-8")
    client = serve(api_keys_file=file, api_keys=f"write:{WRITE}")

    for key in (SEARCH, WRITE, ADMIN):
        assert client.get("/v1/items/hats/03", headers=bearer(key)).status_code == 200
    keys = read_keys(None, file)
    assert keys.roles == {
        hashlib.sha256(key.encode()).digest(): role
        for key, role in ((SEARCH, "search"), (ADMIN, "admin"))
    }


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("", "entry 1 of NITERU_API_KEYS"),
        (SEARCH, "entry 1 of NITERU_API_KEYS"),
        (f"search:{SEARCH},reader:{WRITE}", "entry 2 of NITERU_API_KEYS"),
        ("search:short", "16 or more"),
        (f"search:{SEARCH} {WRITE}", "entry 1"),
        (f"search:{SEARCH},admin:{SEARCH}", "entry 2 of NITERU_API_KEYS stands there twice"),
    ],
)
def test_keys_that_are_none_are_refused_without_repeating_them(listed, found):
    with pytest.raises(KeysError, match=found) as refused:
        read_keys(listed, None)
    assert SEARCH not in str(refused.value)


def test_a_file_without_keys_is_refused(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# none yet\n", "utf-8")
    with pytest.raises(KeysError, match="There is no key in"):
        read_keys(None, file)
    file.write_text("# first\nsearch\n", "utf-8")
    with pytest.raises(KeysError, match="line 2 of"):
        read_keys(None, file)
    assert read_keys(None, None) is None


def test_settings_do_not_show_their_keys():
    assert SEARCH not in repr(Settings(store=Path("s"), api_keys=LISTED))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "niteru.example", ""])
def test_without_a_key_only_this_machine_may_ask(monkeypatch, host):
    monkeypatch.delenv("NITERU_API_KEYS", raising=False)
    with pytest.raises(ValidationError, match="there is no key: set NITERU_API_KEYS=search:KEY"):
        Settings(store=Path("s"), host=host)
    assert Settings(store=Path("s"), host=host, api_keys=LISTED).host == host
    assert Settings(store=Path("s"), host=host, api_keys_file=Path("keys")).host == host


def test_loopback_has_several_names():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert Settings(store=Path("s"), host="::1").host == "::1"


# The least role of each call, written down once more: by hand, and by call instead of by place.
LEAST = {
    "search": """
        POST /v1/search, POST /v1/search/batch, POST /v1/embed, POST /v1/explain,
        GET /v1/items/{item_id}, GET /v1/items/{item_id}/image, GET /v1/items/{item_id}/explain,
        GET /v1/generations,
        GET /v1/facets, GET /v1/map, GET /v1/models, GET /v1/models/{name},
        POST /v1/models/{name}/samples, POST /v1/models/{name}/completions,
        POST /v1/models/{name}/enlargements, POST /v1/models/{name}/reconstructions,
        POST /v1/models/{name}/interpolations,
        POST /v1/models/{name}/arithmetic, POST /v1/models/{name}/frames,
        POST /v1/models/{name}/sketches/completions,
        POST /v1/models/{name}/sketches/reconstructions,
        POST /v1/models/{name}/sketches/interpolations, POST /v1/models/{name}/sketches/arithmetic,
        POST /v1/models/{name}/likelihoods, GET /v1/jobs, GET /v1/jobs/{job_id},
        GET /v1/jobs/{job_id}/events, GET /v1/jobs/{job_id}/result,
        DELETE /v1/jobs/{job_id}""",
    "write": """PUT /v1/items/{item_id}, PATCH /v1/items/{item_id}, DELETE /v1/items/{item_id},
        POST /v1/items/batch""",
    "admin": """POST /v1/generations/{generation_id}/activate, POST /v1/generations/collect,
        POST /v1/reindex, GET /metrics""",
    "nobody": "GET /, GET /livez, GET /healthz, GET /readyz",
}
CALLS = {tuple(call.split()): role for role, calls in LEAST.items() for call in calls.split(",")}
BY_ROLE = {"search": SEARCH, "write": WRITE, "admin": ADMIN}


def test_every_call_has_a_least_role(keyed):
    described = {
        (method.upper(), path)
        for path, operations in keyed.get("/openapi.json").json()["paths"].items()
        for method in operations
    }
    assert described == set(CALLS)


@pytest.mark.parametrize(("method", "path"), CALLS, ids=" ".join)
def test_a_call_lets_in_its_role_and_those_above_it(keyed, method, path):
    needed = CALLS[method, path]
    path = path.format(item_id="none", name="none", job_id="none", generation_id="none")
    assert (keyed.request(method, path).status_code == 401) == (needed != "nobody")
    if needed == "nobody":
        return
    roles = list(BY_ROLE)
    for role, key in BY_ROLE.items():
        status = keyed.request(method, path, headers=bearer(key)).status_code
        assert (status == 403) == (roles.index(role) < roles.index(needed)), (role, status)
        assert status not in (401, 500)


def test_roles_are_the_same_below_a_prefix(keyed):
    """An application may stand below a path of another one, or of a proxy."""

    async def ask(path, key=None):
        transport = httpx.ASGITransport(keyed.app, root_path="/shop", raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://niteru.test") as http:
            answer = await http.get(path, headers=bearer(key) if key else {})
            return answer.status_code

    def status(path, key=None):
        return keyed.runner.run(ask(path, key))

    assert status("/shop/livez") == 200
    assert status("/shop/metrics", SEARCH) == 403
    assert status("/shop/metrics", ADMIN) == 200
    assert status("/shopping/livez") == 401
