"""Calls about the server and its catalogue as a whole: probes, indexes, facets, the map."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from service.client.calls import JSON, Call, as_texts, given, segment
from service.client.reading import read_as, read_nothing, read_text
from service.client.results import CatalogueMap, Facets, Generations, Ready, Welcome


def welcome() -> Call[Welcome]:
    """Ask what this is and where to go on."""
    return Call(
        method="GET",
        path="/",
        read=partial(read_as, Welcome),
        headers={"Accept": JSON},
        repeatable=True,
    )


def alive() -> Call[None]:
    """Ask whether the process answers.

    Raises:
        ClientError: It does not.
    """
    return Call(method="GET", path="/livez", read=read_nothing, repeatable=True)


def healthy() -> Call[None]:
    """Ask the same by the other name that this probe has; see ``alive``."""
    return Call(method="GET", path="/healthz", read=read_nothing, repeatable=True)


def ready() -> Call[Ready]:
    """Ask whether the server answers searches.

    Raises:
        UnavailableError: It does not.
    """
    return Call(method="GET", path="/readyz", read=partial(read_as, Ready), repeatable=True)


def generations() -> Call[Generations]:
    """List the published indexes, newest first."""
    return Call(
        method="GET", path="/v1/generations", read=partial(read_as, Generations), repeatable=True
    )


def activate(generation_id: str) -> Call[Generations]:
    """Answer from another generation from now on."""
    return Call(
        method="POST",
        path=f"/v1/generations/{segment(generation_id)}/activate",
        read=partial(read_as, Generations),
    )


def metrics() -> Call[str]:
    """Read what happened since the server's start, in Prometheus' text format."""
    return Call(method="GET", path="/metrics", read=read_text, repeatable=True)


def facets(
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the API's own name
    most: int | None = None,
) -> Call[Facets]:
    """Count what the attributes of the items hold.

    Args:
        filter: Only of items that pass it; as of ``search``.
        most: Values of each attribute, the most frequent.
    """
    return Call(
        method="GET",
        path="/v1/facets",
        read=partial(read_as, Facets),
        query=as_texts(given(filter=filter, most=most)),
        repeatable=True,
    )


def catalogue_map() -> Call[CatalogueMap]:
    """Read where items stand in the plane, those that look alike beside each other."""
    return Call(method="GET", path="/v1/map", read=partial(read_as, CatalogueMap), repeatable=True)
