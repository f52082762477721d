"""The connection to a Milvus server: calls with a time limit, patience, and errors in our words.

The client waits by itself for a server that is away, as long as the time limit says. What it gives
up at once, a server that is starting or asks for patience, is asked again after growing pauses.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException

from indexer.errors import MilvusError

PATIENT = frozenset({1, 2, 5, 8, 9})  # not ready, unavailable, memory or requests at their limit
GONE = frozenset({100, 101, 102, 103})  # no such collection, or not loaded (any more)
NO_ALIAS = frozenset({100, 1600})
PAUSES = (0.1, 0.3, 1.0, 3.0)
SECONDS = 20.0
# A server that is too busy to answer in time is told of by the channel itself.
FAILURES = (MilvusException, grpc.RpcError)
LOOK = 0.2  # between two looks at an index that is built
LONG = 600.0  # an index is built, a collection is read into memory


class Server:
    """A connection, shared by threads.

    Args:
        uri: ``http://host:19530``, or a path ending in ``.db`` that Milvus Lite keeps by itself.
        token: ``user:password``, or an API key; empty where the server asks for none.
        seconds: Time limit of a call.
        pauses: Seconds before each further attempt where the server asks for patience.
        sleep: Waits so many seconds.

    Raises:
        MilvusError: It cannot be reached, or does not let us in.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        seconds: float = SECONDS,
        pauses: tuple[float, ...] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # It writes a traceback for every refusal, also those that we expect or say ourselves.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self.uri, self.seconds, self._pauses, self._sleep = uri, seconds, pauses, sleep
        try:
            self._client = MilvusClient(uri, token=token, timeout=seconds, dedicated=True)
        except FAILURES as error:
            raise self._told("connect", error) from error

    def call(self, method: str, *given: Any, seconds: float | None = None, **named: Any) -> Any:
        """What a method of the client answers.

        Raises:
            MilvusError: The server cannot be reached, refuses, or asks for patience for too long.
        """
        for pause in (*self._pauses, None):
            try:
                return getattr(self._client, method)(
                    *given, timeout=seconds or self.seconds, **named
                )
            except FAILURES as error:
                late = isinstance(error, grpc.RpcError)
                if pause is None or not (late or error.code in PATIENT):
                    raise self._told(method, error) from error
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def stream(self, collection: str, **named: Any) -> Iterator[list[dict[str, Any]]]:
        """What a query finds, in blocks, however much it is."""
        rows = self.call("query_iterator", collection, **named)
        try:
            while block := rows.next():
                yield block
        except FAILURES as error:
            raise self._told("query_iterator", error) from error
        finally:
            rows.close()

    def wait_for_index(self, collection: str, index: str, *, seconds: float = LONG) -> None:
        """Return when the index of a collection holds all that was flushed.

        Raises:
            MilvusError: It took longer.
        """
        for _ in range(max(1, round(seconds / LOOK))):
            found = self.call("describe_index", collection, index) or {}
            if not int(found.get("pending_index_rows", 0)):
                return
            self._sleep(LOOK)
        raise MilvusError(
            f"The index of the collection '{collection}' was not built within {seconds:.0f} s. "
            "Look into the log of the Milvus server, and run niteru index again."
        )

    def find_alias(self, alias: str) -> str | None:
        """The collection behind an alias, None if there is no such alias."""
        try:
            return str(self.call("describe_alias", alias)["collection_name"])
        except MilvusError as error:
            if error.code in NO_ALIAS:
                return None
            raise

    def point_alias(self, alias: str, collection: str) -> None:
        """Let an alias stand for a collection, in one step."""
        known = self.find_alias(alias) is not None
        self.call("alter_alias" if known else "create_alias", collection, alias)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _told(self, method: str, error: Exception) -> MilvusError:
        code, reason = getattr(error, "code", None), getattr(error, "message", str(error))
        if isinstance(error, grpc.RpcError):
            reason = f"no answer in time ({getattr(error, 'details', str)()})"
        return MilvusError(
            f"The Milvus server at '{self.uri}' did not do '{method}': {reason}. Check that "
            "it runs, that --milvus-uri or NITERU_MILVUS_URI names it, and that "
            "NITERU_MILVUS_TOKEN lets niteru in. items.sqlite holds everything meanwhile.",
            code=code if isinstance(code, int) else None,
        )
