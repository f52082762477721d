"""pyproject.toml, constraints.txt and the folders agree."""

import importlib
import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOL = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]

# What a build of torch for an accelerator brings along; the pinned build has none of it.
ACCELERATOR = ("nvidia-", "cuda-", "triton")


def declared():
    """Every requirement that pyproject.toml names, of any extra."""
    lines = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        lines += extra
    return [Requirement(line) for line in lines]


@pytest.fixture(scope="module")
def pins():
    """Version by canonical name, as constraints.txt has them; every line is an exact one."""
    versions = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].strip()
        if not words:
            continue
        requirement = Requirement(words)
        [specifier] = requirement.specifier
        assert specifier.operator == "==", f"{line!r} is no exact version"
        name = canonicalize_name(requirement.name)
        assert name not in versions, f"{name} is pinned twice"
        versions[name] = Version(specifier.version)
    return versions


def test_the_packages_are_the_folders_with_code():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(TOOL["hatch"]["build"]["targets"]["wheel"]["packages"]) == folders
    assert set(TOOL["mypy"]["packages"]) == folders | {"tests.bench.study", "tests.bench.gallery"}
    assert set(TOOL["importlinter"]["root_packages"]) == folders


def test_every_folder_of_code_is_a_package():
    for package in TOOL["hatch"]["build"]["targets"]["wheel"]["packages"]:
        folders = {path.parent for path in (ROOT / package).rglob("*.py")}
        assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_a_declared_dependency_is_pinned_above_its_floor(requirement, pins):
    name = canonicalize_name(requirement.name)
    assert name in pins, f"add {requirement.name}== to constraints.txt"
    assert requirement.specifier.contains(pins[name], prereleases=True)


def needed_by(requirement):
    """What an installed distribution needs here, with the extras that were asked for."""
    try:
        lines = importlib.metadata.requires(requirement.name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    extras = requirement.extras or {""}
    needed = [Requirement(line) for line in lines]
    return [
        other
        for other in needed
        if not other.marker or any(other.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def test_what_the_dependencies_need_is_pinned_too(pins):
    waiting, seen, loose = declared(), set(), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or name.startswith(ACCELERATOR):
            continue
        seen.add(key)
        if name not in pins:
            loose.add(name)
        waiting += needed_by(requirement)
    assert not loose, "add these to constraints.txt"


def test_what_is_installed_is_what_is_pinned(pins):
    """Otherwise the tests would say nothing about the pinned versions."""
    differing = {
        requirement.name: (installed, str(pins[name]))
        for requirement in declared()
        if (name := canonicalize_name(requirement.name)) in pins
        and (installed := _installed(requirement.name)) is not None
        and Version(installed).public != pins[name].public
    }
    assert not differing


def _installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def test_the_commands_exist():
    for target in PROJECT["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_files_it_names_exist():
    for name in (PROJECT["readme"], *PROJECT["license-files"], "CHANGELOG.md", "CONTRIBUTING.md"):
        assert (ROOT / name).stat().st_size > 0
