"""What a decoder says of a pixel: a distribution over its grey levels, in nats.

Both likelihoods here score and draw from the same parameters, and both draw by explicit uniform
noise, so that any sampler that uses the same noise gives the same picture.

The temperature T is of draws only: below 1 they keep to what is probable, above 1 they dare more.
Probabilities are drawn from as p^(1/T), a logistic with sqrt(T) of its scale, as p^(1/T) has it for
a normal variable. Scores are always those of T = 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Binary pixels, -1 or 1, one channel; the parameter is the logit of 1."""

    channels: int = 1
    temperature: float = 1.0

    @property
    def parameters(self) -> int:
        """Numbers per pixel that a decoder must give."""
        return self.channels

    @property
    def noise(self) -> int:
        """Uniform numbers per pixel that a draw needs."""
        return self.channels

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """(B, C, H, W) pixels and parameters -> (B, H, W) nats per pixel."""
        return -F.binary_cross_entropy_with_logits(
            params, (x > 0).to(params), reduction="none"
        ).sum(1)

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Parameters and uniform noise, both (B, C, H, W) -> pixels in {-1, 1}."""
        one = noise < torch.sigmoid(params / self.temperature)
        return one.to(params) * 2 - 1  # no scalars to be copied: it may be part of a CUDA graph


@dataclass(frozen=True, slots=True)
class LogisticMixture:
    """Discretized logistic mixture of PixelCNN++ (Salimans et al., 2017) for 1 or 3 channels.

    A pixel is one of ``components`` logistics cut at the grey levels: each level takes the mass
    of its bin, the first and the last take the tails, so the levels' probabilities sum to 1. With
    three channels the mean of green depends linearly on red, and that of blue on red and green.

    Parameters per pixel, in this order: K mixture logits, then for each channel K means and K
    log-scales, then for colour 3 K coefficients.
    """

    channels: int = 3
    components: int = 5
    levels: int = 256
    temperature: float = 1.0

    @property
    def parameters(self) -> int:
        """Numbers per pixel that a decoder must give."""
        coefficients = 3 if self.channels == 3 else 0
        return self.components * (1 + 2 * self.channels + coefficients)

    @property
    def noise(self) -> int:
        """Uniform numbers per pixel that a draw needs: one for the component, one per channel."""
        return 1 + self.channels

    @property
    def floor(self) -> float:
        """The least log-scale: far under one level it gains nothing and its gradient explodes."""
        return math.log(1.0 / self.levels) - 2.0

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [-1, 1] and (B, P, H, W) parameters -> (B, H, W) nats."""
        logits, _, log_scales, _ = self._split(params)
        means = self.means(x, params)
        pixels = x.unsqueeze(2).expand_as(means)  # (B, C, K, H, W)
        per_channel = self._log_bin(pixels, means, log_scales)  # (B, C, K, H, W)
        return torch.logsumexp(per_channel.sum(1) + F.log_softmax(logits, 1), 1)

    def means(self, x: Tensor, params: Tensor) -> Tensor:
        """The components' means of each colour, given those before it.

        (B, C, H, W) pixels and (B, P, H, W) parameters -> (B, C, K, H, W).
        """
        _, means, _, c = self._split(params)
        if self.channels == 1:
            return means
        red, green = x[:, :1], x[:, 1:2]  # (B, 1, H, W)
        blue = means[:, 2] + c[:, 1] * red + c[:, 2] * green
        return torch.stack([means[:, 0], means[:, 1] + c[:, 0] * red, blue], 1)

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """(B, P, H, W) parameters and (B, 1 + C, H, W) uniform noise -> (B, C, H, W) pixels.

        A logistic draw rounded to the nearest level falls into a level's bin with exactly the
        probability that ``log_prob`` gives it.
        """
        logits, means, log_scales, coefficients = self._split(params)
        # Component by inverse transform: one uniform number against the cumulated probabilities.
        cumulated = F.softmax(logits / self.temperature, 1).cumsum(1)
        chosen = (noise[:, :1] > cumulated).sum(1, keepdim=True).clamp(max=self.components - 1)
        pick = chosen.unsqueeze(1)  # (B, 1, 1, H, W)
        mean = means.gather(2, pick.expand(-1, self.channels, -1, -1, -1)).squeeze(2)
        scale = log_scales.gather(2, pick.expand(-1, self.channels, -1, -1, -1)).squeeze(2).exp()
        scale = scale * math.sqrt(self.temperature)
        u = noise[:, 1:].clamp(1e-5, 1 - 1e-5)
        spread = scale * (u.log() - torch.log1p(-u))  # (B, C, H, W)
        if self.channels == 1:
            return self._round(mean + spread)
        c = coefficients.gather(2, pick.expand(-1, 3, -1, -1, -1)).squeeze(2)  # (B, 3, H, W)
        red = self._round(mean[:, 0] + spread[:, 0])
        green = self._round(mean[:, 1] + c[:, 0] * red + spread[:, 1])
        blue = self._round(mean[:, 2] + c[:, 1] * red + c[:, 2] * green + spread[:, 2])
        return torch.stack([red, green, blue], 1)

    def mean(self, params: Tensor) -> Tensor:
        """The mixture's mean picture, without a draw: (B, P, H, W) -> (B, C, H, W)."""
        logits, means, _, c = self._split(params)
        weights = F.softmax(logits, 1)  # (B, K, H, W)
        if self.channels == 1:
            return (weights.unsqueeze(1) * means).sum(2).clamp(-1, 1)
        red = means[:, 0].clamp(-1, 1)
        green = (means[:, 1] + c[:, 0] * red).clamp(-1, 1)
        blue = (means[:, 2] + c[:, 1] * red + c[:, 2] * green).clamp(-1, 1)
        return torch.stack([(weights * channel).sum(1) for channel in (red, green, blue)], 1)

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, K, H, W), means, log-scales (B, C, K, H, W), coefficients (B, 3, K, H, W)."""
        B, _, H, W = params.shape
        C, K = self.channels, self.components
        logits, means, log_scales, rest = torch.split(
            params, [K, C * K, C * K, self.parameters - K - 2 * C * K], 1
        )
        return (
            logits,
            means.view(B, C, K, H, W),
            log_scales.view(B, C, K, H, W).clamp(min=self.floor),
            torch.tanh(rest).view(B, -1, K, H, W),
        )

    def _round(self, x: Tensor) -> Tensor:
        """The nearest of the levels, which lie evenly on [-1, 1]."""
        half = (self.levels - 1) / 2
        return ((x.clamp(-1, 1) + 1) * half).round() / half - 1

    def _log_bin(self, x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """Log of a logistic's mass in the bin around ``x``.

        The mass is sigmoid(upper) - sigmoid(lower). Taken literally it underflows to log 0 far
        from the mean, so it is written with log-sigmoids, which stay exact in the tails:
        log(s(a) - s(b)) = ls(a) + ls(-b) + log(1 - exp(b - a)) for a > b.
        """
        half_bin = 1.0 / (self.levels - 1)
        inverse = torch.exp(-log_scale)
        upper = (x - mean + half_bin) * inverse
        lower = (x - mean - half_bin) * inverse
        width = (2 * half_bin) * inverse  # upper - lower, without cancellation
        inside = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-width))
        first = F.logsigmoid(upper)  # the lowest level takes the whole lower tail
        last = F.logsigmoid(-lower)
        return torch.where(x < -1 + half_bin, first, torch.where(x > 1 - half_bin, last, inside))


Likelihood = Bernoulli | LogisticMixture


def refuse_grey(x: Tensor, likelihood: object, name: str, *, instead: str = "") -> None:
    """Stop before pictures of grey levels are measured as if they were binary.

    Rounded, they would get a better figure than binary pictures have, by ten nats for digits.

    Args:
        x: What is to be measured, any shape.
        likelihood: Of the model; any but ``Bernoulli`` has room for grey levels.
        name: Of the model.
        instead: The setting under which it would have room for them, if there is one.

    Raises:
        ValueError: The likelihood is of binary pixels and a value is neither -1 nor 1.
    """
    if not isinstance(likelihood, Bernoulli):
        return
    grey = int((x.abs() != 1).sum())
    if grey:
        otherwise = f", or train with --set {instead}" if instead else ""
        raise ValueError(
            f"A binary {name} scores values of -1 and 1; {grey:,} of {x.numel():,} are others. "
            f"Give binary pictures{otherwise}."
        )
