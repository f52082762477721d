"""Drawing from a likelihood's parameters in float64, one pixel of some pictures after the other.

The same as ``likelihood.draw``, in fewer and cheaper calls; what depends on the noise alone is
computed for all pixels beforehand.
"""

import math
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from models.nn.categorical import Categorical
from models.nn.likelihoods import Bernoulli, LogisticMixture
from models.nn.posterior import LOG_VARIANCES, NormalPlaces
from models.sampling.calls import Array, halves

FEW = 3  # pictures for which plain numbers are sooner done with than arrays

# Parameters (B, P) and what the noise of the pixel became (B, N) -> values (B, C).
Draw = Callable[[Array, Array], Array]


def drawing(likelihood: object, noise: Array) -> tuple[Draw, Array]:
    """How one pixel is drawn, and what is handed over for noise: (..., N) -> the same shape.

    Raises:
        TypeError: There is no such drawing for this likelihood.
    """
    if isinstance(likelihood, Bernoulli):
        # noise < sigmoid(logit / T) where the logit is above T times that of the noise.
        with np.errstate(divide="ignore"):
            return _draw_bernoulli, (np.log(noise) - np.log1p(-noise)) * likelihood.temperature
    if isinstance(likelihood, Categorical):
        return _categorical(likelihood), noise
    if isinstance(likelihood, LogisticMixture):
        prepared = noise.copy()
        u = noise[..., 1:].clip(1e-5, 1 - 1e-5)
        prepared[..., 1:] = np.log(u) - np.log1p(-u)
        return _mixture(likelihood), prepared
    if isinstance(likelihood, NormalPlaces):
        return _draw_normal, noise
    raise TypeError(f"Cached sampling cannot draw from a {type(likelihood).__name__}.")


def _draw_bernoulli(params: Array, noise: Array) -> Array:
    return np.where(noise < params, 1.0, -1.0)


def _draw_normal(params: Array, noise: Array) -> Array:
    location, log_var = halves(params)
    spread = np.exp(0.5 * log_var.clip(*LOG_VARIANCES))
    return (location + spread * noise).astype(np.float32).astype(np.float64)


def _categorical(likelihood: Categorical) -> Draw:
    C, L = likelihood.channels, likelihood.levels
    half = (L - 1) / 2

    def draw(params: Array, noise: Array) -> Array:
        logits = params.reshape(len(params), C, L) / likelihood.temperature
        cumulated = np.exp(logits - logits.max(2, keepdims=True)).cumsum(2)
        level = (noise[..., None] * cumulated[..., -1:] >= cumulated).sum(2)
        drawn: Array = np.minimum(level, L - 1) / half - 1
        return drawn

    return draw


def _mixture(likelihood: LogisticMixture) -> Draw:
    C, K = likelihood.channels, likelihood.components
    half = (likelihood.levels - 1) / 2
    floor, T, wider = likelihood.floor, likelihood.temperature, math.sqrt(likelihood.temperature)
    # Where the numbers of the first component stand; those of the next are one further.
    where = K + K * np.arange(2 * C + (3 if C == 3 else 0))

    def rounded(x: Array) -> Array:
        x = np.minimum(np.maximum(x, -1.0), 1.0)
        x += 1.0
        x *= half
        np.rint(x, out=x)
        x /= half
        x -= 1.0
        return x

    def draw_one(params: list[float], noise: list[float]) -> list[float]:
        top = max(params[:K]) / T
        cumulated, total = [], 0.0
        for logit in params[:K]:
            total += math.exp(logit / T - top)
            cumulated.append(total)
        k = K + bisect_left(cumulated, noise[0] * total, 0, K - 1)  # so many are below it
        values: list[float] = []
        for channel in range(C):
            scale = math.exp(max(params[k + (C + channel) * K], floor)) * wider
            value = params[k + channel * K] + scale * noise[1 + channel]
            for number in range(channel):  # green: 0 by red; blue: 1 by red, 2 by green
                which = 2 * C + (0 if channel == 1 else 1 + number)
                value += math.tanh(params[k + which * K]) * values[number]
            values.append(round((min(max(value, -1.0), 1.0) + 1.0) * half) / half - 1.0)
        return values

    def draw(params: Array, noise: Array) -> Array:
        out: Array
        if len(params) <= FEW:
            each = zip(params.tolist(), noise.tolist(), strict=True)
            return np.array([draw_one(p, u) for p, u in each])
        logits = params[:, :K] / T
        cumulated = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
        chosen = (noise[:, :1] * cumulated[:, -1:] > cumulated).sum(1)
        np.minimum(chosen, K - 1, out=chosen)
        picked = params[np.arange(len(params))[:, None], chosen[:, None] + where]  # (B, 2C + 3)
        value = np.exp(np.maximum(picked[:, C : 2 * C], floor)) * wider
        value *= noise[:, 1:]
        value += picked[:, :C]
        if C == 1:
            out = rounded(value)
            return out
        c = np.tanh(picked[:, 2 * C :])
        out = np.empty_like(value)
        out[:, 0] = rounded(value[:, 0])
        out[:, 1] = rounded(value[:, 1] + c[:, 0] * out[:, 0])
        out[:, 2] = rounded(value[:, 2] + c[:, 1] * out[:, 0] + c[:, 2] * out[:, 1])
        return out

    return draw
