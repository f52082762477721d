"""What ruff does not look at: sizes, docstrings of modules, traces of somebody's machine."""

import ast
import re
import statistics
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "indexer", "service")
TEXTS = {"", ".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".html", ".js", ".css", ".sh"}

FILE_LINES, FUNCTION_LINES = 400, 60
MEDIAN_FILE_LINES, MEDIAN_FUNCTION_LINES = 180, 12


def python_files(*folders):
    """Paths relative to the repository, as the tests show them."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def texts():
    """Every file of words: the folders of the project and what lies beside them."""
    folders = (*PACKAGES, "tests", "docs", "docker", ".ci")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    return sorted(
        str(path.relative_to(ROOT))
        for path in found
        if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts
    )


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def functions(name):
    """Each function of a file with its number of lines."""
    for node in ast.walk(ast.parse(read(name))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


EVERY_FILE = python_files(*PACKAGES, "tests")


@pytest.mark.parametrize("name", EVERY_FILE)
def test_files_and_functions_can_be_read_at_a_sitting(name):
    lines = len(read(name).splitlines())
    assert lines <= FILE_LINES, f"{lines} lines; split the file"
    long = [f"{function}: {size}" for function, size in functions(name) if size > FUNCTION_LINES]
    assert not long, f"longer than {FUNCTION_LINES} lines"


def test_most_files_and_functions_are_short():
    files = python_files(*PACKAGES)
    sizes = [len(read(name).splitlines()) for name in files if not name.endswith("__init__.py")]
    assert statistics.median(sizes) <= MEDIAN_FILE_LINES
    lengths = [size for name in files for _, size in functions(name)]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("name", EVERY_FILE)
def test_every_module_says_what_it_is_for(name):
    assert ast.get_docstring(ast.parse(read(name))), "the module docstring is missing"


@pytest.mark.parametrize("name", EVERY_FILE)
def test_imports_are_absolute(name):
    relative = [
        node.lineno
        for node in ast.walk(ast.parse(read(name)))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative, "relative imports in these lines"


def lines_with(pattern, names):
    return [
        f"{name}:{number}: {line.strip()[:90]}"
        for name in names
        for number, line in enumerate(read(name).splitlines(), start=1)
        if re.search(pattern, line)
    ]


# Written with brackets so that this file does not find itself.
HOME = r"(?<![\w.<-])/(?:wor[k]|hom[e]|Use[r]s|roo[t])/\w|[A-Z]:\\Use[r]s\\"
INDEX = (
    r"(?:index-ur[l]|PIP_INDEX_UR[L]|index_ur[l])\W+https?://(?!download\.pytorch\.org|pypi\.org)"
)


def test_no_traces_of_a_machine():
    assert not lines_with(HOME, texts())
    assert not lines_with(INDEX, texts())


def test_types_are_ignored_by_code_only():
    assert not lines_with(r"#\s*type:\s*ignor[e](?!\[[a-z])", EVERY_FILE)


def test_nothing_is_left_to_do():
    assert not lines_with(r"#.*\b(?:TOD[O]|FIXM[E]|XX[X])\b", EVERY_FILE)


@pytest.mark.parametrize(
    ("pattern", "caught", "passed"),
    [
        (HOME, ["open('", "home", "ada", "photos')"], "GET /v1/work/items"),
        (HOME, ["cd ", "work", "main"], "https://example.org/home"),
        (INDEX, ["--index-url https:", "", "proxy.local"], "--index-url https://pypi.org/simple"),
    ],
)
def test_the_patterns_find_what_they_should(pattern, caught, passed):
    assert re.search(pattern, "/".join(caught))  # joined, lest this file find itself
    assert not re.search(pattern, passed)


def test_test_files_have_names_of_their_own():
    """They are imported without packages, where two of a name would be one module."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, times in names.items() if times > 1]
    assert not list((ROOT / "tests").rglob("__init__.py"))
