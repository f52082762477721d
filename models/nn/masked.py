"""Convolutions that see what comes before a pixel, and within the pixel the colours before.

Every channel of a masked layer belongs to a colour (van den Oord et al., 2016): the channels of red
see no more of the pixel than red may, those of green also what red's hold, those of blue both. A
mask of kind A leaves out the channel's own colour at the pixel itself, kind B lets it in: A stands
once, at the entrance, and B everywhere else. Rows below are cut off the kernel and not masked.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Colours = tuple[int, ...]

ALWAYS = -1  # the colour of a channel that tells nothing of the picture: everyone may see it


def colours_of(width: int, colours: int) -> Colours:
    """The colour of each of ``width`` channels, in equal blocks: (4, 3) -> (0, 0, 1, 2).

    Raises:
        ValueError: There are fewer channels than colours.
    """
    if width < colours:
        raise ValueError(
            f"A layer of {width} channels cannot hold {colours} colours; give it at least one "
            "channel for each."
        )
    return tuple(channel * colours // width for channel in range(width))


def colour_mask(inputs: Colours, outputs: Colours, *, own: bool) -> Tensor:
    """Which inputs each output may see at the pixel itself: (outputs, inputs) of 0 and 1.

    Args:
        inputs: The colour of each input channel.
        outputs: The colour of each output channel.
        own: Whether a channel sees its own colour: True is mask B, False mask A.
    """
    source, sink = torch.tensor(inputs), torch.tensor(outputs)[:, None]
    return (source <= sink if own else source < sink).float()


class CausalConv2d(nn.Module):
    """A convolution in raster order, colour after colour: (B, I, H, W) -> (B, O, H, W).

    The mask is a buffer that is multiplied into the weights when they are used; the weights
    themselves are changed by the optimiser alone, and masked ones have no gradient.

    Args:
        inputs: The colour of each input channel.
        outputs: The colour of each output channel.
        kernel: Odd width of the field; half of it, rounded down, is how far it reaches to the left,
            to the right and up.
        own: Whether a channel sees its own colour at the pixel itself (mask B) or not (mask A).
        row: See the pixel's own row only.
    """

    mask: Tensor

    def __init__(
        self, inputs: Colours, outputs: Colours, kernel: int, *, own: bool, row: bool = False
    ) -> None:
        super().__init__()
        reach = kernel // 2
        up, right = (0, 0) if row else (reach, reach)
        plain = nn.Conv2d(len(inputs), len(outputs), (up + 1, reach + 1 + right))
        self.weight, self.bias = plain.weight, plain.bias
        self.padding = (reach, right, up, 0)  # left, right, above, below
        mask = torch.ones_like(plain.weight)
        mask[:, :, -1, reach] = colour_mask(inputs, outputs, own=own)
        mask[:, :, -1, reach + 1 :] = 0
        # Told by the layer's own settings, so it is not stored with the weights.
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W)."""
        return F.conv2d(F.pad(x, self.padding), self.weight * self.mask, self.bias)
