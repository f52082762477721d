"""What goes over the wire about models: what they can do, and what they have done."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

FIGURES = Annotated[
    dict[str, Any], Field(description="What was measured of them: the folder's metrics.json.")
]
MODEL_EXAMPLE: dict[str, Any] = {
    "name": "pixelvae",
    "about": "PixelVAE (Gulrajani et al., 2017): the embedding behind niteru.",
    "modality": "pixels",
    "abilities": ["sample", "temperature", "likelihood_bound", "reconstruct"],
    "presets": ["cpu", "tiny"],
    "train": "niteru train pixelvae --data DIR --preset cpu --out weights/mine",
    "weights": [
        {
            "name": "pixelvae-clothing",
            "size": 64,
            "draws": 32,
            "channels": 3,
            "config": {"latent": 128},
            "figures": {"training": {"steps": 1025}},
        }
    ],
}


class WeightsResponse(BaseModel):
    """What a model has learned, once."""

    name: Annotated[str, Field(description="By which requests choose them.")]
    size: Annotated[int, Field(description="Side of the square that it is shown a photo in.")]
    draws: Annotated[int, Field(description="Side of the pictures that it draws.")]
    channels: Annotated[int, Field(description="3 for colour, 1 for grey or black and white.")]
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
            description="`sample`, `temperature`, `complete`, `exact_likelihood` or "
            "`likelihood_bound`, `reconstruct`, `interpolate`, `arithmetic`."
        ),
    ]
    presets: Annotated[list[str], Field(description="Configurations it can be trained in.")]
    train: Annotated[str, Field(description="A command that makes weights.")]
    weights: list[WeightsResponse]


class ModelsResponse(BaseModel):
    """Every model, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"models": [MODEL_EXAMPLE]}]})

    models: list[ModelResponse]
