"""PixelCNN++ (Salimans et al., 2017): whole pixels, few numbers for each, and a look at the whole.

What is special: a pixel is one step and not three. Its colour is a mixture of discretized logistics
in which the mean of green depends on red, and that of blue on both, so that some dozens of numbers
say what took 768 and neighbouring grey levels are neighbours from the start:

    p(pixel | before) = sum over k of w_k p(red | k) p(green | red, k) p(blue | red, green, k)

Two streams, of the rows above (down) and of what is to the left as well (down-right), pass gated
residual blocks with concatenated ELU; they are halved by strides and doubled again, so that few
layers see far, and shortcuts at each scale bring back the detail. Dropout in every block: without
it the paper's model learned its training set by heart.

    niteru train pixelcnn_pp --data DIR --preset cifar10 --out weights/pixelcnn_pp
    niteru evaluate nll weights/pixelcnn_pp --data DIR

Presets: ``cifar10`` is a small one for an hour on processors, ``gpu`` has the size of the paper's.
Unlike there, weights are not normalised and start as torch's; the average of the weights is taken
as everywhere here. The embedding is the mean over the pixels of the last features.

Figures (docs/models.md): 3.793 bits by ``pixelcnn-pp-longer``, of 5,000 pictures. Published: 2.92
bits per dimension on CIFAR-10, 3.11 and 3.07 with a field of 11 x 5 and 15 x 8 pixels.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.categorical import snap
from models.nn.gated import shift_down, shift_right
from models.nn.labels import Labelled, under_each_label
from models.nn.likelihoods import Bernoulli, Likelihood, LogisticMixture, refuse_grey
from models.nn.precision import at_least_float32
from models.nn.shifted import DOWN, DOWN_RIGHT, Doubling, GatedBlock, ShiftedConv2d
from models.nn.sized import AnySize
from models.nn.tempered import TemperedDraws
from models.sampling.calls import Calls
from models.sampling.methods import Method, Task, draw, refuse_gaps
from models.sampling.row_strided import StridedRows
from models.sampling.rows import array
from models.sampling.strided import StridedWalk
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture of a PixelCNN++.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the pictures, divisible by two for every scale after the first.
        likelihood: ``logistic`` mixture, or ``bernoulli`` for binary pictures.
        levels: 2 to 256 grey levels; pixels are rounded to them.
        components: Logistics in the mixture.
        width: Channels of a stream.
        scales: Resolutions; each has half the side of the one before.
        blocks: Gated residual blocks of a stream at every scale, on the way down; on the way up
            there is one more but at the coarsest.
        dropout: Probability that a feature inside a block is left out while training.
        classes: Labels that bias every block, and come with the training pictures; with none
            given, a picture's probability is the mean over all. 0 for no labels.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    levels: int = 256
    components: int = 10
    width: int = 160
    scales: int = 3
    blocks: int = 5
    dropout: float = 0.5
    classes: int = 0

    def __post_init__(self) -> None:
        """Every setting in its range."""
        step = 2 ** (self.scales - 1)
        checks = [
            ("scales", self.scales >= 1, "1 or more"),
            ("size", self.size >= 1 and self.size % step == 0, f"a multiple of {step}"),
            ("likelihood", self.likelihood == "logistic" or self.channels == 1,
             "logistic for colour"),
            ("levels", 2 <= self.levels <= 256, "2 to 256"),
            ("components", self.components >= 1, "1 or more"),
            ("width", self.width >= 1, "1 or more"),
            ("blocks", self.blocks >= 1, "1 or more"),
            ("dropout", 0 <= self.dropout < 1, "from 0 to below 1"),
            ("classes", self.classes >= 0, "0 or more"),
        ]  # fmt: skip
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {expected}.")

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: the same, as nothing is encoded."""
        return self.size

    def field(self, i: int, j: int) -> tuple[int, int, int]:
        """What the pixel in row i and column j sees lies in these bounds, and touches them all.

        Returns:
            The topmost row, the leftmost and the rightmost column of the field (which may lie
            outside the picture).
        """
        top, left, right = i, j, j
        for scale in range(self.scales):  # up through the layers: first those that were last
            coarsest = scale == self.scales - 1
            convolutions = 2 * (2 * self.blocks if coarsest else self.blocks + 1)
            top, left, right = top - convolutions, left - convolutions, right + convolutions
            if coarsest:  # here the way from the stream of the rows to the other one gains most
                top, left = top - 1, left - 1
            else:  # what doubled the picture
                top, left, right = top // 2, left // 2, (right + 1) // 2
        for scale in reversed(range(self.scales)):
            if scale < self.scales - 1:  # what halved it, and the blocks before
                reach = 1 + 2 * self.blocks
                top, left, right = 2 * top - reach, 2 * left - reach, 2 * right + reach
        return top - 2, left - 1, right + 1


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=4, levels=8, components=2, width=8, scales=2, blocks=1, dropout=0.1)
    small = Config(components=5, width=48, scales=2, blocks=1, dropout=0.1)
    # So few channels gain nothing from bfloat16, and so few parameters need no decay.
    hour = Recipe(
        batch_size=16, minutes=60, learning_rate=2e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    large = Recipe(
        batch_size=64, steps=600_000, learning_rate=1e-3, weight_decay=0.0, ema=0.9995,
        views=replace(plain, mirror=0.5),
    )  # fmt: skip
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "cifar10": Preset(small, hour),
        "gpu": Preset(Config(), large),
    }


