"""PixelRNN (van den Oord et al., 2016): the pixels before a pixel, read by LSTMs in two dimensions.

What is special: a pixel's state is made of its neighbours' states, so what a pixel depends on has
no largest size, as that of convolutions has. A whole row, or a whole diagonal, is one step for all
pictures of a batch. The probability of a picture is exact, in raster order, red before green before
blue:

    log p(x) = sum over i of log p(x_i | x_1 ... x_i-1)

    (o, f, i, g) = input to state, masked + state to state     c' = f c + i g     h = o tanh(c')

Row LSTM: row by row; a state is made of the three above it, so the context is a triangle. Diagonal
BiLSTM: a state is made of those above and beside it, once from the left and once from the right.
That from the right would know pixels still to be drawn; its map is shifted down by one row. The two
together see every pixel drawn before, but for one: what the map from the right holds of a pixel is
what stands before it, so of the last pixel in the row above only the first convolution tells, if it
reaches so far. Layers are joined by residual connections.

    niteru train pixelrnn --data binarized_mnist.npz --preset mnist --out weights/pixelrnn
    niteru evaluate nll weights/pixelrnn --data binarized_mnist.npz

Presets: ``mnist`` and ``cifar10`` are diagonal, ``mnist-row`` is not; ``mnist-7``, ``gpu`` and
``gpu-row`` are of the paper's size. There is no latent vector: the embedding is the mean over the
pixels of the last hidden features.

Figures (docs/models.md): 81.37 nats by ``pixelrnn-longer``, 82.83 by ``pixelrnn-row-longer``; 4.547
bits by ``pixelrnn-cifar``, of 5,000 pictures. Published: 79.20 on the fixed binarized MNIST (7
diagonal layers), 3.00 bits per dimension on CIFAR-10 and 3.07 with rows.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from models.nn.categorical import Categorical, snap
from models.nn.likelihoods import Bernoulli, refuse_grey
from models.nn.lstm2d import DiagonalBiLSTM, Memory, RowLSTM
from models.nn.masked import ALWAYS, CausalConv2d, colours_of
from models.nn.onlookers import show
from models.nn.precision import at_least_float32
from models.nn.sized import AnySize
from models.nn.tempered import TemperedDraws
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture of a PixelRNN.

    Attributes:
        kind: ``row`` for the Row LSTM, ``diagonal`` for the Diagonal BiLSTM.
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the pictures.
        likelihood: ``softmax`` over the levels, or ``bernoulli`` for binary pictures.
        levels: 2 to 256 levels that each value may have; pixels are rounded to them.
        hidden: The paper's h, the length of a state; between the layers there are 2h channels.
        layers: LSTM layers.
        kernel: Odd width of a Row LSTM's convolution from input to state; the diagonal one's is 1.
        first_kernel: Odd width of the first convolution, with mask A.
        head: Channels of the hidden layer before the logits, and the length of the embedding.
    """

    kind: Literal["row", "diagonal"] = "diagonal"
    channels: Literal[1, 3] = 3
    size: int = 32
    likelihood: Literal["softmax", "bernoulli"] = "softmax"
    levels: int = 256
    hidden: int = 32
    layers: int = 3
    kernel: int = 3
    first_kernel: int = 7
    head: int = 96

    def __post_init__(self) -> None:
        """Every setting in its range."""
        odd = "an odd number, 3 or more"
        checks = [
            ("size", self.size >= 1, "1 or more"),
            ("levels", 2 <= self.levels <= 256, "2 to 256"),
            ("hidden", self.hidden >= self.channels, "at least one for each channel"),
            ("layers", self.layers >= 1, "1 or more"),
            ("kernel", self.kernel >= 3 and self.kernel % 2 == 1, odd),
            ("first_kernel", self.first_kernel >= 3 and self.first_kernel % 2 == 1, odd),
            ("head", self.head >= self.channels, "at least one for each channel"),
        ]
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {expected}.")

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: the same, as nothing is encoded."""
        return self.size


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=4, levels=8, hidden=12, layers=2, first_kernel=3, head=24)
    mnist = Config(channels=1, size=28, likelihood="bernoulli", hidden=32, layers=1, head=32)
    paper = Config(hidden=128, layers=12, head=1024)
    # So few channels gain nothing from bfloat16, and so few parameters need no decay.
    small = Recipe(
        batch_size=32, minutes=60, learning_rate=3e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    large = Recipe(batch_size=64, steps=250_000, learning_rate=5e-4, weight_decay=0.0, views=plain)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(mnist, small),
        "mnist-row": Preset(replace(mnist, kind="row", hidden=16, layers=7), small),
        "mnist-7": Preset(replace(mnist, hidden=16, layers=7), replace(small, minutes=600)),
        "cifar10": Preset(Config(), replace(small, batch_size=16)),
        "gpu": Preset(paper, large),
        "gpu-row": Preset(replace(paper, kind="row"), large),
    }


class Block(nn.Module):
    """x + f(x), where f is an LSTM layer and widens its h channels to 2h again."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        outer, inner = colours_of(2 * c.hidden, c.channels), colours_of(c.hidden, c.channels)
        self.lstm = (
            RowLSTM(outer, inner, c.kernel) if c.kind == "row" else DiagonalBiLSTM(outer, inner)
        )
        self.out = CausalConv2d(inner, outer, 1, own=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2h, H, W) -> the same shape."""
        changed: Tensor = self.out(self.lstm(x))
        return x + changed

    def draw(self, x: Tensor, memory: Memory, i: int, j: int) -> Tensor:
        """``forward`` at one pixel whose earlier ones are remembered: -> (B, 2h, 1, 1)."""
        changed: Tensor = self.out(self.lstm.draw(x, memory, i, j)[:, :, None, None])
        return x[:, :, i : i + 1, j : j + 1] + changed


class Model(TemperedDraws, AnySize, GenerativeModel):
    """A masked convolution, residual LSTM layers, and a distribution for every value.

    Attributes:
        likelihood: Of a single value, (N, 1, H, W), given its parameters, (N, K, H, W).
    """

    unrolls = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.head
        binary = c.likelihood == "bernoulli"
        self.levels = 2 if binary else c.levels
        self.likelihood: Bernoulli | Categorical = (
            Bernoulli() if binary else Categorical(1, c.levels)
        )
        outer, hidden = colours_of(2 * c.hidden, c.channels), colours_of(c.head, c.channels)
        K = self.likelihood.parameters
        logits = tuple(colour for colour in range(c.channels) for _ in range(K))
        # The extra channel is one inside the picture: zero padding is told from a grey pixel.
        inputs = (*range(c.channels), ALWAYS)
        self.first = CausalConv2d(inputs, outer, c.first_kernel, own=False)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.hidden = CausalConv2d(outer, hidden, 1, own=True)
        self.logits = CausalConv2d(hidden, logits, 1, own=True)

    def forward(self, x: Tensor) -> Tensor:
        """What is said of every value, given those before it.

        Args:
            x: (B, C, H, W) in [-1, 1]; taken as it is, not rounded to the levels.

        Returns:
            (B, C, K, H, W): K logits for each value.
        """
        return self._logits(self._features(x))

    def embed(self, x: Tensor) -> Tensor:
        """The mean over the pixels of the last hidden features: (B, C, H, W) -> (B, D)."""
        return at_least_float32(self._features(snap(x, self.levels))).mean((2, 3))

    def _features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, head, H, W)."""
        out = self._enter(x)
        for block in self.blocks:
            out = block(out)
        return self._leave(out)

    def _enter(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2h, H, W)."""
        out: Tensor = self.first(torch.cat([x, torch.ones_like(x[:, :1])], 1))
        return out

    def _leave(self, x: Tensor) -> Tensor:
        """(B, 2h, H, W) -> (B, head, H, W)."""
        return torch.relu(self.hidden(torch.relu(x)))

    def _logits(self, features: Tensor) -> Tensor:
        """(B, head, H, W) -> (B, C, K, H, W)."""
        logits: Tensor = self.logits(features)
        B, _, H, W = logits.shape
        return at_least_float32(logits).reshape(B, self.config.channels, -1, H, W)

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (B, C, H, W) in [-1, 1] -> (B,).

        A softmax model rounds the picture to its levels.

        Raises:
            ValueError: The model is of binary pictures and a value is neither -1 nor 1.
        """
        refuse_grey(x, self.likelihood, "pixelrnn", instead="likelihood=softmax")
        return self.score_values(x).sum((1, 2, 3))

    def score_values(self, x: Tensor) -> Tensor:
        """log p of each value given those before it: (B, C, H, W) nats."""
        x = snap(x, self.levels)
        params = self(x).flatten(0, 1)  # (BC, K, H, W)
        # Each value for itself: that its parameters know the values before it is the model's doing.
        each = self.likelihood.log_prob(x.flatten(0, 1).unsqueeze(1), params)  # (BC, H, W)
        return each.reshape(x.shape)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures: (n, C, h, w) in [-1, 1]."""
        side, like = self.config.size, self.logits.weight
        noise = torch.rand(n, self.config.channels, side, side, generator=generator)
        return self.draw(noise.to(like))

    @torch.no_grad()
    def complete(self, x: Tensor, known: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw the rest of pictures whose first pixels, row by row, are known.

        Args:
            x: (B, C, h, w) in [-1, 1]; what is not known is not looked at.
            known: (B, 1, h, w) bool, in each picture a number of pixels from the first one on.
            generator: Of the draws; the same as ``sample``'s, where nothing is known.

        Returns:
            (B, C, h, w): known pixels rounded to the levels, and the rest drawn.

        Raises:
            ValueError: An unknown pixel stands before a known one.
        """
        if not torch.equal(known.flatten(1).cumprod(1).bool(), known.flatten(1)):
            raise ValueError(
                "A pixelrnn draws row by row, left to right, so it completes only what comes after "
                "all known pixels. Found an unknown pixel before a known one; give whole rows from "
                "the top, or use a model that draws in any order."
            )
        noise = torch.rand(x.shape, generator=generator).to(x)
        return self.draw(noise, x=x, known=known)

    @torch.no_grad()
    def draw(
        self, noise: Tensor, *, x: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """Draw value by value with given uniform noise, all (B, C, h, w).

        The same noise gives the same picture. States are remembered, so that all values together
        are the work of one pass over a picture, and for colour of three.
        """
        if x is None or known is None:
            x, known = noise, torch.zeros_like(noise[:, :1], dtype=torch.bool)
        x = torch.where(known, snap(x, self.levels), 0.0)
        B, C, H, W = x.shape
        # What each block was given, and behind them what the last one gave.
        maps = [x.new_zeros(B, 2 * self.config.hidden, H, W) for _ in range(len(self.blocks) + 1)]
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        memories = [block.lstm.remember(x) for block in blocks]
        for i in range(H):
            for j in range(W):
                # A pixel's features know all its colours but blue, so that after the last of these
                # passes what is remembered is final.
                for colour in range(C):
                    params = self._at(x, blocks, maps, memories, i, j)[:, colour]  # (B, K, 1, 1)
                    drawn = self.likelihood.draw(params, noise[:, colour, None, i, None, j, None])
                    here = x[:, colour, i, j]
                    x[:, colour, i, j] = torch.where(known[:, 0, i, j], here, drawn[:, 0, 0, 0])
            for block, inputs, memory in zip(blocks, maps, memories, strict=False):
                block.lstm.end_row(inputs, memory, i)
            show(x.clone)
        return x

    def _at(
        self, x: Tensor, blocks: list[Block], maps: list[Tensor], memories: list[Memory],
        i: int, j: int,
    ) -> Tensor:  # fmt: skip
        """``forward`` at one pixel whose earlier ones are remembered: -> (B, C, K, 1, 1)."""
        reach = self.config.first_kernel // 2
        top, left = max(0, i - reach), max(0, j - reach)
        field = x[:, :, top : i + 1, left : j + reach + 1]
        maps[0][:, :, i, j] = self._enter(field)[:, :, -1, j - left]
        for number, (block, memory) in enumerate(zip(blocks, memories, strict=True)):
            maps[number + 1][:, :, i, j] = block.draw(maps[number], memory, i, j)[:, :, 0, 0]
        return self._logits(self._leave(maps[-1][:, :, i : i + 1, j : j + 1]))

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: the exact likelihood."""
        return (Player("pixelrnn", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per value, nats per picture and bits per value."""
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        nll = -self.score_values(target).sum((1, 2, 3)).mean()
        dims = target[0].numel()
        return {"loss": nll / dims, "nll": nll, "bits_per_dim": nll / (dims * math.log(2))}
