"""What defines a Parallel Multiscale model: few steps, groups drawn at once, small made large."""

import math
import re
from dataclasses import replace

import pytest
import torch

from models import multiscale, pixelcnn
from models.multiscale import Config, Model

COLOUR = Config(channels=3, size=8, base=2, levels=4, width=12, blocks=2, base_layers=1)
BINARY = replace(COLOUR, channels=1, likelihood="bernoulli")


def build(config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config).double().eval()
        for parameter in model.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            torch.nn.init.normal_(parameter, std=1.2 / inputs**0.5)
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(config, count=4, seed=0):
    shape = (count, config.channels, config.size, config.size)
    levels = 2 if config.likelihood == "bernoulli" else config.levels
    level = torch.randint(levels, shape, generator=seeded(seed))
    return level.double() / ((levels - 1) / 2) - 1


def test_the_groups_of_a_small_picture_by_hand():
    """4 x 4 from a base of 1: the number of the group that draws each pixel."""
    model = build(replace(BINARY, size=4, base=1))
    found = torch.full((4, 4), -1)
    for number, group in enumerate(model.groups()):
        assert (group.of(found) == -1).all(), "no pixel is drawn twice"
        group.put(found, torch.full_like(group.of(found), number))
    assert found.tolist() == [[0, 4, 1, 4], [5, 6, 5, 6], [2, 4, 3, 4], [5, 6, 5, 6]]


def dependencies(model, x):
    """Which pixel's distribution depends on which pixel: (H, W, H, W) bool, over all colours."""
    x = x.clone().requires_grad_()
    told = model(x)  # (B, C, K, H, W)
    weight = torch.randn(told.shape[2], generator=seeded(3), dtype=torch.float64)
    told = torch.einsum("bckhw,k->chw", told, weight)
    side = model.config.size
    found = torch.zeros(side, side, side, side, dtype=torch.bool)
    for i in range(side):
        for j in range(side):
            (slope,) = torch.autograd.grad(told[:, i, j].sum() + 0 * x.sum(), x, retain_graph=True)
            found[i, j] = slope.abs().sum((0, 1)) > 0
    return found


@pytest.mark.parametrize("config", [BINARY, COLOUR])
def test_a_group_sees_the_groups_before_it_and_none_of_itself(config):
    """All of them in every direction, as far as the convolutions reach; masked wrongly, fewer."""
    config = replace(config, size=4, base=1, blocks=3)
    model = build(config)
    found = dependencies(model, 0.7 * pictures(config, count=12))
    number = torch.zeros(4, 4, dtype=torch.int64)
    for order, group in enumerate(model.groups()):
        group.put(number, torch.full_like(group.of(number), order))
    for i in range(4):
        for j in range(4):
            others = number < number[i, j]
            own = found[i, j].clone()
            if config.channels == 3:
                own[i, j] = False  # green sees red
            assert torch.equal(own, others), (i, j)


def calls(model, n=1):
    """How often each kind of network is asked while drawing."""
    counts = {"base": 0, "group": 0, "head": 0}

    def note(kind):
        def hook(*_):
            counts[kind] += 1

        return hook

    hooks = [model.base.register_forward_hook(note("base"))]
    hooks += [network.register_forward_hook(note("group")) for network in model.networks]
    hooks += [head.register_forward_hook(note("head")) for head in model.group_heads]
    drawn = model.sample(n, generator=seeded(0))
    for hook in hooks:
        hook.remove()
    return counts, drawn


@pytest.mark.parametrize("channels", [1, 3])
def test_the_steps_grow_with_the_logarithm_of_the_size(channels):
    config = replace(COLOUR, channels=channels, blocks=1)
    for doublings in range(6):
        model = build(replace(config, size=2 << doublings))
        counts, drawn = calls(model, n=2)
        assert drawn.shape == (2, channels, 2 << doublings, 2 << doublings)
        expected = {"base": 4, "group": 3 * doublings, "head": 3 * doublings * channels}
        assert counts == expected, "pixel by pixel it would be the square of the side"