class Model(TemperedDraws, AnySize, Labelled, GenerativeModel):
    """Two streams down to the coarsest scale and up again, and a distribution for every pixel.

    Attributes:
        likelihood: Of a pixel, (B, C, H, W), given its parameters, (B, P, H, W).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.width
        self.likelihood: Likelihood
        if c.likelihood == "bernoulli":
            self.levels, self.likelihood = 2, Bernoulli()
        else:
            self.levels = c.levels
            self.likelihood = LogisticMixture(c.channels, c.components, c.levels)
        # The extra channel is one inside the picture: zero padding is told from a grey pixel.
        inputs = c.channels + 1
        self.first_down = ShiftedConv2d(inputs, c.width, DOWN)
        self.first_above = ShiftedConv2d(inputs, c.width, (1, 3))
        self.first_left = ShiftedConv2d(inputs, c.width, (2, 1))
        fewer = [c.blocks] * c.scales
        more = [c.blocks + 1] * (c.scales - 1) + [c.blocks]
        self.down = nn.ModuleList(self._blocks(n, DOWN, 0) for n in fewer)
        self.right = nn.ModuleList(self._blocks(n, DOWN_RIGHT, 1) for n in fewer)
        self.down_again = nn.ModuleList(self._blocks(n, DOWN, 1) for n in more)
        self.right_again = nn.ModuleList(self._blocks(n, DOWN_RIGHT, 2) for n in more)
        halvings = range(c.scales - 1)
        self.halve_down = nn.ModuleList(ShiftedConv2d(c.width, c.width, DOWN, 2) for _ in halvings)
        self.halve_right = nn.ModuleList(
            ShiftedConv2d(c.width, c.width, DOWN_RIGHT, 2) for _ in halvings
        )
        self.double_down = nn.ModuleList(Doubling(c.width, DOWN) for _ in halvings)
        self.double_right = nn.ModuleList(Doubling(c.width, DOWN_RIGHT) for _ in halvings)
        self.out = nn.Conv2d(c.width, self.likelihood.parameters, 1)

    def _blocks(self, count: int, kernel: tuple[int, int], beside: int) -> nn.ModuleList:
        c = self.config
        return nn.ModuleList(
            GatedBlock(
                c.width, kernel, beside=beside * c.width, dropout=c.dropout, classes=c.classes
            )
            for _ in range(count)
        )  # fmt: skip

    def forward(
        self, x: Tensor, labels: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """What is said of every pixel, given those before it.

        Args:
            x: (B, C, H, W) in [-1, 1].
            labels: (B,) below ``classes``, None for a model without.
            generator: Chooses which features are left out; without one all are there.

        Returns:
            (B, P, H, W), the parameters of the likelihood, in float32 or better.
        """
        condition = self.condition(labels, self.out.weight)
        return at_least_float32(self.out(self._features(x, condition, generator)))

    def embed(self, x: Tensor) -> Tensor:
        """The mean over the pixels of the last features: (B, C, H, W) -> (B, D).

        A model with labels sees the mean of all of them.
        """
        condition = self.any_label(x)
        return at_least_float32(self._features(snap(x, self.levels), condition)).mean((2, 3))

    def _features(
        self, x: Tensor, condition: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) and (B, classes) -> (B, width, H, W)."""
        given = {"condition": condition, "generator": generator}
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        down = shift_down(self.first_down(x))  # the rows above
        right = shift_down(self.first_above(x)) + shift_right(self.first_left(x))
        downs, rights = [down], [right]  # the shortcuts
        last = self.config.scales - 1
        for scale in range(last + 1):
            for d, r in zip(self._at(self.down, scale), self._at(self.right, scale), strict=True):
                down = d(down, **given)
                right = r(right, down, **given)
                downs.append(down)
                rights.append(right)
            if scale < last:
                down, right = self.halve_down[scale](down), self.halve_right[scale](right)
                downs.append(down)
                rights.append(right)
        down, right = downs.pop(), rights.pop()
        for scale in reversed(range(last + 1)):
            for d, r in zip(
                self._at(self.down_again, scale), self._at(self.right_again, scale), strict=True
            ):
                down = d(down, downs.pop(), **given)
                right = r(right, torch.cat([down, rights.pop()], 1), **given)
            if scale:
                down = self.double_down[scale - 1](down)
                right = self.double_right[scale - 1](right)
        return F.elu(right)

    @staticmethod
    def _at(blocks: nn.ModuleList, scale: int) -> nn.ModuleList:
        found = blocks[scale]
        assert isinstance(found, nn.ModuleList)
        return found

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (B, C, H, W) in [-1, 1], rounded to the levels -> (B,).

        With labels it is that of a mixture in which all are equally likely.

        Raises:
            ValueError: The model is of binary pictures and a value is neither -1 nor 1. Rounded,
                grey pictures would get a better figure than binary ones have.
        """
        refuse_grey(x, self.likelihood, "pixelcnn_pp", instead="likelihood=logistic")
        if not self.config.classes:
            return self.score_pixels(x).sum((1, 2))
        return self._mixture(x).logsumexp(1) - math.log(self.config.classes)

    def score_pixels(
        self, x: Tensor, labels: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """log p of each pixel given those before it: (B, C, H, W) and (B,) -> (B, H, W) nats."""
        x = snap(x, self.levels)
        return self.likelihood.log_prob(x, self(x, labels, generator=generator))

    def _mixture(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """log p of the known pixels (B, 1, H, W), or of all, under each label: (B, classes)."""

        def score(labels: Tensor) -> Tensor:
            each = self.score_pixels(x, labels)
            return (each if known is None else each * known[:, 0]).sum((1, 2))

        return under_each_label(score, self.config.classes, len(x), x.device)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Draw ``n`` pictures, of the labels (n,) if given: (n, C, h, w) in [-1, 1]."""
        side = self.config.size
        blank = self.out.weight.new_zeros(n, self.config.channels, side, side)
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
        refuse_gaps(known, "pixelcnn_pp")
        B, _, H, W = x.shape
        noise = torch.rand(B, self.likelihood.noise, H, W, generator=generator).to(x)
        if labels is None:
            seen = torch.where(known, x, 0.0)
            labels = self.choose_labels(x, lambda: self._mixture(seen, known), generator)
        return self.draw(noise, labels, x=x, known=known)

    @torch.no_grad()
    def draw(
        self, noise: Tensor, labels: Tensor | None = None, *,
        x: Tensor | None = None, known: Tensor | None = None, method: Method = "auto",
    ) -> Tensor:  # fmt: skip
        """Draw with given uniform noise (B, N, h, w): the same noise gives the same picture.

        Args:
            noise: (B, N, h, w) in [0, 1), N as the likelihood wants it.
            labels: (B,) for a model with labels.
            x: (B, C, h, w), of which the ``known`` pixels (B, 1, h, w) are kept.
            known: bool; in each picture a number of pixels from the first one on.
            method: See ``models.sampling.methods``; all give the same picture.
        """
        B, _, H, W = noise.shape
        if x is None or known is None:
            x = noise.new_zeros(B, self.config.channels, H, W)
            known = torch.zeros_like(noise[:, :1], dtype=torch.bool)
        condition = self.condition(labels, self.out.weight)

        def told(twin: Model, x: Tensor, rows: Tensor) -> Tensor:
            params: Tensor = twin(x, None if labels is None else labels[rows])
            return params.unsqueeze(1)

        def walk(calls: Calls) -> StridedWalk:
            given = None if condition is None else array(condition)
            return StridedWalk(self, len(noise), given, calls)

        def rows() -> StridedRows:
            return StridedRows(self, len(noise), condition)

        task = Task(self, self.likelihood, self.levels, noise, x, known)
        return draw(task, told, (walk, rows), method=method)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: the exact likelihood."""
        return (Player("pixelcnn_pp", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per value, nats per picture and bits per value; under dropout while training."""
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        labels = None if batch.labels is None else batch.labels.flatten()  # (VB,)
        generator = batch.generator() if self.training else None
        nll = -self.score_pixels(target, labels, generator=generator).sum((1, 2)).mean()
        dims = target[0].numel()
        return {"loss": nll / dims, "nll": nll, "bits_per_dim": nll / (dims * math.log(2))}
