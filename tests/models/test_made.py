"""What defines a MADE: masks that hide what comes later, an ensemble of joints, any order."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.made import Config, Mask, Model, _choose, make_mask, presets
from models.training.checkpoint import load_weights
from models.training.protocols import Batch, Completer, LatentVariableModel, scores_exactly

SMALL = Config(size=3, hidden=(14, 11), masks=4)
KINDS = [
    SMALL,
    replace(SMALL, direct=False),
    replace(SMALL, hidden=(20,)),
    replace(SMALL, hidden=(12, 10, 9), order="natural"),
    replace(SMALL, order="random"),
    replace(SMALL, connectivity="fixed"),
    replace(SMALL, masks=1, order="natural", connectivity="fixed"),
]


def build(config, seed=0):
    """A model whose weights are large enough that pixels depend on one another."""
    torch.manual_seed(seed)
    model = Model(config).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def all_pictures(side):
    rows = list(itertools.product([-1.0, 1.0], repeat=side * side))
    return torch.tensor(rows, dtype=torch.float64).view(-1, 1, side, side)


def noise_for(config, n, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1, config.size, config.size, generator=g, dtype=torch.float64)


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", KINDS)
def test_a_pixel_depends_on_exactly_those_before_it(config):
    """By Jacobian, in the order of each mask: nothing of itself or later, and all that may be."""
    wide = replace(config, hidden=tuple(8 * units for units in config.hidden))
    model = build(wide)
    for number in range(config.masks + 2):  # and masks outside the ensemble
        mask = model.mask(number)
        reached = torch.zeros(9, 9, dtype=torch.bool)
        for bits in torch.rand(6, 9, generator=torch.Generator().manual_seed(1)).double():
            jacobian = torch.autograd.functional.jacobian(
                lambda b, mask=mask: model.logits(b[None], mask)[0], bits
            )
            reached |= jacobian != 0
        before = mask.order[None] < mask.order[:, None]  # (output, input)
        assert torch.equal(reached, before)


def test_masks_by_hand():
    """The rules of the paper, for four pixels and three units of the degrees 1, 2, 2."""
    model = Model(Config(size=2, hidden=(3,), direct=False, masks=1)).eval()
    order, degrees = torch.tensor([2, 1, 3, 4]), torch.tensor([1, 2, 2])
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.fill_(1.0)
            layer.bias.zero_()
        logits = model.logits(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]), Mask(order, (degrees,)))
    # Unit 1 sees pixel 1 alone: 10. Units 2 and 3 see pixels 1 and 0: 11.
    assert logits.tolist() == [[10.0, 0.0, 32.0, 32.0]]


def test_masks_are_pinned():
    """Saved weights hold no masks: if their making changed, every ensemble would be another."""
    mask = make_mask(replace(SMALL, hidden=(6, 5), mask_seed=7), 3)
    assert mask.order.tolist() == [5, 9, 1, 4, 8, 2, 6, 3, 7]
    assert [degree.tolist() for degree in mask.degrees] == [[3, 8, 2, 6, 2, 1], [4, 6, 8, 7, 6]]


def test_settings_say_what_masks_share():
    def distinct(config):
        masks = [make_mask(config, number) for number in range(6)]
        orders = {tuple(mask.order.tolist()) for mask in masks}
        return len(orders), len({tuple(torch.cat(mask.degrees).tolist()) for mask in masks})

    many = replace(SMALL, masks=6)
    assert distinct(many) == (6, 6)
    assert distinct(replace(many, order="natural")) == (1, 6)
    assert distinct(replace(many, order="random")) == (1, 6)
    assert distinct(replace(many, connectivity="fixed")) == (6, 1)
    assert make_mask(replace(SMALL, order="natural"), 2).order.tolist() == list(range(1, 10))
    assert make_mask(replace(SMALL, order="random"), 2).order.tolist() != list(range(1, 10))
    other = make_mask(replace(SMALL, mask_seed=1), 0)
    assert other.order.tolist() != make_mask(SMALL, 0).order.tolist()


@settings(max_examples=40)
@given(
    side=st.integers(2, 6),
    hidden=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    seed=st.integers(0, 2**63 - 1),
    number=st.integers(0, 2**31),
)
def test_every_unit_may_see_something_and_be_seen(side, hidden, seed, number):
    config = Config(size=side, hidden=tuple(hidden), mask_seed=seed)
    mask = make_mask(config, number)
    assert sorted(mask.order.tolist()) == list(range(1, side**2 + 1))
    least = 1
    for units, degrees in zip(hidden, mask.degrees, strict=True):
        assert len(degrees) == units
        assert least <= degrees.min()
        assert degrees.max() <= side**2 - 1
        least = int(degrees.min())


# -- likelihood ------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", KINDS)
def test_probabilities_of_all_pictures_sum_to_one(config):
    model, pictures = build(config), all_pictures(3)
    with torch.no_grad():
        assert model.score(pictures).exp().sum().item() == pytest.approx(1, abs=1e-9)
        for number in range(config.masks):
            under = model.score_under(pictures, number)
            assert under.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_the_ensemble_is_the_mean_of_joint_probabilities():
    """And not what a mean of logits gives, whose numbers do not even sum to 1."""
    model, pictures = build(SMALL), all_pictures(3)
    bits = (pictures > 0).double().flatten(1)
    with torch.no_grad():
        joints, logits = [], []
        for number in range(4):
            logit = model.logits(bits, model.mask(number))
            p = torch.sigmoid(logit)
            joints.append((bits * p + (1 - bits) * (1 - p)).prod(1))
            logits.append(logit)
        torch.testing.assert_close(model.score(pictures).exp(), sum(joints) / 4)
        p = torch.sigmoid(sum(logits) / 4)
        wrong = (bits * p + (1 - bits) * (1 - p)).prod(1)
    assert abs(wrong.sum().item() - 1) > 0.01  # score's sum is 1 to 1e-9, see above


def test_grey_pictures_have_no_probability():
    model = build(SMALL)
    with pytest.raises(ValueError, match=r"pixels are -1 or 1; 1 of 9 are not, the first 0.3"):
        model.score(torch.tensor([[[[1, -1, 1], [0.3, 1, 1], [1, 1, 1]]]], dtype=torch.float64))


def test_what_it_can_do():
    model = build(SMALL)
    assert scores_exactly(model)
    assert isinstance(model, Completer)
    assert not isinstance(model, LatentVariableModel)


# -- drawing ---------------------------------------------------------------------------------------


def draw_naively(model, mask, noise):
    """D passes over the whole picture, each for one pixel."""
    flat = noise.flatten(1)
    bits, total = torch.zeros_like(flat), torch.zeros(len(flat)).double()
    for pixel in mask.order.argsort().tolist():
        p = torch.sigmoid(model.logits(bits, mask)[:, pixel])
        bits[:, pixel] = (flat[:, pixel] < p).double()
        total += torch.where(bits[:, pixel] > 0, p, 1 - p).log()
    return (2 * bits - 1).view_as(noise), total


@pytest.mark.parametrize("config", KINDS)
def test_sampling_is_the_forward_pass(config):
    """The same pictures as the naive sampler's; the nats gathered are those of ``score_under``."""
    model, noise = build(config), noise_for(config, 50)
    nothing = torch.zeros(9, dtype=torch.bool)
    with torch.no_grad():
        for number in range(config.masks):
            expected, nats = draw_naively(model, model.mask(number), noise)
            drawn = model.draw(noise, torch.full((50,), number))
            assert torch.equal(drawn, expected)
            torch.testing.assert_close(model.score_under(drawn, number), nats)
            _, told = model._walk(
                model.mask(number), torch.zeros(50, 9).double(), nothing, noise.flatten(1)
            )
            torch.testing.assert_close(told, nats)


