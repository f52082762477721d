"""DRAW (Gregor et al., 2015): a picture is painted step by step, by a network that looks at it.

What is special: T times the encoder looks at the picture and at what is still wrong, and says a
part of the latent vector; the decoder takes it and adds to a canvas, a sum of logits. With
attention both look through a movable grid of Gaussian filters (models/nn/filterbank.py), so the
model decides where to look and where to paint, and how coarsely; without, at everything.

    error_t  = x - sigmoid(canvas_t-1)
    h_enc_t  = LSTM([read(x, error_t, h_dec_t-1), h_dec_t-1]),   z_t ~ q(z_t | h_enc_t)
    h_dec_t  = LSTM(z_t),   canvas_t = canvas_t-1 + write(h_dec_t)
    loss     = [ -log p(x | canvas_T) + rate(sum of KL(q(z_t | ...) || N(0, 1))) ] / dimensions

What is said in a step depends on the draws before it, so the posterior is no plain Gaussian and the
rate is a mean over draws (``rate``); the embedding is the path on which each step says its mean.

    niteru train draw --data binarized_mnist.npz --preset mnist --out weights/draw
    niteru evaluate nll weights/draw --data binarized_mnist.npz

``canvases`` shows the canvas after every step, ``look`` where the model looked and painted.

Figures (docs/models.md): at most 84.92 nats by ``draw-plain-large`` and 84.37 by ``draw-longest``;
published: 87.40 without attention, <= 80.97 with it, on the fixed binarized MNIST, in 64 steps.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from models.nn.filterbank import Glimpse, place_glimpse, read, write
from models.nn.latent import spherical
from models.nn.likelihoods import Bernoulli, refuse_grey
from models.nn.noise import normal
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, active_units, gaussian_kl, gaussian_log_prob
from models.nn.tempered import TemperedDraws
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views

ELBO = Rate(mode="beta", weight=1.0)
RATE_DRAWS = 32  # over which the rate is a mean


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a DRAW.

    Attributes:
        channels: 1: pictures are binary.
        size: Side of the pictures.
        steps: T, how often it looks and paints.
        hidden: Units of each LSTM.
        latent: Numbers that are said in a step; the whole vector has ``steps`` times as many.
        attention: Look and paint through a grid of filters, or at the whole picture.
        read: N of the grid that looks.
        write: N of the grid that paints.
        rate: How the divergence enters.
    """

    channels: Literal[1] = 1
    size: int = 28
    steps: int = 10
    hidden: int = 256
    latent: int = 10
    attention: bool = True
    read: int = 5
    write: int = 5
    rate: Rate = field(default=ELBO)

    def __post_init__(self) -> None:
        """Every setting in its range; a grid of one filter has no stride."""
        least = {"size": 2, "steps": 1, "hidden": 1, "latent": 1, "read": 2, "write": 2}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {lowest} or more.")

    @property
    def target_size(self) -> int:
        """Side of the picture that is painted: that which is looked at."""
        return self.size


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=8, steps=2, hidden=16, latent=4, read=3, write=3)
    paper = Config(steps=64, latent=100, read=2)
    digits = Recipe(
        batch_size=100, minutes=60, learning_rate=2e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    large = replace(digits, minutes=None, steps=200_000, batch_size=128, learning_rate=1e-3)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(Config(), digits),
        "mnist-plain": Preset(Config(attention=False), digits),
        "gpu": Preset(paper, large),
        "gpu-plain": Preset(replace(paper, attention=False), large),
    }


class Cell(nn.Module):
    """A long short-term memory (Hochreiter and Schmidhuber, 1997), one step of it."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(inputs + hidden, 4 * hidden)
        with torch.no_grad():
            self.gates.bias[hidden : 2 * hidden] = 1.0  # in the beginning nothing is forgotten

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(B, inputs) and the state h, c, two of (B, hidden) -> the next state."""
        h, c = state
        i, f, o, g = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        # Bounded: cells that grow step by step have been seen to explode for many steps.
        c = (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)).clamp(-10, 10)
        return torch.sigmoid(o) * torch.tanh(c), c


class Painting(NamedTuple):
    """What happened while a picture was looked at and painted.

    Attributes:
        canvas: Its logits at the end (B, 1, H, W).
        z: What was said (B, T D).
        mean, log_var: Of what each was drawn (B, T D).
        looked: Where it read, a glimpse a step; empty without attention.
    """

    canvas: Tensor
    z: Tensor
    mean: Tensor
    log_var: Tensor
    looked: list[Glimpse]


