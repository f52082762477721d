"""Rows drawn from guesses: layer by layer against whole convolutions, and when a row is done."""

import pytest
import torch
from torch.nn import functional as F

import models
from models import pixelcnn, pixelcnn_pp
from models.nn.onlookers import seen_by
from models.sampling.graphed import RowDrawing
from models.sampling.row_layers import Buffers, CausalRow, LastRows, OwnRow
from models.sampling.row_stacks import PlainRows
from models.sampling.row_strided import StridedRows

CPU = torch.device("cpu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def rows_of(x):
    """(B, C, H, W) -> the rows (B, W, C) of it."""
    return list(x.permute(2, 0, 3, 1))


def close(found, expected):
    """(B * W, C) and (B, W, C)."""
    torch.testing.assert_close(found.view(expected.shape), expected, rtol=0, atol=1e-13)


# -- layer by layer ------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (2, 3), (3, 5), (4, 7)])
def test_the_last_rows_are_seen_as_by_the_whole_convolution(kernel, stride):
    height, width = kernel
    left = width // 2
    x, weight, bias = normal(3, 4, 6, 8), normal(5, 4, *kernel, seed=1), normal(5, seed=2)
    whole = F.conv2d(F.pad(x, (left, left, height - 1, 0)), weight, bias, stride=(1, stride))
    buffers = Buffers(3, CPU)
    rows = LastRows(weight, buffers, 8, left=left, stride=stride)
    for _ in range(2):  # once more after they were cleared
        for row, expected in zip(rows_of(x), rows_of(whole), strict=True):
            rows.push(row)
            close(rows(bias), expected)
        buffers.clear()


@pytest.mark.parametrize("kernel", [(2, 3), (3, 5), (4, 7)])
def test_a_causal_row_is_that_of_the_whole_convolution_however_often_it_is_guessed(kernel):
    height, width = kernel
    left = width // 2
    x, weight, bias = normal(2, 3, 5, 6), normal(4, 3, *kernel, seed=1), normal(4, seed=2)
    weight[:, :, -1, left + 1 :] = 0
    whole = F.conv2d(F.pad(x, (left, left, height - 1, 0)), weight, bias)
    conv = CausalRow(weight, bias, Buffers(2, CPU), 6, left=left)
    for row, expected in zip(rows_of(x), rows_of(whole), strict=True):
        conv.begin()
        conv.own.own.copy_(normal(2, 6, 3, seed=3))
        conv()
        conv.own.own.copy_(row)
        close(conv(), expected)
        close(conv(), expected)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_row_narrower_than_its_kernel(width):
    x, weight = normal(2, width, 3), normal(4, 3, 4, seed=1)
    row = OwnRow(weight, Buffers(2, CPU), width)
    row.own.copy_(x)
    expected = F.conv1d(F.pad(x.mT, (3, 0)), weight).mT
    close(row(torch.zeros(4, dtype=torch.float64)), expected)


def test_what_is_beside_a_pixel_is_seen_at_the_pixel_alone():
    x, y = normal(2, 6, 3), normal(2, 6, 2, seed=1)
    weight, beside = normal(4, 3, 2, seed=2), normal(4, 2, seed=3)
    row = OwnRow(weight, Buffers(2, CPU), 6, beside=beside)
    row.own.copy_(x)
    row.beside.copy_(y)
    expected = F.conv1d(F.pad(x.mT, (1, 0)), weight).mT + y @ beside.T
    close(row(torch.zeros(4, dtype=torch.float64)), expected)


@pytest.mark.parametrize(
    ("scales", "expected"),
    [(1, [0] * 8), (2, [1, 0] * 4), (3, [2, 0, 1, 0] * 2), (4, [3, 0, 1, 0, 2, 0, 1, 0])],
)
def test_a_row_takes_part_in_the_scales_whose_stride_divides_it(scales, expected):
    config = pixelcnn_pp.Config(size=8, width=2, blocks=1, components=1, scales=scales)
    rows = StridedRows(pixelcnn_pp.Model(config), 1, None)
    assert [rows.phase(i) for i in range(8)] == expected
    assert rows.phases == scales


# -- whole pictures ------------------------------------------------------------------------------


@pytest.fixture
def model():
    """A plain PixelCNN whose values depend much on one another."""
    config = pixelcnn.Config(size=6, levels=8, width=12, layers=2, head=9)
    model = pixelcnn.Model(config).eval()
    for k, parameter in enumerate(model.parameters()):
        inputs = parameter[0].numel() if parameter.ndim > 1 else 4
        torch.nn.init.normal_(parameter, std=2 * inputs**-0.5, generator=seeded(k))
    return model


def drawing(model, *, burst, batch=3):
    c = model.config
    noise = torch.rand(batch, 3, c.size, c.size, generator=seeded(1), dtype=torch.float64)
    x, known = torch.zeros_like(noise), torch.zeros_like(noise[:, :1], dtype=torch.bool)
    walk = PlainRows(model, batch)
    return RowDrawing(
        walk, model.likelihood, noise, x, known, steps=3, graphs=False, burst=burst
    ), noise  # fmt: skip


@torch.no_grad()
def test_a_row_is_done_when_it_stays_as_it_is(model):
    """How often one looks is of the number of passes alone, and a drawing can be run again."""
    plain, noise = drawing(model, burst=1)
    picture = plain.run()
    most = 3 * model.config.size + 1
    assert 1 < max(plain.passes) < most
    assert len(plain.passes) == model.config.size
    torch.testing.assert_close(picture, model.draw(noise, method="naive"), rtol=0, atol=0)
    for burst in (2, 3, 100):
        other, _ = drawing(model, burst=burst)
        for _ in range(2):
            assert torch.equal(other.run(), picture)
        whole = [-(-passes // burst) * burst for passes in plain.passes]
        assert other.passes == [min(passes, most) for passes in whole]


@torch.no_grad()
def test_weights_that_are_no_numbers_end_nevertheless():
    config = pixelcnn_pp.Config(size=4, width=4, blocks=1, components=2, scales=2)
    model = models.create("pixelcnn_pp", config=models.training.config.to_json(config)).eval()
    for parameter in model.parameters():
        parameter.fill_(float("nan"))
    assert model.draw(torch.rand(1, 4, 4, 4), method="rows").isnan().all()


def test_the_picture_is_seen_after_each_row(model):
    seen = []
    noise = torch.rand(2, 3, 6, 6, generator=seeded(1))
    with seen_by(lambda picture: seen.append(picture())):
        drawn = model.draw(noise, method="rows")
    assert len(seen) == 6
    for row, picture in enumerate(seen):
        torch.testing.assert_close(picture[:, :, : row + 1].float(), drawn[:, :, : row + 1])
        assert not picture[:, :, row + 1 :].any()
