"""Which attributes items have, told without counting what they hold."""

from sqlite3 import Connection
from threading import Lock

from indexer.reading import find_names, read_change


class AttributeNames:
    """The names of the attributes that items of one store have. Thread-safe.

    All items are read once, when somebody asks, which takes two seconds for a million, and later
    what was put or changed since, if anything was. A name stays known when the last item that had
    it is gone.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: frozenset[str] = frozenset()
        self._change = -1

    def known(self, connection: Connection, sought: str | None = None) -> frozenset[str]:
        """The names as of what ``connection`` reads, within a transaction.

        Those that are known already, if ``sought`` is among them.
        """
        if sought in self._known:
            return self._known
        with self._lock:
            change = read_change(connection)
            if change > self._change:
                self._known |= find_names(connection, change=self._change)
                self._change = change
            return self._known
