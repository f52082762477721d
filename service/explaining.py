"""What an embedding kept of a photo: its vector, drawn again by the model that made it.

Needs torch, which a search does not: import it where something is explained.
"""

import numpy as np
import torch
from torch import Tensor

from indexer.protocols import Pixels
from models.training.checkpoint import Weights
from models.training.protocols import LatentDecoder, LatentVariableModel
from service.errors import NoDecoderError
from service.explanation import Explanation


class Explainer:
    """Draws what a photo's vector says.

    Args:
        weights: Of a model with a decoder.

    Raises:
        NoDecoderError: The model cannot draw from a vector.
    """

    def __init__(self, weights: Weights) -> None:
        if not isinstance(weights.model, LatentDecoder | LatentVariableModel):
            raise no_decoder(weights)
        self.weights = weights

    def explain(self, pixels: Pixels, *, draws: int, seed: int) -> Explanation:
        """Encode a photo and decode its vector.

        Args:
            pixels: (H, W, C) uint8, made by the weights' preprocessing.
            draws: Pictures to draw by chance, all of the same vector; a model that decodes
                without chance gives none.
            seed: Of the draws.

        Raises:
            NoDecoderError: The model was trained without what draws.
            ValueError: The pixels are not what the preprocessing makes.
        """
        self.weights.preprocessing.check(pixels[np.newaxis])
        model = self.weights.model
        x = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, C, H, W)
        outline: Tensor | None = None
        drawn: tuple[Pixels, ...] = ()
        rate: float | None = None
        with torch.inference_mode():
            z = model.latent(x)  # (1, D)
            if isinstance(model, LatentDecoder):
                outline = model.outline(z)
            if isinstance(model, LatentVariableModel):
                generator = torch.Generator().manual_seed(seed)
                # In one call: pixel by pixel, many together cost less than each alone.
                pictures = model.decode(z.expand(draws, -1), generator=generator)
                drawn = tuple(to_pixels(picture) for picture in pictures)
                rate = float(model.rate(x))
            elif outline is None:
                raise no_decoder(self.weights)
        return Explanation(
            photo=pixels,
            outline=None if outline is None else to_pixels(outline[0]),
            draws=drawn,
            rate=rate,
            fingerprint=self.weights.fingerprint,
            seed=seed,
        )


def to_pixels(picture: Tensor) -> Pixels:
    """(C, h, w) in [-1, 1] -> (h, w, C) uint8."""
    values = ((picture.clamp(-1, 1) + 1) * 127.5).round()
    pixels: Pixels = values.permute(1, 2, 0).to(torch.uint8).contiguous().numpy()
    return pixels


def no_decoder(weights: Weights) -> NoDecoderError:
    """The error for weights that only encode."""
    return NoDecoderError(
        f"'{weights.name}' has no decoder, so what its vector kept cannot be drawn. "
        "Use weights of a model that draws from a vector, such as pixelvae."
    )
