"""The variational autoencoder (Kingma and Welling, 2014): a vector with a price in nats.

What is special: the encoder names a distribution instead of a vector, and every nat by which it
differs from the prior is charged. That makes a bound on the likelihood, a space to sample from,
and a vector that says how much it holds. The decoder gives each pixel its own distribution,
independent given the vector, so the vector must account for all that pixels share, backgrounds
included: what a PixelVAE is compared with.

    loss = [ -log p(x|z) + rate(KL(q(z|x) || p(z))) ] / dimensions

With the rate's mode ``beta`` and weight 1 it is the evidence lower bound, with mode ``target`` the
vector is held at so many nats. The prior is normal, or uniform on (-1, 1) with probit-normal
posteriors, which have the normal ones' divergence.

    niteru train vae --data DIR --preset cpu --out weights/vae
    niteru train vae --data DIR --set rate.mode=target --set rate.target=60 --out weights/held

Figures (docs/models.md): at most 87.16 nats by ``vae-longer``; a convolutional VAE on the fixed
binarized MNIST is published at 87.41 nats (Gulrajani et al., 2016).
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from models.nn.decoder import FactorisedDecoder
from models.nn.encoder import ResidualEncoder
from models.nn.likelihoods import refuse_grey
from models.nn.posterior import importance_weighted, posterior_for
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, active_units
from models.nn.tempered import shared_copy, tempered
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views

ELBO = Rate(mode="beta", weight=1.0, warmup=0.1)


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a VAE.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the photo that the encoder sees.
        target_size: Side of the picture that the decoder draws.
        likelihood: ``logistic`` for grey levels, ``bernoulli`` for binary pictures.
        levels: Grey levels that the decoder tells apart.
        components: Logistics in the mixture.
        latent: D of the latent vector.
        prior: ``normal``, or ``uniform`` on (-1, 1) with probit-normal posteriors.
        widths, depths: Channels and residual blocks of each stage of the encoder.
        decoder_width: Channels of the decoder at full size.
        rate: How the divergence enters.
    """

    channels: Literal[1, 3] = 3
    size: int = 64
    target_size: int = 32
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    levels: int = 256
    components: int = 5
    latent: int = 128
    prior: Literal["normal", "uniform"] = "normal"
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depths: tuple[int, ...] = (0, 2, 2, 2)
    decoder_width: int = 32
    rate: Rate = field(default=ELBO)


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
        "mnist-uniform": Preset(replace(mnist, prior="uniform"), digits),
        "gpu": Preset(gpu, Recipe(batch_size=512, steps=20_000, views=plain)),
    }


class Model(GenerativeModel):
    """Encoder, posterior, factorised decoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.latent
        self.posterior = posterior_for(config.prior)
        self.encoder = ResidualEncoder(config.channels, config.widths, config.depths)
        self.bottleneck = nn.Linear(self.encoder.features, 2 * config.latent)
        self.decoder = FactorisedDecoder(
            config.latent, config.channels, config.target_size, config.decoder_width,
            likelihood=config.likelihood, levels=config.levels, components=config.components,
        )  # fmt: skip
        self.register_buffer("rate_weight", torch.tensor(config.rate.weight))
        self.rate_weight: Tensor

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> posterior mean and log-variance, two of (B, D) in float32.

        With the uniform prior, of the normal variable that becomes z (models/nn/posterior.py).
        """
        return self.posterior.read(at_least_float32(self.bottleneck(self.encoder(x))))

    def embed(self, x: Tensor) -> Tensor:
        """The posterior mean: (B, C, H, W) -> (B, D)."""
        return self.posterior.mean(*self.encode(x))

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
        return self.decode(z.to(self.rate_weight), generator=generator)

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
        """E_q[log p(target|z)] - KL(q(z|x) || p(z)) with one draw, in nats: (B,)."""
        refuse_grey(target, self.decoder.likelihood, "vae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        z = self.posterior.draw(mean, log_var, generator)
        return self.score(z, target) - self.posterior.kl(mean, log_var)

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats."""
        refuse_grey(target, self.decoder.likelihood, "vae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        return importance_weighted(
            self.posterior, lambda z: self.score(z, target), mean, log_var, k, generator
        )

    def players(self) -> tuple[Player, ...]:
        """One player: encoder and decoder minimise the same loss."""
        return (Player("vae", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats per picture unless named otherwise."""
        rate = self.config.rate
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        dims = target[0].numel()
        mean, log_var = self.encode(batch.views.flatten(0, 1))  # (VB, D)
        z = self.posterior.draw(mean, log_var, batch.generator())
        reconstruction = -self.score(z, target).mean()
        kl = self.posterior.kl(mean, log_var)
        weight = self.rate_weight.clone()
        penalty = rate.penalty(kl, weight, batch.progress)
        if self.training:
            self.rate_weight.copy_(rate.adapt(weight, kl.detach()))
        return {
            "loss": (reconstruction + penalty) / dims,
            "nll": reconstruction,
            "kl": kl.mean(),
            "rate_weight": weight,
            "bits_per_dim": (reconstruction + kl.mean()) / (dims * math.log(2)),
            "active_units": active_units(mean.detach()),
        }
