"""Calls of models of strokes: drawings of a pen, sent and answered as such."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.client.calls import Call, File, PhotoFile, given, upload
from service.client.calls_models import Told, drawn
from service.client.results_models import Drawing, Strokes

# A drawing that is sent: as an answer has it; ``{"strokes": ...}``, ``{"lines": ...}``,
# ``{"drawing": ...}`` or ``{"svg": ...}``; a str that is SVG or the data of a path, and no file's
# name; or a file of SVG or JSON.
SketchFile = Strokes | Mapping[str, Any] | str | PhotoFile


def complete_sketch(
    name: str,
    sketch: SketchFile,
    *,
    n: int | None = None,
    fit: bool | None = None,
    simplify: float | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Go on with a started drawing.

    Args:
        name: Of the model.
        sketch: Strokes of an answer, a mapping as the API takes it, SVG or the data of a path as
            ``str``, or a file of SVG or JSON.
        n: In how many ways.
        fit: Scale what is sent to the size of the training drawings, which is usual.
        simplify: Leave out points of it that lie nearer than this to the line.
        seed: The same seed, the same drawings.
        temperature: Below 1 the pen takes fewer chances.
        weights: Name of the weights; without it, the server's own or the model's first.
        progress: Told how far it is, if it takes longer than a request.
    """
    options = given(
        n=n, fit=fit, simplify=simplify, seed=seed, temperature=temperature, weights=weights
    )
    return asked(name, "completions", options, progress, only=True, sketch=[sketch])


def reconstruct_sketches(
    name: str,
    sketches: Sequence[SketchFile],
    *,
    fit: bool | None = None,
    simplify: float | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw drawings again, each from its latent vector alone.

    Args:
        name: Of the model.
        sketches: Each as of ``complete_sketch``.
        fit: This and the others as of ``complete_sketch``.
        simplify: See ``complete_sketch``.
        seed: See ``complete_sketch``.
        temperature: See ``complete_sketch``.
        weights: See ``complete_sketch``.
        progress: See ``complete_sketch``.
    """
    options = given(fit=fit, simplify=simplify, seed=seed, temperature=temperature, weights=weights)
    return asked(name, "reconstructions", options, progress, sketches=sketches)


def interpolate_sketches(
    name: str,
    sketches: Sequence[SketchFile],
    *,
    steps: int | None = None,
    fit: bool | None = None,
    simplify: float | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw what lies between two drawings.

    Args:
        name: Of the model.
        sketches: Two, each as of ``complete_sketch``.
        steps: Drawings, both ends included.
        fit: This and the others as of ``complete_sketch``.
        simplify: See ``complete_sketch``.
        seed: See ``complete_sketch``.
        temperature: See ``complete_sketch``.
        weights: See ``complete_sketch``.
        progress: See ``complete_sketch``.
    """
    options = given(
        steps=steps, fit=fit, simplify=simplify, seed=seed, temperature=temperature,
        weights=weights,
    )  # fmt: skip
    return asked(name, "interpolations", options, progress, sketches=sketches)


def add_sketches(
    name: str,
    plus: Sequence[SketchFile],
    minus: Sequence[SketchFile] = (),
    *,
    n: int | None = None,
    fit: bool | None = None,
    simplify: float | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw a - b + c of drawings.

    Args:
        name: Of the model.
        plus: Drawings to add, each as of ``complete_sketch``: one more than of ``minus``.
        minus: Drawings to take away.
        n: How many drawings of the sum.
        fit: This and the others as of ``complete_sketch``.
        simplify: See ``complete_sketch``.
        seed: See ``complete_sketch``.
        temperature: See ``complete_sketch``.
        weights: See ``complete_sketch``.
        progress: See ``complete_sketch``.
    """
    options = given(
        n=n, fit=fit, simplify=simplify, seed=seed, temperature=temperature, weights=weights
    )
    return asked(name, "arithmetic", options, progress, plus=plus, minus=minus)


def asked(
    name: str,
    kind: str,
    options: dict[str, Any],
    progress: Told | None,
    *,
    only: bool = False,
    **fields: Sequence[SketchFile],
) -> Call[Drawing]:
    """A call with drawings in these fields; ``only`` one drawing stands there without a list.

    JSON as long as no file is among them, so that a drawing is sent as it was given; otherwise a
    form of files, which keep their order.
    """
    every = [(field, one) for field, some in fields.items() for one in some]
    if any(not isinstance(one, Strokes | Mapping | str) for _, one in every):
        files = [as_file(field, one) for field, one in every]
        return drawn(name, f"sketches/{kind}", options, files, progress)
    named: dict[str, Any] = {
        field: [{"strokes": one.strokes} if isinstance(one, Strokes) else one for one in some]
        for field, some in fields.items()
    }
    if only:
        named = {field: one for field, (one,) in named.items()}
    return drawn(name, f"sketches/{kind}", {**options, **named}, [], progress)


def as_file(field: str, sketch: SketchFile) -> File:
    """A drawing as a file of a form."""
    if isinstance(sketch, Strokes):
        sketch = {"strokes": sketch.strokes}
    if isinstance(sketch, Mapping):
        sketch = sketch["svg"] if set(sketch) == {"svg"} else json.dumps(sketch)
    if isinstance(sketch, str):
        return field, ("sketch", sketch.encode())
    return upload(field, sketch)
