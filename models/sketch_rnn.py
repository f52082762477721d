"""Sketch-RNN (Ha and Eck, 2017): a vector for a drawing, and a pen that draws from it.

What is special: it takes pen strokes instead of pixels. An encoder reads a drawing in both
directions and names a distribution of vectors; the decoder, an LSTM that begins from such a vector,
says point after point how far the pen goes (a mixture of M bivariate normal distributions) and
whether it stays down, is lifted, or has ended. The same vector at a low temperature is drawn
carefully, at a high one loosely; vectors can be mixed, added and subtracted. Without the encoder
(``conditional=false``) the decoder alone draws and completes.

    L_R  = -1/N_max [ sum_{i <= N_s} log p(dx_i, dy_i) + sum_{i <= N_max} log p(state_i) ]
    L_KL = KL(q(z|S) || N(0, 1)) / N_z
    loss = L_R + w_KL (1 - (1 - eta) R^step) max(L_KL, tolerance)

L_R is a density of offsets with a deviation of 1, so it may be negative; the pen is charged to
N_max, so a drawing has to end. The encoder drops nothing: dropout is in the decoder, on what its
cell is about to remember (Semeniuta et al., 2016).

    niteru train sketch_rnn --data sketches.npz --preset kanji --out weights/kanji
    niteru sample weights/kanji --temperature 0.4 --out kanji.svg

Figures (docs/models.md): at most -63.60 nats a kanji by ``sketch-rnn-large``; the paper's are of
QuickDraw's single categories, with 70,000 drawings each.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from models.nn.pen import PenDistribution
from models.nn.posterior import NormalPosterior, importance_weighted
from models.nn.precision import at_least_float32
from models.nn.rate import active_units, gaussian_kl
from models.nn.recurrent import Cell, Recurrent, State
from models.strokes.augment import Augment
from models.strokes.formats import ENDED
from models.training.protocols import GenerativeModel, Player, StrokeBatch
from models.training.recipe import Preset, Recipe, Views
from models.training.strokes import pad_strokes, shift_strokes, stroke_lengths

CANDIDATES = 64  # vectors among which a started drawing chooses


@dataclass(frozen=True, slots=True)
class Annealing:
    """How the divergence enters the loss.

    Attributes:
        weight: w_KL, its weight in the end.
        start: eta, the share of this weight in the beginning.
        decay: R; what is missing of the weight shrinks by this factor at every step.
        tolerance: L_KL below which nothing is charged.
    """

    weight: float = 0.5
    start: float = 0.01
    decay: float = 0.99995
    tolerance: float = 0.2

    def penalty(self, l_kl: Tensor, step: Tensor) -> Tensor:
        """What joins the loss at a step, of the mean L_KL (scalar)."""
        return self.weight_at(step) * l_kl.clamp(min=self.tolerance)

    def weight_at(self, step: Tensor) -> Tensor:
        """w_KL (1 - (1 - eta) R^step)."""
        return self.weight * (1 - (1 - self.start) * self.decay ** step.double()).float()


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the loss of a Sketch-RNN.

    Attributes:
        max_points: N_max; longer drawings are left out.
        conditional: With an encoder; without one there is no vector and the decoder starts empty.
        latent: N_z of the vector.
        encoder_size: H of each direction.
        decoder_size: H.
        cell: Of the decoder.
        mixtures: M.
        dropout: Share of the decoder's new memories that is dropped.
        annealing: How the divergence enters.
        augment: What changes in the training drawings.
    """

    max_points: int = 250
    conditional: bool = True
    latent: int = 128
    encoder_size: int = 256
    decoder_size: int = 512
    cell: Cell = "hyper"
    mixtures: int = 20
    dropout: float = 0.1
    annealing: Annealing = field(default_factory=Annealing)
    augment: Augment = field(default_factory=Augment)


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    faster = Annealing(decay=0.9995)
    tiny = Config(
        max_points=16, latent=4, encoder_size=8, decoder_size=16, cell="layer_norm", mixtures=2,
        annealing=Annealing(decay=0.9),
    )  # fmt: skip
    small = Config(
        max_points=96, latent=64, encoder_size=128, decoder_size=256, cell="layer_norm",
        mixtures=10, annealing=faster,
    )  # fmt: skip
    recipe = Recipe(
        batch_size=50, minutes=60, learning_rate=2e-3, warmup_steps=50, weight_decay=0.0,
        clip=1.0, precision="fp32", views=Views.none(),
    )  # fmt: skip
    paper = replace(
        recipe, batch_size=100, minutes=None, steps=100_000, learning_rate=1e-3, ema=0.999
    )
    return {
        "tiny": Preset(tiny, replace(recipe, batch_size=8, minutes=None, steps=60, warmup_steps=5)),
        "omniglot": Preset(small, recipe),
        "kanji": Preset(replace(small, max_points=88), recipe),
        "quickdraw": Preset(replace(small, max_points=100), recipe),
        "paper": Preset(Config(), paper),
    }


