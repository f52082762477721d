"""PixelVAE with two levels of latents (Gulrajani et al., 2017): what it is, and how it lies there.

What is special: a vector for the whole picture, the upper level, and a small map of vectors, the
lower one, one for each place. The map's prior is itself a PixelCNN over its places, conditioned on
the upper vector, and the picture is drawn by another one, conditioned on the map. So the map takes
what is local (colour, texture) and the vector can be left with what the whole picture is. Only the
vector is indexed.

    log p(x) >= E_q[ log p(x|low) ] - KL(q(low|x) || p(low|up)) - KL(q(up|x) || N(0, 1))

The middle term is a sum over the places, each given the places before it; the last is the rate,
held at so many nats (models/nn/rate.py), since a good prior of the map leaves the vector nothing
to do. A file of its own beside ``pixelvae``: no training by views, background or shape here, two
posteriors, three networks that draw; as a setting, every line there would have had two cases.

    niteru train pixelvae2 --data binarized_mnist.npz --preset mnist --out weights/pixelvae2
    niteru evaluate nll weights/pixelvae2 --data binarized_mnist.npz --samples 100

Figures (docs/models.md): at most 88.33 nats by ``pixelvae2-large``; published: none on MNIST, <=
3.66 bits per dimension on ImageNet at 64 pixels.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.encoder import ResidualBlock
from models.nn.gated import GatedPixelCNN
from models.nn.latent import spherical
from models.nn.likelihoods import Bernoulli, Likelihood, LogisticMixture, refuse_grey
from models.nn.onlookers import seen_by
from models.nn.posterior import NormalPlaces, NormalPosterior
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, active_units, gaussian_kl_between, gaussian_log_prob
from models.nn.tempered import TemperedDraws
from models.nn.upsampler import Upsampler
from models.sampling.gated import draw_gated
from models.sampling.methods import Method, in_double
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a PixelVAE with two levels.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the photo that the encoder sees: the grid's, doubled any number of times.
        target_size: Side of the picture that the decoder draws.
        likelihood: ``logistic`` for grey levels, ``bernoulli`` for binary pictures.
        levels: Grey levels that the decoder tells apart.
        components: Logistics in the mixture.
        latent: D of the upper vector.
        lower: Numbers of the lower level at each place.
        grid: Side of the lower level's map.
        width: Channels of every network.
        layers: Gated layers of the PixelCNN that draws pixels, 5 x 5.
        prior_layers: Gated layers of the lower level's prior, 3 x 3; 0 is a factorised one.
        rate: How the upper vector's divergence enters; the lower level's is charged in full.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    target_size: int = 32
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    levels: int = 256
    components: int = 5
    latent: int = 64
    lower: int = 8
    grid: int = 8
    width: int = 32
    layers: int = 2
    prior_layers: int = 3
    rate: Rate = field(default_factory=Rate)

    def __post_init__(self) -> None:
        """Both sides must be reached from the grid."""
        doubled = [self.grid << k for k in range(12)] if self.grid > 1 else []
        if self.size not in doubled[1:] or self.target_size not in doubled:
            raise ValueError(
                f"size and target_size are grid={self.grid} (2 or more) doubled any number of "
                f"times, the size at least once; found size={self.size}, "
                f"target_size={self.target_size}."
            )


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(
        size=16, target_size=8, latent=8, lower=2, grid=4, width=8, layers=1, prior_layers=1,
        components=2, rate=Rate(target=8.0),
    )  # fmt: skip
    mnist = Config(
        channels=1, size=28, target_size=28, likelihood="bernoulli", latent=16, lower=2, grid=7,
        width=16, layers=2, rate=Rate(target=10.0),
    )  # fmt: skip
    gpu = Config(size=64, target_size=64, latent=128, lower=16, width=96, layers=4, prior_layers=6)
    digits = Recipe(
        batch_size=100, minutes=60, learning_rate=2e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(mnist, digits),
        "cpu": Preset(Config(), Recipe(batch_size=64, minutes=60, views=plain)),
        "gpu": Preset(gpu, Recipe(batch_size=128, steps=100_000, learning_rate=1e-3, views=plain)),
    }


class Told(NamedTuple):
    """What the encoder says: location and log-variance of the vector (B, D) and of the map.

    The map's are (B, L, g, g).
    """

    up: Tensor
    up_log_var: Tensor
    low: Tensor
    low_log_var: Tensor


class Encoder(nn.Module):
    """Halvings to the grid, where the lower level is told, and on to one vector for the upper."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        first: list[nn.Module] = []
        inputs: int = c.channels
        for _ in range((c.size // c.grid).bit_length() - 1):
            first.append(ResidualBlock(inputs, c.width, 2))
            inputs = c.width
        self.to_grid = nn.Sequential(*first)
        self.low = nn.Conv2d(c.width, 2 * c.lower, 1)
        self.onward = nn.Sequential(
            ResidualBlock(c.width, 2 * c.width, 2), ResidualBlock(2 * c.width, 4 * c.width, 2)
        )
        self.up = nn.Linear(8 * c.width, 2 * c.latent)

    def forward(self, x: Tensor) -> Told:
        """(B, C, H, W) -> both levels."""
        maps = self.to_grid(x)
        pooled = self.onward(maps)
        up = self.up(torch.cat([pooled.mean((2, 3)), pooled.amax((2, 3))], 1))
        read = NormalPosterior().read  # bounds the log-variances
        return Told(*read(at_least_float32(up)), *read(at_least_float32(self.low(maps))))


class Enlarge(nn.Module):
    """The lower level's map as a condition for every pixel: (B, L, g, g) -> (B, width, h, w)."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        doublings = (c.target_size // c.grid).bit_length() - 1
        inputs = [c.lower, *[c.width] * doublings]
        self.layers = nn.ModuleList(nn.Conv2d(i, c.width, 3, 1, 1) for i in inputs)

    def forward(self, low: Tensor) -> Tensor:
        """(B, L, g, g) -> (B, width, h, w)."""
        x = low
        for number, layer in enumerate(self.layers):
            x = torch.relu(layer(F.interpolate(x, scale_factor=2.0) if number else x))
        return x


class Model(TemperedDraws, GenerativeModel):
    """Encoder, a PixelCNN over the map's places, and one over the pixels."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.latent
        self.likelihood: Likelihood = (
            Bernoulli(c.channels)
            if c.likelihood == "bernoulli"
            else LogisticMixture(c.channels, c.components, c.levels)
        )
        self.encoder = Encoder(c)
        self.upsampler = Upsampler(c.latent, c.grid, c.width)
        self.prior = GatedPixelCNN(
            c.lower, 2 * c.lower, condition=c.width, width=c.width, layers=c.prior_layers, kernel=3
        )
        self.enlarge = Enlarge(c)
        self.pixelcnn = GatedPixelCNN(
            c.channels, self.likelihood.parameters, condition=c.width, width=c.width,
            layers=c.layers, kernel=5,
        )  # fmt: skip
        self.register_buffer("rate_weight", torch.tensor(c.rate.weight))
        self.rate_weight: Tensor

    # -- the upper vector ----------------------------------------------------------------------

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the upper vector: (B, C, H, W) -> two of (B, D)."""
        told: Told = self.encoder(x)
        return told.up, told.up_log_var

    def embed(self, x: Tensor) -> Tensor:
        """The mean of the upper vector: (B, C, H, W) -> (B, D)."""
        return self.encode(x)[0]

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the upper vector of each picture holds: (B, C, H, W) -> (B,)."""
        return NormalPosterior().kl(*self.encode(x))

    # -- the lower map -------------------------------------------------------------------------

    def lower_prior(self, up: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of each place, given the places before and the vector.

        (B, D) and (B, L, g, g) -> two of (B, L, g, g).
        """
        params = at_least_float32(self.prior(low, self.upsampler(up)))
        return NormalPosterior().read(params)

    def score(self, low: Tensor, target: Tensor) -> Tensor:
        """log p(target | map) in nats: (B, L, g, g) and (B, C, h, w) -> (B,)."""
        params = at_least_float32(self.pixelcnn(target, self.enlarge(low)))
        return self.likelihood.log_prob(target, params).sum((1, 2))

    # -- drawing -------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_lower(self, up: Tensor, noise: Tensor, *, method: Method = "auto") -> Tensor:
        """A map drawn place by place with given normal noise: (B, D), (B, L, g, g) -> the map.

        Its numbers are rounded to those of float32, so that all methods give the same.
        """
        condition = in_double(self.upsampler)(up.double())
        places = NormalPlaces(self.config.lower)
        with seen_by(None):  # it is no picture
            return draw_gated(self.prior, places, condition, noise, method).to(up)

    @torch.no_grad()
    def draw(self, z: Tensor, normal: Tensor, noise: Tensor, *, method: Method = "auto") -> Tensor:
        """Draw a map, then a picture, with given noise: the same noise gives the same picture.

        By whatever method (``models.sampling.methods``), and however many are drawn at once.

        Args:
            z: Upper vectors (B, D).
            normal: Normal noise of the map (B, L, g, g).
            noise: Uniform noise of the pixels (B, N, h, w).
            method: How both are drawn.

        Returns:
            (B, C, h, w) in [-1, 1].
        """
        low = self.draw_lower(z, normal, method=method)
        condition = in_double(self.enlarge)(low.double())
        return draw_gated(self.pixelcnn, self.likelihood, condition, noise, method).to(z)

    @torch.no_grad()
    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a map, then a picture, for each upper vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        c = self.config
        normal = torch.randn(len(z), c.lower, c.grid, c.grid, generator=generator)
        side = c.target_size
        noise = torch.rand(len(z), self.likelihood.noise, side, side, generator=generator)
        return self.draw(z, normal.to(z), noise.to(z))

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Upper vectors from the prior: (n, D)."""
        return torch.randn(n, self.config.latent, generator=generator).to(self.rate_weight)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The upper vector at ``share`` of the arc between two: two of (B, D) -> (B, D)."""
        return spherical(a, b, share)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the prior: (n, C, h, w) in [-1, 1]."""
        return self.decode(self.draw_latent(n, generator=generator), generator=generator)

    # -- likelihood ----------------------------------------------------------------------------

    def _draws(self, told: Told, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A vector (B, D) and a map (B, L, g, g) from the posteriors."""
        posterior = NormalPosterior()
        up = posterior.draw(told.up, told.up_log_var, generator)
        return up, posterior.draw(told.low, told.low_log_var, generator)

    def divergences(self, told: Told, up: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of the upper vector, and of the map given the draws: two of (B,)."""
        prior = (part.flatten(1) for part in self.lower_prior(up, low))
        of_low = gaussian_kl_between(told.low.flatten(1), told.low_log_var.flatten(1), *prior)
        return NormalPosterior().kl(told.up, told.up_log_var), of_low

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(target|low)] less both divergences, with one draw, in nats: (B,)."""
        refuse_grey(target, self.likelihood, "pixelvae2", instead="likelihood=logistic")
        told = self.encoder(x)
        up, low = self._draws(told, generator)
        of_up, of_low = self.divergences(told, up, low)
        return self.score(low, target) - of_up - of_low

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target, low, up) / q(low, up|x) over k draws (Burda et al., 2016): (B,).

        Raises:
            ValueError: ``k`` is less than 1.
        """
        refuse_grey(target, self.likelihood, "pixelvae2", instead="likelihood=logistic")
        if k < 1:
            raise ValueError(
                f"An importance-weighted bound takes at least 1 sample; found k = {k}."
            )
        told = self.encoder(x)
        weights = []
        for _ in range(k):
            up, low = self._draws(told, generator)
            zeros = torch.zeros_like(up)
            of_up = gaussian_log_prob(up, zeros, zeros) - gaussian_log_prob(up, *told[:2])
            prior, posterior = (
                gaussian_log_prob(low.flatten(1), mean.flatten(1), log_var.flatten(1))
                for mean, log_var in (self.lower_prior(up, low), told[2:])
            )
            weights.append(self.score(low, target) + of_up + prior - posterior)
        return torch.logsumexp(torch.stack(weights), 0) - math.log(k)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: everything minimises the same loss."""
        return (Player("pixelvae2", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats per picture unless named otherwise."""
        rate = self.config.rate
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        dims = target[0].numel()
        told = self.encoder(batch.views.flatten(0, 1))
        up, low = self._draws(told, batch.generator())
        of_up, of_low = self.divergences(told, up, low)
        reconstruction = -self.score(low, target).mean()
        weight = self.rate_weight.clone()
        penalty = rate.penalty(of_up, weight, batch.progress)
        if self.training:
            self.rate_weight.copy_(rate.adapt(weight, of_up.detach()))
        bound = reconstruction + of_up.mean() + of_low.mean()
        return {
            "loss": (reconstruction + of_low.mean() + penalty) / dims,
            "nll": reconstruction,
            "kl": of_up.mean(),
            "kl_lower": of_low.mean(),
            "rate_weight": weight,
            "bits_per_dim": bound / (dims * math.log(2)),
            "active_units": active_units(told.up.detach()),
        }
