"""Reading drawings that were sent or named: what a pen did, never pixels. Needs no torch."""

from pathlib import Path

from models.strokes import (
    Points,
    StrokeError,
    StrokePreprocessing,
    read_json,
    read_sketch,
    read_svg,
    simplify,
)
from service.errors import InvalidRequestError
from service.schemas_sketches import Sketch


def read_strokes(data: bytes, name: str) -> Points:
    """The one drawing in a file's bytes, SVG or JSON by its name's ending: (N, 3).

    Raises:
        StrokeError: Another ending, pixels above all; several drawings; or nothing that can be
            read.
    """
    ending = Path(name).suffix.lower()
    if ending == ".svg":
        return read_svg(data)
    if ending == ".json":
        return _only(read_json(data), name)
    raise StrokeError(
        f"{name} is no file of strokes: expected .svg or .json. A stroke model takes what a pen "
        "did, not pixels."
    )


def read_sent(
    sent: Sketch | str | bytes, expects: StrokePreprocessing, *, field: str, fit: bool,
    epsilon: float,
) -> Points:  # fmt: skip
    """A drawing of a request, with the size and the points that weights take: (N, 3).

    Args:
        sent: JSON; SVG or the data of a path as text; or the bytes of a file of either.
        expects: What the weights expect.
        field: Where it stood in the request.
        fit: Scale it to the size of the training drawings.
        epsilon: Leave out points nearer than this to the line; 0 keeps all.

    Raises:
        InvalidRequestError: It cannot be read, is pixels, or has more points than the weights take.
    """
    try:
        points = _read(sent, field)
        points = expects.fit(points) if fit else points
        points = shorten(points, epsilon)
        expects.apply(points)
    except StrokeError as error:
        raise InvalidRequestError(
            f"{field}: {error}",
            extensions={"errors": [{"field": field, "message": "expected a drawing of strokes"}]},
        ) from error
    return points


def _read(sent: Sketch | str | bytes, field: str) -> Points:
    if isinstance(sent, Sketch):
        given = sent.model_dump(exclude_none=True)
        if "svg" in given:
            if len(given) > 1:
                raise StrokeError(f"A drawing has one form; found {' and '.join(given)}. Send one.")
            return read_svg(given["svg"])
        return read_sketch(given, field)
    if isinstance(sent, bytes) and sent.lstrip()[:1] in (b"{", b"["):
        return _only(read_json(sent), field)
    return read_svg(sent)


def _only(sketches: list[Points], name: str) -> Points:
    if len(sketches) > 1:
        raise StrokeError(f"{name} holds {len(sketches)} sketches; give one.")
    return sketches[0]


def shorten(points: Points, epsilon: float) -> Points:
    """A drawing with fewer points, if a distance is given."""
    return simplify(points, epsilon) if epsilon > 0 else points
