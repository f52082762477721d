"""The parts of cached sampling: rows, pixels, steps and draws against torch's own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.nn.categorical import Categorical
from models.nn.likelihoods import Bernoulli, LogisticMixture
from models.nn.posterior import NormalPlaces
from models.sampling.calls import NumpyCalls, concat_elu, features
from models.sampling.draws import drawing
from models.sampling.rows import Dense, PixelConv, RowConv


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def rows_of(x):
    """(B, C, H, W) tensor -> the rows (B, W, C) of it."""
    return list(x.permute(2, 0, 3, 1).numpy())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 5)])
def test_rows_one_by_one_are_the_whole_convolution(kernel, stride, batch):
    height, width = kernel
    left, right = width // 2, (width - 1) // 2 if width % 2 else 0
    left = width - 1 - right
    x = torch.from_numpy(normal(batch, 4, 6, 8))
    weight, bias = torch.from_numpy(normal(5, 4, *kernel, seed=1)), torch.from_numpy(normal(5))
    whole = F.conv2d(F.pad(x, (left, right, height - 1, 0)), weight, bias, stride=(1, stride))
    conv = RowConv(
        weight.numpy(), bias.numpy(), np.zeros((batch, left + 8 + right, 4)), left=left,
        stride=stride,
    )  # fmt: skip
    for row, expected in zip(rows_of(x), rows_of(whole), strict=True):
        conv.input[:] = row
        np.testing.assert_allclose(conv(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kernel", [(1, 2), (2, 2), (2, 3), (3, 5), (4, 7)])
def test_pixels_one_by_one_are_the_whole_convolution(kernel, batch):
    """A kernel that reaches to the pixel, what lies above it taken for whole rows."""
    height, width = kernel
    right = width // 2 if width % 2 else 0
    left = width - 1 - right
    x = torch.from_numpy(normal(batch, 4, 5, 6))
    weight, bias = torch.from_numpy(normal(5, 4, *kernel, seed=1)), torch.from_numpy(normal(5))
    weight[:, :, -1, left + 1 :] = 0
    whole = F.conv2d(F.pad(x, (left, right, height - 1, 0)), weight, bias)
    conv = PixelConv(weight[:, :, -1, : left + 1].numpy(), batch, 6, NumpyCalls(), right=right)
    conv.row[:] = np.nan  # nobody may look at what is not there yet
    above = conv.above(weight[:, :, :-1].numpy(), bias.numpy()) if height > 1 else None
    conv.base[:] = bias.numpy()
    for row, expected in zip(rows_of(x), rows_of(whole), strict=True):
        for j in range(6):
            conv.row[:, j] = row[:, j]
            np.testing.assert_allclose(conv.at(j), expected[:, j], rtol=0, atol=1e-13)
        if above is not None:
            conv.base[:] = above()
        conv.row[:] = np.nan


@pytest.mark.parametrize("batch", [1, 3])
def test_a_pixel_with_something_beside_it(batch):
    """As two convolutions, of which one sees the pixel alone."""
    x, y = normal(batch, 6, 4), normal(batch, 6, 3, seed=1)
    own, beside = normal(5, 4, 2, seed=2), normal(5, 3, seed=3)
    conv = PixelConv(own, batch, 6, NumpyCalls(), beside=beside)
    padded = np.concatenate([np.zeros((batch, 1, 4)), x], 1)
    for j in range(6):
        conv.row[:, j], conv.beside[:, j] = x[:, j], y[:, j]
        expected = (
            padded[:, j] @ own[:, :, 0].T + padded[:, j + 1] @ own[:, :, 1].T + y[:, j] @ beside.T
        )
        np.testing.assert_allclose(conv.at(j), expected, atol=1e-13)


def test_steps_see_what_is_known_in_them_and_no_more():
    own = normal(4, 3, 2)
    weight, bias = normal(4, 3, seed=1), normal(4, seed=2)
    steps = [(1, np.array([0, 2])), (3, np.array([1, 3]))]
    conv = PixelConv(own, 2, 5, NumpyCalls(), steps=steps)
    dense = Dense(weight, bias, 2, NumpyCalls(), steps)
    row = normal(2, 5, 3, seed=3)
    for j in range(5):
        conv.row[:, j] = row[:, j]
        conv.row[:, j, 1:] = np.nan
        left = row[:, j - 1] @ own[:, :, 0].T if j else 0
        dense.features[:, 1:] = np.nan
        dense.cells[0][:] = row[:, j, :1]
        first = (left + row[:, j, :1] @ own[:, :1, 1].T)[:, [0, 2]]
        np.testing.assert_allclose(conv.at(j, 0), first, atol=1e-13)
        np.testing.assert_allclose(
            dense.at(0), (row[:, j, :1] @ weight[:, :1].T + bias)[:, [0, 2]], atol=1e-13
        )
        conv.row[:, j] = row[:, j]
        dense.cells[1][:] = row[:, j, 1:]
        second = (left + row[:, j] @ own[:, :, 1].T)[:, [1, 3]]
        np.testing.assert_allclose(conv.at(j, 1), second, atol=1e-13)
        np.testing.assert_allclose(
            dense.at(1), (row[:, j] @ weight.T + bias)[:, [1, 3]], atol=1e-13
        )


def test_concatenated_elu_is_torchs():
    x = torch.from_numpy(4 * normal(3, 6))
    out = np.empty((3, 12))
    concat_elu(x.numpy(), features(out))
    expected = F.elu(torch.cat([x, -x], 1)).numpy()
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "likelihood",
    [Bernoulli(), Categorical(1, 2), Categorical(1, 256), Categorical(3, 5), LogisticMixture(1, 3),
     LogisticMixture(3, 5), LogisticMixture(3, 1, 4), NormalPlaces(3)],
    ids=str,
)  # fmt: skip
def test_a_draw_is_the_likelihoods_own(likelihood):
    """Of many parameters at once, the ends of the noise among them."""
    n = 3_000
    params = torch.randn(
        n, likelihood.parameters, 1, 1, generator=seeded(1), dtype=torch.float64
    ) * torch.linspace(0.1, 4, n).view(-1, 1, 1, 1)
    noise = torch.rand(n, likelihood.noise, 1, 1, generator=seeded(2)).double()
    noise[:3], noise[3:6] = 0.0, 1 - 2.0**-24
    draw, prepared = drawing(likelihood, noise[..., 0, 0].numpy())
    found = draw(params[..., 0, 0].numpy(), prepared)
    assert np.array_equal(found, likelihood.draw(params, noise)[..., 0, 0].numpy())
    for first in range(0, 900, 3):  # few at once are drawn in another way
        few = slice(first, first + 3)
        assert np.array_equal(draw(params[few, :, 0, 0].numpy(), prepared[few]), found[few])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match="cannot draw from a str"):
        drawing("uniform", np.zeros(3))
