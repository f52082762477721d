"""Every way of drawing gives the same picture: walk by walk, and end to end."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import models
from models import pixelcnn, pixelcnn_pp, pixelvae, pixelvae2
from models.nn.likelihoods import LogisticMixture
from models.nn.posterior import NormalPlaces
from models.sampling import compiled
from models.sampling.draws import drawing
from models.sampling.graphed import RowDrawing
from models.sampling.methods import chosen, in_double

FAST = ("cached", "rows", "jacobi", *(["compiled"] if compiled.is_installed() else []))
METHODS = ("naive", *FAST)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- whole networks ------------------------------------------------------------------------------

PIXELCNN = pixelcnn.Config(size=5, levels=8, width=12, layers=2, head=9, first_kernel=5)
PIXELVAE = replace(pixelvae.presets()["tiny"].config, target_size=6, layers=2)
PIXELVAE2 = replace(pixelvae2.presets()["tiny"].config, size=12, target_size=6, grid=3, layers=2)
PIXELCNN_PP = replace(pixelcnn_pp.presets()["tiny"].config, size=6, width=6)
CASES = {
    "pixelcnn plain": ("pixelcnn", PIXELCNN),
    "pixelcnn plain, grey, 5 x 5": ("pixelcnn", replace(PIXELCNN, channels=1, kernel=5)),
    "pixelcnn plain, binary": (
        "pixelcnn", replace(PIXELCNN, channels=1, likelihood="bernoulli", layers=1)),
    "pixelcnn gated": ("pixelcnn", replace(PIXELCNN, gated=True)),
    "pixelcnn gated, no layers": ("pixelcnn", replace(PIXELCNN, gated=True, layers=0)),
    "pixelcnn gated, grey, 5 x 5": (
        "pixelcnn", replace(PIXELCNN, gated=True, channels=1, kernel=5)),
    "pixelcnn gated, binary, labels": (
        "pixelcnn",
        replace(PIXELCNN, gated=True, channels=1, likelihood="bernoulli", classes=3)),
    "pixelcnn gated, labels": ("pixelcnn", replace(PIXELCNN, gated=True, classes=3)),
    "pixelcnn_pp": ("pixelcnn_pp", PIXELCNN_PP),
    "pixelcnn_pp, one scale, grey": (
        "pixelcnn_pp", replace(PIXELCNN_PP, size=5, scales=1, blocks=2, channels=1)),
    "pixelcnn_pp, two blocks": ("pixelcnn_pp", replace(PIXELCNN_PP, blocks=2)),
    "pixelcnn_pp, three scales, binary": (
        "pixelcnn_pp",
        replace(PIXELCNN_PP, size=8, scales=3, channels=1, likelihood="bernoulli")),
    "pixelcnn_pp, four scales, labels": (
        "pixelcnn_pp", replace(PIXELCNN_PP, size=8, scales=4, classes=3)),
    "pixelvae": ("pixelvae", PIXELVAE),
    "pixelvae, 5 x 5": ("pixelvae", replace(PIXELVAE, kernel=5)),
    "pixelvae, binary": ("pixelvae", replace(PIXELVAE, channels=1, likelihood="bernoulli")),
    "pixelvae, factorised": ("pixelvae", replace(PIXELVAE, layers=0)),
    "pixelvae2": ("pixelvae2", PIXELVAE2),
    "pixelvae2, binary": (
        "pixelvae2",
        replace(PIXELVAE2, channels=1, likelihood="bernoulli", lower=3, prior_layers=2)),
    "pixelvae2, factorised pixels": ("pixelvae2", replace(PIXELVAE2, layers=0)),
    "pixelvae2, factorised map": ("pixelvae2", replace(PIXELVAE2, prior_layers=0)),
}  # fmt: skip


VAES = pixelvae.Model, pixelvae2.Model


@pytest.fixture(params=CASES, scope="module")
def model(request):
    name, config = CASES[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.create(name, config=models.training.config.to_json(config)).eval()
        for key, parameter in model.named_parameters():
            if not key.startswith("encoder"):  # no accidental zero can hide a path
                inputs = parameter[0].numel() if parameter.ndim > 1 else 4
                torch.nn.init.normal_(parameter, std=1.2 / inputs**0.5)
    return model


def given(model, batch, seed=1):
    """What ``draw`` wants: (arguments before the noise, noise, arguments after it)."""
    c = model.config
    colours = 1 if isinstance(model.likelihood, LogisticMixture) else c.channels
    side = c.target_size
    noise = torch.rand(
        batch, colours * model.likelihood.noise, side, side, generator=seeded(seed)
    )  # fmt: skip
    if isinstance(model, VAES):
        z = torch.randn(batch, c.latent, generator=seeded(seed))
        if isinstance(model, pixelvae.Model):
            return z, noise
        return z, torch.randn(batch, c.lower, c.grid, c.grid, generator=seeded(seed)), noise
    return (noise, torch.arange(batch) % c.classes) if c.classes else (noise,)


def walked(model):
    """The likelihoods of the networks that have something to remember."""
    pixels = [] if isinstance(model, VAES) and not model.config.layers else [model.likelihood]
    places = [NormalPlaces] if getattr(model.config, "prior_layers", 0) else []
    return [*map(type, pixels), *places]


def test_all_ways_give_the_same_picture(model):
    """Bit for bit, however many are drawn at once."""
    arguments = given(model, 5)
    naive = model.draw(*arguments, method="naive")
    assert naive.dtype == next(model.parameters()).dtype
    for batch in (1, 2, 5):
        some = [argument[:batch] for argument in arguments]
        for method in (*FAST, "auto"):
            assert torch.equal(model.draw(*some, method=method), naive[:batch]), (batch, method)
    assert not torch.equal(model.draw(*given(model, 5, seed=2)), naive)


def test_all_ways_keep_what_is_known(model):
    if not hasattr(model, "complete"):
        pytest.skip("completes nothing")
    noise, *labels = given(model, 2)
    c = model.config
    x = torch.rand(2, c.channels, c.size, c.size, generator=seeded(3)) * 2 - 1
    known = torch.zeros(2, 1, c.size, c.size, dtype=torch.bool)
    for row, count in enumerate((9, c.size**2)):  # each picture as much as it has
        known[row].view(-1)[:count] = True
    drawn = [
        model.draw(noise, *labels, x=x, known=known, method=method) for method in METHODS
    ]  # fmt: skip
    for other in drawn[1:]:
        assert torch.equal(other, drawn[0])
    rounded = models.nn.categorical.snap(x, getattr(model, "levels", 256))
    where = known.expand_as(x)
    torch.testing.assert_close(drawn[0][where], rounded[where])


def test_a_walk_says_at_every_pixel_what_the_whole_pass_says(model, monkeypatch):
    """Within rounding in float64, of the numbers themselves and not only of what they draw."""
    told, asked = [], []
    if not walked(model):
        pytest.skip("nothing to walk through")
    for likelihood in walked(model):

        def draw(self, params, noise, plain=likelihood.draw):
            told.append(params)
            return plain(self, params, noise)

        monkeypatch.setattr(likelihood, "draw", draw)

    def preparing(likelihood, noise):
        method, prepared = drawing(likelihood, noise)
        return lambda params, u: asked.append(params.copy()) or method(params, u), prepared

    monkeypatch.setattr("models.sampling.cached.drawing", preparing)
    model.draw(*given(model, 2), method="naive")
    model.draw(*given(model, 2), method="cached")
    assert len(told) == len(asked) > 0
    for one, other in zip(told, asked, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(other), one[..., 0, 0], rtol=1e-11, atol=1e-12
        )  # fmt: skip


def test_rows_keep_to_the_temperature(model):
    arguments = given(model, 2)
    if not hasattr(model, "at_temperature"):
        model.likelihood, plain = replace(model.likelihood, temperature=0.6), model.likelihood
        drawn = [model.draw(*arguments, method=method) for method in ("naive", "rows")]
        model.likelihood = plain
    else:
        colder = model.at_temperature(0.6)
        drawn = [colder.draw(*arguments, method=method) for method in ("naive", "rows")]
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[1], model.draw(*arguments, method="rows"))


class Calls(TorchDispatchMode):
    """Writes down which operations are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


