"""What Prometheus is told, read with its own parser, and what the dashboard asks of it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from indexer.engines.faiss_engine import FaissEngine
from service.metrics import born_of

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARD = json.loads((DOCKER / "monitoring/dashboard.json").read_text("utf-8"))
COMPOSE = yaml.safe_load((DOCKER / "compose.monitoring.yaml").read_text("utf-8"))


def samples(client):
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(response.text)
    return {
        (s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples
    }


def test_answers_are_counted_by_route_and_status(each_client, photos):
    for _ in range(3):
        each_client.post("/v1/search", content=photos["hats/03"])
    each_client.post("/v1/search", content=b"no image")
    each_client.get("/v1/items/hats/03")
    each_client.get("/v1/items/nobody/at/all")
    each_client.get("/nothing/here")
    for number in range(3):
        each_client.request(f"MAKE{number}", f"/made/up/{number}")
        each_client.request(f"MAKE{number}", f"/v1/search/{number}")

    found = samples(each_client)

    def count(method, route, status):
        labels = {"method": method, "route": route, "status": status}
        return found[("niteru_requests_total", *sorted(labels.items()))]

    assert count("POST", "/v1/search", "200") == 3
    assert count("POST", "/v1/search", "415") == 1
    assert count("GET", "/v1/items/{item_id:path}", "200") == 1
    assert count("GET", "/v1/items/{item_id:path}", "404") == 1
    assert count("GET", "none", "404") == 1
    assert count("other", "none", "404") == 6
    assert found[("niteru_request_seconds_count", ("route", "/v1/search"))] == 4
    assert not any(
        word in str(key) for key in found for word in ("hats", "nothing", "made", "MAKE")
    )


def test_steps_and_batches_are_timed(each_client, photos):
    answer = each_client.post("/v1/search", content=photos["hats/03"]).json()
    files = [("image", ("a", photos["hats/03"])), ("image", ("b", photos["bags/01"]))]
    each_client.post("/v1/search/batch", files=files)

    found = samples(each_client)

    for step in ("receive", "decode", "embed", "search", "fetch"):
        assert found[("niteru_step_seconds_count", ("step", step))] == 2
        spent = found[("niteru_step_seconds_sum", ("step", step))]
        assert spent >= answer["timings_ms"][step] / 1000 * 0.99
    assert found[("niteru_batch_size_sum",)] == 2  # the lone search shares no batch


def test_the_index_is_told_of(serve, tmp_path, publish, entries, embedder, picture):
    store = tmp_path / "store"
    publish(store, entries, embedder)
    client = serve(engine=FaissEngine.open(store, fingerprint=embedder.fingerprint), store=store)
    before = samples(client)
    assert before[("niteru_items",)] == len(entries)
    assert before[("niteru_items_not_indexed",)] == 0
    assert 0 <= before[("niteru_index_age_seconds",)] < 60
    assert before[("niteru_generation_refused",)] == 0

    client.request("PUT", "/v1/items/new", content=picture(77))

    after = samples(client)
    assert after[("niteru_items",)] == len(entries) + 1
    assert after[("niteru_items_not_indexed",)] == 1


def test_without_an_index_the_rest_is_told(serve, tmp_path, embedder):
    from service.app import open_engine  # noqa: PLC0415
    from service.settings import Settings  # noqa: PLC0415

    engine = open_engine(Settings(store=tmp_path / "none"), embedder)
    found = samples(serve(engine=engine, store=tmp_path / "none"))
    assert ("niteru_active_requests",) in found
    assert ("niteru_items",) not in found


def test_when_a_generation_was_begun():
    assert born_of("20261123T183300Z-4f2a") == datetime(2026, 11, 23, 18, 33, tzinfo=UTC)
    assert born_of("one") is None


def test_it_is_for_admins_where_there_are_keys(serve):
    client = serve(api_keys="search:0123456789abcdef,admin:fedcba9876543210")
    for key, status in (("0123456789abcdef", 403), ("fedcba9876543210", 200)):
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/metrics", headers=headers).status_code == status


# -- the dashboard -------------------------------------------------------------------------------


def told(name):
    return yaml.safe_load((DOCKER / "monitoring" / name).read_text("utf-8"))


def queries():
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_every_query_asks_for_what_there_is(serve, tmp_path, publish, entries, embedder, photos):
    store = tmp_path / "store"
    publish(store, entries, embedder)
    client = serve(engine=FaissEngine.open(store, fingerprint=embedder.fingerprint), store=store)
    client.post("/v1/search", content=photos["hats/03"])
    client.post("/v1/search/batch", files=[("image", ("a", photos["hats/03"]))])
    there = {key[0] for key in samples(client)}
    asked = {name for query in queries() for name in re.findall(r"niteru_\w+", query)}

    assert asked <= there
    told = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in there}
    assert told == {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in asked}


@pytest.mark.parametrize("query", queries())
def test_queries_are_balanced(query):
    for pair in ("()", "[]", "{}"):
        assert query.count(pair[0]) == query.count(pair[1])


def test_compose_mounts_files_that_are_there_and_keeps_its_bounds():
    for config in COMPOSE["configs"].values():
        assert (DOCKER / config["file"]).is_file()
    for name, service in COMPOSE["services"].items():
        # Compose refuses to put a secret that is no file into a read-only container.
        assert service.get("read_only", False) is ("secrets" not in service), name
        assert service["cap_drop"] == ["ALL"]
        assert {entry["source"] for entry in service["configs"]} <= set(COMPOSE["configs"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert ":" in service["image"]
        assert not service["image"].endswith(":latest")
    (scrape,) = yaml.safe_load((DOCKER / "monitoring/prometheus.yaml").read_text())[
        "scrape_configs"
    ]
    assert scrape["metrics_path"] == "/metrics"
    assert scrape["static_configs"] == [{"targets": ["serve:8000"]}]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    (source,) = told("datasource.yaml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