def test_each_picture_follows_its_own_mask():
    model, noise = build(SMALL), noise_for(SMALL, 12)
    numbers = torch.arange(12) % 4
    together = model.draw(noise, numbers)
    for row, number in enumerate(numbers):
        alone = model.draw(noise[row : row + 1], number[None])
        assert torch.equal(alone[0], together[row])
    assert torch.equal(model.draw(noise), model.draw(noise, torch.zeros(12, dtype=torch.int64)))


def frequencies(drawn, pictures):
    return (drawn[:, None] == pictures[None]).flatten(2).all(2).double().mean(0)


def test_samples_occur_as_often_as_the_ensemble_says():
    config = replace(SMALL, size=2)
    model, pictures, n = build(config), all_pictures(2), 20_000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model.score(pictures).exp()
    error = (expected * (1 - expected) / n).sqrt()
    assert ((frequencies(drawn, pictures) - expected).abs() < 4.5 * error + 1e-9).all()


# -- completion ------------------------------------------------------------------------------------


def completed(model, picture, known, n=20_000):
    x, mask = (part.expand(n, -1, -1, -1) for part in (picture, known))
    return model.complete(x, mask, generator=torch.Generator().manual_seed(2))


def test_completions_occur_as_often_as_the_ensemble_says():
    """Given the first pixels, against the ratio of scores. Without weighing the masks it fails."""
    config = replace(SMALL, size=2, order="natural")
    model, pictures, n = build(config, seed=3), all_pictures(2), 20_000
    picture = torch.tensor([[[[1, -1], [1, 1]]]], dtype=torch.float64)
    known = torch.tensor([[[[True, True], [False, False]]]])
    with torch.no_grad():
        fits = ((pictures == picture) | ~known).flatten(1).all(1)
        joint = model.score(pictures).exp() * fits
        expected = joint / joint.sum()
        shares = torch.stack(
            [(model.score_under(pictures, k).exp() * fits).sum() for k in range(4)]
        )
        unweighed = torch.stack([model.score_under(pictures, k).exp() * fits for k in range(4)])
        unweighed = (unweighed / shares[:, None]).mean(0)
    error = (expected * (1 - expected) / n).sqrt()
    found = frequencies(completed(model, picture, known, n), pictures)
    assert ((found - expected).abs() < 4.5 * error + 1e-9).all()
    assert ((unweighed - expected).abs() > 9 * error).any(), "the test could not tell"