class Model(TemperedDraws, GenerativeModel):
    """Two LSTMs, and what they read and write."""

    unrolls = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.steps * c.latent
        self.likelihood = Bernoulli(1)
        seen = 2 * (c.read if c.attention else c.size) ** 2
        painted = (c.write if c.attention else c.size) ** 2
        self.encoder = Cell(seen + c.hidden, c.hidden)
        self.decoder = Cell(c.latent, c.hidden)
        self.say = nn.Linear(c.hidden, 2 * c.latent)
        self.paint = nn.Linear(c.hidden, painted)
        self.blank = nn.Parameter(torch.zeros(1, 1, c.size, c.size))
        if c.attention:
            self.read_at, self.write_at = nn.Linear(c.hidden, 5), nn.Linear(c.hidden, 5)
        self.register_buffer("rate_weight", torch.tensor(c.rate.weight))
        self.rate_weight: Tensor

    # -- looking and painting ------------------------------------------------------------------

    def look_and_paint(self, x: Tensor, noise: Tensor | None) -> Painting:
        """All steps: pictures (B, 1, H, W) in [-1, 1] and noise (B or 1, T, D), None for none.

        Without noise every step says its mean.
        """
        bits = (x + 1) / 2
        encoder, decoder = self._silence(x), self._silence(x)
        canvas = self.blank.expand_as(x)
        said: list[tuple[Tensor, Tensor, Tensor]] = []
        looked: list[Glimpse] = []
        for t in range(self.config.steps):
            pair = torch.cat([bits, bits - torch.sigmoid(canvas)], 1)  # (B, 2, H, W)
            if self.config.attention:
                at = self._place(self.read_at(decoder[0]), self.config.read)
                pair = read(pair, at, self.config.read)
                looked.append(at)
            encoder = self.encoder(torch.cat([pair.flatten(1), decoder[0]], 1), encoder)
            mean, log_var = at_least_float32(self.say(encoder[0])).chunk(2, 1)
            log_var = log_var.clamp(-7, 3)  # a posterior a thousand times narrower is a runaway
            z = mean if noise is None else mean + (0.5 * log_var).exp() * noise[:, t]
            said.append((z, mean, log_var))
            decoder = self.decoder(z.to(x), decoder)
            canvas = canvas + self._stroke(decoder[0])[0]
        z, mean, log_var = (torch.cat(part, 1) for part in zip(*said, strict=True))
        return Painting(at_least_float32(canvas), z, mean, log_var, looked)

    def _paint_only(self, z: Tensor) -> tuple[list[Tensor], list[Glimpse]]:
        """The canvas after each step from what is said, (B, T D), and where it was painted."""
        decoder = self._silence(z)
        canvas = self.blank.expand(z.shape[0], -1, -1, -1)
        canvases, painted = [], []
        for part in z.chunk(self.config.steps, 1):
            decoder = self.decoder(part, decoder)
            stroke, at = self._stroke(decoder[0])
            canvas = canvas + stroke
            canvases.append(at_least_float32(canvas))
            painted += [at] if at is not None else []
        return canvases, painted

    def _stroke(self, h: Tensor) -> tuple[Tensor, Glimpse | None]:
        """What a state adds to the canvas, (B, hidden) -> (B, 1, H, W), and where."""
        c = self.config
        if not c.attention:
            return self.paint(h).view(-1, 1, c.size, c.size), None
        at = self._place(self.write_at(h), c.write)
        return write(self.paint(h).view(-1, 1, c.write, c.write), at, c.size), at

    def _place(self, numbers: Tensor, grid: int) -> Glimpse:
        return place_glimpse(numbers, self.config.size, grid)

    def _silence(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first step."""
        zero = like.new_zeros(like.shape[0], self.config.hidden)
        return zero, zero

    # -- what it shows -------------------------------------------------------------------------

    def canvases(self, z: Tensor) -> Tensor:
        """The canvas after each step, as a picture: (B, T D) -> (B, T, 1, h, w) in [-1, 1]."""
        frames, _ = self._paint_only(z)
        return 2 * torch.sigmoid(torch.stack(frames, 1)) - 1

    def look(self, x: Tensor) -> dict[str, Tensor]:
        """Where the model looks and paints, on its mean path: (B, 1, H, W) -> two of (B, T, 4).

        ``read`` and ``write``; each row has a grid's centre (row and column, counted from 0), its
        side from the first filter to the last, and the filters' sigma, all in pixels.

        Raises:
            ValueError: The model has no attention: it looks at everything.
        """
        c = self.config
        if not c.attention:
            raise ValueError(
                "This draw has no attention, so it looks everywhere at once. Train one with "
                "--set attention=true."
            )
        seen = self.look_and_paint(x, None)
        _, painted = self._paint_only(seen.z)

        def rows(found: list[Glimpse], grid: int) -> Tensor:
            boxes = [
                torch.stack([g.row, g.column, (grid - 1) * g.stride, g.sigma], 1) for g in found
            ]
            return torch.stack(boxes, 1)

        return {"read": rows(seen.looked, c.read), "write": rows(painted, c.write)}

    # -- the latent vector ---------------------------------------------------------------------

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of each step, where the steps before said their means: (B, T D)."""
        seen = self.look_and_paint(x, None)
        return seen.mean, seen.log_var

    def embed(self, x: Tensor) -> Tensor:
        """What is said if every step says its mean: (B, 1, H, W) -> (B, T D)."""
        return self.look_and_paint(x, None).z

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each picture holds, a mean over draws: (B, 1, H, W) -> (B,).

        The same draws for every picture and call, so that the figure belongs to the picture alone.
        """
        c = self.config
        noise = torch.randn(RATE_DRAWS, 1, c.steps, c.latent, generator=_fixed()).to(x)
        return torch.stack([_kl(self.look_and_paint(x, one)) for one in noise]).mean(0)

    def weigh(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A draw from q(z|x), (B, T D), and log p(z) - log q(z|x) in nats (B,)."""
        seen = self.look_and_paint(x, self._noise(x, generator))
        return seen.z, _log_ratio(seen)

    def _noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        c = self.config
        return normal((len(x), c.steps, c.latent), x, generator)

    # -- drawing -------------------------------------------------------------------------------

    def outline(self, z: Tensor) -> Tensor:
        """The mean picture of a vector: (B, T D) -> (B, 1, h, w) in [-1, 1]."""
        return 2 * torch.sigmoid(self._paint_only(z)[0][-1]) - 1

    @torch.no_grad()
    def decode(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a picture for each latent vector: (B, T D) -> (B, 1, h, w) of -1 and 1."""
        side = self.config.size
        noise = torch.rand(len(z), 1, side, side, generator=generator).to(z)
        return self.likelihood.draw(self._paint_only(z)[0][-1], noise)

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors from the prior: (n, T D)."""
        return torch.randn(n, self.embedding_dim, generator=generator).to(self.blank)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the arc between two: two of (B, T D) -> (B, T D)."""
        return spherical(a, b, share)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the prior: (n, 1, h, w) of -1 and 1."""
        return self.decode(self.draw_latent(n, generator=generator), generator=generator)

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, z: Tensor, target: Tensor) -> Tensor:
        """log p(target | z) in nats: (B, T D) and (B, 1, h, w) -> (B,)."""
        return self.likelihood.log_prob(target, self._paint_only(z)[0][-1]).sum((1, 2))

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(target|z)] - KL(q(z|x) || p(z)) with one draw, in nats: (B,)."""
        refuse_grey(target, self.likelihood, "draw")
        seen = self.look_and_paint(x, self._noise(x, generator))
        return self.likelihood.log_prob(target, seen.canvas).sum((1, 2)) - _kl(seen)

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        refuse_grey(target, self.likelihood, "draw")
        if k < 1:
            raise ValueError(
                f"An importance-weighted bound takes at least 1 sample; found k = {k}."
            )
        weights = []
        for _ in range(k):
            seen = self.look_and_paint(x, self._noise(x, generator))
            told = self.likelihood.log_prob(target, seen.canvas).sum((1, 2))
            weights.append(told + _log_ratio(seen))
        return torch.logsumexp(torch.stack(weights), 0) - math.log(k)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: everything minimises the same loss."""
        return (Player("draw", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The loss and its parts; nats per picture unless named otherwise."""
        rate = self.config.rate
        target = batch.targets.flatten(0, 1)  # (VB, 1, h, w)
        dims = target[0].numel()
        x = batch.views.flatten(0, 1)
        seen = self.look_and_paint(x, self._noise(x, batch.generator()))
        reconstruction = -self.likelihood.log_prob(target, seen.canvas).sum((1, 2)).mean()
        kl = _kl(seen)
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
            "active_units": active_units(seen.mean.detach()),
        }


def _kl(seen: Painting) -> Tensor:
    """Sum over the steps of KL(q(z_t | the draws before) || N(0, 1)) in nats: (B,)."""
    return gaussian_kl(seen.mean, seen.log_var)


def _log_ratio(seen: Painting) -> Tensor:
    """log p(z) - log q(z|x) of the draws in nats: (B,)."""
    zeros = torch.zeros_like(seen.z)
    prior = gaussian_log_prob(seen.z, zeros, zeros)
    return prior - gaussian_log_prob(seen.z, seen.mean, seen.log_var)


def _fixed() -> torch.Generator:
    return torch.Generator().manual_seed(0)