class Model(GenerativeModel):
    """Bidirectional encoder, posterior, decoder with a mixture of normal distributions."""

    modality: Literal["pixels", "strokes"] = "strokes"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.exact = not config.conditional
        self.posterior = NormalPosterior()
        D = config.latent if config.conditional else 0
        self.embedding_dim = D or config.decoder_size
        if config.conditional:
            H = config.encoder_size
            self.encoder = nn.LSTM(5, H, batch_first=True, bidirectional=True)
            self.bottleneck = nn.Linear(2 * H, 2 * D)
        self.decoder = Recurrent(5 + D, config.decoder_size, config.cell)
        self.begin = nn.Linear(D, sum(self.decoder.state_sizes)) if D else None
        self.head = nn.Linear(config.decoder_size, 6 * config.mixtures + 3)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.steps: Tensor

    # -- the vector ----------------------------------------------------------------------------

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 5) -> posterior mean and log-variance, two of (B, D) in float32.

        Rows after the end are not read.

        Raises:
            ValueError: The model has no encoder.
        """
        if not self.config.conditional:
            raise ValueError(
                "This sketch_rnn was trained without an encoder (conditional=false), so it has no "
                "vector of a drawing. Ask for samples or a completion."
            )
        lengths = stroke_lengths(x).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.encoder(packed)  # (2, B, H)
        return self.posterior.read(at_least_float32(self.bottleneck(torch.cat([*last], 1))))

    def embed(self, x: Tensor) -> Tensor:
        """The posterior mean, or without an encoder the decoder's mean output: (B, T, 5) -> (B, D).

        Neither depends on rows after the end.
        """
        if self.config.conditional:
            return self.encode(x)[0]
        outputs, _ = self.decoder(shift_strokes(x), self._start(len(x), None))  # (B, T, H)
        weight = (x[..., ENDED] == 0).to(outputs).unsqueeze(-1)
        mean: Tensor = (outputs * weight).sum(1) / weight.sum(1).clamp(min=1)
        return mean

    def rate(self, x: Tensor) -> Tensor:
        """How many nats the vector of each drawing holds: (B, T, 5) -> (B,)."""
        return self.posterior.kl(*self.encode(x))

    # -- the likelihood ------------------------------------------------------------------------

    def predict(self, x: Tensor, z: Tensor | None, kept: Tensor | None = None) -> PenDistribution:
        """What each row should be, given those before it and z: (B, T, 5) -> of (B, T)."""
        inputs = shift_strokes(x)
        if z is not None:
            inputs = torch.cat([inputs, z.unsqueeze(1).expand(-1, x.shape[1], -1)], -1)
        outputs, _ = self.decoder(inputs, self._start(len(x), z), kept)
        return PenDistribution.read(at_least_float32(self.head(outputs)))

    def reconstruction(self, x: Tensor, z: Tensor | None, kept: Tensor | None = None) -> Tensor:
        """L_R of each drawing, with its pen charged to N_max: (B, T, 5) -> (B,)."""
        N = self.config.max_points
        x = pad_strokes(x, N)
        predicted = self.predict(x, z, kept)
        drawn = (x[..., ENDED] == 0) * predicted.offset_log_prob(x[..., :2])
        return -(drawn + predicted.state_log_prob(x[..., 2:])).sum(1) / N

    def terms(self, x: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """L_R by one draw of the vector, and L_KL (0 without an encoder): two of (B,)."""
        if not self.config.conditional:
            reconstruction = self.reconstruction(x, None)
            return reconstruction, torch.zeros_like(reconstruction)
        mean, log_var = self.encode(x)
        z = self.posterior.draw(mean, log_var, generator)
        return self.reconstruction(x, z), self.posterior.kl(mean, log_var) / self.config.latent

    def score(self, x: Tensor, z: Tensor | None) -> Tensor:
        """log p(S | z) in nats, up to and with its end: (B, T, 5) -> (B,).

        Unlike L_R it is a density of drawings: what follows the end is no part of one.
        """
        x = pad_strokes(x, min(self.config.max_points, int(stroke_lengths(x).max()) + 1))
        predicted = self.predict(x, z)
        drawn = (x[..., ENDED] == 0) * predicted.offset_log_prob(x[..., :2])
        states = predicted.state_log_prob(x[..., 2:])
        until_end = (x[..., ENDED].cumsum(1) <= 1).to(states)
        return (drawn + until_end * states).sum(1)

    def elbo(self, x: Tensor, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """E_q[log p(target|z)] - KL(q(z|x) || p(z)) with one draw, in nats: (B,)."""
        mean, log_var = self.encode(x)
        z = self.posterior.draw(mean, log_var, generator)
        return self.score(target, z) - self.posterior.kl(mean, log_var)

    def log_prob(self, x: Tensor, target: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """log 1/k sum p(target|z) p(z) / q(z|x) over k draws (Burda et al., 2016): (B,) nats."""
        mean, log_var = self.encode(x)
        return importance_weighted(
            self.posterior, lambda z: self.score(target, z), mean, log_var, k, generator
        )

    def bound(self, x: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """A bound on log p(S) in nats with k draws, exact without an encoder: (B,)."""
        if not self.config.conditional:
            return self.score(x, None)
        return self.log_prob(x, x, k, generator=generator)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw ``n`` drawings: (n, N_max, 5)."""
        return self._draw(self._prior(n, generator), n, None, generator, temperature)

    def decode(self, z: Tensor, *, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Draw a drawing for each vector: (B, D) -> (B, N_max, 5)."""
        return self._draw(z, len(z), None, generator, temperature)

    def finish(
        self, started: Tensor, n: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Go on with a started drawing in ``n`` ways: (K, 5) -> (n, N_max, 5).

        With an encoder the vectors are drawn from p(z | what is started), by weighing draws from
        the prior with how well they explain it (sampling importance resampling, Rubin, 1987). The
        encoder is not asked: it would say that the drawing is complete.

        Raises:
            ValueError: There is no room for another point.
        """
        K = len(started)
        if self.config.max_points <= K:
            raise ValueError(
                f"The started sketch has {K} points and these weights draw up to "
                f"{self.config.max_points}: there is no room for more. Simplify it."
            )
        z = self._explain(started, n, generator)
        return self._draw(z, n, started.expand(n, -1, -1), generator, temperature)

    def players(self) -> tuple[Player, ...]:
        """One player: encoder and decoder minimise the same loss."""
        return (Player("sketch_rnn", self.parameters, self.loss),)

    def loss(self, batch: StrokeBatch) -> dict[str, Tensor]:
        """The loss and its parts: L_R, L_KL, and the vector's nats."""
        x, generator = batch.strokes, batch.generator()
        share = self.config.dropout if self.training else 0.0
        kept = self.decoder.dropout(len(x), self.config.max_points, share, generator)
        if not self.config.conditional:
            l_r = self.reconstruction(x, None, kept).mean()
            return {"loss": l_r, "l_r": l_r}
        mean, log_var = self.encode(x)
        z = self.posterior.draw(mean, log_var, generator)
        l_r = self.reconstruction(x, z, kept).mean()
        kl = gaussian_kl(mean, log_var).mean()
        annealing = self.config.annealing
        step = self.steps.clone()
        if self.training:
            self.steps += 1
        return {
            "loss": l_r + annealing.penalty(kl / self.config.latent, step),
            "l_r": l_r,
            "l_kl": kl / self.config.latent,
            "kl": kl,
            "kl_weight": annealing.weight_at(step),
            "active_units": active_units(mean.detach()),
        }

    def _prior(self, n: int, generator: torch.Generator) -> Tensor | None:
        if not self.config.conditional:
            return None
        z = self.posterior.prior_draw(n, self.config.latent, generator)
        return z.to(self.head.weight)

    @torch.no_grad()
    def _explain(self, started: Tensor, n: int, generator: torch.Generator) -> Tensor | None:
        """Vectors (n, D) that fit a started drawing (K, 5)."""
        z = self._prior(max(n, CANDIDATES), generator)
        if z is None or not len(started):
            return None if z is None else z[:n]
        predicted = self.predict(started.expand(len(z), -1, -1), z)
        told = predicted.offset_log_prob(started[:, :2]) + predicted.state_log_prob(started[:, 2:])
        weights = torch.softmax(told.double().sum(1), 0).cpu()
        return z[torch.multinomial(weights, n, replacement=True, generator=generator)]

    def _start(self, n: int, z: Tensor | None) -> State:
        """The decoder's first state: tanh of a linear map of the vector."""
        if z is None or self.begin is None:
            return self.decoder.begin(n)
        return tuple(torch.split(self.begin(z).tanh(), list(self.decoder.state_sizes), 1))

    @torch.no_grad()
    def _draw(
        self, z: Tensor | None, n: int, started: Tensor | None, generator: torch.Generator,
        temperature: float,
    ) -> Tensor:  # fmt: skip
        """Row after row, what is started first, until all have ended: (n, N_max, 5)."""
        given = [] if started is None else list(started.unbind(1))
        row = shift_strokes(self.head.weight.new_zeros(n, 1, 5))[:, 0]
        state = self._start(n, z)
        rows: list[Tensor] = []
        ended = torch.zeros(n, 1, dtype=torch.bool, device=row.device)
        end = torch.tensor([0.0, 0, 0, 0, 1]).to(row)
        for number in range(self.config.max_points):
            inputs = row if z is None else torch.cat([row, z], 1)
            state = self.decoder.step(self.decoder.prepare(inputs), state)
            if number < len(given):
                row = given[number]
            else:
                params = at_least_float32(self.head(state[0]))
                pen = PenDistribution.read(params, temperature=temperature)
                # Nobody draws nothing: a drawing has one point, whatever the chance of none.
                row = (pen if rows else pen.going_on()).draw(generator)
            row = torch.where(ended, end, row)
            ended = ended | (row[:, ENDED:] == 1)
            rows.append(row)
            if bool(ended.all()):
                break
        return pad_strokes(torch.stack(rows, 1), self.config.max_points)


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Vectors from one to another along the sphere (White, 2016): two of (D,) -> (steps, D).

    Draws from a normal distribution lie near a sphere; a straight way leads through its empty
    middle.
    """
    angle = torch.arccos((start @ end / (start.norm() * end.norm()).clamp(min=1e-12)).clamp(-1, 1))
    share = torch.linspace(0, 1, steps).to(start).unsqueeze(1)
    if angle.sin().abs() < 1e-4 or not math.isfinite(angle.item()):  # the same, or opposite ways
        return (1 - share) * start + share * end
    return (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
