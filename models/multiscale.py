"""Parallel Multiscale autoregressive model (Reed et al., 2017): a picture from a small one, fast.

What is special: the picture doubles, from a small base, and a doubling takes three steps whatever
its size. Of every 2 x 2 pixels the upper left one is known, the smaller picture's; then all upper
right ones are drawn at once, then all lower left ones, then all lower right ones:

    log p(x) = log p(base) + sum over doublings and groups of log p(group | the groups before it)

Pixels of one group are independent given the groups before. That is what the speed costs in
likelihood, and the likelihood is exact all the same. The colours of a pixel follow one another. The
base is drawn pixel by pixel by a small gated PixelCNN, which does not grow with the picture: so the
steps grow with the logarithm of the number of pixels. A given small picture can take the place of
the base or of a doubling (``enlarge``). It is a point sample, every so many pixels one, not an
average.

    niteru train multiscale --data binarized_mnist.npz --preset mnist --out weights/multiscale
    niteru evaluate nll weights/multiscale --data binarized_mnist.npz
    niteru enlarge small.png --weights weights/multiscale

There is no latent vector: the embedding is the mean over the pixels of the last features, of every
scale.

Figures (docs/models.md): 92.90 nats by ``multiscale-large``; published: 3.95 and 3.70 bits per
dimension on ImageNet at 32 and 64 pixels, drawn 102 and 818 times as fast as pixel by pixel.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from models.nn.categorical import Categorical, snap
from models.nn.gated import GatedPixelCNN
from models.nn.groups import GroupNetwork, Head
from models.nn.likelihoods import Bernoulli, refuse_grey
from models.nn.onlookers import show
from models.nn.precision import at_least_float32
from models.nn.tempered import TemperedDraws
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views

OFFSETS = ((0, 1), (1, 0), (1, 1))  # of the groups after the first, (0, 0): row and column


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture of a Parallel Multiscale model.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the pictures: the base's, doubled any number of times.
        base: Side of the smallest picture, which is drawn pixel by pixel.
        likelihood: ``softmax`` over the levels, or ``bernoulli`` for binary pictures.
        levels: 2 to 256 levels that each value may have; pixels are rounded to them.
        width: Channels of every network.
        blocks: Residual blocks of the network of each group.
        base_layers: Gated layers of the base's PixelCNN.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    base: int = 8
    likelihood: Literal["softmax", "bernoulli"] = "softmax"
    levels: int = 256
    width: int = 32
    blocks: int = 3
    base_layers: int = 4

    def __post_init__(self) -> None:
        """Every setting in its range, and a size that doublings of the base reach."""
        doubled = self.base >= 1 and self.size in (self.base << k for k in range(16))
        checks = [
            ("base", self.base >= 1, "1 or more"),
            ("size", doubled, f"base={self.base} doubled any number of times"),
            ("levels", 2 <= self.levels <= 256, "2 to 256"),
            ("width", self.width >= self.channels, "at least one for each channel"),
            ("blocks", self.blocks >= 1, "1 or more"),
            ("base_layers", self.base_layers >= 1, "1 or more"),
        ]
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {expected}.")

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: the same, as nothing is encoded."""
        return self.size

    @property
    def doublings(self) -> int:
        """How often the base is doubled."""
        return (self.size // self.base).bit_length() - 1

    @property
    def enlarges(self) -> tuple[int, ...]:
        """Sides of the small pictures that are made large: the base's, and doublings' below all."""
        return tuple(self.base << k for k in range(self.doublings))


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=8, base=2, levels=8, width=24, blocks=1, base_layers=1)
    mnist = Config(
        channels=1, size=28, base=7, likelihood="bernoulli", width=24, blocks=3, base_layers=4
    )
    # So few channels gain nothing from bfloat16, and so few parameters need no decay.
    small = Recipe(
        batch_size=64, minutes=60, learning_rate=2e-3, weight_decay=0.0, precision="fp32",
        views=plain,
    )  # fmt: skip
    large = Recipe(batch_size=128, steps=200_000, learning_rate=5e-4, weight_decay=0.0, views=plain)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(mnist, small),
        "cifar10": Preset(Config(), small),
        "gpu": Preset(Config(size=64, width=192, blocks=12, base_layers=12), large),
    }


class Group(NamedTuple):
    """Which pixels are drawn at once: every ``step``-th, from a row and a column on."""

    row: int
    column: int
    step: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.row, None, self.step), slice(self.column, None, self.step)

    def of(self, x: Tensor) -> Tensor:
        """(..., H, W) -> (..., H / step, W / step)."""
        rows, columns = self.pixels
        return x[..., rows, columns]

    def put(self, x: Tensor, values: Tensor) -> None:
        """Write what ``of`` reads."""
        rows, columns = self.pixels
        x[..., rows, columns] = values


