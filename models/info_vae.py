"""InfoVAE (Zhao, Song and Ermon, 2017): a VAE that charges the crowd, not each vector.

What is special: the evidence lower bound charges every vector for what it tells of its photo.
Here that charge can be lowered, and instead all vectors together must look like draws from the
prior, measured by their maximum mean discrepancy (models/nn/mmd.py). Then a vector may be
informative and the prior still be a place to sample from.

    loss = [ -log p(x|z) + (1 - alpha) KL(q(z|x) || p(z))
             + (alpha + lambda - 1) MMD^2(q(z), p(z)) ] / dimensions

The scale: -log p(x|z) is summed over the picture, so within the brackets all is nats per picture,
and lambda is nats per picture for each unit of MMD^2, which lies between 0 and 2. (Where the
reconstruction is a mean per dimension, as elsewhere, a lambda must be divided by the dimensions.)
The division makes gradients alike for all sizes and changes nothing between the terms.

alpha 0 and lambda 1 is the evidence lower bound, alpha 1 has no divergence at all.

    niteru train info_vae --data DIR --preset cpu --out weights/info-vae

Figures (docs/models.md): a kernel distance of .0876 by ``info-vae-large``.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from models.nn.decoder import FactorisedDecoder
from models.nn.encoder import ResidualEncoder
from models.nn.likelihoods import refuse_grey
from models.nn.mmd import Kernel, mmd_unbiased
from models.nn.posterior import NormalPosterior, importance_weighted
from models.nn.precision import at_least_float32
from models.nn.rate import active_units
from models.nn.tempered import shared_copy, tempered
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of an InfoVAE.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the photo that the encoder sees.
        target_size: Side of the picture that the decoder draws.
        likelihood: ``logistic`` for grey levels, ``bernoulli`` for binary pictures.
        levels: Grey levels that the decoder tells apart.
        components: Logistics in the mixture.
        latent: D of the latent vector.
        widths, depths: Channels and residual blocks of each stage of the encoder.
        decoder_width: Channels of the decoder at full size.
        alpha: How much of the charge on each vector is waived, at most 1.
        lambda_: The paper's lambda, at least 1 - alpha: nats per picture and unit of MMD^2.
        kernel: Of the discrepancy: ``imq`` or ``rbf``.
    """

    channels: Literal[1, 3] = 3
    size: int = 64
    target_size: int = 32
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    levels: int = 256
    components: int = 5
    latent: int = 128
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depths: tuple[int, ...] = (0, 2, 2, 2)
    decoder_width: int = 32
    alpha: float = 0.0
    lambda_: float = 1000.0
    kernel: Kernel = "imq"

    def __post_init__(self) -> None:
        """Neither term may be rewarded for growing."""
        if self.alpha > 1 or self.alpha + self.lambda_ < 1:
            raise ValueError(
                f"An InfoVAE needs alpha <= 1 and lambda_ >= 1 - alpha, so that neither divergence "
                f"has a negative weight: found alpha={self.alpha}, lambda_={self.lambda_}."
            )


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(
        size=16, target_size=8, latent=8, widths=(8, 16), depths=(1, 1), decoder_width=8,
        components=2,
    )  # fmt: skip
    mnist = Config(
        channels=1, size=28, target_size=28, likelihood="bernoulli", latent=32,
        widths=(32, 64, 128), depths=(1, 1, 1), decoder_width=16,
    )  # fmt: skip
    gpu = Config(
        size=128, target_size=64, widths=(64, 128, 256, 512, 512), depths=(1, 2, 2, 2, 2),
        decoder_width=64, latent=256,
    )  # fmt: skip
    # So few channels gain nothing from bfloat16.
    digits = Recipe(batch_size=100, minutes=60, learning_rate=2e-3, precision="fp32", views=plain)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "cpu": Preset(Config(), Recipe(batch_size=128, minutes=20, views=plain)),
        "mnist": Preset(mnist, digits),
        "gpu": Preset(gpu, Recipe(batch_size=512, steps=20_000, views=plain)),
    }


