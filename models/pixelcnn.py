"""PixelCNN (van den Oord et al., 2016), plain and gated: a picture as a long sentence of values.

What is special: the probability of a picture is exact, a product over its values in raster order,
red before green before blue. Masked convolutions compute all factors at once:

    log p(x) = sum over i of log p(x_i | x_1 ... x_i-1)

Plain, after "Pixel Recurrent Neural Networks": a 7 x 7 convolution with mask A, then residual
blocks of 1 x 1, 3 x 3 and 1 x 1 convolutions with mask B. However deep, it does not see some of the
pixels up and to the right: the blind spot. Gated, after "Conditional Image Generation with PixelCNN
Decoders": a vertical stack reads the rows above, a horizontal one the pixel's own row and its
earlier colours; units are gated, a label may bias every layer, and there is no blind spot.

    niteru train pixelcnn --data binarized_mnist.npz --preset mnist --out weights/pixelcnn
    niteru evaluate nll weights/pixelcnn --data binarized_mnist.npz

Presets: ``mnist`` is plain, ``mnist-gated`` and ``cifar10`` are gated; ``gpu`` has the size of the
paper, ``gpu-gated`` is a large gated one. There is no latent vector: the embedding is the mean over
the pixels of the last hidden features.

Figures (docs/models.md): 83.89 nats by ``pixelcnn-wide``, 83.62 by ``pixelcnn-gated-longer``.
Published: 81.30 plain and 80.10 gated on the fixed binarized MNIST
(Gulrajani et al., 2016), 3.14 and 3.03 bits per dimension on CIFAR-10.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.categorical import Categorical, snap
from models.nn.dropout import Drop, dropping, keep_all
from models.nn.gated import gate, shift_down
from models.nn.labels import Labelled, under_each_label
from models.nn.likelihoods import Bernoulli, refuse_grey
from models.nn.masked import ALWAYS, CausalConv2d, Colours, colours_of
from models.nn.precision import at_least_float32
from models.nn.sized import AnySize
from models.nn.tempered import TemperedDraws
from models.sampling import row_stacks
from models.sampling.calls import Calls
from models.sampling.graphed import RowWalk
from models.sampling.methods import Method, Task, draw, refuse_gaps
from models.sampling.rows import array
from models.sampling.stacks import GatedWalk, PlainWalk, gated_pixelcnn
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture of a PixelCNN.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the pictures.
        likelihood: ``softmax`` over the levels, or ``bernoulli`` for binary pictures.
        levels: 2 to 256 levels that each value may have; pixels are rounded to them.
        gated: Two stacks of gated layers instead of residual blocks.
        width: Channels of a stack, of the residual stream of the plain one (the paper's 2h).
        layers: Gated layers or residual blocks.
        kernel: Odd width of their convolutions.
        first_kernel: Odd width of the first convolution, with mask A.
        head: Channels of the hidden layer before the logits, and the length of the embedding.
        classes: Labels that condition a gated one, and come with its training pictures; with none
            given, a picture's probability is the mean over all. 0 for no labels.
        dropout: Probability that a feature of a layer is left out while training.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    likelihood: Literal["softmax", "bernoulli"] = "softmax"
    levels: int = 256
    gated: bool = False
    width: int = 48
    layers: int = 8
    kernel: int = 3
    first_kernel: int = 7
    head: int = 96
    classes: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Every setting in its range."""
        odd = "an odd number, 3 or more"
        checks = [
            ("size", self.size >= 1, "1 or more"),
            ("levels", 2 <= self.levels <= 256, "2 to 256"),
            ("width", self.width >= 2 * self.channels, "at least two for each channel"),
            ("layers", self.layers >= 0, "0 or more"),
            ("kernel", self.kernel >= 3 and self.kernel % 2 == 1, odd),
            ("first_kernel", self.first_kernel >= 3 and self.first_kernel % 2 == 1, odd),
            ("head", self.head >= self.channels, "at least one for each channel"),
            ("classes", self.classes >= 0, "0 or more"),
            ("classes", self.gated or self.classes == 0, "0 unless gated=true"),
            ("dropout", 0 <= self.dropout < 1, "from 0 to below 1"),
        ]
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {expected}.")

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: the same, as nothing is encoded."""
        return self.size

    @property
    def reach(self) -> int:
        """How many rows up, and columns to either side, a pixel's distribution sees at most."""
        return self.first_kernel // 2 + self.layers * (self.kernel // 2)


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=4, levels=8, width=24, layers=2, first_kernel=3, head=24, gated=True)
    mnist = Config(channels=1, size=28, likelihood="bernoulli", width=32, layers=8, head=32)
    gated = replace(mnist, gated=True, width=16, layers=8)
    paper = Config(width=256, layers=15, head=1024)
    # So few channels gain nothing from bfloat16, and so few parameters need no decay.
    small = Recipe(
        batch_size=64, minutes=60, learning_rate=2e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    large = Recipe(batch_size=64, steps=250_000, learning_rate=5e-4, weight_decay=0.0, views=plain)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(mnist, small),
        "mnist-gated": Preset(gated, small),
        "cifar10": Preset(Config(gated=True, layers=6), replace(small, batch_size=16)),
        "gpu": Preset(paper, large),
        "gpu-gated": Preset(replace(paper, gated=True, width=192, layers=15, kernel=5), large),
    }