def test_any_pixels_can_be_known():
    """Known pixels stay, and the rest follows the distribution with the known ones first."""
    config = replace(SMALL, size=2)
    model, pictures, n = build(config, seed=4), all_pictures(2), 20_000
    picture = torch.tensor([[[[1, -1], [1, -1]]]], dtype=torch.float64)
    known = torch.tensor([[[[False, True], [False, True]]]])
    bits, flat = (pictures > 0).double().flatten(1), known.flatten()
    joint = torch.zeros(16).double()
    for number in range(4):
        mask = model.mask(number)
        inside = mask.order.argsort().tolist()
        sequence = [p for p in inside if flat[p]] + [p for p in inside if not flat[p]]
        order = torch.tensor([sequence.index(p) + 1 for p in range(4)])
        with torch.no_grad():
            p = torch.sigmoid(model.logits(bits, Mask(order, mask.degrees)))
        joint += (bits * p + (1 - bits) * (1 - p)).prod(1)
    joint *= ((pictures == picture) | ~known).flatten(1).all(1)
    expected = joint / joint.sum()
    drawn = completed(model, picture, known, n)
    assert torch.equal(drawn[:, known[0]], picture.expand(n, -1, -1, -1)[:, known[0]])
    error = (expected * (1 - expected) / n).sqrt()
    assert ((frequencies(drawn, pictures) - expected).abs() < 4.5 * error + 1e-9).all()


