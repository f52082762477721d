"""What is a PixelRNN's own: recurrence by rows and diagonals. The rest is in tests/contract."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from models.nn import lstm2d
from models.nn.lstm2d import DiagonalBiLSTM, RowLSTM, diagonals, lstm_cell
from models.pixelrnn import Block, Config, Model, presets
from models.training.protocols import Batch

SMALL = Config(channels=1, size=7, likelihood="bernoulli", hidden=10, layers=2, head=12,
               first_kernel=3)  # fmt: skip
KINDS = ["row", "diagonal"]
GREY, COLOUR = (0,) * 6, (0, 0, 1, 1, 2, 2)  # the colours of six channels


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shake(module, seed=0):
    """Weights so large that a picture's far corner still counts."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, parameter in module.named_parameters():
            inputs = parameter.shape[-2] if name.endswith("states") else parameter[0].numel()
            torch.nn.init.normal_(parameter, std=1.2 / max(4, inputs) ** 0.5)
    return module.double().eval()


def make(config, seed=0):
    return shake(Model(config), seed)


def layer_of(kind, colours, kernel=3):
    inner = colours[::2]
    return shake(
        RowLSTM(colours, inner, kernel) if kind == "row" else DiagonalBiLSTM(colours, inner)
    )


def pictures(B, C, H, W, seed=1):
    return torch.randn(B, C, H, W, generator=seeded(seed), dtype=torch.float64)


# -- the layers, against other implementations -----------------------------------------------------


def test_a_cell_by_hand():
    """All gates at one half but the content's: o tanh(c), with c = c / 2 + tanh(g) / 2."""
    gates = torch.tensor([[0.0, 0.0, 0.0, math.atanh(0.5)]], dtype=torch.float64)
    h, c = lstm_cell(gates, torch.tensor([[3.0]], dtype=torch.float64))
    assert c.item() == pytest.approx(1.75)
    assert h.item() == pytest.approx(0.5 * math.tanh(1.75))
    # Each gate in its place: o closed shows nothing, f closed forgets, i closed learns nothing.
    closed = [torch.tensor([[0.0, 0.0, 0.0, 9.0]]).index_fill(1, torch.tensor([k]), -99.0)
              for k in range(3)]  # fmt: skip
    found = [lstm_cell(gates, torch.tensor([[3.0]])) for gates in closed]
    assert found[0][0].item() == pytest.approx(0)
    assert found[1][1].item() == pytest.approx(0.5)
    assert found[2][1].item() == pytest.approx(1.5)


