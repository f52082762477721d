"""Drawings as JSON: the 3-element format, lines of points, or QuickDraw's columns."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.strokes.formats import Points, StrokeError, check_three, from_lines

FORMAT = "stroke-3"
EXPECTED = (
    '{"strokes": [[dx, dy, lifted], ...]}, {"lines": [[[x, y], ...], ...]}, QuickDraw\'s '
    '{"drawing": [[[x, ...], [y, ...]], ...]}, or {"sketches": [...]} of several'
)
MOST_POINTS = 100_000  # of all drawings in a text: what comes from outside has a bound


def write_json(sketches: Sequence[Points], **facts: Any) -> str:
    """Drawings as text; ``read_json`` gives the same numbers back.

    Args:
        sketches: (N, 3) each.
        facts: What else is to be said of them, by name.
    """
    rows = [[[float(x), float(y), int(p)] for x, y, p in points] for points in sketches]
    return json.dumps({"format": FORMAT, **facts, "sketches": [{"strokes": r} for r in rows]})


def read_json(text: str | bytes) -> list[Points]:
    """The drawings in a text, (N, 3) each.

    Raises:
        StrokeError: No JSON, or none of the forms that are read; the message names them.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StrokeError(f"The strokes are no JSON: {error}. Expected {EXPECTED}.") from error
    found = value["sketches"] if isinstance(value, dict) and "sketches" in value else [value]
    if not isinstance(found, list) or not found:
        raise StrokeError(f"There is no sketch in this JSON. Expected {EXPECTED}.")
    sketches = [read_sketch(one, f"sketch {number}") for number, one in enumerate(found, 1)]
    total = sum(map(len, sketches))
    if total > MOST_POINTS:
        raise StrokeError(f"There are {total:,} points in this JSON; at most {MOST_POINTS:,}.")
    return sketches


def read_sketch(value: Any, name: str = "the sketch") -> Points:
    """One drawing of parsed JSON: (N, 3).

    Raises:
        StrokeError: As ``read_json``.
    """
    if isinstance(value, list):
        value = {"strokes": value}
    if not isinstance(value, dict):
        raise StrokeError(f"{name} is a {type(value).__name__}. Expected {EXPECTED}.")
    if "image" in value or "pixels" in value:
        raise StrokeError(f"{name} has pixels; a stroke model takes strokes. Expected {EXPECTED}.")
    forms = [form for form in ("strokes", "lines", "drawing") if form in value]
    if len(forms) != 1:
        raise StrokeError(f"{name} has the keys {sorted(map(str, value))}. Expected {EXPECTED}.")
    given = value[forms[0]]
    try:
        if forms[0] == "strokes":
            return check_three(np.asarray(given, np.float64), name)
        if forms[0] == "lines":
            return from_lines(given)
        return from_lines(np.stack([np.asarray(c, np.float64) for c in line[:2]], 1)
                          for line in given)  # fmt: skip
    except StrokeError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise StrokeError(f"{name}, '{forms[0]}': {error}. Expected {EXPECTED}.") from error