# What asks for a number, or copies one from the processor, cannot be part of a CUDA graph.
WAITING = {
    "_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "equal",
    "scalar_tensor", "lift_fresh", "lift_fresh_copy",
}  # fmt: skip


def test_a_pass_over_a_row_waits_for_no_number(model, monkeypatch):
    """As far as it can be seen without a GPU: it could be captured."""
    found = {}
    for name in ("_begin_row", "_pass"):
        plain, calls = getattr(RowDrawing, name), Calls()

        def seen(self, phase, plain=plain, calls=calls):
            with calls:
                plain(self, phase)

        monkeypatch.setattr(RowDrawing, name, seen)
        found[name] = calls
    if not walked(model):
        pytest.skip("nothing to walk through")
    model.draw(*given(model, 2), method="rows")
    for name, calls in found.items():
        assert "addmm" in calls.names, name
        assert not WAITING & set(calls.names), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_rows_captured_as_graphs_give_the_same_picture(model):
    """Of any number of pictures, with what is known, and of another temperature."""
    on_gpu = copy.deepcopy(model).cuda()
    arguments = [argument.cuda() for argument in given(model, 5)]
    naive = on_gpu.draw(*arguments, method="naive")
    for batch in (1, 5):
        some = [argument[:batch] for argument in arguments]
        for method in ("rows", "auto", "jacobi"):
            assert torch.equal(on_gpu.draw(*some, method=method), naive[:batch]), (batch, method)
    if hasattr(model, "complete"):
        known = torch.zeros_like(naive[:, :1], dtype=torch.bool)
        for row, count in enumerate((0, 9, naive[0, 0].numel(), 1, 20)):
            known[row].view(-1)[:count] = True
        drawn = [
            on_gpu.draw(*arguments, x=naive.flip(0), known=known, method=method)
            for method in ("naive", "rows")
        ]
        assert torch.equal(*drawn)
    on_gpu.likelihood = replace(on_gpu.likelihood, temperature=0.6)
    colder = [on_gpu.draw(*arguments, method=method) for method in ("naive", "rows")]
    assert torch.equal(*colder)
    assert not torch.equal(colder[0], naive)


