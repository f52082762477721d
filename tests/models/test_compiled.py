"""What NumPy does at once, compiled code does from a list: the same numbers, call by call."""

import resource
import shutil

import numpy as np
import pytest

from models.sampling.calls import NumpyCalls, features, halves

pytest.importorskip("numba", reason="needs the extra 'compiled'")

from numba import config

from models.sampling.recorded import RecordedCalls, fast


class Work:
    """One call of each kind over memory of its own."""

    def __init__(self, calls, batch):
        rng = np.random.default_rng(0)
        self.calls, self.batch = calls, batch
        # Rows that do not follow one another: cut from wider ones, as the pixels of a row are.
        self.x = rng.normal(size=(batch, 9))[:, 1:8]
        self.weight = rng.normal(size=(7, 6))
        self.row = rng.normal(size=(batch, 5, 6))
        self.bias = rng.normal(size=(1, 6))
        self.elus = np.zeros((batch, 4, 12))
        self.gate, self.tanh = np.zeros((batch, 3)), np.zeros((batch, 3))
        self.both = np.zeros((batch, 6))
        self.out = np.zeros((batch, 6))

    def __call__(self):
        calls = self.calls
        calls.product(self.x, self.weight, self.row[:, 2], self.both)
        calls.concat_elu(self.both, features(self.elus[:, 1]))
        calls.sigmoid_gate(*halves(self.both), self.x[:, :3], self.gate)
        calls.product(self.x, self.weight, self.bias, self.both)
        calls.tanh_gate(*halves(self.both), self.tanh)
        calls.relu(self.elus[:, 1, 3:9], self.out)
        calls.copy(self.tanh, self.out[:, :3])
        calls.add(self.gate, self.out[:, 3:])
        return self.out


@pytest.mark.parametrize("batch", [1, 3])
def test_the_list_does_what_was_recorded(batch):
    """With what the memory holds when it is gone through, not with what it held before."""
    recorded, at_once = Work(RecordedCalls(), batch), Work(NumpyCalls(), batch)
    for round_ in range(3):
        for work in (recorded, at_once):
            work.x[:] = np.random.default_rng(round_).normal(size=work.x.shape) * 30
            work.row[:] = np.random.default_rng(9 + round_).normal(size=work.row.shape)
        expected = at_once().copy()
        assert recorded.calls.run("here", recorded) is recorded.out
        np.testing.assert_allclose(recorded.out, expected, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(recorded.elus, at_once.elus, rtol=1e-13, atol=1e-13)


def test_a_place_keeps_its_own_list():
    work = Work(RecordedCalls(), 1)
    other = np.zeros((1, 7))

    def elsewhere():
        work.calls.copy(work.x, other)
        return other

    for _ in range(2):
        work.calls.run("here", work)
        assert work.calls.run("there", elsewhere) is other
    np.testing.assert_array_equal(other, work.x)


def test_extremes_stay_numbers_or_become_what_numpy_makes_of_them():
    recorded, at_once = Work(RecordedCalls(), 1), Work(NumpyCalls(), 1)
    with np.errstate(all="ignore"):
        recorded.calls.run("here", recorded)
        for work in (recorded, at_once):
            work.row[:] = [[[1e3, -1e3, 1e4, 1e5, -1e5, 0.0]] * 5]
        recorded.calls.run("here", recorded)
        at_once()
    np.testing.assert_allclose(recorded.out, at_once.out, rtol=1e-13)


@pytest.mark.parametrize(
    "x",
    [np.zeros((1, 7), np.float32), np.zeros((7, 1)).T[:, ::2], np.zeros((7, 2)).T],
    ids=["float32", "every second", "columns"],
)
def test_what_an_address_does_not_describe_is_refused(x):
    with pytest.raises(ValueError, match="rows of float64 in one piece"):
        RecordedCalls().relu(x, np.zeros(x.shape))


def test_a_weight_that_lies_otherwise_is_refused():
    weight = np.zeros((9, 6))[::2]
    with pytest.raises(ValueError, match="in one piece"):
        RecordedCalls().product(np.zeros((1, 5)), weight, np.zeros((1, 6)), np.zeros((1, 6)))


def twice(x):
    return 2 * x


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where compiled code is kept during a test."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder, ending):
    return sorted(folder.rglob(f"*.{ending}"))


def test_compiled_code_is_kept_for_the_next_process(kept):
    assert fast(twice)(3) == 6
    assert files(kept, "nbc")
    again = fast(twice)
    assert again(4) == 8
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_costs_the_keeping_and_not_the_drawing(kept, caplog):
    compiled = fast(twice)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # not a byte can be written
    try:
        assert compiled(3) == 6
        assert compiled(2.5) == 5.0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(kept, "nbc") == []
    (told,) = caplog.records
    assert "NUMBA_CACHE_DIR" in told.getMessage()
    assert str(kept) in told.getMessage()


def test_a_folder_that_is_gone_or_no_folder_is_told(kept, caplog):
    compiled = fast(twice)
    shutil.rmtree(kept)
    kept.write_text("no folder")
    assert compiled(3) == 6
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 10, 60])
def test_a_damaged_file_is_as_good_as_none(kept, caplog, ending, left):
    fast(twice)(3)
    for path in files(kept, ending):
        path.write_bytes(path.read_bytes()[:left])
    assert fast(twice)(3) == 6
    assert "remove what is damaged" in caplog.text
