"""The same model for pictures of another side, where it is made of convolutions alone."""

from dataclasses import replace
from typing import Any, Self

from torch import nn

from models.nn.tempered import shared_copy


class AnySize(nn.Module):
    """A model whose layers do not know how large a picture is: only ``config.size`` does."""

    config: Any

    def at_size(self, side: int) -> Self:
        """The same model, its weights shared, that draws pictures of this side.

        What it draws beyond the size it has learned is told by no training picture.

        Raises:
            ValueError: The model cannot be of this side; the message says of which.
        """
        other = shared_copy(self)
        other.config = replace(self.config, size=side)
        return other
