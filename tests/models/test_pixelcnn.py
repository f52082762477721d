"""What is a PixelCNN's own: masks, field, dropout, labels. The rest is in tests/contract."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from models.nn.categorical import Categorical, snap
from models.nn.dropout import dropping
from models.nn.masked import ALWAYS, CausalConv2d, colour_mask, colours_of
from models.pixelcnn import Config, Model, ResidualBlock, presets
from models.training.protocols import Batch

SMALL = Config(channels=1, size=9, likelihood="bernoulli", width=16, layers=2, head=16,
               first_kernel=3)  # fmt: skip
LABELLED = replace(SMALL, size=2, gated=True, classes=3)


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


# -- masks ---------------------------------------------------------------------------------------


def test_masks_within_a_pixel_by_hand():
    rgb = (0, 1, 2)
    assert colour_mask(rgb, rgb, own=False).tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert colour_mask(rgb, rgb, own=True).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert colour_mask((0, ALWAYS), (0,), own=False).tolist() == [[0, 1]]
    assert colours_of(6, 3) == (0, 0, 1, 1, 2, 2)
    assert colours_of(4, 3) == (0, 0, 1, 2)
    with pytest.raises(ValueError, match="2 channels cannot hold 3 colours"):
        colours_of(2, 3)


@pytest.mark.parametrize("own", [False, True])
def test_a_cut_kernel_is_a_whole_one_with_zeros(own):
    """Against the textbook: a square kernel, rows below and pixels to the right set to zero."""
    torch.manual_seed(0)
    layer = CausalConv2d((0, 1, 2), (0, 1, 1, 2), 5, own=own)
    whole = torch.zeros(4, 3, 5, 5)
    whole[:, :, :3] = layer.weight.detach()
    whole[:, :, 2, 3:] = 0
    for out, sink in enumerate((0, 1, 1, 2)):
        for source in range(3):
            if not (source <= sink if own else source < sink):
                whole[out, source, 2, 2] = 0
    x = torch.randn(2, 3, 7, 6)
    torch.testing.assert_close(layer(x), F.conv2d(x, whole, layer.bias, padding=2))
    layer(x).sum().backward()
    assert (layer.weight.grad[layer.mask == 0] == 0).all()
    assert (layer.weight.grad[layer.mask == 1] != 0).all()


def test_a_block_that_adds_nothing_changes_nothing():
    """A block whose input is added twice doubles it."""
    block = ResidualBlock(8, 1, 3)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)


# -- the field -----------------------------------------------------------------------------------


def seen_by(model, i, j):
    side = model.config.size
    # Many pictures: a rectified unit that is off for one is on for another.
    x = torch.randn(64, 1, side, side, generator=seeded(1), dtype=torch.float64)
    x.requires_grad_()
    (model(x)[..., i, j].sum() + 0 * x.sum()).backward()
    return x.grad.abs().sum((0, 1)) > 0


def masked_field(config):
    """The offsets that a plain stack sees, by adding up those of its layers: a set of (di, dj)."""

    def offsets(kernel, *, own):
        r = kernel // 2
        above = {(di, dj) for di in range(-r, 0) for dj in range(-r, r + 1)}
        return above | {(0, dj) for dj in range(-r, 1 if own else 0)}

    field = offsets(config.first_kernel, own=False)
    for _ in range(config.layers):
        field = {(a + c, b + d) for a, b in field for c, d in offsets(config.kernel, own=True)}
    return field


@pytest.mark.parametrize(
    ("layers", "kernel", "first"), [(0, 3, 5), (1, 3, 3), (2, 3, 3), (1, 5, 3)]
)
@pytest.mark.parametrize("gated", [False, True])
def test_the_field_is_exactly_the_declared_one(gated, layers, kernel, first):
    config = replace(SMALL, gated=gated, layers=layers, kernel=kernel, first_kernel=first)
    model, reach, side = make(config), config.reach, config.size
    whole = {(di, dj) for di in range(-reach, 0) for dj in range(-reach, reach + 1)}
    whole |= {(0, dj) for dj in range(-reach, 0)}
    field = whole if gated else masked_field(config)
    assert field <= whole
    for i, j in ((8, 4), (5, 2), (3, 8), (0, 3), (4, 0)):
        expected = torch.zeros(side, side, dtype=torch.bool)
        for di, dj in field:
            if i + di >= 0 and 0 <= j + dj < side:
                expected[i + di, j + dj] = True
        assert torch.equal(seen_by(model, i, j), expected), (i, j)


def test_the_plain_one_has_a_blind_spot_and_the_gated_one_has_none():
    plain, gated = (make(replace(SMALL, layers=5, gated=gated)) for gated in (False, True))
    # One row up and two to the right of the first mask's edge: no depth ever gets there.
    assert not seen_by(plain, 6, 3)[5, 5]
    assert seen_by(gated, 6, 3)[5, 5]
    assert seen_by(gated, 6, 3)[:6].all()


@pytest.mark.parametrize("gated", [False, True])
def test_drawing_in_a_small_field_is_drawing_in_the_whole_picture(gated):
    model = make(replace(SMALL, gated=gated, layers=1))
    noise = torch.rand(2, 1, 9, 9, generator=seeded(2)).double()
    drawn = model.draw(noise)
    with torch.no_grad():  # given the picture, each of its pixels is what its noise makes of it
        again = model.likelihood.draw(model(drawn)[:, 0], noise)
    assert torch.equal(again, drawn)


# -- dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gated", [False, True])
def test_features_are_left_out_while_training_alone_and_by_the_steps_own_seed(gated):
    model = make(replace(SMALL, gated=gated, dropout=0.3))
    x = torch.sign(torch.randn(3, 1, 6, 6, generator=seeded(1)).double())

    def nll(seed):
        return model.loss(Batch(x[None], x[None], step_seed=seed))["nll"].item()

    still = nll(0)
    assert still == pytest.approx(-model.score(x).mean().item())
    model.train()
    first, again, other = map(nll, (1, 1, 2))
    assert first == again
    assert len({still, first, other}) == 3
    assert -model.score(x).mean().item() == pytest.approx(still)  # a score is never disturbed


@pytest.mark.parametrize("gated", [False, True])
def test_what_is_left_out_opens_no_way_to_later_pixels(gated):
    model = make(replace(SMALL, gated=gated, layers=3)).train()
    x = torch.randn(32, 1, 4, 4, generator=seeded(1), dtype=torch.float64).requires_grad_()
    out = model(x, drop=dropping(0.3, seeded(2)))
    for place in range(16):
        (slope,) = torch.autograd.grad(
            out[..., place // 4, place % 4].sum() + 0 * x.sum(), x, retain_graph=True
        )
        seen = slope.abs().sum((0, 1)).flatten() > 0
        assert not seen[place:].any()
        assert seen[:place].any() or not place


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_levels_are_scored_as_a_categorical(levels):
    likelihood = Categorical(3, levels)
    params = torch.randn(4, likelihood.parameters, 2, 2, generator=seeded(1), dtype=torch.float64)
    level = torch.randint(levels, (4, 3, 2, 2), generator=seeded(2))
    x = level.double() / ((levels - 1) / 2) - 1
    logits = params.view(4, 3, levels, 2, 2).movedim(2, -1)
    expected = torch.distributions.Categorical(logits=logits).log_prob(level).sum(1)
    torch.testing.assert_close(likelihood.log_prob(x, params), expected)
    assert torch.equal(snap(x, levels), x)


def test_draws_are_levels_as_often_as_they_are_probable():
    likelihood, n = Categorical(1, 4), 20_000
    params = torch.tensor([0.0, 1.0, -1.0, 0.5]).view(1, 4, 1, 1).expand(n, -1, -1, -1)
    drawn = likelihood.draw(params, torch.rand(n, 1, 1, 1, generator=seeded(1)))
    for level, expected in zip(
        torch.linspace(-1, 1, 4), params[0].flatten().softmax(0), strict=True
    ):
        share = (drawn - level).abs().lt(1e-6).double().mean().item()
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
    assert likelihood.draw(params[:1], torch.ones(1, 1, 1, 1)).item() == 1  # noise beyond the sum
    torch.testing.assert_close(likelihood.mean(params[:1]).item(), drawn.mean().item(), atol=0.02,
                               rtol=0)  # fmt: skip


def test_every_byte_of_a_picture_is_a_level():
    pixels = torch.arange(256).view(1, 1, 16, 16).float() / 127.5 - 1
    assert len(snap(pixels, 256).unique()) == 256
    torch.testing.assert_close(snap(pixels, 256), pixels)


def test_grey_pictures_have_no_binary_likelihood():
    with pytest.raises(ValueError, match="scores values of -1 and 1; 81 of 81 are"):
        make(SMALL).score(torch.full((1, 1, 9, 9), 0.5).double())


# -- completing and labels -----------------------------------------------------------------------


def test_only_what_comes_after_the_known_part_is_completed():
    model = make(SMALL)
    known = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    known[..., 4:, :] = True
    with pytest.raises(ValueError, match="whole rows from the top"):
        model.complete(torch.zeros(1, 1, 9, 9).double(), known, generator=seeded(1))


def test_each_picture_may_have_a_known_part_of_its_own():
    model = make(replace(SMALL, size=3))
    x = torch.tensor([1.0, -1.0]).double().view(2, 1, 1, 1).expand(2, 1, 3, 3)
    known = torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    known[0, :, :2], known[1, :, :1] = True, True
    done = model.complete(x, known, generator=seeded(3))
    assert (done[0, :, :2] == 1).all()
    assert (done[1, :, :1] == -1).all()


def binaries(side=2):
    count = side * side
    bits = torch.arange(2**count).unsqueeze(1) >> torch.arange(count) & 1
    return (2.0 * bits.double() - 1).view(-1, 1, side, side)


def test_a_label_changes_every_layer_and_no_label_is_the_mean_over_all():
    model, every = make(LABELLED), binaries()
    given = torch.stack(
        [model.score_values(every, torch.full((16,), y)).sum((1, 2, 3)) for y in range(3)]
    )
    assert given.exp().sum(1).tolist() == pytest.approx([1, 1, 1])
    assert (given[0] - given[1]).abs().max() > 0.1
    torch.testing.assert_close(model.score(every).exp(), given.exp().mean(0))
    labels = torch.arange(16)[None] % 3
    parts = model.loss(Batch(every[None], every[None], step_seed=0, labels=labels))
    own = given[labels[0], torch.arange(16)]  # of each picture under its own label
    torch.testing.assert_close(parts["nll"], -own.mean())
    parts["loss"].backward()
    for layer in model.stack.layers:
        assert layer.condition.weight.grad.abs().sum() > 0


def test_samples_of_a_label_are_those_of_its_distribution():
    model, every, n = make(LABELLED), binaries(), 3_000
    for label in (0, 2):
        labels = torch.full((n,), label)
        drawn = model.sample(n, generator=seeded(label), labels=labels)
        expected = model.score_values(every, labels[:16]).sum((1, 2, 3)).exp()
        for picture, p in zip(every, expected.tolist(), strict=True):
            share = (drawn == picture).flatten(1).all(1).double().mean().item()
            assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_completing_without_a_label_draws_it_as_the_known_part_suggests():
    """The rest of a picture, given its first row, against the list of all pictures."""
    model, every, n = make(LABELLED), binaries(), 4_000
    joint = model.score(every).exp()
    first = every[5, 0, 0]
    fits = (every[:, 0, 0] == first).all(1)
    known = torch.zeros(n, 1, 2, 2, dtype=torch.bool)
    known[:, :, 0] = True
    done = model.complete(every[5:6].expand(n, -1, -1, -1), known, generator=seeded(1))
    for picture, p in zip(every[fits], (joint[fits] / joint[fits].sum()).tolist(), strict=True):
        share = (done == picture).flatten(1).all(1).double().mean().item()
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_labels_that_do_not_fit_are_refused():
    x = torch.ones(2, 1, 2, 2).double()
    with pytest.raises(ValueError, match="knows 3 classes, and none were given"):
        make(LABELLED)(x)
    with pytest.raises(ValueError, match="expected 0 to 2"):
        make(LABELLED)(x, torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="knows 0 classes, and labels were given"):
        make(replace(LABELLED, classes=0))(x, torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"levels": 257}, "levels is 257; it has to be 2 to 256"),
        ({"kernel": 4}, "kernel is 4; it has to be an odd number"),
        ({"width": 5}, "width is 5; it has to be at least two for each channel"),
        ({"classes": 10}, "classes is 10; it has to be 0 unless gated=true"),
        ({"dropout": 1.0}, "dropout is 1.0; it has to be from 0 to below 1"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Config(**wrong)


def test_the_presets_have_the_sizes_they_claim():
    sizes = {name: sum(p.numel() for p in Model(preset.config).parameters())
             for name, preset in presets().items() if not name.startswith("gpu")}  # fmt: skip
    assert all(10_000 < size < 400_000 for size in sizes.values()), sizes
