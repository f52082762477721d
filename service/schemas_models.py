"""What goes over the wire about models: what they can do, and what they have done."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas import FINGERPRINT, PNG_EXAMPLE, Png

FIGURES = Annotated[
    dict[str, Any], Field(description="What was measured of them: the folder's metrics.json.")
]
WEIGHTS_EXAMPLE: dict[str, Any] = {
    "name": "pixelvae-clothing",
    "size": 64,
    "draws": 32,
    "channels": 3,
    "enlarges": [],
    "points": None,
    "classes": None,
    "config": {"latent": 64},
    "figures": {"training": {"steps": 1025}},
}
MODEL_EXAMPLE: dict[str, Any] = {
    "name": "pixelvae",
    "about": "PixelVAE (Gulrajani et al., 2017): the embedding behind niteru.",
    "modality": "pixels",
    "abilities": ["sample", "temperature", "likelihood_bound", "reconstruct"],
    "presets": ["cpu", "tiny"],
    "train": "niteru train pixelvae --data DIR --preset cpu --out weights/mine",
    "weights": [WEIGHTS_EXAMPLE],
}


class WeightsResponse(BaseModel):
    """What a model has learned, once."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEIGHTS_EXAMPLE]})

    name: Annotated[str, Field(description="By which requests choose them.")]
    size: Annotated[
        int | None,
        Field(description="Side of the square that it is shown a photo in; null for strokes."),
    ]
    draws: Annotated[
        int | None, Field(description="Side of the pictures that it draws; null for strokes.")
    ]
    channels: Annotated[
        int | None,
        Field(description="3 for colour, 1 for grey or black and white; null for strokes."),
    ]
    enlarges: Annotated[
        list[int],
        Field(description="Sides of the small pictures that it makes large: see `enlarge`."),
    ]
    points: Annotated[
        int | None, Field(description="How many points a drawing may have; null for pixels.")
    ]
    classes: Annotated[
        int | None,
        Field(
            description="How many labels it was trained with, of which a request may choose one "
            "(`label`), from 0 on; null if with none."
        ),
    ]
    config: Annotated[dict[str, Any], Field(description="The model's settings.")]
    figures: FIGURES


class ModelResponse(BaseModel):
    """A generative model, what can be asked of it, and the weights there are."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL_EXAMPLE]})

    name: str
    about: Annotated[str, Field(description="The first sentence its file says of itself.")]
    modality: Annotated[str, Field(description="What goes in and out: `pixels` or `strokes`.")]
    abilities: Annotated[
        list[str],
        Field(
            description="`sample`, `temperature`, `size`, `label`, `complete`, `enlarge`, "
            "`exact_likelihood` or `likelihood_bound`, `reconstruct`, `interpolate`, "
            "`arithmetic`, `frames`."
        ),
    ]
    presets: Annotated[list[str], Field(description="Configurations it can be trained in.")]
    train: Annotated[str, Field(description="A command that makes weights.")]
    weights: list[WeightsResponse]


class ModelsResponse(BaseModel):
    """Every model, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"models": [MODEL_EXAMPLE]}]})

    models: list[ModelResponse]


Format = Literal["grid", "json", "zip", "svg"]
Seed = Annotated[int, Field(ge=0, lt=2**63, description="The same seed, the same pictures.")]
Temperature = Annotated[
    float,
    Field(gt=0, le=10, description="1 draws as was learned, less keeps to what is probable."),
]

Label = Annotated[
    int | None,
    Field(
        ge=0,
        description="Of what class, below the `classes` of the weights; without it, of any.",
    ),
]


class ModelOptions(BaseModel):
    """What every call of a model may say. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="Name of the weights; without it, the server's own, or the model's first.",
        ),
    ] = None
    seed: Seed = 0
    format: Annotated[
        Format | None,
        Field(
            description="`grid`: one PNG; `json`: data, pictures in Base64 or strokes; `zip`: a "
            "file each; `svg`: drawings of strokes on one sheet. Without it, the header `Accept` "
            "decides."
        ),
    ] = None


class DrawOptions(ModelOptions):
    """How many pictures to draw, and how daring."""

    n: Annotated[int, Field(ge=1, description="How many pictures.")] = 16
    temperature: Temperature = 1.0


class SampleOptions(DrawOptions):
    """How to draw new pictures."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"n": 16, "seed": 7, "temperature": 0.8}]},
    )

    size: Annotated[
        int | None,
        Field(ge=1, description="Their side in pixels; without it, that of the training pictures."),
    ] = None
    label: Label = None


class FrameOptions(DrawOptions):
    """How to show the way in which pictures come about."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"n": 3}]})

    n: Annotated[int, Field(ge=1, description="Pictures, if no photos are sent.")] = 4
    frames: Annotated[
        int | None,
        Field(ge=2, description="Frames of each, evenly spaced, the last included; else all."),
    ] = None


class CompletionOptions(DrawOptions):
    """How to draw the rest of a photo."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rows": 14}]})

    n: Annotated[int, Field(ge=1, description="How often.")] = 4
    rows: Annotated[
        int | None,
        Field(
            ge=0,
            description="Rows known from the top, of the picture as the model sees it; or send a "
            "`mask`.",
        ),
    ] = None
    label: Label = None


