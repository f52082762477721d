"""What is costly to find out and often asked for: found once for all who ask, and kept."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """The values of the last few keys. Thread-safe.

    A key has to name everything that its value depends on, as the change number of a store: what
    is not asked for any more makes room. Who asks for what another thread is finding out waits for
    that one.

    Args:
        most: How many values are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = Lock()
        self._found: dict[Key, Future[Value]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: Key, find: Callable[[], Value]) -> Value:
        """The value of a key, found if it is not known. What finding it raises is not kept."""
        with self._lock:
            known = self._found.pop(key, None)
            awaited = self._found[key] = known or Future()  # again, at the end: it is in use
            while len(self._found) > self.most:
                del self._found[next(iter(self._found))]
        if known is None:
            try:
                awaited.set_result(find())
            except BaseException as error:
                with self._lock:
                    if self._found.get(key) is awaited:
                        del self._found[key]
                awaited.set_exception(error)
                raise
        return awaited.result()
