"""Drawings as SVG: paths and polylines in, paths out.

Read are ``path``, ``polyline``, ``polygon`` and ``line``, in the order they are drawn. Bézier
curves become lines. What a pen cannot have drawn, pictures above all, is refused by name.
"""

# A document type could define entities that grow without bound, so none is accepted.
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

import numpy as np

from models.strokes.formats import Points, StrokeError, from_lines, to_lines
from models.strokes.svg_path import MOST_POINTS, numbers, read_path

NAMESPACE = "http://www.w3.org/2000/svg"
MOST_BYTES = 2_000_000
DRAWN = ("path", "polyline", "polygon", "line")
REFUSED = {
    "image": "pixels; a stroke model takes strokes",
    "foreignObject": "no strokes",
    "rect": "no pen stroke; draw it as a path",
    "circle": "no pen stroke; draw it as a path",
    "ellipse": "no pen stroke; draw it as a path",
    "use": "a reference, which is not followed; write the path out",
    "symbol": "a reference, which is not followed; write the path out",
}
HIDDEN = ("defs", "clipPath", "mask", "marker", "pattern", "metadata", "title", "desc", "style",
          "text")  # fmt: skip


def read_svg(data: str | bytes) -> Points:
    """The drawing in an SVG document, or the data of a path alone: (N, 3).

    Raises:
        StrokeError: No SVG, nothing drawn, or something in it that cannot be read as strokes.
    """
    text = _decode(data)
    if text.lstrip()[:1] in ("M", "m"):
        return from_lines(_checked(read_path(text)))
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise StrokeError("The SVG has a document type (<!DOCTYPE ...>), not read here. Remove it.")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError as error:
        raise StrokeError(
            f"The strokes are no SVG: {error}. Expected a document with <path d='M ... L ...'>."
        ) from error
    if _name(root) != "svg":
        raise StrokeError(f"The document is a <{_name(root)}>; expected <svg>.")
    lines = [line for element in _walk(root) for line in _lines(element)]
    if not lines:
        raise StrokeError(f"Nothing is drawn in this SVG; expected {', '.join(DRAWN)}.")
    return from_lines(_checked(lines))


def write_svg(
    sketches: Sequence[Points], *, side: int = 128, columns: int | None = None, gap: int = 4
) -> str:
    """Drawings as one document, each fitted into a square of a grid.

    Args:
        sketches: (N, 3) each. One alone keeps its own size and place, so that ``read_svg`` gives it
            back; a grid of several is a picture.
        side: Of a square of the grid.
        columns: Of the grid; without it nearly square.
        gap: Between two.
    """
    if len(sketches) == 1:
        lines = to_lines(sketches[0])
        places = np.concatenate(lines) if lines else np.zeros((1, 2))
        low, high = places.min(0), places.max(0)
        extent = max(float((high - low).max()), 1e-3)
        rim = 0.08 * extent
        x, y = low - rim
        width, height = high - low + 2 * rim
        box = f"{x:g} {y:g} {width:g} {height:g}"
        return _document(box, [_group(lines, extent / 80)])
    across = columns or max(1, int(np.ceil(np.sqrt(len(sketches)))))
    down = max(1, -(-len(sketches) // across))
    groups = []
    for number, points in enumerate(sketches):
        row, column = divmod(number, across)
        corner = np.array([gap + column * (side + gap), gap + row * (side + gap)])
        groups.append(_group(_fitted(to_lines(points), side, corner), side / 80))
    box = f"0 0 {across * (side + gap) + gap} {down * (side + gap) + gap}"
    return _document(box, groups)


def _fitted(lines: Sequence[Points], side: int, corner: Points) -> list[Points]:
    """Lines moved and scaled into the middle of a square."""
    if not lines:
        return []
    places = np.concatenate(lines)
    low, high = places.min(0), places.max(0)
    scale = 0.84 * side / max(float((high - low).max()), 1e-6)
    return [(line - (low + high) / 2) * scale + corner + side / 2 for line in lines]


def _group(lines: Sequence[Points], width: float) -> str:
    """Lines as one ``<g>`` of paths, one path a line."""
    paths = "".join(f'<path d="{_path(line)}"/>' for line in lines)
    return (
        f'<g fill="none" stroke="#191923" stroke-width="{width:.3g}" stroke-linecap="round" '
        f'stroke-linejoin="round">{paths}</g>'
    )


def _path(line: Points) -> str:
    """(K, 2) as ``M x y L x y ...``; a dot is a line of no length."""
    places = line if len(line) > 1 else np.repeat(line, 2, axis=0)
    return "M" + " L".join(f"{x:.7g} {y:.7g}" for x, y in places.tolist())


def _document(box: str, groups: Sequence[str]) -> str:
    body = "\n".join(groups)
    return f'<svg xmlns="{NAMESPACE}" viewBox="{box}">\n{body}\n</svg>\n'


def _decode(data: str | bytes) -> str:
    if len(data) > MOST_BYTES:
        raise StrokeError(f"The SVG has {len(data):,} bytes; at most {MOST_BYTES:,} are read.")
    if isinstance(data, str):
        return data
    if data[:8] == b"\x89PNG\r\n\x1a\n" or data[:3] == b"\xff\xd8\xff" or data[8:12] == b"WEBP":
        raise StrokeError("This is a picture, and a stroke model takes strokes: SVG or JSON.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrokeError(f"The strokes are no text: {error}. Expected SVG or JSON.") from error


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _walk(root: ET.Element) -> Iterator[ET.Element]:
    """What is drawn, in its order. Without recursion: groups may be nested without end."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        name = _name(element)
        if name in HIDDEN:
            continue
        if name in REFUSED:
            raise StrokeError(f"The SVG has a <{name}>: {REFUSED[name]}.")
        if "transform" in element.attrib:
            raise StrokeError(
                f"A <{name}> of the SVG has the transform '{element.attrib['transform']}', which "
                "is not read. Apply it to the points."
            )
        if name in DRAWN:
            yield element
        waiting.extend(reversed(element))


def _lines(element: ET.Element) -> list[Points]:
    """The lines of one element."""
    name = _name(element)
    if name == "path":
        return read_path(element.get("d", ""))
    if name == "line":
        ends = numbers(" ".join(element.get(end, "0") for end in ("x1", "y1", "x2", "y2")))
        if len(ends) != 4:
            raise StrokeError(f"A <line> has {len(ends)} numbers for its ends; expected 4.")
        return [np.array(ends, np.float32).reshape(2, 2)]
    values = numbers(element.get("points", ""))
    if len(values) % 2:
        raise StrokeError(f"A <{name}> has {len(values)} numbers for its points; expected pairs.")
    line = np.array(values, np.float32).reshape(-1, 2)
    if name == "polygon" and len(line):
        line = np.concatenate([line, line[:1]])
    return [line] if len(line) else []


def _checked(lines: list[Points]) -> list[Points]:
    total = sum(map(len, lines))
    if total > MOST_POINTS:
        raise StrokeError(f"There are {total:,} points in this SVG; at most {MOST_POINTS:,}.")
    # A dot is written as a line of no length; read, it is one point again.
    return [line[:1] if len(line) == 2 and (line[0] == line[1]).all() else line for line in lines]
