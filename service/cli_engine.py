"""The options that say which engine holds the index of a store; commands share them."""

import os
from typing import Annotated

import typer

from indexer.engines.choice import EngineChoice, EngineName

TOKEN = "NITERU_MILVUS_TOKEN"  # noqa: S105 - the name of a variable

Engine = Annotated[
    EngineName,
    typer.Option(
        envvar="NITERU_ENGINE",
        help="What holds the index: faiss, in the store; or milvus, on a server.",
    ),
]
MilvusUri = Annotated[
    str, typer.Option(envvar="NITERU_MILVUS_URI", help="Address of the Milvus server.")
]
MilvusName = Annotated[
    str,
    typer.Option(envvar="NITERU_MILVUS_NAME", help="Alias there, one of its own for each store."),
]


def choose_engine(engine: EngineName, uri: str, name: str) -> EngineChoice:
    """The engine that options name; what lets it in is in the environment, as other secrets are."""
    return EngineChoice(engine, uri, name, os.environ.get(TOKEN, ""))
