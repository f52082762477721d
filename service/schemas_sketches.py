"""What goes over the wire about drawings of a pen."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.schemas_models import ModelOptions

STAR: dict[str, Any] = {"strokes": [[30, 40, 0], [-20, 10, 1]]}
STROKES_EXAMPLE: dict[str, Any] = {"strokes": [[30.0, 40.0, 0], [-20.0, 10.0, 1]]}
Pen = Annotated[
    float, Field(gt=0, le=10, description="Temperature: below 1 the pen takes fewer chances.")
]


class Sketch(BaseModel):
    """A drawing, in one of its forms."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [STAR]})

    strokes: Annotated[
        list[list[float]] | None,
        Field(
            description="Rows (dx, dy, lifted): how far the pen moved, and 1 if it is lifted after "
            "that."
        ),
    ] = None
    lines: Annotated[
        list[list[list[float]]] | None, Field(description="Lines of points (x, y).")
    ] = None
    drawing: Annotated[
        list[list[list[float]]] | None,
        Field(description="As QuickDraw has it: of each line, all x, then all y."),
    ] = None
    svg: Annotated[
        str | None, Field(description="An SVG document, or the data of a path, as `M 0 0 L 9 9`.")
    ] = None


SketchField = Annotated[
    Sketch | str,
    Field(description="A drawing; text is SVG, or the data of a path. In a form also a file."),
]


class SketchOptions(ModelOptions):
    """What every call about drawings may say."""

    fit: Annotated[
        bool, Field(description="Scale what is sent to the size of the training drawings.")
    ] = True
    simplify: Annotated[
        float,
        Field(ge=0, description="Leave out points of it that lie nearer than this to the line."),
    ] = 0.0


class SketchCompletionOptions(SketchOptions):
    """How to go on with a started drawing."""

    n: Annotated[int, Field(ge=1, description="In how many ways.")] = 9
    temperature: Pen = 0.5


class SketchReconstructionOptions(SketchOptions):
    """How to draw drawings again."""

    temperature: Pen = 0.1


class SketchInterpolationOptions(SketchReconstructionOptions):
    """How to draw what lies between two drawings."""

    steps: Annotated[int, Field(ge=2, description="Drawings, both ends included.")] = 10


class SketchArithmeticOptions(SketchReconstructionOptions):
    """How to draw a sum of drawings."""

    n: Annotated[int, Field(ge=1, description="How many drawings of it.")] = 4


class SketchCompletionQuery(SketchCompletionOptions):
    """A started drawing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"sketch": STAR, "n": 4}]}
    )

    sketch: SketchField | None = None


class SketchReconstructionQuery(SketchReconstructionOptions):
    """Drawings to draw again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"sketches": [STAR, "M 0 0 L 40 40"]}]}
    )

    sketches: Annotated[list[SketchField], Field(default_factory=list, description="Drawings.")]


class SketchInterpolationQuery(SketchInterpolationOptions):
    """Two drawings, and how to draw what lies between."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"sketches": [STAR, "M 0 0 L 40 40"]}]}
    )

    sketches: Annotated[list[SketchField], Field(default_factory=list, description="Drawings.")]


class SketchArithmeticQuery(SketchArithmeticOptions):
    """Drawings to add and to take away; one more is added than taken away."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"plus": [STAR, "M 0 0 L 9 9"], "minus": ["M 0 0 L 9 0"]}]},
    )

    plus: Annotated[list[SketchField], Field(default_factory=list, description="Drawings.")]
    minus: Annotated[list[SketchField], Field(default_factory=list, description="Drawings.")]


class StrokesResponse(BaseModel):
    """A drawing: rows (dx, dy, lifted)."""

    model_config = ConfigDict(json_schema_extra={"examples": [STROKES_EXAMPLE]})

    strokes: list[tuple[float, float, int]]


class SketchesResponse(BaseModel):
    """Drawings that a model has made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "sketch_rnn",
                    "weights": "kanji",
                    "fingerprint": "sketch_rnn-5d41402abc4b2a76",
                    "seed": 7,
                    "temperature": 0.5,
                    "sketches": [STROKES_EXAMPLE],
                    "sent": [],
                    "given": 0,
                }
            ]
        }
    )

    model: str
    weights: str
    fingerprint: Annotated[str, Field(description="Of the weights.")]
    seed: int
    temperature: float
    sketches: Annotated[list[StrokesResponse], Field(description="What was drawn, in order.")]
    sent: Annotated[
        list[StrokesResponse],
        Field(
            description="What was sent, as the model saw it: with `fit` at the size of `sketches`."
        ),
    ]
    given: Annotated[
        int, Field(description="So many first points of each drawing were sent, not drawn.")
    ]
