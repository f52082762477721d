"""The step-by-step LSTM is torch's, runs as it steps, and its dropout forgets only what is new."""

import pytest
import torch

from models.nn.recurrent import Recurrent

CELLS = ["lstm", "layer_norm", "hyper"]


def network(cell, inputs=3, hidden=8):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recurrent(inputs, hidden, cell).double()


def rows(B=4, T=6, inputs=3):
    return torch.randn(B, T, inputs, generator=torch.Generator().manual_seed(1)).double()


def test_the_plain_cell_is_that_of_torch():
    ours, x = network("lstm"), rows()
    theirs = torch.nn.LSTM(3, 8, batch_first=True).double()
    # Ours has input, forget, output, new; torch has input, forget, new, output.
    order = torch.cat([torch.arange(0, 16), torch.arange(24, 32), torch.arange(16, 24)])
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.enter.weight[order])
        theirs.weight_hh_l0.copy_(ours.back.weight[order])
        theirs.bias_ih_l0.zero_()
        theirs.bias_hh_l0.zero_()
        theirs.bias_ih_l0[8:16] = 1  # the forget gate's head start
    outputs, (last, memory) = theirs(x)
    found, state = ours(x, ours.begin(4))
    torch.testing.assert_close(found, outputs)
    torch.testing.assert_close(state[0], last[0])
    torch.testing.assert_close(state[1], memory[0])


@pytest.mark.parametrize("cell", CELLS)
def test_running_is_stepping(cell):
    net, x = network(cell), rows()
    outputs, last = net(x, net.begin(4))
    assert outputs.shape == (4, 6, 8)
    state = net.begin(4)
    assert [part.shape[1] for part in state] == list(net.state_sizes)
    for t in range(6):
        state = net.step(net.prepare(x[:, t]), state)
        torch.testing.assert_close(state[0], outputs[:, t])
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_does_not_know_the_rows_after_it(cell):
    net, x = network(cell), rows().requires_grad_()
    outputs, _ = net(x, net.begin(4))
    outputs[:, 3].sum().backward()
    assert (x.grad[:, :4] != 0).any(2).all()
    assert (x.grad[:, 4:] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_is_used(cell):
    net, x = network(cell), rows()
    net(x, net.begin(4))[0].square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        if "scaling" not in name:  # there, some begin behind a product with zero
            assert (parameter.grad != 0).any(), name


def test_a_hyper_cell_begins_as_a_normalised_one():
    hyper, plain = network("hyper"), network("layer_norm")
    with torch.no_grad():
        for part in ("enter", "back"):
            getattr(plain, part).weight.copy_(getattr(hyper, part).weight)
    x = rows()
    torch.testing.assert_close(hyper(x, hyper.begin(4))[0], plain(x, plain.begin(4))[0])


def test_layer_normalisation_ignores_the_scale_of_the_inputs():
    net, x = network("layer_norm"), rows()
    with torch.no_grad():
        net.back.weight.zero_()
    one, other = (net(factor * x, net.begin(4))[0] for factor in (100, 10_000))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_dropout_drops_what_is_new_and_keeps_the_memory():
    net, x = network("lstm"), rows()
    state = tuple(torch.ones(4, 8).double() for _ in range(2))
    nothing = torch.zeros(4, 6, 8).double()
    _, (_, memory) = net(x, state, nothing)
    assert (memory > 0).all()
    assert (memory < 1).all()
    mask = net.dropout(100, 50, 0.25, torch.Generator().manual_seed(0))
    assert set(mask.unique().tolist()) == {0.0, 1 / 0.75}
    assert mask.mean().item() == pytest.approx(1, abs=0.02)
    assert net.dropout(1, 1, 0.0, torch.Generator()) is None
