"""What can be told of the images without a Docker daemon."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "service.Dockerfile").read_text("utf-8").replace("\\\n", " ")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))


def instructions(name):
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def copied():
    for arguments in instructions("COPY"):
        *sources, _ = arguments.split()
        if not sources[0].startswith("--from="):
            yield from sources


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


def test_the_readme_ends_in_its_decisions():
    text = (DOCKER / "README.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "Decisions"
