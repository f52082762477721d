"""What is costly to find out and often asked for: found once for all who ask, and kept."""

import math
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """The values of the last few keys, as many as there is room for. Thread-safe.

    A key has to name everything that its value depends on, as the change number of a store: what
    is not asked for any more makes room. Who asks for what another thread is finding out waits for
    that one.

    Args:
        most: How many values are kept.
        room: Bytes that they may take together; the last one is kept whatever it takes.
        size: Bytes of a value.
        name: What keys of the same thing at different times have in common. Only the one whose
            value was found last is kept of them, which ``earlier`` tells.
    """

    def __init__(
        self,
        most: int,
        *,
        room: float = math.inf,
        size: Callable[[Value], int] = lambda _: 0,
        name: Callable[[Key], Hashable] = lambda key: key,
    ) -> None:
        self.most, self.room, self.size, self.name = most, room, size, name
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
                with self._lock:
                    self._forget_others(key)
                    self._make_room()
            except BaseException as error:
                with self._lock:
                    if self._found.get(key) is awaited:
                        del self._found[key]
                awaited.set_exception(error)
                raise
        return awaited.result()

    def earlier(self, key: Key) -> tuple[Key, Value] | None:
        """Another key of the same thing and its value, if one is kept."""
        with self._lock:
            others = self._others(key)
        return (others[-1][0], others[-1][1].result()) if others else None

    def _others(self, key: Key) -> list[tuple[Key, Future[Value]]]:
        """What is kept of other keys of the same thing; the lock is held."""
        name = self.name(key)
        return [
            (other, found)
            for other, found in self._found.items()
            if other != key and self.name(other) == name and found.done() and not found.exception()
        ]

    def _forget_others(self, key: Key) -> None:
        """Keep only this one of the same thing; the lock is held."""
        for other, _ in self._others(key):
            del self._found[other]

    def _make_room(self) -> None:
        """Forget what was not asked for the longest, until the rest fits; the lock is held."""
        sizes = {
            key: self.size(found.result())
            for key, found in self._found.items()
            if found.done() and not found.exception()
        }
        taken = sum(sizes.values())
        for key in list(sizes)[:-1]:
            if taken <= self.room:
                return
            taken -= sizes[key]
            del self._found[key]
