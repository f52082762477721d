"""What a model that draws pictures from a vector must do, whatever its decoder knows besides.

Given the vector such a decoder is a model of pictures like any other: it has an order, its
probabilities sum to 1, and what it draws is as probable as it says. A model joins with a few tiny
configurations in ``CASES``.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import models
from models.nn.likelihoods import LogisticMixture
from models.training.config import to_json
from models.training.protocols import Batch, LatentVariableModel


def itself(_model: Any, z: Tensor, _generator: torch.Generator) -> Tensor:
    """What pixels are drawn from is the vector."""
    return z


def lower_map(model: Any, up: Tensor, generator: torch.Generator) -> Tensor:
    """What pixels are drawn from is a map, drawn from the vector first."""
    c = model.config
    return model.draw_lower(
        up, torch.randn(len(up), c.lower, c.grid, c.grid, generator=generator).to(up)
    )


@dataclass(frozen=True)
class Case:
    """A model whose pictures can all be listed.

    Attributes:
        name: Of the model.
        kind: What the configuration is about.
        changes: To the configuration of the preset ``tiny``.
        levels: How many different values there are.
        ordered: Whether pixels know the pixels before them.
        given: What ``score`` is given, drawn from latent vectors.
    """

    name: str
    kind: str
    changes: dict[str, Any]
    levels: int = 2
    ordered: bool = False
    given: Callable[[Any, Tensor, torch.Generator], Tensor] = itself

    def build(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = replace(models.find_preset(self.name, "tiny").config, **self.changes)
            model = models.create(self.name, config=to_json(config)).double().eval()
            for parameter in model.parameters():  # no accidental zero can hide a path
                inputs = parameter[0].numel() if parameter.ndim > 1 else 4
                torch.nn.init.normal_(parameter, std=1 / inputs**0.5)
        return model

    def vectors(self, count, seed=1):
        """Latent vectors, (count, D)."""
        c = self.changes
        numbers = c["latent"] * c.get("steps", 1)
        return torch.randn(count, numbers, generator=seeded(seed)).double().tanh()

    def every_picture(self, model):
        c = model.config
        values = torch.linspace(-1, 1, self.levels, dtype=torch.float64).tolist()
        dims = c.channels * c.target_size**2
        listed = torch.tensor(list(itertools.product(values, repeat=dims)), dtype=torch.float64)
        return listed.view(-1, c.channels, c.target_size, c.target_size)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


SMALL = {"size": 8, "target_size": 2, "latent": 2, "widths": (4, 8), "decoder_width": 4}
SMALL_TWO = {"size": 4, "target_size": 2, "latent": 2, "lower": 1, "grid": 2, "width": 4}
BINARY = {"channels": 1, "likelihood": "bernoulli"}
KINDS = (
    ("binary", BINARY, 2),
    ("four levels", {"channels": 1, "levels": 4}, 4),
    ("colour", {"channels": 3, "levels": 2}, 2),
)
CASES = [
    Case(name, kind, base | changes, levels, ordered, given)
    for name, base, ordered, given in (
        ("vae", SMALL, False, itself),
        ("info_vae", SMALL, False, itself),
        ("pixelvae", SMALL, True, itself),
        ("vlae", SMALL, True, itself),
        ("pixelvae2", SMALL_TWO, True, lower_map),
    )
    for kind, changes, levels in KINDS
]
CASES += [
    Case("vae", "binary, uniform prior", SMALL | BINARY | {"prior": "uniform"}),
    Case("pixelvae", "binary, factorised", SMALL | BINARY | {"layers": 0}),
    Case("draw", "attention", {"size": 3, "latent": 1, "steps": 2, "read": 2, "write": 2}),
    Case("draw", "plain", {"size": 3, "latent": 1, "steps": 2, "attention": False}),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.name}: {case.kind}")
def case(request):
    return request.param


@pytest.fixture
def model(case):
    return case.build()


class Recorder:
    """A likelihood that notes what it was told, and how probable each draw was that it made."""

    def __init__(self, likelihood):
        self.likelihood = likelihood
        self.told = []
        self.scores = []

    def __getattr__(self, name):
        return getattr(self.likelihood, name)

    def log_prob(self, x, params):
        self.told.append(params)
        return self.likelihood.log_prob(x, params)

    def draw(self, params, noise):
        drawn = self.likelihood.draw(params, noise)
        self.scores.append(self.likelihood.log_prob(drawn, params).sum((1, 2)))
        return drawn


def recorded(model):
    """The model's likelihood, from now on a recorder."""
    home = model if hasattr(model, "likelihood") else model.decoder
    home.likelihood = Recorder(home.likelihood)
    return home.likelihood


def binary(model):
    home = model if hasattr(model, "likelihood") else model.decoder
    return not isinstance(home.likelihood, LogisticMixture)


def photos(model, count, seed=0):
    """What the encoder sees, and pictures of the model's kind."""
    c = model.config
    g = seeded(seed)
    x = torch.rand(count, c.channels, c.size, c.size, generator=g).double() * 2 - 1
    shape = (count, c.channels, c.target_size, c.target_size)
    bits = torch.randint(2, shape, generator=g).double() * 2 - 1
    return x, bits