def test_what_is_not_known_is_not_looked_at_and_parts_may_differ():
    model = build(SMALL)
    g = torch.Generator().manual_seed(0)
    x = torch.rand(8, 1, 3, 3, generator=g).double() * 2 - 1
    known = torch.rand(8, 1, 3, 3, generator=g) < 0.5
    seeded = [torch.Generator().manual_seed(1) for _ in range(3)]
    drawn = model.complete(x, known, generator=seeded[0])
    assert torch.equal(drawn[known] > 0, x[known] > 0)
    other = model.complete(torch.where(known, x, -x), known, generator=seeded[1])
    assert torch.equal(drawn, other)
    nothing = model.complete(x, torch.zeros_like(known), generator=seeded[2])
    assert torch.equal(nothing, model.sample(8, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("order", ["natural", "random"])
def test_a_fixed_order_must_begin_with_what_is_known(order):
    model = build(replace(SMALL, order=order))
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    first = (model.mask(0).order <= 4).view(1, 1, 3, 3)
    drawn = model.complete(x, first, generator=torch.Generator())
    assert (drawn[first] == 1).all()
    with pytest.raises(ValueError, match=rf"5 known pixels are not the first in the {order} order"):
        model.complete(x, ~first, generator=torch.Generator())
    with pytest.raises(ValueError, match="both \\(B, 1, 3, 3\\)"):
        model.complete(x, first[0], generator=torch.Generator())


def test_choosing_by_hand():
    weights = torch.tensor([[0.25, 0.25, 0.5]]).log().expand(5, -1)
    pick = torch.tensor([0.0, 0.2, 0.3, 0.51, 0.9999999])
    assert _choose(weights, pick).tolist() == [0, 0, 1, 2, 2]
    assert _choose(torch.tensor([[-2000.0, -1000.0]]), torch.tensor([0.0])).tolist() == [1]


# -- training --------------------------------------------------------------------------------------


def digits_batch(seed):
    g = torch.Generator().manual_seed(seed)
    x = (torch.rand(1, 4, 1, 3, 3, generator=g) > 0.5).double() * 2 - 1
    return Batch(x, x, step_seed=seed)


@pytest.mark.parametrize("fresh", [False, True])
def test_steps_take_turns_at_the_masks(fresh):
    """Each loss is that of one mask; over the steps all masks come, or new ones every time."""
    model = build(replace(SMALL, fresh=fresh)).train()
    target = digits_batch(0).targets[0]
    with torch.no_grad():
        known = [-model.score_under(target, number).mean().item() for number in range(4)]
        losses = [
            model.loss(replace(digits_batch(0), step_seed=s))["nll"].item() for s in range(40)
        ]
    taken = {round(loss, 9) for loss in losses}
    assert (len(taken) == 40) if fresh else (taken == {round(nll, 9) for nll in known})


def test_masks_leave_the_weights_as_they_are():
    model = build(SMALL).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    loss = model.loss(digits_batch(0))["loss"]
    loss.backward()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    number = int(torch.randint(4, (), generator=digits_batch(0).generator()))
    hidden = model.mask(number).degrees[0][:, None] < model.mask(number).order
    assert hidden.any()
    assert (model.layers[0].weight.grad[hidden] == 0).all()


def test_an_ensemble_is_the_same_after_reload(make_weights, tmp_path):
    folder = make_weights(tmp_path / "w", name="made")
    first, second = (load_weights(folder).model for _ in range(2))
    x = first.sample(5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(first.score(x), second.score(x))
        made = Model(presets()["tiny"].config).eval()
        made.load_state_dict(first.state_dict())
        assert torch.equal(made.score(x), first.score(x))
    assert set(first.state_dict()) == {
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
        "layers.2.weight", "layers.2.bias", "direct.weight",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 1}, "size is 1; it has to be 2 or more"),
        ({"hidden": ()}, r"hidden is \(\)"),
        ({"hidden": (5, 0)}, r"hidden is \(5, 0\)"),
        ({"masks": 0}, "masks is 0"),
        ({"mask_seed": -1}, "mask_seed is -1"),
        ({"order": "natural", "connectivity": "fixed"}, "all masks are the same"),
        ({"order": "random", "connectivity": "fixed", "masks": 1, "fresh": True}, "the same"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_nats_of_an_untrained_ensemble_are_near_a_coin_flip():
    torch.manual_seed(0)
    model = Model(presets()["tiny"].config).eval()
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(50, 1, 8, 8, generator=g) > 0.5).float() * 2 - 1
    with torch.no_grad():
        assert -model.score(x).mean().item() == pytest.approx(64 * math.log(2), rel=0.25)
