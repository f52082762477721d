"""Looking on while pictures are drawn: after each row, pass or group they can be seen as they are.

Whoever wants to see them says so around a call, and no model has to hand it through:

    with seen_by(look):
        model.sample(16, generator=generator)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

# Given what makes the pictures (B, C, h, w) in [-1, 1], if they are wanted; 0 is not drawn yet. It
# may raise to end the drawing.
Look = Callable[[Callable[[], Tensor]], None]

_look: ContextVar[Look | None] = ContextVar("look", default=None)


@contextmanager
def seen_by(look: Look | None) -> Iterator[None]:
    """Let ``look`` see what is drawn inside, in this thread; None, and nobody does."""
    before = _look.set(look)
    try:
        yield
    finally:
        _look.reset(before)


def show(pictures: Callable[[], Tensor]) -> None:
    """Say that there is more to be seen; costs nothing where nobody looks."""
    look = _look.get()
    if look is not None:
        look(pictures)
