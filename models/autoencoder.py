"""The plain convolutional autoencoder: the article's starting point, and the baseline to beat.

What is special: nothing, and that is its use. It squeezes a photo through a vector and draws it
again with squared error, so its vector must hold whatever covers many pixels: the background and
the wearer as much as the item. Every figure of another model stands beside its figure.

    niteru train autoencoder --data DIR --preset cpu --out weights/plain

Figures reached (docs/results.md): swapped backgrounds R@1 .090, R@10 .253; class P@10 .300.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.nn.encoder import ResidualEncoder
from models.nn.latent import straight
from models.nn.precision import at_least_float32
from models.nn.upsampler import Upsampler
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture of an autoencoder.

    Attributes:
        channels: 3 for colour, 1 for grey.
        size: Side of the photo that the encoder sees.
        target_size: Side of the picture that the decoder draws.
        latent: D of the vector.
        widths, depths: Channels and residual blocks of each stage of the encoder.
        decoder_width: Channels of the decoder at full size.
    """

    channels: Literal[1, 3] = 3
    size: int = 64
    target_size: int = 32
    latent: int = 128
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depths: tuple[int, ...] = (0, 2, 2, 2)
    decoder_width: int = 32


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=16, target_size=8, latent=8, widths=(8, 16), depths=(1, 1), decoder_width=8)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "cpu": Preset(Config(), Recipe(batch_size=128, minutes=20, views=plain)),
        "gpu": Preset(
            Config(
                size=128, target_size=64, widths=(64, 128, 256, 512, 512), depths=(1, 2, 2, 2, 2)
            ),
            Recipe(batch_size=512, steps=20_000, views=plain),
        ),
    }


class Model(GenerativeModel):
    """Encoder, vector, decoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.latent
        self.encoder = ResidualEncoder(config.channels, config.widths, config.depths)
        self.bottleneck = nn.Linear(self.encoder.features, config.latent)
        self.upsampler = Upsampler(config.latent, config.target_size, config.decoder_width)
        self.out = nn.Conv2d(config.decoder_width, config.channels, 3, 1, 1)
        # The spread of the vectors seen in training: what there is to sample from.
        self.register_buffer("code_mean", torch.zeros(config.latent))
        self.register_buffer("code_var", torch.ones(config.latent))
        self.code_mean: Tensor
        self.code_var: Tensor

    def embed(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D)."""
        return at_least_float32(self.bottleneck(self.encoder(x)))

    def outline(self, z: Tensor) -> Tensor:
        """Draw what a vector says: (B, D) -> (B, C, h, w) in [-1, 1]."""
        return torch.tanh(at_least_float32(self.out(self.upsampler(z))))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw from a Gaussian fitted to the training vectors: (n, C, h, w) in [-1, 1].

        An autoencoder has no prior; most of these are no item at all, which is worth seeing.
        """
        return self.outline(self.draw_latent(n, generator=generator))

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors of a Gaussian fitted to those of training: (n, D)."""
        noise = torch.randn(n, self.config.latent, generator=generator).to(self.code_mean)
        return self.code_mean + noise * self.code_var.sqrt()

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the line between two: two of (B, D) -> (B, D)."""
        return straight(a, b, share)

    def players(self) -> tuple[Player, ...]:
        """One player: squared error."""
        return (Player("autoencoder", self.parameters, self.loss),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean squared error per number, in the [-1, 1] scale."""
        code = self.embed(batch.views.flatten(0, 1))
        if self.training:
            with torch.no_grad():
                self.code_mean.lerp_(code.mean(0), 0.01)
                self.code_var.lerp_(code.var(0), 0.01)
        error = (self.outline(code) - batch.targets.flatten(0, 1)).square().mean()
        return {"loss": error, "mse": error}
