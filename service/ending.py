"""Whether the server is about to end: from then on it answers, but begins nothing new."""

from collections.abc import Callable

from service.errors import ShuttingDownError


class Ending:
    """Whether a server is about to end, for everyone who has to know.

    Args:
        prepare: What is done when it begins.

    Attributes:
        begun: Whether it has begun. It never goes back.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self.begun = False
        self._prepare = prepare

    def begin(self) -> None:
        """Let everyone know."""
        self.begun = True
        self._prepare()

    def check(self) -> None:
        """Raise ``ShuttingDownError`` if it has begun."""
        if self.begun:
            raise ShuttingDownError