def test_sampling_changes_neither_the_weights_nor_their_type(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for method in FAST:
        model.draw(*given(model, 1), method=method)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
        assert value.dtype == before[key].dtype


# -- the choice ----------------------------------------------------------------------------------


def test_auto_takes_the_cache_on_a_processor_and_jacobi_elsewhere():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert chosen("auto", device=cpu, walks=True, pictures=compiled.MOST + 1) == "cached"
    few = "compiled" if compiled.is_installed() else "cached"
    assert chosen("auto", device=cpu, walks=True, pictures=1) == few
    assert chosen("auto", device=cuda, walks=True, pictures=1) == "rows"
    assert chosen("auto", device=cpu, walks=False, pictures=1) == "jacobi"
    assert chosen("cached", device=cpu, walks=False, pictures=1) == "jacobi"
    assert chosen("naive", device=cuda, walks=True, pictures=1) == "naive"
    with pytest.raises(ValueError, match="no sampling method 'fast'"):
        chosen("fast", device=cpu, walks=True, pictures=1)


def test_without_numba_compiled_says_what_to_do(monkeypatch):
    monkeypatch.setattr(compiled, "is_installed", lambda: False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[compiled\]'"):
        compiled.record()


def test_a_model_in_float64_is_its_own_twin():
    model = torch.nn.Linear(2, 2)
    twin = in_double(model)
    assert twin is not model
    assert twin.weight.dtype == torch.float64
    assert torch.equal(twin.weight.float(), model.weight)
    assert in_double(twin) is twin
