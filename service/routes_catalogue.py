"""``GET /v1/facets`` and ``GET /v1/map``: the catalogue as a whole."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

import indexer.errors
from indexer.protocols import Place
from service.errors import NotReadyError
from service.links import image_link
from service.schemas_catalogue import (
    FacetOptions,
    FacetResponse,
    FacetsResponse,
    FacetValue,
    MapResponse,
    PlaceResponse,
)
from service.state import Shared
from service.strict import StrictRoute

router = APIRouter(tags=["catalogue"], route_class=StrictRoute)


@router.get("/facets", summary="What the attributes of the items hold")
async def get_facets(state: Shared, options: Annotated[FacetOptions, Query()]) -> FacetsResponse:
    """Count the values of every attribute, of all items or of those that pass a filter."""
    engine, where = state.searcher.engine, options.where

    def read() -> FacetsResponse:
        state.searcher.refresh()
        return FacetsResponse(
            total=engine.count(where),
            attributes=[
                FacetResponse(
                    key=key,
                    items=facet.items,
                    distinct=facet.distinct,
                    values=[FacetValue(value=value, items=n) for value, n in facet.values],
                )
                for key, facet in engine.facets(where, most=options.most).items()
            ],
        )

    return await state.run(read)


@router.get("/map", summary="A map of the catalogue")
async def get_map(request: Request, state: Shared) -> MapResponse:
    """Where items stand in the plane, those that look alike beside each other.

    It is drawn when an index is published, and of a large catalogue it shows a sample.
    """
    engine = state.searcher.engine

    def read() -> tuple[str, list[Place]]:
        state.searcher.refresh()
        try:
            return engine.generation, engine.layout()
        except indexer.errors.GenerationCorruptError as error:
            raise NotReadyError("The map is damaged; index the catalogue again.") from error

    generation, places = await state.run(read)
    return MapResponse(
        generation=generation,
        places=[
            PlaceResponse(
                id=place.id,
                x=round(place.x, 4),
                y=round(place.y, 4),
                image=image_link(request, place.id),
            )
            for place in places
        ],
    )