class EnlargementOptions(DrawOptions):
    """How to make a small picture large."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"n": 4}]})

    n: Annotated[int, Field(ge=1, description="How often.")] = 4


class ReconstructionOptions(ModelOptions):
    """How to draw photos again from their latent vectors."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"mean": True}]})

    temperature: Temperature = 1.0
    mean: Annotated[bool, Field(description="The mean picture of a vector instead of a draw.")] = (
        False
    )


class InterpolationOptions(ReconstructionOptions):
    """How to draw what lies between two photos or two seeds."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"seeds": [1, 2], "steps": 8}]}
    )

    seeds: Annotated[
        list[Seed] | None,
        Field(min_length=2, max_length=2, description="Of both ends, instead of two photos."),
    ] = None
    steps: Annotated[int, Field(ge=2, description="Pictures, both ends included.")] = 8


class ArithmeticOptions(ReconstructionOptions):
    """What to add and to take away; one more is added than taken away."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"plus": [1, 3], "minus": [2]}]}
    )

    plus: Annotated[list[Seed], Field(description="Seeds; or photos, as files.")] = []
    minus: Annotated[list[Seed], Field(description="Seeds; or photos, as files.")] = []
    n: Annotated[int, Field(ge=1, description="Pictures to draw of the sum.")] = 1


class LikelihoodOptions(BaseModel):
    """How to score photos. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    weights: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    seed: Seed = 0
    samples: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            description="Importance samples of a bound; without it, those of the reference, or 16.",
        ),
    ] = None


class DrawingResponse(BaseModel):
    """Pictures that a model has drawn: PNG files, in Base64, as small as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "pixelvae",
                    "weights": "pixelvae-clothing",
                    "fingerprint": FINGERPRINT,
                    "seed": 7,
                    "temperature": 0.8,
                    "pictures": [PNG_EXAMPLE],
                    "photos": [],
                }
            ]
        }
    )

    model: str
    weights: str
    fingerprint: Annotated[str, Field(description="Of the weights.")]
    seed: int
    temperature: float
    pictures: Annotated[list[Png], Field(description="What was drawn, in order.")]
    photos: Annotated[
        list[Png], Field(description="What was sent, as the model sees it; grey is unknown.")
    ]


SCORE_EXAMPLE: dict[str, Any] = {
    "nats": -7252.1,
    "bits_per_dim": 3.406,
    "excess_bits_per_dim": -1.2,
    "share_no_better": 0.41,
    "belongs": True,
}
REFERENCE_EXAMPLE: dict[str, Any] = {"data": "photos", "pictures": 500}


class ScoreResponse(BaseModel):
    """How probable a model finds a photo."""

    model_config = ConfigDict(json_schema_extra={"examples": [SCORE_EXAMPLE]})

    nats: Annotated[float, Field(description="Log-probability, or the bound below it.")]
    bits_per_dim: Annotated[float, Field(description="The same as bits for each value.")]
    excess_bits_per_dim: Annotated[
        float, Field(description="Beyond what PNG needs: the less, the better the model knows it.")
    ]
    share_no_better: Annotated[
        float | None,
        Field(
            description="Share of the reference's photos whose excess is as large or larger; null "
            "without a reference."
        ),
    ]
    belongs: Annotated[
        bool | None,
        Field(
            description="Whether that share is 1 % or more, so that 1 % of the reference's own "
            "photos are told not to belong; null without a reference."
        ),
    ]


class ReferenceResponse(BaseModel):
    """Photos that the weights were measured on, to compare with."""

    model_config = ConfigDict(json_schema_extra={"examples": [REFERENCE_EXAMPLE]})

    data: str
    pictures: int


class LikelihoodsResponse(BaseModel):
    """How probable a model finds photos, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "pixelcnn",
                    "weights": "shop",
                    "fingerprint": "pixelcnn-5d41402abc4b2a76",
                    "exact": True,
                    "samples": None,
                    "side": 32,
                    "scores": [SCORE_EXAMPLE],
                    "reference": REFERENCE_EXAMPLE,
                    "note": None,
                }
            ]
        }
    )

    model: str
    weights: str
    fingerprint: Annotated[str, Field(description="Of the weights.")]
    exact: Annotated[bool, Field(description="Whether it is the probability and no bound.")]
    samples: Annotated[int | None, Field(description="Importance samples of a bound.")]
    side: Annotated[int, Field(description="Of the pictures that were scored.")]
    scores: list[ScoreResponse]
    reference: Annotated[
        ReferenceResponse | None,
        Field(description="From `niteru evaluate nll --record`; null if nobody has run it."),
    ]
    note: Annotated[str | None, Field(description="What has to be known to read the figures.")]
