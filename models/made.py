"""MADE (Germain et al., 2015): an autoencoder whose masks make it a product of conditionals.

What is special: every hidden unit has a degree, how many pixels of an order it may know, and only
those connections stay that let no pixel see itself or a later one. So one pass gives the exact
log-probability of a picture, in any order. Another mask gives another order and other connections
over the same weights; training over many makes an ensemble of models at the price of one.

    log p_k(x) = sum over d of log p(x_d | the pixels before d in the order of mask k)
    log p(x)   = log 1/K sum over k of p_k(x)

The mean is over the probabilities of whole pictures. A mean of logits, which some programs report,
predicts a pixel from what is its successor in another order, and is no likelihood. The masks are
numbers derived from a seed and a count, so an ensemble is the same wherever it is loaded.

    niteru train made --data binarized_mnist.npz --preset mnist --out weights/made
    niteru train made --data binarized_mnist.npz --preset mnist --set masks=1 --out weights/one

Figures (docs/models.md): 88.74 nats by ``made-wide``, 91.68 by ``made-large``; on the fixed
binarized MNIST two layers of 8,000 are published at 86.64 with 32 masks and at 89.59 with one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.likelihoods import Bernoulli
from models.nn.onlookers import show
from models.nn.precision import at_least_float32
from models.nn.tempered import TemperedDraws
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views


@dataclass(frozen=True, slots=True)
class Config:
    """The architecture and the masks of a MADE.

    Attributes:
        channels: 1: pictures are binary.
        size: Side of the pictures.
        hidden: Units of each hidden layer, one or more layers.
        direct: Connections from the pixels straight to the later ones, past the hidden layers.
        masks: K, how many there are: training takes one of them at every step, and the ensemble
            is all of them. With one, everything is fixed.
        order: ``natural`` is row by row, ``random`` is one random order for all masks;
            ``agnostic`` gives each mask an order of its own.
        connectivity: ``agnostic`` gives each mask hidden degrees of its own; ``fixed`` not.
        fresh: Train on a new mask at every step, of which the ensemble's are then a sample.
        mask_seed: Of all masks.
    """

    channels: Literal[1] = 1
    size: int = 28
    hidden: tuple[int, ...] = (2000, 2000)
    direct: bool = True
    masks: int = 32
    order: Literal["natural", "random", "agnostic"] = "agnostic"
    connectivity: Literal["fixed", "agnostic"] = "agnostic"
    fresh: bool = False
    mask_seed: int = 0

    def __post_init__(self) -> None:
        """Every setting in its range, and masks that differ where there are several."""
        checks = [
            ("size", self.size >= 2, "2 or more: a single pixel has no order"),
            ("hidden", len(self.hidden) > 0 and min(self.hidden) > 0, "a layer or more of units"),
            ("masks", self.masks >= 1, "1 or more"),
            ("mask_seed", 0 <= self.mask_seed < 2**63, "between 0 and 2^63"),
        ]
        for name, fits, expected in checks:
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {expected}.")
        if (self.masks > 1 or self.fresh) and "agnostic" not in (self.order, self.connectivity):
            raise ValueError(
                f"With order={self.order} and connectivity={self.connectivity} all masks are the "
                "same. Set masks=1 and fresh=false, or make the order or the connectivity agnostic."
            )

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: the same, as nothing is encoded."""
        return self.size


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(size=8, hidden=(48, 48), masks=3)
    digits = Recipe(batch_size=100, minutes=60, learning_rate=1e-3, warmup_steps=50, views=plain)
    return {
        "tiny": Preset(tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, views=plain)),
        "mnist": Preset(Config(), digits),
        "gpu": Preset(
            Config(hidden=(8000, 8000)),
            Recipe(batch_size=100, steps=100_000, learning_rate=5e-4, views=plain),
        ),
    }


class Mask(NamedTuple):
    """Which connections there are, said in few numbers.

    Attributes:
        order: (D,) the place of each pixel in the order, 1 to D.
        degrees: (H,) for each hidden layer: the last place that each unit may know, 1 to D - 1.
    """

    order: Tensor
    degrees: tuple[Tensor, ...]


