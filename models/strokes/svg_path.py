"""The data of an SVG path as lines of points; Bézier curves are cut into short lines."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.strokes.formats import LARGEST, Points, StrokeError

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
TOKEN = re.compile(rf"\s*,?\s*(?:([A-Za-z])|({NUMBER}))")
COUNTS = {"M": 2, "L": 2, "H": 1, "V": 1, "Z": 0, "C": 6, "S": 4, "Q": 4, "T": 2}
PIECES = 12  # lines that a curve becomes
MOST_POINTS = 100_000  # of a drawing: what comes from outside has a bound
MOST_TOKENS = 3 * MOST_POINTS  # a point is a letter and two numbers at most
Place = npt.NDArray[np.float64]  # (2,)


def numbers(text: str) -> list[float]:
    """The numbers of a list with spaces or commas between them.

    Raises:
        StrokeError: Something in it is no number.
    """
    found = []
    for command, value in _tokens(text):
        if command:
            raise StrokeError(f"'{command}' stands where a list of points has numbers.")
        found.append(value)
    return found


def read_path(text: str) -> list[Points]:
    """The lines (K, 2) that the data of a path draws.

    M, L, H, V, Z and the curves C, S, Q, T are read, absolute and (in small letters) relative.

    Raises:
        StrokeError: An arc (A), any other letter, or numbers that do not fit their command.
    """
    pen = _Pen()
    for command, values in _commands(text):
        pen.follow(command, values)
    return [np.array(line, np.float32) for line in pen.lines if line]


def _tokens(text: str) -> list[tuple[str, float]]:
    """Letters as (letter, 0) and numbers as ("", number)."""
    found: list[tuple[str, float]] = []
    place, end = 0, len(text.rstrip(" \t\r\n,"))
    while place < end:
        if len(found) > MOST_TOKENS:
            raise StrokeError(f"There are more than {MOST_POINTS:,} points in this SVG.")
        token = TOKEN.match(text, place)
        if token is None:
            raise StrokeError(f"'{text[place : place + 20].strip()}' cannot be read in a path.")
        value = float(token[2] or 0)
        if abs(value) > LARGEST:
            raise StrokeError(f"{token[2]} is too large for a coordinate; at most {LARGEST:,}.")
        found.append((token[1] or "", value))
        place = token.end()
    return found


def _commands(text: str) -> list[tuple[str, list[float]]]:
    """Each command with its numbers; one that is repeated may leave its letter out."""
    tokens, found, place = _tokens(text), [], 0
    command = ""
    while place < len(tokens):
        if tokens[place][0]:
            command = tokens[place][0]
            place += 1
            if command.upper() == "A":
                raise StrokeError("The path has an arc (A), which is not read; draw it as a curve.")
            if command.upper() not in COUNTS:
                raise StrokeError(f"'{command}' is no command of a path.")
        elif command in ("", "Z", "z"):
            raise StrokeError("A number stands in the path where a command is expected.")
        count = COUNTS[command.upper()]
        values = [value for letter, value in tokens[place : place + count] if not letter]
        if len(values) < count:
            raise StrokeError(f"'{command}' has {len(values)} numbers in the path; takes {count}.")
        found.append((command, values))
        place += count
        command = {"M": "L", "m": "l"}.get(command, command)  # further points of a move are lines
    return found


class _Pen:
    """Where the pen is while a path is followed."""

    def __init__(self) -> None:
        self.lines: list[list[Place]] = []
        self.place: Place = np.zeros(2)
        self.start: Place = np.zeros(2)
        self.control: Place | None = None  # of the last curve, for the one that goes on smoothly
        self.kind = ""
        self.points = 0

    def follow(self, command: str, values: Sequence[float]) -> None:
        """Do what one command says."""
        kind, base = command.upper(), self.place if command.islower() else np.zeros(2)
        if kind != "M" and not self.lines:
            raise StrokeError(f"The path begins with '{command}'; expected M x y.")
        if kind == "M":
            self.place = self.start = base + np.array(values)
            self.lines.append([self.place])
        elif kind == "Z":
            self._line_to(self.start)
            self.lines.append([])
        elif kind in "HV":
            axis = "HV".index(kind)
            target = self.place.copy()
            target[axis] = base[axis] + values[0]
            self._line_to(target)
        else:
            self._draw(kind, [base + np.array(values[i : i + 2]) for i in range(0, len(values), 2)])
        if kind not in "CSQT":
            self.control = None
        self.kind = kind

    def _draw(self, kind: str, places: list[Place]) -> None:
        """A line or a curve to the last of some absolute points."""
        if kind == "L":
            self._line_to(places[0])
            return
        if kind in "ST":  # the first control point mirrors the last curve's
            same = self.kind in ("CS" if kind == "S" else "QT")
            mirrored = 2 * self.place - self.control if same and self.control is not None else None
            places = [self.place if mirrored is None else mirrored, *places]
        self.control = places[-2]
        curve = np.array([self.place, *places])  # (3 or 4, 2)
        for share in np.linspace(0, 1, PIECES + 1)[1:]:
            points = curve
            while len(points) > 1:  # de Casteljau
                points = points[:-1] * (1 - share) + points[1:] * share
            self._line_to(points[0])

    def _line_to(self, place: Place) -> None:
        if not self.lines[-1]:  # after a Z the next line begins where the last one began
            self.lines[-1].append(self.place)
        self.lines[-1].append(place)
        self.place = place
        self.points += 1
        if self.points > MOST_POINTS:
            raise StrokeError(f"There are more than {MOST_POINTS:,} points in this SVG.")
