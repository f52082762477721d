"""``GET /v1/generations`` and ``POST /v1/generations/{id}/activate``."""

from contextlib import closing

from fastapi import APIRouter

import indexer.errors
from indexer.generations import Generation
from indexer.publishing import Generations
from indexer.weights_at_hand import find_made_with
from service.errors import StoreBusyError, UnfitGenerationError, UnknownGenerationError
from service.schemas import GenerationResponse, GenerationsResponse
from service.state import Shared, State
from service.strict import StrictRoute

router = APIRouter(tags=["generations"], route_class=StrictRoute)


@router.get("/generations", summary="The published indexes")
async def get_generations(state: Shared) -> GenerationsResponse:
    """List the generations of the store, newest first."""
    return await state.run(lambda: read(state))


@router.post("/generations/{generation_id}/activate", summary="Go back, or forward")
async def activate_generation(generation_id: str, state: Shared) -> GenerationsResponse:
    """Answer from another generation from now on, in every worker over the store.

    Items deleted since it was built stay deleted, and items put since are found: a generation is an
    index of the store's items, not a copy of them. With one of other weights, found below
    `weights/`, the server goes over to these; items put since then have no vector of theirs until
    the catalogue is indexed with them again.
    """
    return await state.run(lambda: switch(state, generation_id))


def read(state: State) -> GenerationsResponse:
    """The generations of the store as they go over the wire."""
    state.searcher.refresh()
    try:
        with open_generations(state) as generations:
            listed = generations.listed()
    except indexer.errors.NoStoreError:
        listed = []  # a server may wait for its first generation
    serving = state.searcher.serving()
    return GenerationsResponse(
        generations=[describe(generation, serving) for generation in reversed(listed)],
        refused=state.searcher.refused,
    )


def open_generations(state: State) -> closing[Generations]:
    """The generations of the store, wherever its engine keeps them."""
    return closing(state.settings.engine_choice().generations(state.settings.store))


def switch(state: State, generation_id: str) -> GenerationsResponse:
    """Make a generation the current one, after a look at every byte of it.

    Raises:
        UnknownGenerationError: There is none of this id.
        UnfitGenerationError: It is damaged, or of weights that are not here.
        StoreBusyError: Another one is being published this moment.
    """
    fingerprint = state.searcher.embedder.fingerprint
    known = "GET /v1/generations lists those there are."
    try:
        with open_generations(state) as generations:
            found = generations.verify(generation_id).fingerprint
            if found != fingerprint and find_made_with(state.settings.store, found) is None:
                raise UnfitGenerationError(
                    f"The generation was made with the fingerprint '{found}', but the weights of "
                    f"this server have '{fingerprint}', and there are none of the other below "
                    "weights/ where it runs. Put those that made the generation there."
                )
            generations.activate(generation_id)
    except indexer.errors.NoStoreError as error:
        raise UnknownGenerationError(f"Nothing has been indexed yet. {known}") from error
    except indexer.errors.UnknownGenerationError as error:
        raise UnknownGenerationError(f"There is no {generation_id!r} here. {known}") from error
    except indexer.errors.GenerationCorruptError as error:
        raise UnfitGenerationError(
            "The generation is damaged; the server's log says how. Index the catalogue again."
        ) from error
    except indexer.errors.VectorsGoneError as error:
        raise UnfitGenerationError(
            "The store holds the vectors of the generation no more: they were collected, or an "
            "older copy of the store was put back. Index the catalogue again with its weights."
        ) from error
    except indexer.errors.StoreBusyError as error:
        raise StoreBusyError(
            "A generation is being published this moment; ask again.", headers={"Retry-After": "1"}
        ) from error
    # Another worker goes over by itself; in this one, the answer is to tell of it.
    state.succession.go_over(found)
    return read(state.succession.state)


def describe(generation: Generation, serving: str | None) -> GenerationResponse:
    """A generation as it goes over the wire."""
    manifest = generation.manifest
    return GenerationResponse(
        id=generation.id,
        current=generation.current,
        serving=generation.id == serving,
        created=manifest.created if manifest else None,
        items=manifest.count if manifest else None,
        dim=manifest.dim if manifest else None,
        fingerprint=manifest.fingerprint if manifest else None,
        index=manifest.index if manifest else None,
        recall_at_10=manifest.recall_at_10 if manifest else None,
        build_seconds=manifest.build_seconds if manifest else None,
    )
