"""The same model at another temperature: its weights are shared, what it draws by is not."""

import copy
from dataclasses import replace
from typing import Self, TypeVar

from torch import nn

from models.nn.categorical import Categorical
from models.nn.likelihoods import Bernoulli, LogisticMixture

M = TypeVar("M", bound=nn.Module)
Likelihood = TypeVar("Likelihood", bound=Bernoulli | LogisticMixture | Categorical)


class TemperedDraws(nn.Module):
    """A model that draws its pixels by ``self.likelihood``, and so at any temperature."""

    likelihood: Bernoulli | LogisticMixture | Categorical

    def at_temperature(self, temperature: float) -> Self:
        """The same model, its weights shared, whose draws are of p^(1/T).

        Raises:
            ValueError: The temperature is not positive.
        """
        other = shared_copy(self)
        other.likelihood = tempered(self.likelihood, temperature)
        return other


def tempered(likelihood: Likelihood, temperature: float) -> Likelihood:
    """A likelihood that draws at a temperature.

    Raises:
        ValueError: The temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(
            f"A temperature is a positive number, 1 draws as was learned; found {temperature}."
        )
    return replace(likelihood, temperature=temperature)


def shared_copy(module: M) -> M:
    """A module with the same parameters, whose attributes and parts can be set apart.

    A plain ``copy.copy`` shares the register of parts, so that a part replaced in the copy would
    be replaced in the original too.
    """
    copied = copy.copy(module)
    copied.__dict__["_modules"] = dict(module._modules)  # noqa: SLF001 - torch has no public name
    return copied
