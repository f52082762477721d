"""What is a PixelCNN++'s own: its field through strides and shortcuts, dropout, labels, colours."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.nn.shifted import DOWN, DOWN_RIGHT, Doubling, GatedBlock, ShiftedConv2d, concat_elu
from models.pixelcnn_pp import Config, Model, presets
from models.training.protocols import Batch

SMALL = Config(channels=1, size=8, likelihood="bernoulli", width=5, scales=2, blocks=1,
               dropout=0.5)  # fmt: skip
LABELLED = replace(SMALL, size=2, classes=3)
COLOUR = replace(SMALL, channels=3, likelihood="logistic", levels=256, components=2, size=4)


def make(config, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Model(config).double().eval()
        for parameter in model.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            torch.nn.init.normal_(parameter, std=1.2 / inputs**0.5)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- the field -----------------------------------------------------------------------------------


def through(seen, taps, stride=1):
    """What a convolution sees, as ``seen`` (h, w, D) says what its input does; taps (di, dj)."""
    h, w, _ = seen.shape
    out = np.zeros((h // stride, w // stride, seen.shape[2]), bool)
    for i, j in np.ndindex(*out.shape[:2]):
        for di, dj in taps:
            a, b = stride * i + di, stride * j + dj
            if 0 <= a < h and 0 <= b < w:
                out[i, j] |= seen[a, b]
    return out


def doubled(seen, *, right):
    """What a map of twice the side sees; ``right``: an odd column sees the next one as well."""
    out = seen.repeat(2, 0).repeat(2, 1)
    if right:
        out[:, 1:-1:2] |= out[:, 2::2]
    return out


def fields(config):
    """What each pixel sees, by adding up what each layer sees: (side, side, side, side) bool."""
    side, n = config.size, config.blocks
    wide = [(di, dj) for di in (-1, 0) for dj in (-1, 0, 1)]
    narrow = [(di, dj) for di in (-1, 0) for dj in (-1, 0)]
    down = through(np.eye(side**2, dtype=bool).reshape(side, side, -1),
                   [(di - 1, dj) for di, dj in wide])  # fmt: skip
    pixel = np.eye(side**2, dtype=bool).reshape(side, side, -1)
    right = through(pixel, [(-1, -1), (-1, 0), (-1, 1), (0, -1), (-1, -1)])

    def block(down, right, shortcut_down, shortcut_right):
        down = through(through(down, wide) | shortcut_down, wide) | down
        both = down | shortcut_right
        return down, through(through(right, narrow) | both, narrow) | right

    nothing = np.zeros_like
    kept = [(down, right)]
    for scale in range(config.scales):
        for _ in range(n):
            down, right = block(down, right, nothing(down), nothing(right))
            kept.append((down, right))
        if scale < config.scales - 1:
            down, right = through(down, wide, 2), through(right, narrow, 2)
            kept.append((down, right))
    down, right = kept.pop()
    for scale in reversed(range(config.scales)):
        for _ in range(n if scale == config.scales - 1 else n + 1):
            down, right = block(down, right, *kept.pop())
        if scale:
            down, right = doubled(down, right=True), doubled(right, right=False)
    return right.reshape(side, side, side, side)


@pytest.mark.parametrize(("scales", "blocks"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_the_field_is_exactly_that_of_its_layers(scales, blocks):
    """Every derivative of every pixel, through strides and shortcuts, in float64."""
    config = replace(SMALL, scales=scales, blocks=blocks)
    model, side = make(config), config.size
    x = torch.randn(8, 1, side, side, generator=seeded(1), dtype=torch.float64).requires_grad_()
    out = model(x)
    expected = fields(config)
    for i, j in np.ndindex(side, side):
        (slope,) = torch.autograd.grad(out[..., i, j].sum(), x, retain_graph=True)
        seen = (slope.abs().sum((0, 1)) > 0).numpy()
        assert np.array_equal(seen, expected[i, j]), (i, j)
        assert not seen.ravel()[i * side + j :].any(), "it sees itself or a later pixel"


@pytest.mark.parametrize(("scales", "blocks"), [(1, 1), (1, 2), (2, 1), (3, 1)])
def test_the_declared_bounds_are_tight(scales, blocks):
    config = replace(SMALL, scales=scales, blocks=blocks, size=32)
    seen, whole = fields(config), 0
    for i, j in np.ndindex(32, 32):
        top, left, right = config.field(i, j)
        rows, columns = seen[i, j].nonzero()
        if not len(rows):
            continue
        for found, bound in (
            (rows.min(), top), (columns.min(), left), (31 - columns.max(), 31 - right)
        ):  # fmt: skip
            assert found >= bound, (i, j)
            if top >= 0 and bound >= 0:  # not cut off by the picture's edge
                assert found == bound, (i, j)
                whole += 1
    assert whole or scales == 3  # whose field is larger than the picture


def test_there_is_no_blind_spot_next_to_a_pixel():
    seen = fields(replace(SMALL, size=16, blocks=2))
    for i, j in np.ndindex(16, 16):
        near = seen[i, j, max(0, i - 4) : i, max(0, j - 4) : j + 5]
        assert near.all(), (i, j)
        assert seen[i, j, i, max(0, j - 4) : j].all(), (i, j)


# -- layers --------------------------------------------------------------------------------------


def test_a_halving_by_hand():
    layer = ShiftedConv2d(1, 1, DOWN_RIGHT, 2)
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    x = torch.arange(1.0, 17).view(1, 1, 4, 4)
    # (0, 0) sees itself; (0, 1) columns 1 and 2; (1, 0) rows 1 and 2; (1, 1) a square.
    assert layer(x).flatten().tolist() == [1, 2 + 3, 5 + 9, 6 + 7 + 10 + 11]


@pytest.mark.parametrize("kernel", [DOWN, DOWN_RIGHT])
def test_a_doubling_by_hand(kernel):
    layer = Doubling(1, kernel)
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    x = torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).view(1, 1, 2, 2)
    row = [[1, 11, 10, 10], [100, 1100, 1000, 1000]]
    if kernel == DOWN_RIGHT:
        row = [[1, 1, 10, 10], [100, 100, 1000, 1000]]
    assert layer(x)[0, 0].tolist() == [row[0], row[0], row[1], row[1]]


def test_concatenated_elu_by_hand():
    x = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)
    down = math.exp(-1) - 1
    assert concat_elu(x).flatten().tolist() == pytest.approx([2, down, math.exp(-2) - 1, 1])


def test_a_block_that_adds_nothing_changes_nothing():
    block = GatedBlock(4, DOWN, beside=4, dropout=0.0, classes=0)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 4, 4)
    assert torch.equal(block(x, x), x)


def test_a_shortcut_brings_back_what_a_stride_lost():
    """Two pictures that differ where the coarse map hardly looks are told apart beside it."""
    model = make(replace(SMALL, size=4))
    for name, parameter in model.named_parameters():
        if name.startswith("double"):
            torch.nn.init.zeros_(parameter)  # nothing comes up from the coarse scale
    x = torch.randn(2, 1, 4, 4, generator=seeded(2)).double()
    assert (model(x)[0] - model(x)[1]).abs().max() > 1e-3


# -- likelihood ----------------------------------------------------------------------------------


def test_every_colour_sums_to_one_over_its_256_values():
    """Given the colours before; with means far out, where the edges take nearly all."""
    model = make(COLOUR)
    x = torch.rand(1, 3, 4, 4, generator=seeded(1)).double() * 2 - 1
    params = model(x) * 3
    values = torch.linspace(-1, 1, 256, dtype=torch.float64)
    logits, _, log_scales, _ = model.likelihood._split(params)
    means = model.likelihood.means(x, params)
    total = sum(
        (
            F.softmax(logits, 1).unsqueeze(1)
            * model.likelihood._log_bin(v.expand_as(means), means, log_scales).exp()
        ).sum(2)
        for v in values
    )
    torch.testing.assert_close(total, torch.ones_like(total))


def test_the_joint_of_colours_is_not_their_product():
    model = make(COLOUR)
    params = model(torch.zeros(1, 3, 4, 4).double())
    red = torch.zeros(1, 3, 4, 4).double()
    red[:, 0] = 0.8
    before, after = (model.likelihood.means(x, params) for x in (torch.zeros_like(red), red))
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 1:] != after[:, 1:]).all()


def test_grey_pictures_have_no_binary_likelihood():
    with pytest.raises(ValueError, match="scores values of -1 and 1; 64 of 64 are"):
        make(SMALL).score(torch.full((1, 1, 8, 8), 0.5).double())


# -- dropout -------------------------------------------------------------------------------------


def batch_of(x, seed=0):
    return Batch(x[None], x[None], step_seed=seed)


def test_features_are_left_out_while_training_alone_and_by_the_steps_own_seed():
    model = make(SMALL)
    x = torch.sign(torch.randn(3, 1, 8, 8, generator=seeded(1)).double())
    still = model.loss(batch_of(x))["nll"]
    assert still.item() == pytest.approx(-model.score(x).mean().item())
    model.train()
    first, again, other = (model.loss(batch_of(x, seed))["nll"].item() for seed in (1, 1, 2))
    assert first == again
    assert len({still.item(), first, other}) == 3
    assert torch.equal(model.score(x), make(SMALL).score(x))  # a score is never disturbed


def test_what_is_left_out_opens_no_way_to_later_pixels():
    model = make(replace(SMALL, size=4)).train()
    x = torch.randn(32, 1, 4, 4, generator=seeded(1), dtype=torch.float64).requires_grad_()
    out = model(x, generator=seeded(2))
    for place in range(16):
        (slope,) = torch.autograd.grad(
            out[..., place // 4, place % 4].sum() + 0 * x.sum(), x, retain_graph=True
        )
        seen = slope.abs().sum((0, 1)).flatten() > 0
        assert not seen[place:].any()
        assert seen[:place].any() or not place


def test_dropout_keeps_the_mean():
    torch.manual_seed(0)
    block = GatedBlock(6, DOWN, beside=0, dropout=0.3, classes=0).double()
    x = torch.randn(1, 6, 5, 5).double()
    inner = concat_elu(block.first(concat_elu(x)))
    seen = []
    g = seeded(0)
    block.second.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    for _ in range(600):
        block(x, generator=g)
    mean = torch.stack(seen).mean(0)
    assert (mean - inner).abs().max() < 0.12 * inner.abs().max()
    left_out = (torch.stack(seen) == 0).double().mean().item()
    assert left_out == pytest.approx(0.3, abs=0.01)


# -- labels and completing -----------------------------------------------------------------------


def binaries(side=2):
    count = side * side
    bits = torch.arange(2**count).unsqueeze(1) >> torch.arange(count) & 1
    return (2.0 * bits.double() - 1).view(-1, 1, side, side)


def test_a_label_changes_every_block_and_no_label_is_the_mean_over_all():
    model, every = make(LABELLED), binaries()
    given = torch.stack(
        [model.score_pixels(every, torch.full((16,), y)).sum((1, 2)) for y in range(3)]
    )
    assert given.exp().sum(1).tolist() == pytest.approx([1, 1, 1])
    assert (given[0] - given[1]).abs().max() > 0.1
    torch.testing.assert_close(model.score(every).exp(), given.exp().mean(0))
    labels = torch.arange(16)[None] % 3
    parts = model.loss(replace(batch_of(every), labels=labels))
    own = given[labels[0], torch.arange(16)]  # of each picture under its own label
    torch.testing.assert_close(parts["nll"], -own.mean())
    parts["loss"].backward()
    reached = [
        bool(block.condition.weight.grad.abs().sum() > 0)
        for block in model.modules()
        if isinstance(block, GatedBlock)
    ]
    assert all(reached)


def test_samples_of_a_label_are_those_of_its_distribution():
    model, every, n = make(LABELLED), binaries(), 3_000
    labels = torch.full((n,), 2)
    drawn = model.sample(n, generator=seeded(2), labels=labels)
    expected = model.score_pixels(every, labels[:16]).sum((1, 2)).exp()
    for picture, p in zip(every, expected.tolist(), strict=True):
        share = (drawn == picture).flatten(1).all(1).double().mean().item()
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_completing_without_a_label_draws_it_as_the_known_part_suggests():
    model, every, n = make(LABELLED), binaries(), 3_000
    joint = model.score(every).exp()
    fits = (every[:, 0, 0] == every[5, 0, 0]).all(1)
    known = torch.zeros(n, 1, 2, 2, dtype=torch.bool)
    known[:, :, 0] = True
    done = model.complete(every[5:6].expand(n, -1, -1, -1), known, generator=seeded(1))
    for picture, p in zip(every[fits], (joint[fits] / joint[fits].sum()).tolist(), strict=True):
        share = (done == picture).flatten(1).all(1).double().mean().item()
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_what_does_not_fit_is_refused():
    model = make(SMALL)
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., 4:, :] = True
    with pytest.raises(ValueError, match="whole rows from the top"):
        model.complete(torch.zeros(1, 1, 8, 8).double(), known, generator=seeded(1))
    with pytest.raises(ValueError, match="knows 3 classes, and none were given"):
        make(LABELLED)(torch.ones(2, 1, 2, 2).double())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 30}, "size is 30; it has to be a multiple of 4"),
        ({"likelihood": "bernoulli"}, "likelihood is bernoulli; it has to be logistic for colour"),
        ({"dropout": 1.0}, "dropout is 1.0; it has to be from 0 to below 1"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Config(**wrong)


def test_the_presets_have_the_sizes_they_claim():
    sizes = {name: sum(p.numel() for p in Model(preset.config).parameters())
             for name, preset in presets().items() if name != "gpu"}  # fmt: skip
    assert sizes["tiny"] < 30_000
    assert 300_000 < sizes["cifar10"] < 1_000_000, sizes
