"""What draws a group of pixels at once: features of the groups before, logits of every colour."""

import torch
from torch import Tensor, nn

from models.nn.masked import CausalConv2d, colours_of
from models.nn.precision import at_least_float32


class ResidualBlock(nn.Module):
    """x + f(x), where f looks around by 3 x 3: (B, width, h, w) -> the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same shape."""
        changed: Tensor = self.block(x)
        return x + changed


class GroupNetwork(nn.Module):
    """Features of a group's pixels from the groups before it, at the smaller picture's size.

    Not masked: it may look at all of a group that is drawn, in every direction.
    """

    def __init__(self, groups: int, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        # The extra channel is one inside the picture: zero padding is told from a grey pixel.
        self.body = nn.Sequential(
            nn.Conv2d(groups * channels + 1, width, 3, 1, 1),
            *(ResidualBlock(width) for _ in range(blocks)),
        )

    def forward(self, before: list[Tensor]) -> Tensor:
        """The groups before, each (B, C, h, w) -> (B, width, h, w)."""
        features: Tensor = self.body(torch.cat([*before, torch.ones_like(before[0][:, :1])], 1))
        return features


class Head(nn.Module):
    """The logits of a pixel's colours from its features, each knowing the colours before it."""

    def __init__(self, width: int, channels: int, parameters: int) -> None:
        super().__init__()
        hidden = colours_of(width, channels)
        logits = tuple(colour for colour in range(channels) for _ in range(parameters))
        self.channels = channels
        self.features = nn.Conv2d(width, width, 1)
        self.colours = (
            CausalConv2d(tuple(range(channels)), hidden, 1, own=False) if channels > 1 else None
        )
        self.logits = CausalConv2d(hidden, logits, 1, own=True)

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        """Features (B, width, h, w) and the group's pixels (B, C, h, w) -> (B, C, K, h, w)."""
        hidden = self.features(torch.relu(features))
        if self.colours is not None:
            hidden = hidden + self.colours(x)
        params: Tensor = self.logits(torch.relu(hidden))
        B, _, h, w = params.shape
        return at_least_float32(params).reshape(B, self.channels, -1, h, w)