class Model(TemperedDraws, GenerativeModel):
    """A PixelCNN for the base, three networks for every doubling.

    Attributes:
        likelihood: Of a single value, (N, 1, H, W), given its parameters, (N, K, H, W).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embedding_dim = c.width * (1 + c.doublings)
        binary = c.likelihood == "bernoulli"
        self.levels = 2 if binary else c.levels
        self.likelihood: Bernoulli | Categorical = (
            Bernoulli() if binary else Categorical(1, c.levels)
        )
        K = self.likelihood.parameters
        # What the base's PixelCNN knows of a pixel beforehand: where it is.
        self.place = nn.Parameter(0.1 * torch.randn(1, 8, c.base, c.base))
        self.base = GatedPixelCNN(
            c.channels, c.width, condition=8, width=c.width, layers=c.base_layers, kernel=3
        )
        self.base_head = Head(c.width, c.channels, K)
        self.networks = nn.ModuleList(
            GroupNetwork(1 + i % 3, c.channels, c.width, c.blocks) for i in range(3 * c.doublings)
        )
        self.group_heads = nn.ModuleList(
            Head(c.width, c.channels, K) for _ in range(3 * c.doublings)
        )

    def groups(self) -> list[Group]:
        """All groups in the order of drawing; the first is the base."""
        steps = [2**k for k in reversed(range(self.config.doublings))]
        found = [Group(row * s, column * s, 2 * s) for s in steps for row, column in OFFSETS]
        return [Group(0, 0, 2**self.config.doublings), *found]

    def features(self, x: Tensor, number: int) -> Tensor:
        """What is known of a group's pixels before they are drawn: (B, C, H, W) -> (B, F, h, w).

        Of a picture only the groups before are looked at, and of the base the pixels before.
        """
        groups = self.groups()
        if number == 0:
            small = groups[0].of(x)
            # shape[0] and not len(), which an export takes for a constant.
            told: Tensor = self.base(small, self.place.expand(x.shape[0], -1, -1, -1))
            return told
        step = groups[number].step
        first = number - (number - 1) % 3  # the number of this doubling's second group
        before = [Group(0, 0, step).of(x), *(groups[i].of(x) for i in range(first, number))]
        found: Tensor = self.networks[number - 1](before)
        return found

    def head(self, number: int) -> nn.Module:
        """What makes logits of the features of a group."""
        return self.base_head if number == 0 else self.group_heads[number - 1]

    def forward(self, x: Tensor) -> Tensor:
        """What is said of every value, given those before it: K logits for each.

        (B, C, H, W) in [-1, 1], not rounded to the levels -> (B, C, K, H, W).
        """
        B, C, H, W = x.shape
        params = x.new_empty(
            B, C, self.likelihood.parameters, H, W, dtype=at_least_float32(x).dtype
        )
        for number, group in enumerate(self.groups()):
            told = self.head(number)(self.features(x, number), group.of(x))
            group.put(params, told)
        return params

    def embed(self, x: Tensor) -> Tensor:
        """The mean over the pixels of every scale's last features: (B, C, H, W) -> (B, D)."""
        x = snap(x, self.levels)
        last = range(0, 3 * self.config.doublings + 1, 3)
        means = [torch.relu(self.features(x, number)).mean((2, 3)) for number in last]
        return at_least_float32(torch.cat(means, 1))

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (B, C, H, W) in [-1, 1] -> (B,).

        A softmax model rounds the picture to its levels.

        Raises:
            ValueError: The model is of binary pictures and a value is neither -1 nor 1. Rounded,
                grey pictures would get a better figure than binary ones have.
        """
        refuse_grey(x, self.likelihood, "multiscale model", instead="likelihood=softmax")
        return self.score_values(x).sum((1, 2, 3))

    def score_values(self, x: Tensor) -> Tensor:
        """log p of each value given those before it: (B, C, H, W) -> the same shape, nats."""
        x = snap(x, self.levels)
        params = self(x).flatten(0, 1)  # (BC, K, H, W)
        each = self.likelihood.log_prob(x.flatten(0, 1).unsqueeze(1), params)  # (BC, H, W)
        return each.reshape(x.shape)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures: (n, C, h, w) in [-1, 1]."""
        return self.draw(self._noise(n, generator))

    def enlarge(self, small: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw large pictures of small ones: (B, C, s, s) in [-1, 1] -> (B, C, h, w).

        The small picture's pixels are the upper left of what they become and stay as they are,
        rounded to the levels.

        Raises:
            ValueError: The small side is none of ``Config.enlarges``.
        """
        c = self.config
        if small.shape[1:] not in [(c.channels, side, side) for side in c.enlarges]:
            sides = " or ".join(map(str, c.enlarges)) or "no number of"
            raise ValueError(
                f"This multiscale model enlarges square pictures of {c.channels} channels and "
                f"{sides} pixels; found {tuple(small.shape[1:])}. Take every so many pixels of a "
                "larger picture, from the first on, and no averages."
            )
        corners = Group(0, 0, c.size // small.shape[2])
        x = small.new_zeros(len(small), c.channels, c.size, c.size)
        corners.put(x, small)
        known = torch.zeros(len(small), 1, c.size, c.size, dtype=torch.bool, device=x.device)
        corners.put(known, torch.ones_like(small[:, :1], dtype=torch.bool))
        return self.complete(x, known, generator=generator)

    def complete(self, x: Tensor, known: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw the rest of pictures of which a smaller picture is known, and perhaps more.

        Args:
            x: (B, C, h, w) in [-1, 1]; what is not known is not looked at, the rest is rounded.
            known: (B, 1, h, w) bool. If a pixel is known, so are all pixels of the groups before
                its own, and of the base all pixels row by row before it.
            generator: Of the draws.

        Raises:
            ValueError: An unknown pixel stands before a known one in the order of drawing.
        """
        base, *groups = (group.of(known).flatten(1) for group in self.groups())
        wanted = [base.cumprod(1).bool(), *groups]
        whole = base.all(1, keepdim=True)
        for number, group in enumerate(groups, start=1):
            wanted[number] = group & whole
            whole = whole & group.all(1, keepdim=True)
        if not all(torch.equal(a, b) for a, b in zip(wanted, (base, *groups), strict=True)):
            steps = [self.config.size // side for side in self.config.enlarges]
            squares = [f"{step} x {step}" for step in steps]
            raise ValueError(
                "A multiscale model completes a picture of which a smaller one is known: one pixel "
                f"of every {' or '.join(map(str, squares)) or '1 x 1'}, from the first on. Between "
                "them all pixels of a group must be known before one of the next is. Found an "
                "unknown pixel before a known one. A small picture by itself is enlarged (niteru "
                "enlarge); rows from the top are completed by pixelcnn."
            )
        return self.draw(self._noise(len(x), generator), x, known)

    @torch.no_grad()
    def draw(self, noise: Tensor, x: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Draw group by group with given uniform noise, all (B, C, h, w).

        The same noise gives the same picture.
        """
        if x is None or known is None:
            x, known = noise, torch.zeros_like(noise[:, :1], dtype=torch.bool)
        x = torch.where(known, snap(x, self.levels), 0.0)
        for number, group in enumerate(self.groups()):
            if bool(group.of(known).all()):
                continue
            if number == 0:
                group.put(x, self._draw_base(group.of(x), group.of(known), group.of(noise)))
                show(x.clone)
                continue
            features, own = self.features(x, number), group.of(x).clone()
            free = ~group.of(known)[:, 0]  # (B, h, w)
            for colour in range(self.config.channels):
                params = self.head(number)(features, own)[:, colour]  # (B, K, h, w)
                drawn = self.likelihood.draw(params, group.of(noise)[:, colour, None])
                own[:, colour] = torch.where(free, drawn[:, 0], own[:, colour])
            group.put(x, own)
            show(x.clone)
        return x

    def _draw_base(self, x: Tensor, known: Tensor, noise: Tensor) -> Tensor:
        """The base pixel by pixel: (B, C, b, b), (B, 1, b, b) and (B, C, b, b) -> (B, C, b, b)."""
        x = x.clone()
        place = self.place.expand(x.shape[0], -1, -1, -1)
        for i in range(self.config.base):
            for j in range(self.config.base):
                here = (..., slice(i, i + 1), slice(j, j + 1))
                if bool(known[here].all()):
                    continue
                features = self.base(x[:, :, : i + 1], place[:, :, : i + 1])[here]
                for colour in range(self.config.channels):
                    params = self.base_head(features, x[here])[:, colour]  # (B, K, 1, 1)
                    drawn = self.likelihood.draw(params, noise[here][:, colour, None])
                    kept = torch.where(known[here], x[here][:, colour, None], drawn)
                    x[:, colour, i, j] = kept[:, 0, 0, 0]
        return x

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        c = self.config
        return torch.rand(n, c.channels, c.size, c.size, generator=generator).to(self.place)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: the exact likelihood."""
        return (Player("multiscale", self.parameters, self.loss, repeats=True),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per value, nats per picture and bits per value."""
        target = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        nll = -self.score_values(target).sum((1, 2, 3)).mean()
        dims = target[0].numel()
        return {"loss": nll / dims, "nll": nll, "bits_per_dim": nll / (dims * math.log(2))}
