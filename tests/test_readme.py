"""The README's commands are run, in their order, on a small shop; and nothing is left out of it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import models
from service.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]


def group() -> TyperGroup:
    found = typer.main.get_command(app)
    assert isinstance(found, TyperGroup)
    return found


def command_names() -> set[str]:
    names = set()
    for name, command in group().commands.items():
        inner = getattr(command, "commands", None)
        names |= {f"{name} {sub}" for sub in inner} if inner else {name}
    return names


def test_every_command_is_named_in_the_readme():
    listed = README.split("`niteru --help` lists the commands:")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z -]+)`", listed)) == command_names()


def test_every_model_is_named_in_the_models_readme_and_the_reverse():
    table = (ROOT / "models" / "README.md").read_text().split("| folder |")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(models.available())


def test_shipped_weights_are_listed_and_small():
    listed = (ROOT / "weights" / "README.md").read_text()
    folders = [path.parent for path in (ROOT / "weights").glob("*/config.json")]
    assert {f.name for f in folders} == set(re.findall(r"^\| `([\w-]+)` \|", listed, re.MULTILINE))
    size = sum(path.stat().st_size for f in folders for path in f.rglob("*") if path.is_file())
    assert size < 40 * 2**20
    for file in (path for f in folders for path in f.iterdir()):
        assert b"site-packages" not in file.read_bytes(), f"{file.name}: a trace of a machine"


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(p for f in ROOT.glob("[a-z]*") for p in f.glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_exist(page):
    targets = set(re.findall(r"`?make (\w+)", (ROOT / page).read_text()))
    for target in targets - {"it"}:
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert targets <= {line.split()[1] for line in helped.stdout.splitlines()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder like the one a reader has: photos/, photo.jpg, and niteru on the path."""
    folder = tmp_path_factory.mktemp("readme")
    run("niteru sample-catalogue rendered --items 30 --size 96", folder)
    (folder / "rendered" / "images").rename(folder / "photos")
    shutil.copy(min((folder / "photos").iterdir()), folder / "photo.jpg")
    return folder


def run(line: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the README's server did not start")


def lines(word: str) -> list[str]:
    found = [line for line in SHELL if line.startswith(word)]
    assert found, f"no command '{word}' in the README"
    return found


def test_index_search_serve_and_query_as_the_readme_says(shop):
    index, *_ = lines("niteru index")
    assert "30 items" in run(index, shop)
    assert run(lines("niteru search")[0], shop).count("  0.") + 1 >= 5
    port = free_port()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    serve = f"exec {lines('niteru serve')[0]} --port {port}"
    server = subprocess.Popen(
        ["bash", "-c", serve], cwd=shop, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, server)
        first = min(path.stem for path in (shop / "photos").iterdir())
        for python in (block for kind, block in BLOCKS if kind == "python"):
            answer = subprocess.run(
                [sys.executable, "-c", python.replace("8000", str(port))],
                cwd=shop, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            assert answer.returncode == 0, answer.stderr
            assert len(answer.stdout.splitlines()) == 5
            assert answer.stdout.splitlines()[0].endswith(first)
        if shutil.which("curl"):
            found = run(lines("curl")[0].replace("8000", str(port)), shop)
            assert first in found
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


def test_training_as_the_readme_says(shop):
    """The commands themselves, but for their size: a tiny model, and seconds."""
    (train,) = lines("niteru train")
    run(train.replace("--preset cpu --minutes 60", "--preset tiny --steps 5"), shop)
    for line in lines("niteru index")[1:]:
        assert "30 items" in run(line, shop)


def test_every_shell_line_is_covered_here():
    known = ("make ", "niteru ", "curl ", ". .venv/bin/activate")
    assert all(line.startswith(known) for line in SHELL)
    for line in lines("niteru"):
        name = next(n for n in sorted(command_names(), reverse=True) if line[7:].startswith(n))
        command = group().commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r" (--[a-z-]+)", line)) <= options, line
