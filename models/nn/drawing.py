"""Drawing from a gated PixelCNN, pixel by pixel, each from no more than what it depends on."""

from collections.abc import Callable

import torch
from torch import Tensor

from models.nn.gated import GatedPixelCNN
from models.nn.onlookers import show
from models.nn.precision import at_least_float32

Pick = Callable[[Tensor, int, int], Tensor]


@torch.no_grad()
def draw_in_windows(
    pixelcnn: GatedPixelCNN, condition: Tensor, channels: int, pick: Pick
) -> Tensor:
    """Draw every pixel in raster order: (B, K, H, W) conditions -> (B, C, H, W).

    Args:
        pixelcnn: What says each pixel's parameters, given those before it.
        condition: What is known of every pixel beforehand.
        channels: C of what is drawn.
        pick: A pixel (B, C, 1, 1) from its parameters (B, P, 1, 1), its row and its column.
    """
    B, _, H, W = condition.shape
    x = condition.new_zeros(B, channels, H, W)
    reach = pixelcnn.rows
    for i in range(H):
        rows = slice(max(0, i - reach), i + 1)
        for j in range(W):
            left = max(0, j - reach)
            window = (..., rows, slice(left, j + reach + 1))  # a pixel depends on nothing else
            params = at_least_float32(pixelcnn(x[window], condition[window]))
            here = params[:, :, -1:, j - left : j - left + 1]  # (B, P, 1, 1)
            x[:, :, i, j] = pick(here, i, j)[..., 0, 0]
        show(x.clone)
    return x
