"""The gated PixelCNN (van den Oord et al., 2016), conditioned at every layer.

Two stacks keep the receptive field free of the blind spot: the vertical one sees all rows above,
the horizontal one the pixels to the left in the same row and, through the vertical one, all above.
Causality comes from padding and shifting, not from masked weights, so there is nothing to mask
wrongly and no multiplication by zero.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def shift_down(x: Tensor) -> Tensor:
    """Row i takes what row i - 1 held: (B, C, H, W) -> the same shape."""
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]


def shift_right(x: Tensor) -> Tensor:
    """Column j takes what column j - 1 held: (B, C, H, W) -> the same shape."""
    return F.pad(x, (1, 0, 0, 0))[:, :, :, :-1]


def gate(x: Tensor) -> Tensor:
    """tanh(a) * sigmoid(b) of the two halves of the channels: (B, 2C, H, W) -> (B, C, H, W)."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One gated layer over both stacks, biased by the condition at every pixel.

    Args:
        channels: C of both stacks.
        condition: Channels of the condition map.
        kernel: Odd width of the field in the row; the field upwards is half of it.
    """

    def __init__(self, channels: int, condition: int, kernel: int = 3) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.vertical = nn.Conv2d(channels, 2 * channels, (self.reach + 1, kernel))
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, self.reach + 1))
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.condition = nn.Conv2d(condition, 4 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, v: Tensor, h: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Both stacks (B, C, H, W) and the condition (B, K, H, W) -> both stacks."""
        r = self.reach
        for_v, for_h = self.condition(condition).chunk(2, 1)
        vertical = self.vertical(F.pad(v, (r, r, r, 0)))  # sees v's rows i - r to i
        # v was shifted down at the entrance: its row i holds the rows above i and may meet the row.
        horizontal = self.horizontal(F.pad(h, (r, 0, 0, 0))) + self.link(vertical)
        return gate(vertical + for_v), h + self.out(gate(horizontal + for_h))


class GatedPixelCNN(nn.Module):
    """Parameters of each pixel's distribution from the pixels before it and a condition.

    The order is row by row, left to right; a pixel's channels are one step (their dependence is
    the likelihood's business).

    Args:
        channels: Channels of the picture.
        parameters: Numbers per pixel that the likelihood needs.
        condition: Channels of the condition map.
        width: Channels of the stacks.
        layers: Gated layers; each widens the field by kernel // 2 beyond the neighbouring pixels.
            With none a pixel sees the condition alone: a factorised decoder.
        kernel: Odd width of the convolutions.
    """

    def __init__(
        self,
        channels: int,
        parameters: int,
        *,
        condition: int,
        width: int,
        layers: int,
        kernel: int,
    ) -> None:
        super().__init__()
        # How many rows above a pixel its distribution sees.
        self.rows = 1 + layers * (kernel // 2) if layers else 0
        self.skip = nn.Conv2d(condition, parameters, 1)
        self.layers = nn.ModuleList(GatedLayer(width, condition, kernel) for _ in range(layers))
        if layers:
            # The extra channel is one inside the picture: zero padding is told from a grey pixel.
            self.first_v = nn.Conv2d(channels + 1, width, (1, 3))
            self.first_h = nn.Conv2d(channels + 1, width, 1)
            self.head = nn.Sequential(
                nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, parameters, 1)
            )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) pixels and (B, K, H, W) condition -> (B, parameters, H, W)."""
        alone: Tensor = self.skip(condition)
        if not self.layers:
            return alone
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        v = shift_down(self.first_v(F.pad(x, (1, 1, 0, 0))))  # rows above
        h = shift_right(self.first_h(x)) + v  # and the pixel to the left
        for layer in self.layers:
            v, h = layer(v, h, condition)
        params: Tensor = self.head(h) + alone
        return params
