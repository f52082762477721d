"""Drawing from the gated PixelCNN of a decoder, under a condition, by any of the ways.

Whatever lies at the places, the pixels of a picture or the numbers of a map of latents: it is the
likelihood that draws.
"""

from typing import Any

import torch
from torch import Tensor

from models.nn.gated import GatedPixelCNN
from models.sampling import row_stacks
from models.sampling.calls import Calls
from models.sampling.methods import Method, Task, draw
from models.sampling.stacks import GatedWalk, gated_decoder


@torch.no_grad()
def draw_gated(
    net: GatedPixelCNN, likelihood: Any, condition: Tensor, noise: Tensor, method: Method = "auto"
) -> Tensor:
    """Draw every place with given noise: the same noise gives the same values, by each method.

    Args:
        net: What says each place's parameters, given those before it.
        likelihood: Draws all C channels of a place from them, by the noise.
        condition: (B, K, h, w), what is known of every place beforehand, computed in float64: where
            it was rounded otherwise, other values may be drawn.
        noise: (B, N, h, w), what the likelihood wants.
        method: How (``models.sampling.methods``).

    Returns:
        (B, C, h, w) in float64.

    Raises:
        ValueError: There is no such method.
    """
    told_of = condition.double()
    places = told_of[:, :1]
    nothing = torch.zeros_like(places, dtype=torch.bool)
    # Nothing is known, so that no level is asked for; of one value a place has one step.
    blank = torch.zeros_like(places).repeat(1, likelihood.channels, 1, 1)
    task = Task(net, likelihood, levels=2, noise=noise, x=blank, known=nothing)

    def told(twin: GatedPixelCNN, x: Tensor, rows: Tensor) -> Tensor:
        params: Tensor = twin(x, told_of[rows])
        return params.unsqueeze(1)

    def walk(calls: Calls) -> GatedWalk:
        return gated_decoder(net, told_of, calls)

    def rows() -> row_stacks.GatedRows:
        return row_stacks.gated_decoder(net, told_of)

    return draw(task, told, (walk, rows) if len(net.layers) else None, method=method)