class Model(GenerativeModel):
    """Encoder, normal posterior, factorised decoder; trained with both divergences."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.latent
        self.posterior = NormalPosterior()
        self.encoder = ResidualEncoder(config.channels, config.widths, config.depths)
        self.bottleneck = nn.Linear(self.encoder.features, 2 * config.latent)
        self.decoder = FactorisedDecoder(
            config.latent, config.channels, config.target_size, config.decoder_width,
            likelihood=config.likelihood, levels=config.levels, components=config.components,
        )  # fmt: skip

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> posterior mean and log-variance, two of (B, D) in float32."""
        return self.posterior.read(at_least_float32(self.bottleneck(self.encoder(x))))

    def embed(self, x: Tensor) -> Tensor:
        """The posterior mean: (B, C, H, W) -> (B, D)."""
        return self.encode(x)[0]

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each picture holds: (B, C, H, W) -> (B,)."""
        return self.posterior.kl(*self.encode(x))

    def outline(self, z: Tensor) -> Tensor:
        """The mean picture of a vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        return self.decoder.mean(z)

    @torch.no_grad()
    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        return self.decoder.draw(z, generator)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the prior: (n, C, h, w) in [-1, 1]."""
        z = self.draw_latent(n, generator=generator)
        return self.decode(z.to(self.bottleneck.weight), generator=generator)

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors from the prior: (n, D)."""
        return self.posterior.prior_draw(n, self.config.latent, generator)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the way between two: two of (B, D) -> (B, D)."""
        return self.posterior.between(a, b, share)

    def at_temperature(self, temperature: float) -> Self:
        """The same model, its weights shared, that draws vector and pixels from p^(1/T)."""
        other = shared_copy(self)
        other.decoder = shared_copy(self.decoder)
        other.decoder.likelihood = tempered(self.decoder.likelihood, temperature)
        other.posterior = replace(self.posterior, temperature=temperature)
        return other

    def score(self, z: Tensor, target: Tensor) -> Tensor:
        """log p(target | z) in nats: (B, D) and (B, C, h, w) -> (B,)."""
        return self.decoder.score(z, target)

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(target|z)] - KL(q(z|x) || p(z)) with one draw, in nats: (B,).

        Not what is minimised, but a bound on this model's likelihood like any other's.
        """
        refuse_grey(target, self.decoder.likelihood, "info_vae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        z = self.posterior.draw(mean, log_var, generator)
        return self.score(z, target) - self.posterior.kl(mean, log_var)

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats."""
        refuse_grey(target, self.decoder.likelihood, "info_vae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        return importance_weighted(
            self.posterior, lambda z: self.score(z, target), mean, log_var, k, generator
        )

    def players(self) -> tuple[Player, ...]:
        """One player: encoder and decoder minimise the same loss."""
        return (Player("info_vae", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats per picture unless named otherwise."""
        c = self.config
        V, B = batch.views.shape[:2]
        generator = batch.generator()
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        dims = target[0].numel()
        mean, log_var = self.encode(batch.views.flatten(0, 1))  # (VB, D)
        z = self.posterior.draw(mean, log_var, generator)
        reconstruction = -self.score(z, target).mean()
        kl = self.posterior.kl(mean, log_var).mean()
        prior = self.posterior.prior_draw(B, c.latent, generator).to(z)
        # View by view: two views of one item are no two independent draws of q(z).
        mmd = torch.stack([mmd_unbiased(view, prior, c.kernel) for view in z.view(V, B, -1)]).mean()
        total = reconstruction + (1 - c.alpha) * kl + (c.alpha + c.lambda_ - 1) * mmd
        return {
            "loss": total / dims,
            "nll": reconstruction,
            "kl": kl,
            "mmd": mmd,  # no unit, at most 2
            "bits_per_dim": (reconstruction + kl) / (dims * math.log(2)),
            "active_units": active_units(mean.detach()),
        }
