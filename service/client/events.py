"""Reading a stream of server-sent events line by line, without a connection."""

from service.client.reading import read_event
from service.client.results import Event


class EventReader:
    """Puts the lines of a stream together.

    Attributes:
        last: Number of the last event that was read; 0 before the first.
        ended: Whether the job's end has been read.
    """

    def __init__(self, after: int = 0) -> None:
        self.last = after
        self.ended = False
        self._clear()

    def restart(self) -> None:
        """Forget the beginning of an event whose stream broke off."""
        self._clear()

    def feed(self, line: str) -> Event | None:
        """Read one line, without its end; the event if that has made it complete."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._kind = value
            elif name == "id" and value.isdecimal():
                self._number = int(value)
            return None  # a comment has an empty name, and shows that the server is alive
        data, kind, number = self._data, self._kind, self._number
        self.last = number
        self._clear()
        if not data:
            return None
        self.ended = kind == "end"
        return read_event(number, kind, "\n".join(data))

    def _clear(self) -> None:
        self._data: list[str] = []
        self._kind = "message"
        self._number = self.last