def test_a_cell_is_that_of_torch():
    cell = torch.nn.LSTMCell(3, 5, dtype=torch.float64)
    x, h, c = (torch.randn(4, n, generator=seeded(n), dtype=torch.float64) for n in (3, 5, 5))
    i, f, g, o = (x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh).chunk(
        4, 1
    )
    for found, expected in zip(
        lstm_cell(torch.cat([o, f, i, g], 1), c), cell(x, (h, c)), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_diagonals_by_hand():
    """0 1 2 / 3 4 5: from the left 0, 1 3, 2 4, 5; from the right 2, 1 5, 0 4, 3."""
    (left, right), places, lengths = diagonals(2, 3, torch.device("cpu"))
    assert left.tolist() == [0, 1, 3, 2, 4, 5]
    assert right.tolist() == [2, 1, 5, 0, 4, 3]
    assert lengths == [1, 2, 2, 1]
    for order, place in zip((left, right), places, strict=True):
        assert order[place].tolist() == list(range(6))


def rows_by_convolution(layer, x):
    """The Row LSTM as the paper writes it: 3 x 1 convolutions from row to row."""
    gates, hidden = layer.gates(x), layer.hidden
    kernel = layer.states[0].view(3, hidden, -1).permute(2, 1, 0)  # (4h, h, 3)
    h = c = x.new_zeros(len(x), hidden, x.shape[3])
    found = []
    for i in range(x.shape[2]):
        o, f, inp, g = (gates[:, :, i] + F.conv1d(h, kernel, padding=1)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(inp) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        found.append(h)
    return torch.stack(found, 2)


def one_direction_by_skewing(gates, kernel):
    """As the paper writes it: rows moved by one pixel each, 2 x 1 convolutions down the columns.

    Of cells outside the picture the paper does not speak; here their states are zero.
    """
    B, channels, H, W = gates.shape
    skewed = gates.new_zeros(B, channels, H, W + H - 1)
    inside = torch.zeros(H, W + H - 1, dtype=torch.bool)
    for i in range(H):
        skewed[:, :, i, i : i + W] = gates[:, :, i]
        inside[i, i : i + W] = True
    h = c = gates.new_zeros(B, channels // 4, H)
    found = []
    for column in range(W + H - 1):
        above_too = F.pad(h, (1, 0))  # a cell sees itself and the one above, a column before
        o, f, i, g = (skewed[..., column] + F.conv1d(above_too, kernel)).chunk(4, 1)
        c = (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)) * inside[:, column]
        h = torch.sigmoid(o) * torch.tanh(c) * inside[:, column]
        found.append(h)
    found = torch.stack(found, 3)
    return torch.stack([found[:, :, i, i : i + W] for i in range(H)], 2)


def diagonals_by_skewing(layer, x):
    left, right = layer.gates(x).chunk(2, 1)
    kernels = [states.view(2, layer.hidden, -1).permute(2, 1, 0) for states in layer.states]
    from_left = one_direction_by_skewing(left, kernels[0])
    from_right = one_direction_by_skewing(right.flip(3), kernels[1]).flip(3)
    moved = torch.zeros_like(from_right)
    moved[:, :, 1:] = from_right[:, :, :-1]
    return from_left + moved


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (6, 3), (1, 4), (4, 1), (1, 1)])
@pytest.mark.parametrize("colours", [GREY, COLOUR], ids=["grey", "colour"])
def test_layers_are_those_of_the_paper(shape, colours):
    x = pictures(3, 6, *shape)
    for kernel in (3, 5):
        rows = layer_of("row", colours, kernel)
        torch.testing.assert_close(rows(x), rows_by_convolution(rows, x))
    both = layer_of("diagonal", colours)
    torch.testing.assert_close(both(x), diagonals_by_skewing(both, x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colours", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_layer_pixel_by_pixel_is_the_layer(kind, colours):
    layer, x = layer_of(kind, colours), pictures(2, 6, 4, 5)
    memory = layer.remember(x)
    with torch.no_grad():
        whole = layer(x)
        for i in range(4):
            for j in range(5):
                torch.testing.assert_close(layer.draw(x, memory, i, j), whole[:, :, i, j])
            layer.end_row(x, memory, i)


def test_a_block_adds_to_what_comes_in():
    block = Block(SMALL)
    torch.nn.init.zeros_(block.out.weight)
    torch.nn.init.zeros_(block.out.bias)
    x = torch.randn(2, 20, 4, 4)
    assert torch.equal(block(x), x)


# -- what a pixel sees -----------------------------------------------------------------------------


def seen_by(model, i, j):
    side = model.config.size
    # Many pictures: a rectified unit that is off for one is on for another.
    x = pictures(48, 1, side, side).requires_grad_()
    (model(x)[..., i, j].sum() + 0 * x.sum()).backward()
    return x.grad.abs().sum((0, 1)) > 0


PIXELS = [(6, 3), (4, 0), (3, 6), (0, 4), (0, 0)]


@pytest.mark.parametrize(("layers", "first"), [(1, 3), (2, 3), (1, 5)])
def test_the_diagonal_sees_every_pixel_before_but_one(layers, first):
    """With a single layer already. What it misses, it misses at any depth, as the paper's does.

    The map from the right tells of the row above what mask A let in, and of that row's last pixel
    mask A let in nothing: no pixel stands behind it. Only the first convolution gets there.
    """
    model = make(replace(SMALL, layers=layers, first_kernel=first))
    for i, j in PIXELS:
        expected = torch.arange(49).view(7, 7) < 7 * i + j
        if i and j + first // 2 < 6:
            expected[i - 1, 6] = False
        assert torch.equal(seen_by(model, i, j), expected), (i, j)


@pytest.mark.parametrize(
    ("layers", "kernel", "first"), [(1, 3, 3), (2, 3, 3), (1, 5, 3), (1, 3, 5)]
)
def test_the_row_sees_a_triangle(layers, kernel, first):
    """A row up adds a pixel on each side to what the convolutions reach."""
    config = replace(SMALL, kind="row", layers=layers, kernel=kernel, first_kernel=first)
    model = make(config)
    for i, j in PIXELS:
        expected = torch.zeros(7, 7, dtype=torch.bool)
        for up in range(i + 1):
            left = j - up - layers * (kernel // 2) - first // 2
            # In its own row the first convolution looks to the left alone.
            right = j + up - 1 + first // 2 if up else j - 1
            expected[i - up, max(0, left) : max(0, right + 1)] = True
        assert torch.equal(seen_by(model, i, j), expected), (i, j)


def test_without_the_shift_the_future_would_be_seen(monkeypatch):
    """The two directions added as they are: what a bidirectional layer usually does."""
    model = make(SMALL)
    monkeypatch.setattr(lstm2d, "shift_down", lambda x: x)
    assert seen_by(model, 3, 3)[3, 4:6].all()


def test_colours_see_of_their_own_pixel_what_the_masks_let_in():
    """Through both directions: red nothing, green red, blue both; and all of the pixel before."""
    for kind in KINDS:
        colour = replace(SMALL, channels=3, levels=3, likelihood="softmax", size=3, head=36)
        model = make(replace(colour, kind=kind), seed=1)
        x = pictures(32, 3, 3, 3).requires_grad_()
        for number, own in enumerate(([0, 0, 0], [1, 0, 0], [1, 1, 0])):
            told = model(x)[:, number, :, 1, 1] @ torch.randn(3, generator=seeded(1)).double()
            (slope,) = torch.autograd.grad(told.sum(), x)
            seen = slope.abs().sum(0) > 0
            assert seen[:, 1, 1].tolist() == [bool(known) for known in own], kind
            assert seen[:, 1, 0].all()
            assert seen[:, 0, 1].all()


def test_states_reach_from_corner_to_corner_as_made():
    """A new layer remembers: the first pixel is felt by the last, nearly thirty rows below."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(presets()["mnist"].config).double()
        forgetful = Model(presets()["mnist"].config).double()
    with torch.no_grad():
        lstm = forgetful.blocks[0].lstm
        lstm.gates.bias.view(2, 4, -1)[:, 1] -= 1
    slopes = []
    for made in (model, forgetful):
        x = pictures(2, 1, 28, 28).requires_grad_()
        made(x)[..., 27, 27].sum().backward()
        slopes.append(x.grad[:, :, :8].abs().mean().item())
    assert slopes[0] > 5 * slopes[1] > 0


# -- drawing ---------------------------------------------------------------------------------------


def draw_naively(model, noise, x, known):
    """The whole picture again for each of its values."""
    x = torch.where(known, x, 0.0)
    _, C, H, W = x.shape
    for i in range(H):
        for j in range(W):
            for colour in range(C):
                params = model(x)[:, colour, :, i : i + 1, j : j + 1]
                drawn = model.likelihood.draw(params, noise[:, colour, None, i : i + 1, j : j + 1])
                fresh = ~known[:, 0, i, j]
                x[fresh, colour, i, j] = drawn[fresh, 0, 0, 0]
    return x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changes", [{}, {"channels": 3, "levels": 6, "likelihood": "softmax"}])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_remembered_states_draw_what_whole_passes_draw(kind, changes, shape):
    model = make(replace(SMALL, kind=kind, **changes))
    H, W = shape
    C = model.config.channels
    noise = torch.rand(4, C, H, W, generator=seeded(2), dtype=torch.float64)
    counts = torch.tensor([0, 3, W, H * W])  # known pixels: each picture another number
    known = (torch.arange(H * W) < counts[:, None]).view(4, 1, H, W)
    step = 2 / (model.levels - 1)
    level = torch.randint(model.levels, noise.shape, generator=seeded(3))
    x = level.double() * step - 1
    with torch.no_grad():
        torch.testing.assert_close(
            model.draw(noise, x=x, known=known), draw_naively(model, noise, x, known)
        )
        nothing = torch.zeros_like(known)
        torch.testing.assert_close(model.draw(noise), draw_naively(model, noise, x, nothing))


def test_what_comes_after_an_unknown_pixel_cannot_be_known():
    model = make(SMALL)
    x, known = torch.ones(1, 1, 7, 7).double(), torch.ones(1, 1, 7, 7, dtype=torch.bool)
    known[0, 0, 2, 3] = False
    with pytest.raises(ValueError, match="an unknown pixel before a known one; give whole rows"):
        model.complete(x, known, generator=seeded(0))


# -- numbers ---------------------------------------------------------------------------------------


def test_grey_pictures_have_no_binary_likelihood():
    model = Model(replace(presets()["mnist-row"].config, layers=1))
    with pytest.raises(ValueError, match="pixelrnn scores values of -1 and 1; 784 of 784 are"):
        model.score(torch.full((1, 1, 28, 28), 0.5))


@pytest.mark.parametrize(
    ("kind", "expected"), [("row", -39.55409592234838), ("diagonal", -51.29265216609314)]
)
def test_scores_are_pinned(kind, expected):
    """Weights that anyone can compute; a change of what saved weights mean shows here."""
    model = Model(replace(SMALL, kind=kind)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            numbers = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((torch.sin(numbers * 0.7 + 0.1) / 2).view_as(parameter))
    x = torch.sin(torch.arange(49, dtype=torch.float64) ** 2).sign().view(1, 1, 7, 7)
    x[0, 0, 0, 0] = -1  # where the sine is 0
    assert model.score(x).item() == pytest.approx(expected, abs=1e-8)


def test_the_paper_for_digits_has_as_many_weights():
    """Counted by hand: 7 layers of h = 16, 32 feature maps at the top."""
    model = Model(presets()["mnist-7"].config)
    first = 2 * 32 * 4 * 7 + 32  # rows below are cut off the kernel
    input_to_state, state_to_state = 2 * (32 * 64 + 64), 2 * (2 * 16) * 64
    layer = input_to_state + state_to_state + 16 * 32 + 32
    top = 32 * 32 + 32 + 32 + 1
    assert sum(p.numel() for p in model.parameters()) == first + 7 * layer + top
    paper = presets()["gpu"].config
    assert (paper.kind, paper.layers, paper.hidden, paper.head) == ("diagonal", 12, 128, 1024)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_comes_near(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(replace(SMALL, kind=kind, size=16))
    x = (torch.rand(4, 1, 16, 16, generator=seeded(1)) < 0.5).float() * 2 - 1
    with torch.no_grad():
        exact = model.score(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = model.score(x)
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    torch.testing.assert_close(half, exact, rtol=0.01, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_learns_what_lies_far_beyond_the_convolutions(kind):
    """The last line repeats the first, random one, five pixels before, along the cells' way."""
    config = Config(kind=kind, channels=1, size=6, likelihood="bernoulli", hidden=8, layers=1,
                    head=16, first_kernel=3)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(240):
        x = -torch.ones(32, 1, 6, 6)
        line = (torch.rand(32, 1, 6, generator=seeded(step)) < 0.5).float() * 2 - 1
        x[:, :, 0] = x[:, :, 5] = line
        x = x if kind == "row" else x.transpose(2, 3)
        parts = model.loss(Batch(x[None], x[None], step_seed=step))
        optimiser.zero_grad()
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    once = 6 * math.log(2)  # who cannot look so far pays for the line twice
    assert once - 0.1 < parts["nll"].item() < 1.2 * once


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "size is 0; it has to be 1 or more"),
        ({"levels": 257}, "levels is 257; it has to be 2 to 256"),
        ({"channels": 3, "hidden": 2}, "hidden is 2; it has to be at least one for each channel"),
        ({"layers": 0}, "layers is 0; it has to be 1 or more"),
        ({"kernel": 4}, "kernel is 4; it has to be an odd number, 3 or more"),
        ({"first_kernel": 1}, "first_kernel is 1; it has to be an odd number, 3 or more"),
        ({"channels": 3, "head": 2}, "head is 2; it has to be at least one for each channel"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)