class ResidualBlock(nn.Module):
    """x + f(x), where f halves the ``width`` channels, looks around, and widens them again."""

    def __init__(self, width: int, colours: int, kernel: int) -> None:
        super().__init__()
        outer, inner = colours_of(width, colours), colours_of(width // 2, colours)
        self.block = nn.Sequential(
            nn.ReLU(), CausalConv2d(outer, inner, 1, own=True),
            nn.ReLU(), CausalConv2d(inner, inner, kernel, own=True),
            nn.ReLU(), CausalConv2d(inner, outer, 1, own=True),
        )  # fmt: skip

    def forward(self, x: Tensor, drop: Drop = keep_all) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + drop(self.block(x))


class PlainStack(nn.Module):
    """The first convolution, with mask A, and residual blocks with mask B."""

    def __init__(self, inputs: Colours, c: Config) -> None:
        super().__init__()
        width = colours_of(c.width, c.channels)
        self.first = CausalConv2d(inputs, width, c.first_kernel, own=False)
        self.blocks = nn.ModuleList(
            ResidualBlock(c.width, c.channels, c.kernel) for _ in range(c.layers)
        )

    def forward(self, x: Tensor, _condition: Tensor | None, drop: Drop = keep_all) -> Tensor:
        """(B, I, H, W) -> (B, width, H, W)."""
        out: Tensor = self.first(x)
        for block in self.blocks:
            out = block(out, drop)
        return out


class GatedLayer(nn.Module):
    """One gated layer over both stacks.

    The vertical stack holds nothing of the pixel's own row, so its channels need no colours; the
    horizontal one holds the row up to the pixel, each channel as much of it as its colour may.
    """

    def __init__(self, width: int, colours: int, kernel: int, classes: int) -> None:
        super().__init__()
        own = colours_of(width, colours)
        self.reach = kernel // 2
        self.vertical = nn.Conv2d(width, 2 * width, (self.reach + 1, kernel))
        # Both halves of what is gated hold the colours in the same order.
        self.horizontal = CausalConv2d(own, own + own, kernel, own=True, row=True)
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = CausalConv2d(own, own, 1, own=True)
        self.condition = nn.Linear(classes, 4 * width, bias=False) if classes else None

    def forward(
        self, v: Tensor, h: Tensor, condition: Tensor | None, drop: Drop = keep_all
    ) -> tuple[Tensor, Tensor]:
        """Both stacks (B, C, H, W) and the condition (B, classes) -> both stacks."""
        r = self.reach
        vertical = self.vertical(F.pad(v, (r, r, r, 0)))  # sees v's rows i - r to i
        # Row i of v holds the rows above i, all of them drawn, so it may meet row i of h.
        horizontal = self.horizontal(h) + self.link(vertical)
        if self.condition is not None:
            for_v, for_h = self.condition(condition)[:, :, None, None].chunk(2, 1)
            vertical, horizontal = vertical + for_v, horizontal + for_h
        return drop(gate(vertical)), h + self.out(drop(gate(horizontal)))


class GatedStack(nn.Module):
    """The rows above and the row so far, each at its entrance, and gated layers over both."""

    def __init__(self, inputs: Colours, c: Config) -> None:
        super().__init__()
        self.reach = c.first_kernel // 2
        self.first_v = nn.Conv2d(len(inputs), c.width, (self.reach, c.first_kernel))
        self.first_h = CausalConv2d(
            inputs, colours_of(c.width, c.channels), c.first_kernel, own=False, row=True
        )
        self.layers = nn.ModuleList(
            GatedLayer(c.width, c.channels, c.kernel, c.classes) for _ in range(c.layers)
        )

    def forward(self, x: Tensor, condition: Tensor | None, drop: Drop) -> Tensor:
        """(B, I, H, W) and (B, classes) -> the horizontal stack (B, width, H, W)."""
        r = self.reach
        v = shift_down(self.first_v(F.pad(x, (r, r, r - 1, 0))))  # the rows above
        h: Tensor = self.first_h(x) + v
        for layer in self.layers:
            v, h = layer(v, h, condition, drop)
        return h


class Model(TemperedDraws, AnySize, Labelled, GenerativeModel):
    """A stack of causal convolutions and a distribution for every value.

    Attributes:
        likelihood: Of a single value, (N, 1, H, W), given its parameters, (N, K, H, W).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.head
        binary = c.likelihood == "bernoulli"
        self.levels = 2 if binary else c.levels
        self.likelihood: Bernoulli | Categorical = (
            Bernoulli() if binary else Categorical(1, c.levels)
        )
        K = self.likelihood.parameters
        # The extra channel is one inside the picture: zero padding is told from a grey pixel.
        inputs = (*range(c.channels), ALWAYS)
        hidden = colours_of(c.head, c.channels)
        logits = tuple(colour for colour in range(c.channels) for _ in range(K))
        self.stack = GatedStack(inputs, c) if c.gated else PlainStack(inputs, c)
        self.hidden = CausalConv2d(colours_of(c.width, c.channels), hidden, 1, own=True)
        self.logits = CausalConv2d(hidden, logits, 1, own=True)

    def forward(self, x: Tensor, labels: Tensor | None = None, *, drop: Drop = keep_all) -> Tensor:
        """What is said of every value, given those before it: K logits for each.

        (B, C, H, W) in [-1, 1], not rounded to the levels, and labels (B,) below ``classes``, None
        for a model without -> (B, C, K, H, W).
        """
        condition = self.condition(labels, self.logits.weight)
        params: Tensor = self.logits(self._features(x, condition, drop))
        B, _, H, W = params.shape
        return at_least_float32(params).reshape(B, self.config.channels, -1, H, W)

    def embed(self, x: Tensor) -> Tensor:
        """The mean over the pixels of the last hidden features: (B, C, H, W) -> (B, D).

        A model with labels sees the mean of all of them.
        """
        condition = self.any_label(x)
        found = self._features(snap(x, self.levels), condition, keep_all)
        return at_least_float32(found).mean((2, 3))

    def _features(self, x: Tensor, condition: Tensor | None, drop: Drop) -> Tensor:
        """(B, C, H, W) and (B, classes) -> (B, head, H, W)."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        return torch.relu(self.hidden(torch.relu(self.stack(x, condition, drop))))

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (B, C, H, W) in [-1, 1] -> (B,).

        With labels it is that of a mixture in which all are equally likely. A softmax model rounds
        the picture to its levels.

        Raises:
            ValueError: The model is of binary pictures and a value is neither -1 nor 1. Rounded,
                grey pictures would get a better figure than binary ones have.
        """
        refuse_grey(x, self.likelihood, "pixelcnn", instead="likelihood=softmax")
        if not self.config.classes:
            return self.score_values(x).sum((1, 2, 3))
        return self._mixture(x).logsumexp(1) - math.log(self.config.classes)

    def score_values(
        self, x: Tensor, labels: Tensor | None = None, *, drop: Drop = keep_all
    ) -> Tensor:
        """log p of each value given those before it and the label: (B, C, H, W), (B,) -> nats."""
        x = snap(x, self.levels)
        params = self(x, labels, drop=drop).flatten(0, 1)  # (BC, K, H, W)
        # Each value for itself: that its parameters know the values before it is the model's doing.
        each = self.likelihood.log_prob(x.flatten(0, 1).unsqueeze(1), params)  # (BC, H, W)
        return each.reshape(x.shape)

    def _mixture(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """log p of the known pixels (B, 1, H, W), or of all, under each label: (B, classes)."""

        def score(labels: Tensor) -> Tensor:
            each = self.score_values(x, labels)
            return (each if known is None else each * known).sum((1, 2, 3))

        return under_each_label(score, self.config.classes, len(x), x.device)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Draw ``n`` pictures, of the labels (n,) if given: (n, C, h, w) in [-1, 1]."""
        side = self.config.size
        blank = self.logits.weight.new_zeros(n, self.config.channels, side, side)
        nothing = torch.zeros(n, 1, side, side, dtype=torch.bool, device=blank.device)
        return self.complete(blank, nothing, generator=generator, labels=labels)

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, *, generator: torch.Generator, labels: Tensor | None = None
    ) -> Tensor:
        """Draw the rest of pictures whose first pixels, row by row, are known.

        Args:
            x: (B, C, h, w) in [-1, 1]; what is not known is not looked at, the rest is rounded.
            known: (B, 1, h, w) bool, in each picture a number of pixels from the first one on.
            generator: Of the draws.
            labels: (B,); without them that of ``of_label``, or the known pixels suggest them.

        Raises:
            ValueError: An unknown pixel stands before a known one.
        """
        refuse_gaps(known, "pixelcnn")
        noise = torch.rand(x.shape, generator=generator).to(x)
        if labels is None:
            seen = torch.where(known, x, 0.0)
            labels = self.choose_labels(x, lambda: self._mixture(seen, known), generator)
        return self.draw(noise, labels, x=x, known=known)

    @torch.no_grad()
    def draw(
        self, noise: Tensor, labels: Tensor | None = None, *,
        x: Tensor | None = None, known: Tensor | None = None, method: Method = "auto",
    ) -> Tensor:  # fmt: skip
        """Draw value by value with given uniform noise, all (B, C, h, w).

        The same noise gives the same picture, by whatever method (``models.sampling.methods``).
        """
        if x is None or known is None:
            x, known = noise, torch.zeros_like(noise[:, :1], dtype=torch.bool)
        condition = self.condition(labels, self.logits.weight)

        def told(twin: Model, x: Tensor, rows: Tensor) -> Tensor:
            params: Tensor = twin(x, None if labels is None else labels[rows])
            return params

        def walk(calls: Calls) -> PlainWalk | GatedWalk:
            if self.config.gated:
                given = None if condition is None else array(condition)
                return gated_pixelcnn(self, len(noise), given, calls)
            return PlainWalk(self, len(noise), calls)

        def rows() -> RowWalk:
            if self.config.gated:
                return row_stacks.gated_pixelcnn(self, len(noise), condition)
            return row_stacks.PlainRows(self, len(noise))

        task = Task(self, self.likelihood, self.levels, noise, x, known)
        return draw(task, told, (walk, rows), method=method)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: the exact likelihood."""
        return (Player("pixelcnn", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per value, nats per picture and bits per value; under dropout while training."""
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        drop = dropping(self.config.dropout, batch.generator() if self.training else None)
        labels = None if batch.labels is None else batch.labels.flatten()  # (VB,)
        nll = -self.score_values(target, labels, drop=drop).sum((1, 2, 3)).mean()
        dims = target[0].numel()
        return {"loss": nll / dims, "nll": nll, "bits_per_dim": nll / (dims * math.log(2))}