@pytest.mark.parametrize("config", [BINARY, COLOUR])
def test_an_enlarged_picture_keeps_the_small_one_and_draws_like_a_sample(config):
    """With the noise of a sample and its own small picture, the sample comes out again."""
    model = build(config)
    drawn = model.sample(3, generator=seeded(1))
    assert [config.size // side for side in config.enlarges] == [4, 2]
    for factor in (4, 2):
        small = drawn[:, :, ::factor, ::factor]
        again = model.enlarge(small, generator=seeded(1))
        assert torch.equal(again, drawn)
        other = model.enlarge(small, generator=seeded(2))
        assert torch.equal(other[:, :, ::factor, ::factor], small)
        assert (other != drawn).any()


def test_a_picture_of_another_size_is_not_enlarged():
    model = build(COLOUR)
    for shape in ((1, 3, 3, 3), (1, 1, 4, 4), (1, 3, 4, 2), (1, 3, 8, 8), (1, 3, 16, 16)):
        with pytest.raises(ValueError, match=r"of 3 channels and 2 or 4 pixels; found"):
            model.enlarge(torch.zeros(shape).double(), generator=seeded(0))
    alone = build(replace(COLOUR, size=2))
    assert alone.config.enlarges == ()
    with pytest.raises(ValueError, match=r"and no number of pixels; found \(3, 2, 2\)"):
        alone.enlarge(torch.zeros(1, 3, 2, 2).double(), generator=seeded(0))


@pytest.mark.parametrize("config", [BINARY, replace(BINARY, size=16)])
def test_whole_rows_are_refused_and_what_is_proposed_instead_can_be_done(config):
    model, side = build(config), config.size
    x = torch.ones(1, 1, side, side).double()
    known = torch.zeros(1, 1, side, side, dtype=torch.bool)
    known[:, :, : side // 2] = True
    with pytest.raises(ValueError, match="one pixel of every") as refused:
        model.complete(x, known, generator=seeded(0))
    told = [int(step) for step in re.findall(r"(\d+) x \1", str(refused.value))]
    assert told == [side // small for small in config.enlarges]
    assert "by itself is enlarged (niteru enlarge)" in str(refused.value)
    for step in told:
        some = torch.zeros_like(known)
        some[:, :, ::step, ::step] = True
        drawn = model.complete(x, some, generator=seeded(0))
        small = x[:, :, ::step, ::step]
        assert torch.equal(drawn, model.enlarge(small, generator=seeded(0)))
    by_rows = pixelcnn.Model(pixelcnn.presets()["tiny"].config).eval()
    c = by_rows.config
    assert "rows from the top are completed by pixelcnn" in str(refused.value)
    half = torch.zeros(1, 1, c.size, c.size, dtype=torch.bool)
    half[:, :, : c.size // 2] = True
    ones = torch.ones(1, c.channels, c.size, c.size)
    drawn = by_rows.complete(ones, half, generator=seeded(0))
    assert (drawn[:, :, : c.size // 2] == 1).all()


def test_the_likelihood_is_that_of_the_base_and_of_the_groups():
    """By hand: the base scored by itself, each group by the network that draws it."""
    config = replace(COLOUR, channels=1, size=4)
    model = build(config)
    x = pictures(config)
    small = x[:, :, ::2, ::2]
    told = model.base_head(model.base(small, model.place.expand(4, -1, -1, -1)), small)
    total = model.likelihood.log_prob(small, told[:, 0]).sum((1, 2))
    before = [small]
    for network, head, (i, j) in zip(
        model.networks, model.group_heads, ((0, 1), (1, 0), (1, 1)), strict=True
    ):
        own = x[:, :, i::2, j::2]
        told = head(network(before), own)
        total = total + model.likelihood.log_prob(own, told[:, 0]).sum((1, 2))
        before.append(own)
    torch.testing.assert_close(model.score(x), total)


def test_it_learns_what_its_groups_can_and_cannot_know():
    """Pictures whose 2 x 2 are alike: the corners are free, the rest follows from them."""
    config = replace(BINARY, size=4, base=2)
    model = build(config).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(120):
        small = torch.randint(2, (32, 1, 2, 2), generator=seeded(step)).float() * 2 - 1
        x = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
        nll = -model.score(x).mean()
        optimiser.zero_grad()
        nll.backward()
        optimiser.step()
    assert nll.item() == pytest.approx(4 * math.log(2), abs=0.3)


def test_grey_pictures_have_no_probability_under_a_binary_model():
    with pytest.raises(ValueError, match="values of -1 and 1; 64 of 64"):
        build(BINARY).score(torch.zeros(1, 1, 8, 8).double())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": 12}, "size is 12; it has to be base=2 doubled"),
        ({"base": 0}, "base is 0"),
        ({"levels": 300}, "levels is 300"),
        ({"blocks": 0}, "blocks is 0"),
        ({"width": 2}, "width is 2"),
        ({"base_layers": 0}, "base_layers is 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(changes, told):
    with pytest.raises(ValueError, match=told):
        replace(COLOUR, **changes)


def test_presets_start_from_the_small_base_of_the_paper():
    found = {name: preset.config for name, preset in multiscale.presets().items()}
    assert (found["mnist"].base, found["mnist"].doublings) == (7, 2)
    assert (found["cifar10"].base, found["cifar10"].doublings) == (8, 2)
