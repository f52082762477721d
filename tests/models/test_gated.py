"""The decoder sees what comes before a pixel, all of it within its reach, and nothing else."""

import pytest
import torch

from models.nn.gated import GatedPixelCNN, gate, shift_down, shift_right


def make(channels=1, layers=2, kernel=3, parameters=2):
    torch.manual_seed(0)
    net = GatedPixelCNN(
        channels, parameters, condition=3, width=4, layers=layers, kernel=kernel
    ).double()
    for parameter in net.parameters():  # no accidental zero can hide a path
        torch.nn.init.normal_(parameter, std=0.5)
    return net


def seen_by(net, channels, side, i, j):
    """Which input pixels the parameters of pixel (i, j) depend on: (H, W) bool."""
    g = torch.Generator().manual_seed(1)
    # Sixteen pictures: a rectified unit that is off for one is on for another.
    x = torch.randn(16, channels, side, side, generator=g, dtype=torch.float64, requires_grad=True)
    condition = torch.randn(16, 3, side, side, generator=g, dtype=torch.float64)
    (net(x, condition)[:, :, i, j].sum() + 0 * x.sum()).backward()
    return x.grad.abs().sum((0, 1)) > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("layers", "kernel"), [(0, 3), (1, 3), (2, 3), (1, 5), (2, 5)])
def test_the_field_is_exactly_the_declared_one(channels, layers, kernel):
    net, side = make(channels, layers, kernel), 9
    reach = 1 + layers * (kernel // 2) if layers else 0
    for i in range(side):
        for j in range(side):
            expected = torch.zeros(side, side, dtype=torch.bool)
            rows = slice(max(0, i - reach), i)
            expected[rows, max(0, j - reach) : j + reach + 1] = True  # above: no blind spot
            expected[i, max(0, j - reach) : j] = True  # left, never the pixel itself
            assert torch.equal(seen_by(net, channels, side, i, j), expected), (i, j)
    assert net.rows == reach


def test_the_condition_reaches_every_layer():
    net = make(layers=3)
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    condition = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    net(x, condition).sum().backward()
    for layer in net.layers:
        layer.condition.weight.grad = None
    condition = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    net(x, condition).sum().backward()
    # The last layer's vertical half leads nowhere; its horizontal half and all others do.
    for layer in net.layers:
        half = layer.condition.weight.grad.shape[0] // 2
        assert layer.condition.weight.grad[half:].abs().sum() > 0


def test_shifts_by_hand():
    x = torch.arange(1.0, 5).view(1, 1, 2, 2)
    assert shift_down(x).flatten().tolist() == [0, 0, 1, 2]
    assert shift_right(x).flatten().tolist() == [0, 1, 0, 3]


def test_gate_by_hand():
    x = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert gate(x).item() == pytest.approx(torch.tanh(torch.tensor(2.0)).item() * 0.5)
