"""Which engine holds the generations of a store, and where it is; loads one only to open it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the command line asks for nothing but the names
    from indexer.engines.milvus_server import Server
    from indexer.protocols import Engine
    from indexer.publishing import Generations

EngineName = Literal["faiss", "milvus"]
IDENTITY = "identity"  # of a store, among its facts: whose collections are
MILVUS_URI, MILVUS_NAME = "http://127.0.0.1:19530", "niteru"
NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,99}\Z"
URI = r"^https?://[^\s/]+(/.*)?\Z"
# A search that cannot be answered is told so before its client has gone; a run can wait.
SEARCH_SECONDS, SEARCH_PAUSES = 5.0, (0.1, 0.3)


def check_name(name: str) -> str:
    """Return a name that Milvus takes for an alias as it is; refuse any other.

    Raises:
        ValueError: It has other characters, or is too long.
    """
    if not re.match(NAME, name):
        raise ValueError(
            f"{name[:120]!r} cannot be the name of an alias in Milvus: expected up to 100 letters, "
            "digits and underscores, no digit first."
        )
    return name


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and where its server is if it has one.

    Attributes:
        engine: ``faiss`` keeps indexes in the store, ``milvus`` on a server.
        uri: The Milvus server's.
        name: Of the alias there, one for each store.
        token: ``user:password`` or an API key; empty where the server asks for none.

    Raises:
        ValueError: The uri or the name cannot be one.
    """

    engine: EngineName = "faiss"
    uri: str = MILVUS_URI
    name: str = MILVUS_NAME
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not re.match(URI, self.uri):
            raise ValueError(
                f"{self.uri!r} is no address of a Milvus server; expected one like {MILVUS_URI}. "
                "(Milvus Lite in a file belongs to one process: start 'milvus-lite server'.)"
            )
        check_name(self.name)

    def open(self, store: Path, *, fingerprint: str | None = None) -> "Engine":
        """The engine over what was published for a store.

        Raises:
            ImportError: The engine needs another package; says which.
            MilvusError: The server cannot be reached, or does not let us in.
            indexer.errors.IndexerError: See ``FaissEngine.open`` and ``MilvusEngine.open``.
        """
        if self.engine == "faiss":
            from indexer.engines.faiss_engine import FaissEngine  # noqa: PLC0415 - see above

            return FaissEngine.open(store, fingerprint=fingerprint)
        server = self._connect(seconds=SEARCH_SECONDS, pauses=SEARCH_PAUSES)
        from indexer.engines.milvus_engine import MilvusEngine  # noqa: PLC0415

        try:
            return MilvusEngine.open(server, self.name, store, fingerprint=fingerprint)
        except BaseException:
            server.close()
            raise

    def generations(self, store: Path, *, patient: bool = True) -> "Generations":
        """The generations of a store; to be closed.

        Args:
            store: The store's folder.
            patient: Whether a server that is away is waited for.

        Raises:
            ImportError, MilvusError: See ``open``.
        """
        if self.engine == "faiss":
            from indexer.publishing import LocalGenerations  # noqa: PLC0415

            return LocalGenerations(store)
        hurry: dict[str, float | tuple[float, ...]] = {
            "seconds": SEARCH_SECONDS,
            "pauses": SEARCH_PAUSES,
        }
        server = self._connect(**({} if patient else hurry))
        from indexer.milvus_generations import MilvusGenerations  # noqa: PLC0415

        return MilvusGenerations(server, self.name, store.absolute())

    def _connect(self, **patience: float | tuple[float, ...]) -> "Server":
        with milvus_extra():
            from indexer.engines.milvus_server import Server  # noqa: PLC0415 - an extra
        return Server(self.uri, token=self.token, **patience)  # type: ignore[arg-type]


@contextmanager
def milvus_extra() -> Iterator[None]:
    """Say how to install what is missing, where modules of the extra are imported."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"The engine milvus needs another package: {error}. Install it with: "
            "pip install '.[milvus]', or choose the engine faiss."
        ) from error