def test_every_model_with_a_vector_of_pictures_is_here():
    found = {
        name
        for name in models.available()
        if models.modality(name) == "pixels"
        and isinstance(models.create(name, preset="tiny"), LatentVariableModel)
    }
    assert {case.name for case in CASES} == found


def test_given_the_vector_a_value_depends_on_those_before_it_alone(case, model):
    """By Jacobian: row by row, left to right, the colours of a pixel one after the other."""
    c = model.config
    recorder = recorded(model)
    x = (0.8 * photos(model, 12)[1]).requires_grad_()
    given = case.given(model, case.vectors(12), seeded(2))
    model.score(given, x)
    params = recorder.told[0]
    if c.channels == 3:  # the mean of a colour also knows the colours before it
        shared = params.unsqueeze(1).expand(-1, 3, -1, -1, -1)
        params = torch.cat([recorder.means(x, params), shared], 2).transpose(1, 2)
    else:
        params = params.unsqueeze(2)  # (B, P, C, H, W)
    weight = torch.randn(params.shape[1], generator=seeded(3)).double()
    told = torch.einsum("bpchw,p->chw", params, weight)
    order = torch.arange(told.numel()).view(c.channels, -1).T.flatten()
    rows = []
    for value in told.flatten():
        (slope,) = torch.autograd.grad(value + 0 * x.sum(), x, retain_graph=True)
        rows.append(slope.abs().sum(0).flatten() > 0)
    found = torch.stack(rows)[order][:, order]
    assert not found.triu().any(), "a value sees itself or a later one"
    assert found.any() == (case.ordered or c.channels == 3)


def test_the_probabilities_of_all_pictures_sum_to_one(case, model):
    every = case.every_picture(model)
    with torch.inference_mode():
        for z in case.given(model, case.vectors(2), seeded(2)):
            given = z.expand(len(every), *z.shape)
            scores = model.score(given, every)
            assert scores.shape == (len(every),)
            assert scores.exp().sum().item() == pytest.approx(1, abs=1e-6)
            assert scores.std() > 0.1  # and they are not all the same


def test_what_is_gathered_while_sampling_is_the_score(case, model):
    """A decoder that draws from another distribution than it is measured by fails here."""
    recorder = recorded(model)
    z = case.vectors(5)
    if case.name in ("pixelvae", "pixelvae2"):
        c, g = model.config, seeded(4)
        maps = [(c.lower, c.grid, c.grid)] if case.given is lower_map else []
        normal = [torch.randn(5, *shape, generator=g).double() for shape in maps]
        noise = torch.rand(5, recorder.noise, c.target_size, c.target_size, generator=g).double()
        drawn = model.draw(z, *normal, noise, method="naive")
    else:
        drawn = model.decode(z, generator=seeded(4))
    with torch.inference_mode():
        expected = model.score(case.given(model, z, seeded(4)), drawn)
    torch.testing.assert_close(sum(recorder.scores), expected)


def test_samples_are_as_frequent_as_they_are_probable(case, model):
    """The means of all products of two values, over draws and by listing every picture."""
    if case.given is not itself:
        pytest.skip("draws a map in between: see tests/models/test_pixelvae2.py")
    every, z, n = case.every_picture(model), case.vectors(1), 4_000
    drawn = model.decode(z.expand(n, -1), generator=seeded(6)).double().flatten(1)
    with torch.inference_mode():
        probable = model.score(z.expand(len(every), -1), every).exp()
    listed = every.flatten(1)
    expected = torch.einsum("n,ni,nj->ij", probable, listed, listed)
    found = drawn.T @ drawn / n
    assert (found - expected).abs().max() < 5 / n**0.5  # no product is larger than one
    assert (drawn.mean(0) - probable @ listed).abs().max() < 5 / n**0.5
    assert drawn.std(0).max() > 0.1


def test_one_draw_is_on_average_the_lower_bound(case, model):
    """log p(x, z) - log q(z|x), and the same with the divergence in closed form."""
    x, target = (part[:1].expand(1_500, -1, -1, -1) for part in photos(model, 1))
    with torch.inference_mode():
        one = model.log_prob(x, target, 1, generator=seeded(0))
        elbo = model.elbo(x, target, generator=seeded(1))
    error = math.hypot(one.std().item(), elbo.std().item()) / 1_500**0.5
    assert abs(one.mean().item() - elbo.mean().item()) < 4.5 * error + 1e-9


def test_grey_pictures_have_no_binary_likelihood(case, model):
    """Rounded in silence, they would get a figure that looks better than that of binary ones."""
    x, target = photos(model, 2)
    grey = 0.5 * target
    bounds = (
        lambda: model.elbo(x, grey, generator=seeded(0)),
        lambda: model.log_prob(x, grey, 2, generator=seeded(0)),
    )
    for bound in bounds:
        if binary(model):
            many = f"{grey.numel()} of {grey.numel()}"
            with pytest.raises(ValueError, match=f"{case.name} scores values of -1 and 1; {many}"):
                bound()
        else:
            assert bound().isfinite().all()
    model.train()  # while training they count as what they are nearest to
    assert model.players()[0].loss(Batch(x[None], grey[None], 0))["loss"].isfinite()


def test_no_draws_are_no_bound(case, model):
    x, target = photos(model, 2)
    with pytest.raises(ValueError, match="at least 1 sample; found k = 0"):
        model.log_prob(x, target, 0, generator=seeded(0))
