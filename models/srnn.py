"""SRNN (Fraccaro et al., 2016): a latent state for every step, inferred from past and future.

What is special: the recurrence is split. A deterministic RNN carries what has been drawn; above it
runs a chain of latent states, each a normal distribution given the last one and the RNN. What the
states were, a second RNN tells that reads the drawing backwards: it smooths, because where a pen
was going is clearest from where it went. Here the sequence is a drawing's rows, and each row is a
normal distribution and a state of the pen. (Of a mixture of normal distributions, as Sketch-RNN
has it, ``--set mixtures=10`` makes rows too; then the rows need the latent states little, and these
soon hold next to nothing.)

    d_t = GRU(d_{t-1}, x_{t-1})                         what has been drawn
    p(z_t | z_{t-1}, d_t),  p(x_t | z_t, d_t)            the model
    a_t = GRU(a_{t+1}, [d_t, x_t]),  q(z_t | z_{t-1}, a_t)     its smoothing posterior
    loss = - sum_t E_q [ log p(x_t | z_t, d_t) - rate(KL(q(z_t | ...) || p(z_t | ...))) ] / N_max

The posterior's mean is told as its distance from the prior's. With ``stochastic=false`` the same
network without latent states is a plain RNN, whose likelihood is exact: what SRNN has to beat.

    niteru train srnn --data sketches.npz --preset kanji --out weights/srnn
    niteru train srnn --data sketches.npz --preset kanji --set stochastic=false --out weights/rnn

Figures (docs/models.md): at most -23.21 nats a kanji by ``srnn-large``; the paper's are of music
and speech.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.noise import normal
from models.nn.pen import PenDistribution
from models.nn.precision import at_least_float32
from models.nn.rate import Rate, gaussian_log_prob
from models.strokes.augment import Augment
from models.strokes.formats import ENDED
from models.training.protocols import GenerativeModel, Player, StrokeBatch
from models.training.recipe import Preset, Recipe, Views
from models.training.strokes import pad_strokes, shift_strokes, stroke_lengths

BOUND = Rate(mode="beta", weight=1.0, warmup=0.3)


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of an SRNN.

    Attributes:
        max_points: N_max; longer drawings are left out.
        stochastic: With latent states; without, a plain RNN.
        latent: D of each state.
        hidden: H of both RNNs.
        width: Of the layer between what a distribution depends on and its parameters.
        mixtures: Normal distributions in the mixture of a row.
        rate: How the divergence of all states of a drawing enters.
        augment: What changes in the training drawings.
    """

    max_points: int = 250
    stochastic: bool = True
    latent: int = 64
    hidden: int = 512
    width: int = 256
    mixtures: int = 1
    rate: Rate = field(default=BOUND)
    augment: Augment = field(default_factory=Augment)


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    tiny = Config(max_points=16, latent=4, hidden=16, width=16, mixtures=2)
    small = Config(max_points=96, latent=32, hidden=256, width=128)
    recipe = Recipe(
        batch_size=50, minutes=60, learning_rate=2e-3, warmup_steps=50, weight_decay=0.0,
        clip=5.0, precision="fp32", views=Views.none(),
    )  # fmt: skip
    paper = replace(recipe, batch_size=100, minutes=None, steps=100_000, learning_rate=1e-3)
    return {
        "tiny": Preset(tiny, replace(recipe, batch_size=8, minutes=None, steps=60, warmup_steps=5)),
        "omniglot": Preset(small, recipe),
        "kanji": Preset(replace(small, max_points=88), recipe),
        "quickdraw": Preset(replace(small, max_points=100), recipe),
        "paper": Preset(Config(), paper),
    }


