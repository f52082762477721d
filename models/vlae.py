"""The variational lossy autoencoder (Chen et al., 2017): z holds what its decoder cannot see.

What is special: the decoder is autoregressive but local, a PixelCNN that sees a few pixels around,
so texture costs no latent vector, and what is far apart can only be told by z: the global shape.
The prior is learned, an autoregressive flow (models/nn/flow.py), as a plain normal one charges z
for what all pictures have in common.

    log p(x) >= E_q[ log p(x|z) + log N(e(z); 0, 1) + log |de / dz| - log q(z|x) ]

The charge is held at so many nats by soft free bits, which move its weight (models/nn/rate.py). The
divergence from a flow has no closed form: the loss takes one draw, ``rate`` a mean over many.

    niteru train vlae --data binarized_mnist.npz --preset mnist --out weights/vlae
    niteru evaluate nll weights/vlae --data binarized_mnist.npz --samples 100

Figures (docs/models.md): at most 80.09 nats by ``vlae-longer``; published: 79.03 nats on the fixed
binarized MNIST, of which z holds 13.3 (37.3 bits with a factorised decoder, 19.2 with the local
one).
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from models.nn.drawing import draw_in_windows
from models.nn.encoder import ResidualEncoder
from models.nn.flow import FlowPrior
from models.nn.gated import GatedPixelCNN
from models.nn.latent import straight
from models.nn.likelihoods import Bernoulli, Likelihood, LogisticMixture, refuse_grey
from models.nn.noise import normal
from models.nn.posterior import NormalPosterior
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, active_units, gaussian_log_prob
from models.nn.tempered import TemperedDraws
from models.nn.upsampler import Upsampler
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views

RATE_DRAWS = 32  # over which the rate is a mean


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a VLAE.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the photo that the encoder sees.
        target_size: Side of the picture that the decoder draws.
        likelihood: ``logistic`` for grey levels, ``bernoulli`` for binary pictures.
        levels: Grey levels that the decoder tells apart.
        components: Logistics in the mixture.
        latent: D of the latent vector.
        widths, depths: Channels and residual blocks of each stage of the encoder.
        decoder_width: Channels of the condition map and of the PixelCNN.
        layers: Gated layers of 3 x 3: a pixel sees 1 + layers rows above it and as far to the
            sides. The smaller, the more z has to say.
        flow_steps: Steps of the prior; 0 is the plain normal one.
        flow_hidden: Units of each of their hidden layers.
        flow_scales: Steps scale and not only shift (the paper's only shift).
        rate: How the divergence enters.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    target_size: int = 32
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    levels: int = 256
    components: int = 5
    latent: int = 64
    widths: tuple[int, ...] = (32, 64, 128)
    depths: tuple[int, ...] = (1, 1, 1)
    decoder_width: int = 32
    layers: int = 2
    flow_steps: int = 4
    flow_hidden: int = 320
    flow_scales: bool = False
    rate: Rate = field(default_factory=Rate)


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(
        size=16, target_size=8, latent=8, widths=(8, 16), depths=(1, 1), decoder_width=8,
        layers=1, components=2, flow_steps=2, flow_hidden=16, rate=Rate(target=8.0),
    )  # fmt: skip
    mnist = Config(
        channels=1, size=28, target_size=28, likelihood="bernoulli", latent=32,
        widths=(16, 32, 64), decoder_width=16, flow_hidden=160, rate=Rate(target=13.0),
    )  # fmt: skip
    gpu = Config(
        size=64, target_size=64, widths=(64, 128, 256, 512), depths=(1, 2, 2, 2),
        decoder_width=96, layers=3, latent=128, flow_hidden=640, rate=Rate(target=100.0),
    )  # fmt: skip
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


class Model(TemperedDraws, GenerativeModel):
    """Encoder, flow prior, condition map and local PixelCNN."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.latent
        self.posterior = NormalPosterior()
        self.likelihood: Likelihood = (
            Bernoulli(c.channels)
            if c.likelihood == "bernoulli"
            else LogisticMixture(c.channels, c.components, c.levels)
        )
        self.encoder = ResidualEncoder(c.channels, c.widths, c.depths)
        self.bottleneck = nn.Linear(self.encoder.features, 2 * c.latent)
        self.prior = FlowPrior(c.latent, c.flow_hidden, c.flow_steps, scales=c.flow_scales)
        self.upsampler = Upsampler(c.latent, c.target_size, c.decoder_width)
        self.pixelcnn = GatedPixelCNN(
            c.channels, self.likelihood.parameters, condition=c.decoder_width,
            width=c.decoder_width, layers=c.layers, kernel=3,
        )  # fmt: skip
        self.register_buffer("rate_weight", torch.tensor(c.rate.weight))
        self.rate_weight: Tensor

    # -- the latent vector ---------------------------------------------------------------------

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> posterior mean and log-variance, two of (B, D) in float32."""
        return self.posterior.read(at_least_float32(self.bottleneck(self.encoder(x))))

    def embed(self, x: Tensor) -> Tensor:
        """The posterior mean: (B, C, H, W) -> (B, D)."""
        return self.encode(x)[0]

    def weigh(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A draw from q(z|x), (B, D), and log p(z) - log q(z|x) in nats (B,)."""
        mean, log_var = self.encode(x)
        return self._weigh(mean, log_var, torch.randn(mean.shape, generator=generator))

    def _weigh(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """``weigh`` with given noise (B, D) or (1, D)."""
        z = mean + (0.5 * log_var).exp() * noise.to(mean)
        return z, self.prior.log_prob(z) - gaussian_log_prob(z, mean, log_var)

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each picture holds, a mean over draws: (B, C, H, W) -> (B,).

        The same draws for every picture and call, so that the figure belongs to the picture alone.
        """
        mean, log_var = self.encode(x)
        draws = torch.Generator().manual_seed(0)
        noise = torch.randn(RATE_DRAWS, 1, self.config.latent, generator=draws)
        return -torch.stack([self._weigh(mean, log_var, one)[1] for one in noise]).mean(0)

    # -- drawing -------------------------------------------------------------------------------

    def condition(self, z: Tensor) -> Tensor:
        """What z says about every pixel: (B, D) -> (B, K, h, w)."""
        maps: Tensor = self.upsampler(z)
        return maps

    @torch.no_grad()
    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector: (B, D) -> (B, C, h, w) in [-1, 1]."""
        side = self.config.target_size
        noise = torch.rand(len(z), self.likelihood.noise, side, side, generator=generator).to(z)
        return self.draw(z, noise)

    @torch.no_grad()
    def draw(self, z: Tensor, noise: Tensor) -> Tensor:
        """Draw pixel by pixel with given uniform noise: (B, D), (B, N, h, w) -> (B, C, h, w)."""

        def pick(params: Tensor, i: int, j: int) -> Tensor:
            return self.likelihood.draw(params, noise[:, :, i : i + 1, j : j + 1])

        return draw_in_windows(self.pixelcnn, self.condition(z), self.config.channels, pick)

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors from the prior: (n, D)."""
        return self.prior.draw(n, generator)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the line between two: two of (B, D) -> (B, D)."""
        return straight(a, b, share)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the prior: (n, C, h, w) in [-1, 1]."""
        return self.decode(self.draw_latent(n, generator=generator), generator=generator)

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, z: Tensor, target: Tensor) -> Tensor:
        """log p(target | z) in nats: (B, D) and (B, C, h, w) -> (B,)."""
        params = at_least_float32(self.pixelcnn(target, self.condition(z)))
        return self.likelihood.log_prob(target, params).sum((1, 2))

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """log p(target|z) + log p(z) - log q(z|x) for one draw, in nats: (B,)."""
        refuse_grey(target, self.likelihood, "vlae", instead="likelihood=logistic")
        z, ratio = self.weigh(x, generator)
        return self.score(z, target) + ratio

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        refuse_grey(target, self.likelihood, "vlae", instead="likelihood=logistic")
        if k < 1:
            raise ValueError(
                f"An importance-weighted bound takes at least 1 sample; found k = {k}."
            )
        mean, log_var = self.encode(x)
        weights = []
        for _ in range(k):
            z, ratio = self._weigh(mean, log_var, torch.randn(mean.shape, generator=generator))
            weights.append(self.score(z, target) + ratio)
        return torch.logsumexp(torch.stack(weights), 0) - math.log(k)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: everything minimises the same loss."""
        return (Player("vlae", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats per picture unless named otherwise."""
        rate = self.config.rate
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        dims = target[0].numel()
        mean, log_var = self.encode(batch.views.flatten(0, 1))  # (VB, D)
        noise = normal(tuple(mean.shape), mean, batch.generator())
        z, ratio = self._weigh(mean, log_var, noise)
        reconstruction = -self.score(z, target).mean()
        weight = self.rate_weight.clone()
        penalty = rate.penalty(-ratio, weight, batch.progress)
        if self.training:
            self.rate_weight.copy_(rate.adapt(weight, -ratio.detach()))
        kl = -ratio.mean()
        return {
            "loss": (reconstruction + penalty) / dims,
            "nll": reconstruction,
            "kl": kl,
            "rate_weight": weight,
            "bits_per_dim": (reconstruction + kl) / (dims * math.log(2)),
            "active_units": active_units(mean.detach()),
        }
