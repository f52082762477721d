"""The grid of Gaussian filters against cases by hand and the paper's formula, counted from one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nn.filterbank import Glimpse, filters, place_glimpse, read, write

NARROW = 0.1


def glimpse(row, column, stride, sigma=NARROW, gain=1.0):
    return Glimpse(*(torch.tensor([v], dtype=torch.float64) for v in
                     (row, column, stride, sigma, gain)))  # fmt: skip


def test_a_narrow_grid_reads_the_pixels_it_lies_on():
    """3 x 3 around the middle of 7 x 7 with a stride of 2: rows and columns 1, 3 and 5."""
    picture = torch.arange(49, dtype=torch.float64).view(1, 1, 7, 7)
    seen = read(picture, glimpse(3, 3, 2), 3)
    assert seen[0, 0].tolist() == [[8, 10, 12], [22, 24, 26], [36, 38, 40]]
    shifted = read(picture, glimpse(2, 4, 1, gain=2.0), 3)
    assert shifted[0, 0].tolist() == [[20, 22, 24], [34, 36, 38], [48, 50, 52]]


def test_an_even_grid_lies_about_its_centre():
    """4 filters with a stride of 2 about 3.5: pixels 0.5, 2.5, 4.5, 6.5, each half of two."""
    found = filters(*(torch.tensor([v], dtype=torch.float64) for v in (3.5, 2.0, NARROW)), 8, 4)
    expected = torch.zeros(4, 8, dtype=torch.float64)
    for i in range(4):
        expected[i, 2 * i : 2 * i + 2] = 0.5
    torch.testing.assert_close(found[0], expected)


def test_what_is_written_lands_where_it_is_read():
    patch = torch.arange(1.0, 10.0, dtype=torch.float64).view(1, 1, 3, 3)
    at = glimpse(3, 4, 2, gain=4.0)
    put = write(patch, at, 9)
    assert put[0, 0, 1::2, 2:8:2][:3].tolist() == (patch[0, 0] / 4).tolist()
    assert put.sum().item() == pytest.approx(45 / 4)
    assert torch.equal(read(put, at, 3), patch)


@pytest.mark.parametrize(("side", "grid"), [(28, 5), (28, 12), (9, 2), (8, 3)])
def test_means_are_the_papers_counted_from_one(side, grid):
    numbers = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numbers[:, :2] *= 0.4
    at = place_glimpse(numbers, side, grid)
    found_rows = filters(at.row, at.stride, at.sigma, side, grid)
    found_columns = filters(at.column, at.stride, at.sigma, side, grid)
    for item, (gx, gy, log_var, log_stride, log_gain) in enumerate(numbers.tolist()):
        stride = (side - 1) / (grid - 1) * math.exp(log_stride)
        sigma = math.exp(log_var / 2)
        assert at.gain[item].item() == pytest.approx(math.exp(log_gain))
        for g, found in ((gx, found_columns), (gy, found_rows)):
            centre = (side + 1) / 2 * (g + 1)
            for i in range(1, grid + 1):
                mean = centre + (i - grid / 2 - 0.5) * stride
                raw = [math.exp(-((a - mean) ** 2) / (2 * sigma**2)) for a in range(1, side + 1)]
                if sum(raw) > 1e-200:
                    expected = [value / sum(raw) for value in raw]
                    assert found[item, i - 1].tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("grid", [2, 3, 5])
def test_zeros_cover_the_picture_and_nothing_leans(side, grid):
    """A grid that is off by one reads another thing of a picture and of its mirror image."""
    at = place_glimpse(torch.zeros(1, 5, dtype=torch.float64), side, grid)
    assert at.row.item() == at.column.item() == (side - 1) / 2
    found = filters(at.row, at.stride, at.sigma, side, grid)[0]
    torch.testing.assert_close(found, found.flip(0, 1))
    assert found[0].argmax() == 0
    assert found[-1].argmax() == side - 1
    picture = torch.rand(1, 1, side, side, dtype=torch.float64)
    for axis in (2, 3):
        torch.testing.assert_close(read(picture.flip(axis), at, grid),
                                   read(picture, at, grid).flip(axis))  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    numbers=st.lists(st.floats(-8, 8), min_size=5, max_size=5),
    side=st.integers(2, 30), grid=st.integers(2, 12),
)  # fmt: skip
def test_each_filter_sums_to_one_wherever_it_lies(numbers, side, grid):
    at = place_glimpse(torch.tensor([numbers]), side, grid)
    for centre in (at.row, at.column):
        found = filters(centre, at.stride, at.sigma, side, grid)
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found.sum(2), torch.ones(1, grid))


def test_a_constant_picture_is_read_as_it_is():
    numbers = 0.5 * torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    at = place_glimpse(numbers, 11, 4)._replace(gain=torch.ones(6))
    torch.testing.assert_close(read(torch.full((6, 2, 11, 11), 0.7), at, 4),
                               torch.full((6, 2, 4, 4), 0.7))  # fmt: skip


def test_a_glimpse_has_the_gradient_of_its_place():
    picture = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    numbers = 0.3 * torch.randn(2, 5, generator=torch.Generator().manual_seed(1)).double()

    def both(values):
        at = place_glimpse(values, 6, 3)
        return write(read(picture, at, 3), at, 6)

    assert torch.autograd.gradcheck(both, numbers.requires_grad_())