class Conditional(nn.Module):
    """A normal distribution given a context, and the last latent state.

    The context's share is computed for all steps at once.
    """

    def __init__(self, context: int, latent: int, width: int) -> None:
        super().__init__()
        self.context = nn.Linear(context, width)
        self.last = nn.Linear(latent, width, bias=False)
        self.out = nn.Linear(width, 2 * latent)

    def prepare(self, context: Tensor) -> Tensor:
        """(..., C) -> (..., width)."""
        share: Tensor = self.context(context)
        return share

    def forward(self, share: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """(B, width) and (B, D) -> mean and log-variance, two of (B, D)."""
        mean, log_var = at_least_float32(self.out(F.elu(share + self.last(z)))).chunk(2, 1)
        return mean, _bounded(log_var)


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the posterior says of some drawings.

    Attributes:
        states: (B, T, D) a draw of the latent states, or their means.
        kl: (B, T) divergence of each from its prior, given the state before it.
        ratio: (B, T) log p(z_t) - log q(z_t) of the draw.
    """

    states: Tensor
    kl: Tensor
    ratio: Tensor


class Model(GenerativeModel):
    """Forward RNN, backward RNN, a chain of latent states between them, mixture over each row."""

    modality: Literal["pixels", "strokes"] = "strokes"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.exact = not config.stochastic
        H, D = config.hidden, config.latent if config.stochastic else 0
        self.embedding_dim = D or H
        self.forwards = nn.GRU(5, H, batch_first=True)
        if D:
            self.backwards = nn.GRU(H + 5, H, batch_first=True)
            self.prior = Conditional(H, D, config.width)
            self.posterior = Conditional(H, D, config.width)
        self.head = nn.Sequential(
            nn.Linear(H + D, config.width),
            nn.ELU(),
            nn.Linear(config.width, 6 * config.mixtures + 3),
        )
        self.register_buffer("rate_weight", torch.tensor(config.rate.weight))
        self.rate_weight: Tensor

    # -- inference -----------------------------------------------------------------------------

    def remember(self, x: Tensor) -> Tensor:
        """d_t, what has been drawn before each row: (B, T, 5) -> (B, T, H)."""
        outputs: Tensor = self.forwards(shift_strokes(x))[0]
        return outputs

    def infer(self, x: Tensor, past: Tensor, generator: torch.Generator | None) -> Inferred:
        """The latent states of each row, from the rows before and after it.

        Args:
            x: (B, T, 5); rows after the end change nothing but themselves.
            past: (B, T, H) of ``remember``.
            generator: Of the draws; without one the states are their means.
        """
        count = (stroke_lengths(x) + 1).clamp(max=x.shape[1])  # the end is a row like others
        turned = _turn(torch.cat([past, x], -1), count)
        ahead = _turn(self.backwards(turned)[0], count)  # (B, T, H)
        W, D = self.config.width, self.config.latent
        both = torch.cat([self.prior.prepare(past), self.posterior.prepare(ahead)], -1)
        last = torch.cat([self.prior.last.weight, self.posterior.last.weight])  # (2 W, D)
        noise = None
        if generator is not None:
            noise = normal((*x.shape[:2], D), x, generator)
        z = x.new_zeros(len(x), D)
        states, priors, posteriors = [], [], []
        for t, share in enumerate(both.unbind(1)):
            hidden = F.elu(share + F.linear(z, last))
            p, q = self.prior.out(hidden[:, :W]), self.posterior.out(hidden[:, W:])  # (B, 2 D)
            z = p[:, :D] + q[:, :D]
            if noise is not None:
                z = z + (0.5 * _bounded(q[:, D:])).exp() * noise[:, t]
            states.append(z)
            priors.append(p)
            posteriors.append(q)
        # What no step waits for is worked out for all of them together.
        p, q, z = (torch.stack(rows, 1).flatten(0, 1) for rows in (priors, posteriors, states))
        p, q = at_least_float32(p), at_least_float32(q)
        p_mean, p_log_var = p[:, :D], _bounded(p[:, D:])
        mean, log_var = p_mean + q[:, :D], _bounded(q[:, D:])
        kl = kl_between(mean, log_var, p_mean, p_log_var)
        ratio = gaussian_log_prob(z, p_mean, p_log_var) - gaussian_log_prob(z, mean, log_var)
        shape = x.shape[:2]
        return Inferred(z.view(*shape, D), kl.view(shape), ratio.view(shape))

    def embed(self, x: Tensor) -> Tensor:
        """The mean over its rows of the states' posterior means: (B, T, 5) -> (B, D).

        Without latent states, the mean of what the RNN remembers: (B, H).
        """
        rows = self.remember(x)
        if self.config.stochastic:
            rows = self.infer(x, rows, None).states
        weight = (x[..., ENDED] == 0).to(rows).unsqueeze(-1)
        mean: Tensor = (rows * weight).sum(1) / weight.sum(1).clamp(min=1)
        return mean

    # -- the likelihood ------------------------------------------------------------------------

    def score_rows(self, x: Tensor, past: Tensor, states: Tensor | None) -> Tensor:
        """log p(x_t | z_t, d_t) of each row up to and with the end, 0 after it: (B, T)."""
        context = past if states is None else torch.cat([past, states], -1)
        pen = PenDistribution.read(at_least_float32(self.head(context)))
        drawn = (x[..., ENDED] == 0) * pen.offset_log_prob(x[..., :2])
        return (drawn + pen.state_log_prob(x[..., 2:])) * until_end(x)

    def parts(
        self, x: Tensor, generator: torch.Generator, *, whole: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log p(x | z) by one draw, its divergence, its log-weight: three of (B,) in nats.

        Rows after the longest drawing are left out, unless ``whole``: they change nothing.
        """
        if not whole:
            x = pad_strokes(x, min(self.config.max_points, int(stroke_lengths(x).max()) + 1))
        past = self.remember(x)
        if not self.config.stochastic:
            told = self.score_rows(x, past, None).sum(1)
            return told, torch.zeros_like(told), torch.zeros_like(told)
        found = self.infer(x, past, generator)
        told = self.score_rows(x, past, found.states).sum(1)
        rows = until_end(x)
        return told, (found.kl * rows).sum(1), (found.ratio * rows).sum(1)

    def terms(self, x: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the bound is made of, each divided by N_max: two of (B,).

        Unlike Sketch-RNN's, rows after the end are not charged for: the chain ends there.
        """
        told, kl, _ = self.parts(x, generator)
        return -told / self.config.max_points, kl / self.config.max_points

    def evidence(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(x|z)] - KL with one draw of the chain, in nats: (B,)."""
        told, kl, _ = self.parts(x, generator)
        return told - kl

    def bound(self, x: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(x, z) / q(z|x) over k draws of the chain, in nats: (B,).

        Without latent states the likelihood itself.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        if k < 1:
            raise ValueError(
                f"An importance-weighted bound takes at least 1 sample; found k = {k}."
            )
        weights = []
        for _ in range(1 if self.exact else k):
            told, _, ratio = self.parts(x, generator)
            weights.append(told + ratio)
        mean: Tensor = torch.stack(weights).logsumexp(0) - torch.tensor(len(weights)).log()
        return mean

    def players(self) -> tuple[Player, ...]:
        """One player: the model and its posterior minimise the same loss."""
        return (Player("srnn", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: StrokeBatch) -> dict[str, Tensor]:
        """The loss and its parts; nats of a drawing unless named otherwise."""
        told, kl, _ = self.parts(batch.strokes, batch.generator(), whole=batch.source is not None)
        N = self.config.max_points
        if not self.config.stochastic:
            return {"loss": -told.mean() / N, "nll": -told.mean()}
        rate, weight = self.config.rate, self.rate_weight.clone()
        penalty = rate.penalty(kl, weight, batch.progress)
        if self.training:
            self.rate_weight.copy_(rate.adapt(weight, kl.detach()))
        return {
            "loss": (penalty - told.mean()) / N,
            "nll": -told.mean(),
            "kl": kl.mean(),
            "bound": (kl - told).mean(),
            "rate_weight": weight,
        }

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw ``n`` drawings: (n, N_max, 5)."""
        return self._draw(n, None, generator, temperature)

    def finish(
        self, started: Tensor, n: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Go on with a started drawing in ``n`` ways: (K, 5) -> (n, N_max, 5).

        The latent states of what is started are drawn from the posterior, the others follow.

        Raises:
            ValueError: There is no room for another point.
        """
        if len(started) >= self.config.max_points:
            raise ValueError(
                f"The started sketch has {len(started)} points and these weights draw up to "
                f"{self.config.max_points}: there is no room for more. Simplify it."
            )
        return self._draw(n, started.expand(n, -1, -1), generator, temperature)

    @torch.no_grad()
    def _draw(
        self, n: int, started: Tensor | None, generator: torch.Generator, temperature: float
    ) -> Tensor:
        weight = self.rate_weight
        memory = weight.new_zeros(1, n, self.config.hidden)
        z = weight.new_zeros(n, self.config.latent)
        row = shift_strokes(weight.new_zeros(n, 1, 5))[:, 0]
        rows: list[Tensor] = []
        if started is not None and started.shape[1]:
            past, memory = self.forwards(shift_strokes(started))
            if self.config.stochastic:
                z = self.infer(started, past, generator).states[:, -1]
            rows, row = list(started.unbind(1)), started[:, -1]
        end = torch.tensor([0.0, 0, 0, 0, 1]).to(weight)
        ended = torch.zeros(n, 1, dtype=torch.bool, device=weight.device)
        while len(rows) < self.config.max_points and not bool(ended.all()):
            past, memory = self.forwards(row.unsqueeze(1), memory)  # (n, 1, H)
            context = past[:, 0]
            if self.config.stochastic:
                z = self._next(context, z, generator, temperature)
                context = torch.cat([context, z], -1)
            params = at_least_float32(self.head(context))
            pen = PenDistribution.read(params, temperature=temperature)
            # Nobody draws nothing: a drawing has one point, whatever the chance of none.
            row = torch.where(ended, end, (pen if rows else pen.going_on()).draw(generator))
            ended = ended | (row[:, ENDED:] == 1)
            rows.append(row)
        return pad_strokes(torch.stack(rows, 1), self.config.max_points)

    def _next(
        self, past: Tensor, z: Tensor, generator: torch.Generator, temperature: float
    ) -> Tensor:
        """The next latent state, from its prior; the temperature multiplies its variance."""
        mean, log_var = self.prior(self.prior.prepare(past), z)
        noise = torch.randn(z.shape, generator=generator).to(z)
        drawn: Tensor = mean + temperature**0.5 * (0.5 * log_var).exp() * noise
        return drawn


def kl_between(mean: Tensor, log_var: Tensor, p_mean: Tensor, p_log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(p_mean, exp(p_log_var))) in nats: four of (B, D) -> (B,)."""
    square = (mean - p_mean).square() + log_var.exp()
    return 0.5 * (p_log_var - log_var + square * (-p_log_var).exp() - 1).sum(1)


def _bounded(log_var: Tensor) -> Tensor:
    """Log-variances that no distribution runs away with."""
    return log_var.clamp(-7, 3)


def until_end(x: Tensor) -> Tensor:
    """1 for rows up to and with the first ended one, 0 after it: (B, T, 5) -> (B, T)."""
    return (x[..., ENDED].cumsum(1) <= 1).to(x)


def _turn(x: Tensor, count: Tensor) -> Tensor:
    """The first ``count`` rows of each in the opposite order: (B, T, F) -> (B, T, F)."""
    place = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    other = count.unsqueeze(1) - 1 - place
    index = torch.where(other >= 0, other, place)
    return x.gather(1, index.unsqueeze(-1).expand_as(x))
