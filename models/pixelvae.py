"""PixelVAE (Gulrajani et al., 2016): a VAE whose decoder is a PixelCNN.

What is special: the decoder draws texture and noise from the pixels it has already drawn, so the
latent vector is free to hold what matters about an item. How much it holds is a dial, the rate in
nats. Left alone the vector is ignored, so here it is held: the rate has a target, and a factorised
decoder (the auxiliary of Lucas and Verbeek, 2017) must draw the item from the vector alone; its
feature map then conditions every layer of the PixelCNN.

Shown the item on swapped backgrounds and asked to draw it on white, the vector cannot use what
lies behind it; with two such views of each item a contrastive term keeps items apart. And it has to
tell the item's shape, which the contrastive term alone puts last, after colour and pattern.

    loss = [ -log p(x|z) - aux log p_aux(x|z) + rate(KL) ] / dimensions
           + contrast * InfoNCE + shape * (1 - cos(shape told from z, shape))

    niteru train pixelvae --data DIR --preset cpu --out weights/mine

Figures reached (docs/results.md): swapped backgrounds R@1 .970, R@10 .998; class P@10 .510; on the
fixed binarized MNIST at most 81.22 nats by ``pixelvae-large`` (docs/models.md).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from models.nn.contrastive import info_nce, relational_info_nce
from models.nn.encoder import ResidualEncoder
from models.nn.gated import GatedPixelCNN
from models.nn.latent import reparameterise, spherical
from models.nn.likelihoods import Bernoulli, Likelihood, LogisticMixture, refuse_grey
from models.nn.metric import Metric, MetricSettings
from models.nn.posterior import NormalPosterior, importance_weighted
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, active_units, gaussian_kl
from models.nn.tempered import TemperedDraws
from models.nn.upsampler import Upsampler
from models.sampling.gated import draw_gated
from models.sampling.methods import Method, in_double
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views
from models.training.shapes import NUMBERS as SHAPE_NUMBERS


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a PixelVAE.

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
        layers: Gated layers: the decoder's reach. 0 is a plain VAE.
        kernel: Width of their convolutions.
        crop: Side of the random window on which both decoders are trained, 0 for the whole
            picture; their cost falls with the square.
        auxiliary: Weight of the factorised decoder.
        contrast: Weight of the contrastive term, in units of the generative loss per dimension.
        temperature: Of the contrastive term.
        neighbours: Share that items of a similar shape have in the contrastive term's right answer.
        shape: Weight of telling an item's shape from the latent vector; both need item masks.
        decoded: Share of a step's items that are decoded; all of them are encoded.
        rate: How the divergence enters.
        metric: How the embedding is made of what the encoder says.
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
    layers: int = 4
    kernel: int = 3
    crop: int = 16
    auxiliary: float = 1.0
    contrast: float = 1.0
    temperature: float = 0.1
    neighbours: float = 0.0
    shape: float = 0.0
    decoded: float = 1.0
    rate: Rate = field(default_factory=Rate)
    metric: MetricSettings = field(default_factory=MetricSettings)


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    tiny = Config(
        size=16, target_size=8, latent=8, widths=(8, 16), depths=(1, 1), decoder_width=8,
        layers=2, crop=0, components=2, rate=Rate(target=8.0),
    )  # fmt: skip
    mnist = Config(
        channels=1, size=28, target_size=28, likelihood="bernoulli", latent=16,
        widths=(16, 32, 64), depths=(1, 1, 1), decoder_width=16, layers=6, kernel=5, crop=0,
        auxiliary=0.0, contrast=0.0, rate=Rate(mode="beta", weight=1.0, warmup=0.1),
    )  # fmt: skip
    metric = MetricSettings(fit=True, of="features", shrink=0.1)
    gpu = Config(
        size=128, target_size=64, widths=(64, 128, 256, 512, 512), depths=(1, 2, 2, 2, 2),
        decoder_width=64, layers=6, crop=24, latent=256, neighbours=0.2, shape=1.0, metric=metric,
    )  # fmt: skip
    cpu = Config(neighbours=0.2, shape=1.0, decoded=0.5, metric=metric)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=Views())),
        "cpu": Preset(cpu, Recipe(batch_size=128, minutes=60)),
        "cpu-128": Preset(
            replace(cpu, size=128, widths=(24, 48, 96, 192, 256), depths=(0, 1, 2, 2, 2)),
            Recipe(batch_size=96, minutes=60),
        ),
        "mnist": Preset(
            mnist,
            Recipe(batch_size=100, minutes=60, learning_rate=2e-3, views=Views.none()),
        ),
        "gpu": Preset(gpu, Recipe(batch_size=512, steps=60_000, learning_rate=1.5e-3)),
    }


class Model(TemperedDraws, GenerativeModel):
    """Encoder, condition map, factorised auxiliary and gated PixelCNN."""

    heads = ("shape_head.", "metric.")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.latent
        self.likelihood: Likelihood = (
            Bernoulli(config.channels)
            if config.likelihood == "bernoulli"
            else LogisticMixture(config.channels, config.components, config.levels)
        )
        self.encoder = ResidualEncoder(config.channels, config.widths, config.depths)
        self.posterior = nn.Linear(self.encoder.features, 2 * config.latent)
        self.upsampler = Upsampler(config.latent, config.target_size, config.decoder_width)
        self.z_bias = nn.Linear(config.latent, config.decoder_width)
        self.auxiliary = nn.Conv2d(config.decoder_width, self.likelihood.parameters, 1)
        self.pixelcnn = GatedPixelCNN(
            config.channels,
            self.likelihood.parameters,
            condition=config.decoder_width,
            width=config.decoder_width,
            layers=config.layers,
            kernel=config.kernel,
        )
        if config.metric.fit:
            of_latent = config.metric.of == "latent"
            measured = config.latent if of_latent else self.encoder.features
            self.metric = Metric(measured, config.latent)
        if config.shape > 0:
            self.shape_head = nn.Linear(config.latent, SHAPE_NUMBERS)
        self.register_buffer("rate_weight", torch.tensor(config.rate.weight))
        self.rate_weight: Tensor

    # -- encoding ------------------------------------------------------------------------------

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> posterior mean and log-variance, two of (B, D) in float32."""
        return self._posterior(self.encoder(x))

    def _posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = at_least_float32(self.posterior(features)).chunk(2, 1)
        # Bounded: a posterior a thousand times narrower than the prior is a runaway.
        return mean, log_var.clamp(-7, 3)

    def embed(self, x: Tensor) -> Tensor:
        """What the metric makes of the photo, without one the mean: (B, C, H, W) -> (B, D)."""
        measured = self._measured(x)
        embedding: Tensor = self.metric(measured) if self.config.metric.fit else measured
        return embedding

    def _measured(self, x: Tensor) -> Tensor:
        """What the metric is of: (B, C, H, W) -> (B, F)."""
        features: Tensor = self.encoder(x)
        if self.config.metric.of == "features":
            return at_least_float32(features)
        return self._posterior(features)[0]

    def latent(self, x: Tensor) -> Tensor:
        """The posterior mean: (B, C, H, W) -> (B, D)."""
        return self.encode(x)[0]

    def settle(self, pictures: Iterable[Tensor]) -> None:
        """Fit the metric to pictures, batches of (B, C, H, W)."""
        c = self.config
        if not c.metric.fit:
            return
        with torch.no_grad():
            vectors = torch.cat([self._measured(x) for x in pictures])
        shape = self.shape_head.weight if c.shape > 0 else None  # (S, D)
        if shape is not None and c.metric.of == "features":
            shape = shape @ self.posterior.weight[: c.latent]  # the mean is linear in them
        self.metric.fit(vectors, shape, c.metric)

    def tell_shape(self, x: Tensor) -> Tensor | None:
        """What shape the item has, where that was learned: (B, C, H, W) -> (B, S)."""
        if self.config.shape == 0:
            return None
        told: Tensor = self.shape_head(self.encode(x)[0])
        return told

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each picture holds: (B, C, H, W) -> (B,)."""
        return gaussian_kl(*self.encode(x))

    # -- decoding ------------------------------------------------------------------------------

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors from the prior, at the temperature of the pixels: (n, D)."""
        spread = math.sqrt(self.likelihood.temperature)
        return spread * torch.randn(n, self.config.latent, generator=generator)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the arc between two: two of (B, D) -> (B, D)."""
        return spherical(a, b, share)

    def condition(self, z: Tensor) -> Tensor:
        """What z says about every pixel: (B, D) -> (B, K, h, w)."""
        return _condition(self.upsampler, self.z_bias, z)

    def score(self, z: Tensor, target: Tensor) -> Tensor:
        """log p(target | z) in nats: (B, D) and (B, C, h, w) -> (B,)."""
        params = at_least_float32(self.pixelcnn(target, self.condition(z)))
        return self.likelihood.log_prob(target, params).sum((1, 2))

    def outline(self, z: Tensor) -> Tensor | None:
        """The factorised decoder's mean picture, what z alone says: (B, D) -> (B, C, h, w).

        None if it was not trained: its weight in the loss is 0.
        """
        if self.config.auxiliary == 0:
            return None
        params = at_least_float32(self.auxiliary(self.condition(z)))
        if isinstance(self.likelihood, Bernoulli):
            return 2 * torch.sigmoid(params) - 1
        return self.likelihood.mean(params)

    @torch.no_grad()
    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector, pixel by pixel: (B, D) -> (B, C, h, w)."""
        side = self.config.target_size
        noise = torch.rand(len(z), self.likelihood.noise, side, side, generator=generator)
        return self.draw(z, noise.to(z))

    @torch.no_grad()
    def draw(self, z: Tensor, noise: Tensor, *, method: Method = "auto") -> Tensor:
        """Draw with given uniform noise (B, N, h, w): the same noise gives the same picture.

        By whatever method (``models.sampling.methods``), and however many are drawn at once.
        """
        condition = _condition(in_double(self.upsampler), in_double(self.z_bias), z.double())
        return draw_gated(self.pixelcnn, self.likelihood, condition, noise, method).to(z)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the prior: (n, C, h, w) in [-1, 1]."""
        device = next(self.parameters()).device
        z = self.draw_latent(n, generator=generator).to(device)
        return self.decode(z, generator=generator)

    # -- likelihood ----------------------------------------------------------------------------

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(target|z)] - KL(q(z|x) || p(z)) with one draw, in nats: (B,)."""
        refuse_grey(target, self.likelihood, "pixelvae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        z = reparameterise(mean, log_var, generator)
        return self.score(z, target) - gaussian_kl(mean, log_var)

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats."""
        refuse_grey(target, self.likelihood, "pixelvae", instead="likelihood=logistic")
        mean, log_var = self.encode(x)
        return importance_weighted(
            NormalPosterior(), lambda z: self.score(z, target), mean, log_var, k, generator
        )

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: everything minimises the same loss."""
        repeats = not (self.config.crop or self.config.shape)
        return (Player("pixelvae", self.parameters, self.loss, repeats=repeats),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats unless named otherwise."""
        c = self.config
        generator = batch.generator()
        mean, log_var = self.encode(batch.views.flatten(0, 1))  # (VB, D)
        kl = gaussian_kl(mean, log_var)
        parts = self._draw_again(mean, log_var, batch, generator)
        weight = self.rate_weight.clone()
        penalty = c.rate.penalty(kl, weight, batch.progress)
        if self.training:
            self.rate_weight.copy_(c.rate.adapt(weight, kl.detach()))
        dims = batch.targets[0, 0].numel()
        parts |= {
            "kl": kl.mean(),
            "rate_weight": weight,
            "bits_per_dim": (parts["nll"] + kl.mean()) / (dims * math.log(2)),
            "active_units": active_units(mean.detach()),
        }
        total = (parts["nll"] + c.auxiliary * parts["nll_auxiliary"] + penalty) / dims
        compared = self._compare(mean, batch)
        if "contrast" in compared:
            total = total + c.contrast * compared["contrast"]
        if "shape" in compared:
            total = total + c.shape * compared["shape"]
        return {"loss": total, **parts, **compared}

    def _draw_again(
        self, mean: Tensor, log_var: Tensor, batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """How many nats the two decoders need for what they should draw, and how far off."""
        V, B = batch.views.shape[:2]
        # Decode one view of each item: half the cost, and every view is decoded over time.
        count = max(1, round(self.config.decoded * B))
        target = batch.targets.flatten(0, 1)
        if V > 1 or count < B:
            item = torch.randperm(B, generator=generator)[:count]
            pick = (torch.randint(V, (count,), generator=generator) * B + item).to(mean.device)
            mean, log_var, target = mean[pick], log_var[pick], target[pick]
        z = reparameterise(mean, log_var, generator)  # (count, D); the target is (count, C, h, w)
        window, scale = self._window(target.shape[-1], generator)
        seen, maps = target[window], self.condition(z)[window]
        drawn = at_least_float32(self.pixelcnn(seen, maps))
        alone = at_least_float32(self.auxiliary(maps))
        return {
            "nll": -scale * self.likelihood.log_prob(seen, drawn).sum((1, 2)).mean(),
            "nll_auxiliary": -scale * self.likelihood.log_prob(seen, alone).sum((1, 2)).mean(),
        }

    def _compare(self, mean: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The terms that compare items: views with views (VB, D), and with their shapes."""
        c = self.config
        V, B = batch.views.shape[:2]
        parts: dict[str, Tensor] = {}
        shapes = None if batch.shapes is None else batch.shapes.flatten(0, 1)  # (VB, S)
        if c.contrast > 0 and V > 1:
            a, b = mean.view(V, B, -1)[:2]
            if shapes is None or c.neighbours == 0:
                parts["contrast"] = info_nce(a, b, c.temperature)
            else:
                parts["contrast"] = relational_info_nce(
                    a, b, shapes[: 2 * B], c.temperature, c.neighbours
                )
        if c.shape > 0 and shapes is not None:
            known = shapes.square().sum(1) > 0.5
            if bool(known.any()):
                told = at_least_float32(self.shape_head(mean[known]))
                parts["shape"] = 1 - cosine_similarity(told, shapes[known].to(told)).mean()
        return parts

    def _window(self, side: int, generator: torch.Generator) -> tuple[tuple[Any, ...], float]:
        """A random window of the picture, as an index, and the factor from it to the whole."""
        crop = self.config.crop
        if not 0 < crop < side or not self.training:
            return (...,), 1.0
        top, left = torch.randint(side - crop + 1, (2,), generator=generator).tolist()
        return (..., slice(top, top + crop), slice(left, left + crop)), (side / crop) ** 2


def _condition(upsampler: nn.Module, bias: nn.Module, z: Tensor) -> Tensor:
    """(B, D) -> the map (B, K, h, w) that every layer of the PixelCNN sees."""
    maps: Tensor = upsampler(z) + bias(z)[:, :, None, None]
    return torch.relu(maps)
