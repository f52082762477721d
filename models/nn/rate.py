"""The rate: how many nats the latent vector holds. A setting, measured, and held.

With an autoregressive decoder the rate does not look after itself: left alone the decoder explains
everything and the latent vector is ignored (Bowman et al., 2016; Chen et al., 2017).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rate:
    """How the divergence KL(q(z|x) || p(z)) enters the loss.

    Attributes:
        mode: ``beta`` weighs it (1 is the evidence lower bound, Higgins et al., 2017);
            ``free_bits`` does not charge for the first ``target`` nats (Kingma et al., 2016);
            ``target`` holds it near ``target`` nats by moving the weight: up while the vector
            holds more, down while it holds less (soft free bits, Chen et al., 2017).
        target: Nats of the whole vector.
        weight: Nats of loss per nat of divergence; in the mode ``target`` where it starts.
        warmup: Share of the training over which the charge rises from 0.
    """

    mode: Literal["beta", "free_bits", "target"] = "target"
    target: float = 60.0
    weight: float = 1.0
    warmup: float = 0.0

    def penalty(self, kl: Tensor, weight: Tensor, progress: float | Tensor) -> Tensor:
        """What joins the loss, in nats.

        Args:
            kl: (B,) divergences.
            weight: Scalar, from ``adapt``.
            progress: How much of the training has passed, 0 to 1; a scalar tensor or a number.
        """
        mean = kl.mean()
        if self.mode == "free_bits":
            mean = (mean - self.target).clamp(min=0)
        return weight * mean * self._charge(progress)

    def _charge(self, progress: float | Tensor) -> float | Tensor:
        if self.warmup == 0:
            return 1.0
        share = progress / self.warmup
        return share.clamp(max=1.0) if isinstance(share, Tensor) else min(1.0, share)

    def adapt(self, weight: Tensor, kl: Tensor) -> Tensor:
        """The next step's weight, from this step's weight (scalar) and divergences (B,)."""
        if self.mode != "target":
            return weight
        mean = kl.mean()
        factor = torch.where(
            mean > 1.05 * self.target, 1.02, torch.where(mean < self.target, 1 / 1.02, 1.0)
        )
        return (weight * factor).clamp(1e-3, 1e3)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) in nats: two of (B, D) -> (B,)."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def gaussian_kl_between(
    mean: Tensor, log_var: Tensor, prior_mean: Tensor, prior_log_var: Tensor
) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(prior_mean, exp(prior_log_var))): four of (B, D) -> (B,)."""
    gap = (mean - prior_mean).square() * (-prior_log_var).exp()
    ratio = log_var - prior_log_var
    return 0.5 * (gap + ratio.exp() - 1 - ratio).sum(1)


def gaussian_log_prob(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)) in nats: three of (B, D) -> (B,)."""
    log_two_pi = 1.8378770664093453
    return -0.5 * (log_two_pi + log_var + (z - mean).square() * (-log_var).exp()).sum(1)


def active_units(means: Tensor, threshold: float = 0.01) -> Tensor:
    """How many dimensions carry something: var(mean) > threshold (Burda et al., 2016).

    (B, D) -> scalar count.
    """
    if len(means) < 2:
        return torch.zeros((), device=means.device)
    return (means.var(0) > threshold).sum().float()


COLLAPSED_NATS = 3.0


def is_collapsed(kl: float) -> bool:
    """Whether a latent vector that holds ``kl`` nats holds nothing worth searching by."""
    return kl < COLLAPSED_NATS
