"""From a latent vector to a map of features, one place per pixel of the picture."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Upsampler(nn.Module):
    """Latent vector -> feature map, doubling the resolution from a small grid.

    Args:
        latent: D of the vector.
        size: Side of the map.
        width: Channels of the map; coarser grids have more, at most four times as many.
    """

    def __init__(self, latent: int, size: int, width: int) -> None:
        super().__init__()
        sides = [size]
        while sides[0] > 4:
            sides.insert(0, (sides[0] + 1) // 2)  # 28 -> 4, 7, 14, 28
        self.sides = sides
        widths = [min(4 * width, width * 2 ** (len(sides) - 1 - i)) for i in range(len(sides))]
        self.widths = widths
        self.start = nn.Linear(latent, widths[0] * sides[0] ** 2)
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
            )
            for a, b in pairwise(widths)
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, width, size, size)."""
        x = torch.relu(self.start(z)).view(-1, self.widths[0], self.sides[0], self.sides[0])
        for side, step in zip(self.sides[1:], self.steps, strict=True):
            x = step(F.interpolate(x, size=(side, side), mode="nearest"))
        return x
