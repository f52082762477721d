"""The autoregressive flow: invertible, its determinant autograd's, its density a density."""

import math

import pytest
import torch

from models.nn.flow import FlowPrior, FlowStep


def build(dims=5, steps=3, scales=True, hidden=16):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = FlowPrior(dims, hidden, steps, scales=scales).double()
        for parameter in flow.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            torch.nn.init.normal_(parameter, std=1.0 / inputs**0.5)
    return flow


def vectors(n=6, dims=5, seed=0):
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("scales", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 2, 4])
def test_the_way_back_is_the_way_there(steps, scales):
    flow = build(steps=steps, scales=scales)
    z = vectors()
    with torch.no_grad():
        noise, _ = flow(z)
        torch.testing.assert_close(flow.inverse(noise), z)
        torch.testing.assert_close(flow(flow.inverse(z))[0], z)
    assert torch.equal(noise, z) == (steps == 0)


@pytest.mark.parametrize("scales", [True, False])
def test_the_determinant_is_that_of_the_jacobian(scales):
    flow = build(scales=scales)
    z = vectors()
    _, told = flow(z)
    for row, log_det in zip(z, told, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0][0], row)
        assert log_det.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-9)
    assert told.abs().max() > 0.1 or not scales
    assert scales or told.abs().max() == 0, "a shift leaves volumes as they are"


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_each_number_is_moved_by_those_before_it_alone(dims):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        step = FlowStep(dims, 24, scales=True).double()
        for parameter in step.parameters():
            torch.nn.init.normal_(parameter)
    for number in (0, 1):
        found = torch.autograd.functional.jacobian(
            lambda z, number=number: step.terms(z)[number].sum(0), vectors(16, dims)
        )
        seen = found.abs().sum(1) > 0  # (outputs, inputs)
        assert torch.equal(seen, torch.ones(dims, dims).tril(-1).bool()), (
            "all of them, and no other"
        )


def test_the_density_is_one_in_all():
    flow = build(dims=2, steps=2)
    line = (torch.arange(500).double() + 0.5) / 500 * 60 - 30
    with torch.no_grad():
        density = flow.log_prob(torch.cartesian_prod(line, line)).exp()
    assert density.sum().item() * (60 / 500) ** 2 == pytest.approx(1, abs=2e-3)


def test_draws_have_the_density():
    """The mean of -log p over draws is the entropy: the normal's, and the mean log stretch."""
    flow = build(dims=3, steps=2)
    with torch.no_grad():
        z = flow.draw(4_000, torch.Generator().manual_seed(0))
        told = -flow.log_prob(z)
        stretch = -flow(z)[1]
    normal = 1.5 * math.log(2 * math.pi * math.e)
    error = (told - stretch).std().item() / 4_000**0.5
    assert (told - stretch).mean().item() == pytest.approx(normal, abs=4 * error)
    assert stretch.abs().mean() > 0.1


def test_it_begins_as_the_plain_normal_prior():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = FlowPrior(4, 16, 3, scales=True).double()
    z = vectors(dims=4)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(flow.log_prob(z), expected)


def test_it_learns_what_a_normal_prior_cannot():
    """The second number is the first's square, nearly: 2 nats of the normal's charge are saved."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = FlowPrior(2, 32, 2, scales=True)
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for step in range(200):
        g = torch.Generator().manual_seed(step)
        first = torch.randn(128, 1, generator=g)
        z = torch.cat([first, first.square() + 0.1 * torch.randn(128, 1, generator=g)], 1)
        nll = -flow.log_prob(z).mean()
        optimiser.zero_grad()
        nll.backward()
        optimiser.step()
    exact = math.log(2 * math.pi * math.e) + math.log(0.1)
    assert exact - 0.2 < nll.item() < exact + 0.5
