"""``GET /v1/models``: every model, what it can do, and how good it is."""

from typing import TYPE_CHECKING

from fastapi import APIRouter

from service.schemas_models import ModelResponse, ModelsResponse, WeightsResponse
from service.state import Shared
from service.strict import StrictRoute

if TYPE_CHECKING:  # it imports torch
    from service.model_cards import ModelCard

router = APIRouter(tags=["models"], route_class=StrictRoute)


@router.get("/models", summary="Every model")
async def get_models(state: Shared) -> ModelsResponse:
    """List every model with what it can do, its weights and their figures."""
    cards = await state.run(state.studio.cards)
    return ModelsResponse(models=[describe(card) for card in cards])


@router.get("/models/{name}", summary="A model")
async def get_model(name: str, state: Shared) -> ModelResponse:
    """Read one model; one without weights says which command makes them."""
    return describe(await state.run(lambda: state.studio.card(name)))


def describe(card: "ModelCard") -> ModelResponse:
    """A model as it goes over the wire. Where its weights lie is nobody's business."""
    return ModelResponse(
        name=card.name,
        about=card.about,
        modality=card.modality,
        abilities=list(card.abilities),
        presets=list(card.presets),
        train=card.train,
        weights=[
            WeightsResponse(
                name=weights.name,
                size=weights.size,
                draws=weights.draws,
                channels=weights.channels,
                enlarges=list(weights.enlarges),
                points=weights.points,
                classes=weights.classes,
                config=dict(weights.config),
                figures=dict(weights.figures),
            )
            for weights in card.weights
        ],
    )
