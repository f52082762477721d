"""What other web pages may ask of the server, and what the log says to machines."""

import json
import logging

import pytest

from service.app import JsonLines, start_logging
from tests.service.test_service_gate import Broken

SHOP = "https://shop.example"
KEY = "search:0123456789abcdef"


def asked(client, origin=SHOP, method="POST", path="/v1/search"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    headers["Access-Control-Request-Headers"] = "authorization"
    return client.request("OPTIONS", path, headers=headers)


def test_without_a_setting_no_page_may_ask(client, photos):
    assert "access-control-allow-origin" not in asked(client).headers
    answer = client.post("/v1/search", content=photos["hats/03"], headers={"Origin": SHOP})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_the_list_may_ask_even_where_there_are_keys(serve, photos):
    client = serve(cors_origins=(SHOP,), api_keys=KEY)

    permission = asked(client)
    assert permission.status_code == 200
    assert permission.headers["access-control-allow-origin"] == SHOP
    assert "authorization" in permission.headers["access-control-allow-headers"].lower()

    refused = client.post("/v1/search", content=photos["hats/03"], headers={"Origin": SHOP})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == SHOP  # the page may read why
    headers = {"Origin": SHOP, "Authorization": "Bearer 0123456789abcdef"}
    found = client.post("/v1/search", content=photos["hats/03"], headers=headers)
    assert found.status_code == 200
    assert "x-request-id" in found.headers["access-control-expose-headers"].lower()


def test_a_page_may_read_why_whoever_refuses(serve, exact, picture):
    client = serve(
        cors_origins=(SHOP,), max_upload_bytes=10_000, rate_limit=3,
        engine=Broken(exact, RuntimeError("no")),
    )  # fmt: skip

    def answered(**given):
        answer = client.post("/v1/search", headers={"Origin": SHOP}, **given)
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "ratelimit" in answer.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        return answer.status_code

    assert answered(content=bytes(20_000)) == 413
    assert answered(content=b"text") == 415
    assert answered(content=picture(0)) == 500
    assert [answered(content=b"x") for _ in range(2)] == [415, 429]


def test_another_page_may_not(serve):
    client = serve(cors_origins=(SHOP,))
    answer = client.get("/v1/generations", headers={"Origin": "https://shop.example.evil.test"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in asked(client, origin="null").headers
    assert "access-control-allow-origin" not in asked(client, origin="https://else.example").headers


def test_a_line_for_machines_has_the_request_in_it(client, photos, caplog):
    caplog.set_level(logging.INFO, logger="service.gate")
    client.post("/v1/search", content=photos["hats/03"], headers={"X-Request-Id": "abc"})
    (record,) = [r for r in caplog.records if r.name == "service.gate"]

    line = json.loads(JsonLines().format(record))

    assert line["message"].startswith("POST '/v1/search' -> 200 in ")
    assert {k: line[k] for k in ("request_id", "method", "path", "route", "status")} == {
        "request_id": "abc", "method": "POST", "path": "/v1/search", "route": "/v1/search",
        "status": 200,
    }  # fmt: skip
    assert line["received_bytes"] == len(photos["hats/03"])
    assert line["milliseconds"] > 0
    assert line["level"] == "INFO"
    assert line["time"].endswith("+00:00")


def test_an_error_and_odd_letters_stay_one_line():
    with pytest.raises(ValueError, match="b") as caught:
        int("a\nb")
    info = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "line\nbreak %s", ("ü",), info)

    text = JsonLines().format(record)

    assert "\n" not in text
    assert json.loads(text)["message"] == "line\nbreak ü"
    assert "ValueError" in json.loads(text)["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_is_written_as_is_asked_for(form, capsys, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    start_logging(form)
    logging.getLogger("service").info("hello")
    line = capsys.readouterr().err.strip()
    assert line.endswith("hello") if form == "text" else json.loads(line)["message"] == "hello"
