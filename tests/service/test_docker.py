"""What can be told of the images without a Docker daemon."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from indexer.engines.choice import EngineChoice
from service.settings import Settings
from tests.served import running

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "service.Dockerfile").read_text("utf-8").replace("\\\n", " ")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
MILVUS = yaml.safe_load((DOCKER / "compose.milvus.yaml").read_text("utf-8"))
CLUSTER = yaml.safe_load((DOCKER / "compose.milvus-cluster.yaml").read_text("utf-8"))
PARTS = ("proxy", "mixcoord", "streamingnode", "querynode", "datanode")
HEALTHY = {"condition": "service_healthy"}


def instructions(name):
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def copied():
    for arguments in instructions("COPY"):
        *sources, _ = arguments.split()
        if not sources[0].startswith("--from="):
            yield from (source for source in sources if not source.startswith("--chmod="))


def test_all_that_is_copied_is_there_and_is_sent_to_the_builder():
    allowed = (DOCKER / "service.Dockerfile.dockerignore").read_text("utf-8").split("\n")
    assert len(list(copied())) >= 8
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in allowed


def test_every_package_and_what_pyproject_names_is_copied():
    for name in ("models", "indexer", "service", "pyproject.toml", "README.md", "LICENSE"):
        assert name in set(copied())


def test_the_last_stage_is_slim_unprivileged_and_checks_its_health():
    assert set(instructions("FROM")) == {"python:3.11-slim AS build", "python:3.11-slim"}
    assert instructions("USER") == ["10001"]
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert "/readyz" in command[-1]
    compile(command[-1], "healthcheck", "exec")


def test_the_health_check_knows_a_server_that_is_ready_from_others(indexed_store, tmp_path):
    (check,) = instructions("HEALTHCHECK")
    _, *words = json.loads(check.partition("CMD ")[2])

    def healthy(address):
        asked = [word.replace("http://127.0.0.1:8000", address) for word in words]
        assert asked != words
        run = subprocess.run([sys.executable, *asked], capture_output=True, check=False)
        return run.returncode == 0

    with running(indexed_store) as (address, _):
        assert healthy(address)
    with running(tmp_path / "empty") as (empty, _):
        assert not healthy(empty)  # it lives, and has nothing to search
    assert not healthy(address)


def commands():
    (serve,) = instructions("CMD")
    yield json.loads(serve)
    yield from (
        service["command"] for service in COMPOSE["services"].values() if "command" in service
    )


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command[0])
def test_the_commands_are_ones_that_niteru_has(command):
    assert instructions("ENTRYPOINT") == ['["niteru"]']
    run = [sys.executable, "-c", "from service.cli import main; main()", command[0], "--help"]
    shown = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)

    assert shown.returncode == 0, shown.stderr
    for option in (word for word in command if word.startswith("--")):
        assert option in shown.stdout


def test_compose_builds_this_image_and_keeps_it_in_bounds():
    services = COMPOSE["services"]
    assert set(services) == {"serve", "index"}
    for service in services.values():
        build = service["build"]
        context = (DOCKER / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).is_file()
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        mounts = [volume.rpartition(":/")[2] for volume in service["volumes"]]
        assert mounts == ["store", "catalogue:ro"]
    (port,) = services["serve"]["ports"]
    assert port.startswith("127.0.0.1:")
    assert port.endswith(":8000")


def test_what_was_begun_is_finished_before_the_container_is_killed():
    seconds = int(COMPOSE["services"]["serve"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= Settings(store="s").request_timeout + 20
    assert COMPOSE["services"]["serve"]["init"] is True


@pytest.mark.parametrize("file", sorted(DOCKER.glob("compose*.yaml")), ids=lambda file: file.stem)
def test_no_read_only_service_has_a_secret_that_is_no_file(file):
    """Compose copies those into the container, and refuses where it cannot."""
    told = yaml.safe_load(file.read_text("utf-8"))
    for kind in ("secrets", "configs"):
        copied_in = {name for name, source in told.get(kind, {}).items() if "file" not in source}
        for service in told["services"].values():
            used = {one if isinstance(one, str) else one["source"] for one in service.get(kind, ())}
            assert not (service.get("read_only") and used & copied_in)


def test_milvus_is_added_to_both_services_and_reached_by_them_alone():
    services = MILVUS["services"]
    assert set(services) == {"serve", "index", "milvus", "etcd", "minio"}
    for name in ("serve", "index"):
        given = services[name]
        assert given["depends_on"] == {"milvus": {"condition": "service_healthy"}}
        assert given["image"] != COMPOSE["services"][name]["image"]  # it holds more
        environment = given["environment"]
        settings = {variable.removeprefix("NITERU_").lower() for variable in environment}
        assert settings <= set(Settings.model_fields)
        assert environment["NITERU_ENGINE"] == "milvus"
        choice = EngineChoice("milvus", environment["NITERU_MILVUS_URI"])
        assert choice.uri == "http://milvus:19530"
    for name in ("milvus", "etcd", "minio"):
        assert "ports" not in services[name]
        assert not services[name]["image"].endswith(":latest")
        assert ":" in services[name]["image"]
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        (volume,) = services[name]["volumes"]
        assert volume.partition(":")[0] in MILVUS["volumes"]
    assert set(services["milvus"]["depends_on"]) == {"etcd", "minio"}
    parts = services["milvus"]["environment"]
    assert parts["ETCD_ENDPOINTS"].partition(":")[0] in services
    assert parts["MINIO_ADDRESS"].partition(":")[0] in services
    assert parts["MINIO_ACCESS_KEY_ID"] == services["minio"]["environment"]["MINIO_ROOT_USER"]


def test_a_cluster_is_the_parts_of_milvus_each_as_a_service():
    services = CLUSTER["services"]
    assert set(services) == {"serve", "index", "etcd", "minio", *PARTS}
    for name in PARTS:
        part = services[name]
        assert part["image"] == MILVUS["services"]["milvus"]["image"]
        assert part["command"] == ["milvus", "run", name]
        assert "ports" not in part
        assert part["healthcheck"] == MILVUS["services"]["milvus"]["healthcheck"]
        needed = {"etcd": HEALTHY, "minio": HEALTHY} if name == "mixcoord" else {
            "mixcoord": HEALTHY
        }  # fmt: skip
        assert part["depends_on"] == needed
        # All must agree, whoever of them is asked.
        assert part["environment"] == services["proxy"]["environment"]
        assert part["environment"]["MQ_TYPE"] == "woodpecker"
    alone = MILVUS["services"]["milvus"]["environment"].items()
    assert alone <= services["proxy"]["environment"].items()
    for name in ("querynode", "datanode"):
        assert re.fullmatch(
            r"\$\{MILVUS_[A-Z]+_NODES:-[12]\}", services[name]["deploy"]["replicas"]
        )


def test_a_cluster_differs_from_one_process_in_nothing_but_its_parts():
    for name in ("etcd", "minio"):
        assert CLUSTER["services"][name] == MILVUS["services"][name]
        (volume,) = CLUSTER["services"][name]["volumes"]
        assert volume.partition(":")[0] in CLUSTER["volumes"]
    for name in ("serve", "index"):
        given, alone = CLUSTER["services"][name], MILVUS["services"][name]
        assert set(given["depends_on"]) == {*PARTS} - {"mixcoord"}
        assert all(condition == HEALTHY for condition in given["depends_on"].values())
        assert given["environment"] == {
            **alone["environment"], "NITERU_MILVUS_URI": "http://proxy:19530",
        }  # fmt: skip
        assert (given["image"], given["build"]) == (alone["image"], alone["build"])


def test_no_password_stands_in_a_file():
    for file in DOCKER.glob("*.yaml"):
        for line in file.read_text("utf-8").splitlines():
            name, _, value = line.partition(": ")
            if re.search("PASSWORD|SECRET|TOKEN", name) and value:
                assert "${" in value, f"{file.name}: {line.strip()}"


def test_the_extras_that_images_are_built_with_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    (default,) = [line for line in instructions("ARG") if line.startswith("EXTRAS=")]
    named = [default.partition("=")[2]]
    named += [service["build"]["args"]["EXTRAS"] for service in MILVUS["services"].values()
              if "build" in service]  # fmt: skip
    assert len(named) == 3
    for given in named:
        assert set(given.split(",")) <= set(extras)
    assert '".[${EXTRAS}]"' in DOCKERFILE


def test_the_readme_ends_in_its_decisions():
    text = (DOCKER / "README.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "Decisions"