def make_mask(config: Config, number: int) -> Mask:
    """Mask ``number`` of a configuration, the same on every machine and in every version.

    Random bits come from the counter-based generator Philox with the key (seed, number): numpy
    promises never to change what a bit generator gives, as no library does of its permutations.
    """
    D = config.size**2
    own, first = (_random_bits(config, n) for n in (number, 0))
    order = np.arange(D)  # natural: row by row
    if config.order != "natural":
        keys = (own if config.order == "agnostic" else first)[:D]
        order = keys.argsort(kind="stable").argsort()
    rest = (own if config.connectivity == "agnostic" else first)[D:]
    degrees, least = [], 1
    for keys in np.split(rest, np.cumsum(config.hidden)[:-1]):
        # Below the least degree of the layer before, a unit would see nothing.
        degree = least + (keys % np.uint64(D - least)).astype(np.int64)  # least to D - 1
        degrees.append(torch.from_numpy(degree))
        least = int(degree.min())
    return Mask(torch.from_numpy(order + 1), tuple(degrees))


def _random_bits(config: Config, number: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """One uint64 for each pixel, then one for each hidden unit."""
    philox = np.random.Philox(key=np.array([config.mask_seed, number], np.uint64))
    bits = philox.random_raw(config.size**2 + sum(config.hidden))
    assert isinstance(bits, np.ndarray)
    return bits


class Model(TemperedDraws, GenerativeModel):
    """A stack of masked layers from the pixels to the logit of every pixel."""

    orders: Tensor
    degrees: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.hidden[-1]
        self.likelihood = Bernoulli(1)
        D = config.size**2
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((D, *config.hidden, D)))
        self.direct = nn.Linear(D, D, bias=False) if config.direct else None
        for layer in self._stack[:-1]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        # Not saved: the configuration says them, and their making is pinned by a test.
        masks = [make_mask(config, number) for number in range(config.masks)]
        degrees = torch.stack([torch.cat(mask.degrees) for mask in masks])
        self.register_buffer("orders", torch.stack([m.order for m in masks]), persistent=False)
        self.register_buffer("degrees", degrees, persistent=False)  # (K, sum of the layers' units)

    @property
    def _stack(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def mask(self, number: int) -> Mask:
        """One of the masks of the ensemble, 0 to K - 1, or any later one."""
        if number < self.config.masks:
            degrees = torch.split(self.degrees[number], list(self.config.hidden))
            return Mask(self.orders[number], degrees)
        made = make_mask(self.config, number)
        device = self.orders.device
        return Mask(made.order.to(device), tuple(degree.to(device) for degree in made.degrees))

    # -- the network ---------------------------------------------------------------------------

    def logits(self, bits: Tensor, mask: Mask) -> Tensor:
        """The logit of each pixel, given those before it: pixels as 0 or 1, (B, D) -> (B, D)."""
        last = self._hidden(bits, mask)
        place = mask.order.unsqueeze(1)  # (D, 1)
        found = _linear(self._stack[-1], last, place > mask.degrees[-1])
        if self.direct is not None:
            found = found + _linear(self.direct, bits, place > mask.order)
        return at_least_float32(found)

    def embed(self, x: Tensor) -> Tensor:
        """The last hidden layer under mask 0: (B, 1, H, W) -> (B, units).

        Its units belong to no position, so there is nothing to take a mean over; each knows the
        pixels up to its degree. Pixels above 0 count as 1.
        """
        return at_least_float32(self._hidden(self._bits(x), self.mask(0)))

    def _hidden(self, bits: Tensor, mask: Mask) -> Tensor:
        values, known = bits, mask.order
        for layer, degree in zip(self._stack, mask.degrees, strict=False):  # all but the last
            values = torch.relu(_linear(layer, values, degree.unsqueeze(1) >= known))
            known = degree
        return values

    def _bits(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) in [-1, 1] -> (B, D), 1 for pixels above 0."""
        return (x > 0).to(self._stack[0].weight).flatten(1)

    # -- likelihood ----------------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """log p(x) of the ensemble in nats, exact: (B, 1, H, W) of -1 and 1 -> (B,).

        Raises:
            ValueError: A pixel is neither -1 nor 1. Rounded, pictures of grey levels would get a
                better figure than binary ones have.
        """
        joint = [self.score_under(x, number) for number in range(self.config.masks)]
        return torch.logsumexp(torch.stack(joint), 0) - float(np.log(len(joint)))

    def score_under(self, x: Tensor, number: int) -> Tensor:
        """log p_k(x) of one mask, as ``score`` gives it of all: (B, 1, H, W) -> (B,) nats."""
        strange = x[x.abs() != 1]
        if strange.numel():
            raise ValueError(
                f"A MADE scores pictures whose pixels are -1 or 1; {strange.numel():,} of "
                f"{x.numel():,} are not, the first {strange[0].item():.3g}. "
                "Give binary pictures (grey ones have no probability here)."
            )
        bits = self._bits(x)
        return _log_prob(bits, self.logits(bits, self.mask(number))).sum(1)

    # -- drawing -------------------------------------------------------------------------------

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures from the ensemble: (n, 1, h, w) of -1 and 1."""
        noise, pick = self._noise(n, generator)
        return self.draw(noise, _choose(pick.new_zeros(n, self.config.masks), pick))

    @torch.no_grad()
    def draw(self, noise: Tensor, masks: Tensor | None = None) -> Tensor:
        """Draw with given uniform noise: the same noise gives the same pictures.

        Args:
            noise: (B, 1, h, w), one number for each pixel, whenever its turn comes.
            masks: (B,) number of the mask whose order is followed; mask 0 if not given.
        """
        numbers = torch.zeros(len(noise), dtype=torch.int64) if masks is None else masks
        flat = noise.flatten(1)
        bits = torch.zeros_like(flat)
        nothing = torch.zeros(flat.shape[1], dtype=torch.bool)
        for number, rows in _groups(numbers):
            bits[rows], _ = self._walk(self.mask(number), bits[rows], nothing, flat[rows])
            show(lambda: (2 * bits - 1).view_as(noise))
        return (2 * bits - 1).view_as(noise)

    @torch.no_grad()
    def complete(self, x: Tensor, known: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw what is not known of a picture, given what is: (B, 1, H, W) of -1 and 1.

        Exact, as the known pixels are moved to the front of each mask's order, and a mask is chosen
        with the probability that it gives the known pixels, as an ensemble demands.

        Args:
            x: (B, 1, H, W) in [-1, 1]; known pixels above 0 count as 1.
            known: (B, 1, H, W) bool. Any pixels if ``order`` is agnostic, else the first ones.
            generator: Of the draws; the same as ``sample``'s, where nothing is known.

        Raises:
            ValueError: Shapes that do not fit, or known pixels that are not the order's first.
        """
        side = self.config.size
        if x.shape[1:] != (1, side, side) or known.shape != x.shape or known.dtype != torch.bool:
            raise ValueError(
                f"Expected pictures and a bool of what is known, both (B, 1, {side}, {side}); "
                f"found {tuple(x.shape)} and {known.dtype} {tuple(known.shape)}."
            )
        noise, pick = self._noise(len(x), generator)
        flat = noise.flatten(1)
        bits = self._bits(x).where(known.flatten(1), 0.0)
        patterns, which = torch.unique(known.flatten(1), dim=0, return_inverse=True)
        for number, rows in _groups(which):
            pattern = patterns[number]
            masks = [self._known_first(self.mask(k), pattern) for k in range(self.config.masks)]
            weights = self._evidence(masks, bits[rows], pattern)
            for k, some in _groups(_choose(weights, pick[rows])):
                part = rows[some]
                bits[part], _ = self._walk(masks[k], bits[part], pattern, flat[part])
        return (2 * bits - 1).view_as(noise)

    def _noise(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Uniform noise for the pixels (n, 1, h, w) and for the choice of masks (n,)."""
        side, like = self.config.size, self._stack[0].weight
        noise = torch.rand(n, 1, side, side, generator=generator)
        return noise.to(like), torch.rand(n, generator=generator).to(like)

    def _known_first(self, mask: Mask, known: Tensor) -> Mask:
        """The mask with the known pixels (D,) at the front of its order."""
        ranked = mask.order + len(known) * (~known)
        order = ranked.argsort().argsort() + 1
        if self.config.order != "agnostic" and not torch.equal(order, mask.order):
            raise ValueError(
                f"The {int(known.sum())} known pixels are not the first in the {self.config.order} "
                "order of these weights, so the rest cannot be drawn given them. Give the first "
                "pixels (natural: whole rows from the top), or weights with order=agnostic."
            )
        return mask._replace(order=order)

    def _evidence(self, masks: list[Mask], bits: Tensor, known: Tensor) -> Tensor:
        """How probable each mask makes the known pixels: (B, D), (D,) -> (B, K) nats."""
        if not bool(known.any()):
            return bits.new_zeros(len(bits), len(masks))
        found = [_log_prob(bits, self.logits(bits, mask))[:, known].sum(1) for mask in masks]
        return torch.stack(found, 1)

    def _walk(
        self, mask: Mask, bits: Tensor, known: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw pixel after pixel in the order of a mask, all the work of one pass over a picture.

        With units sorted by degree, what a unit sees is the front of the layer below. So each is
        computed once, as soon as the pixels up to its degree are there.

        Bits (B, D), looked at where known (D,), and noise (B, D) -> bits (B, D), and the nats of
        those that were drawn (B,).
        """
        B, D = bits.shape
        sequence = mask.order.argsort()
        units = [sequence, *(degree.argsort(stable=True) for degree in mask.degrees)]
        steps = torch.arange(D + 1, device=bits.device)
        # ends[l][t]: how many units of layer l know no place after t.
        known_up_to = [torch.searchsorted(d.sort().values, steps, right=True) for d in mask.degrees]
        ends = [list(range(D + 1)), *(counts.tolist() for counts in known_up_to)]
        pairs = list(zip(self._stack, pairwise([*units, sequence]), strict=True))
        weights = [layer.weight[upper][:, lower] for layer, (lower, upper) in pairs]
        biases = [layer.bias[upper] for layer, (_, upper) in pairs]
        direct = None if self.direct is None else self.direct.weight[sequence][:, sequence]
        values = [bits.new_zeros(B, len(u)) for u in units]
        log_prob = bits.new_zeros(B)
        for t, pixel in enumerate(sequence.tolist()):
            if known[pixel]:
                values[0][:, t] = bits[:, pixel]
            else:
                seen = ends[-1][t]
                logit = values[-1][:, :seen] @ weights[-1][t, :seen] + biases[-1][t]
                if direct is not None:
                    logit = logit + values[0][:, :t] @ direct[t, :t]
                values[0][:, t] = self.likelihood.draw(logit, noise[:, pixel]) > 0
                log_prob += _log_prob(values[0][:, t], logit)
            for layer in range(1, len(units)):
                new = slice(ends[layer][t], ends[layer][t + 1])
                seen = ends[layer - 1][t + 1]
                values[layer][:, new] = torch.relu(
                    values[layer - 1][:, :seen] @ weights[layer - 1][new, :seen].T
                    + biases[layer - 1][new]
                )
        return values[0][:, mask.order - 1], log_prob

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """One player: minimise nats."""
        return (Player("made", self.parameters, self.loss),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per pixel under one random mask, and per picture; pixels above 0 count as 1."""
        last = 2**31 if self.config.fresh else self.config.masks
        number = int(torch.randint(last, (), generator=batch.generator()))
        bits = self._bits(batch.targets.flatten(0, 1))  # (VB, D)
        nll = -_log_prob(bits, self.logits(bits, self.mask(number))).sum(1).mean()
        return {"loss": nll / bits.shape[1], "nll": nll}


def _linear(layer: nn.Linear, x: Tensor, allowed: Tensor) -> Tensor:
    """A linear layer with the connections (out, in) that are allowed; its weights stay as they are.

    Written into the weights, masks would erase for good what only other masks let through.
    """
    return F.linear(x, layer.weight.where(allowed, 0.0), layer.bias)


def _log_prob(bits: Tensor, logits: Tensor) -> Tensor:
    """Nats of each pixel: two of one shape -> the same shape."""
    return -F.binary_cross_entropy_with_logits(logits, bits.to(logits), reduction="none")


def _choose(weights: Tensor, pick: Tensor) -> Tensor:
    """One of K by inverse transform: log-weights (B, K), uniform numbers (B,) -> (B,) of 0..K-1."""
    cumulated = weights.double().softmax(1).cumsum(1)
    return (pick.unsqueeze(1) >= cumulated).sum(1).clamp(max=weights.shape[1] - 1)


def _groups(numbers: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each number there is, with the rows that have it: (B,) -> pairs of a number and (b,)."""
    for number in torch.unique(numbers).tolist():
        yield number, (numbers == number).nonzero().squeeze(1)
