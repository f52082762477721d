"""Labels from end to end: trained with, asked for on the command line and over HTTP."""

import base64
import contextlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.training.checkpoint import load_weights
from service.commands.training import Wishes, make_plan
from tests.service.commands import niteru

JSON = {"accept": "application/json"}
PATIENT = {"job_wait": 100.0, "request_timeout": 150.0}  # however busy the machine is
SETTINGS = {  # of a small model of black and white pictures with two classes
    "pixelcnn": ["channels=1", "likelihood=bernoulli", "classes=2"],
    "pixelcnn_pp": ["channels=1", "likelihood=bernoulli", "classes=2", "dropout=0"],
}


@pytest.fixture(scope="module", autouse=True)
def _unexported():
    """Nothing is embedded here, and an export takes many times as long as such a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.commands.training.export_encoder", lambda _folder: None)
        yield


def write_idx(prefix: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        prefix.with_name(f"{prefix.name}-{name}-ubyte").write_bytes(header + array.tobytes())
    return prefix


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> Path:
    """Pictures of 4 x 4, noise in one half, the upper one if the label is 0; the idx prefix."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200, dtype=np.uint8)
    pixels = np.zeros((200, 4, 4), np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[2 * label : 2 * label + 2] = 255 * (rng.random((2, 4)) < 0.8)
    return write_idx(tmp_path_factory.mktemp("halves") / "small", pixels, labels)


def train_words(model, data, out, *, labels=(), settings=(), steps=120):
    words = ["train", model, "--data", data, "--preset", "tiny", "--out", out]
    words += ["--steps", steps, "--learning-rate", 0.01]
    words += [word for path in labels for word in ("--labels", path)]
    return words + [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module", params=SETTINGS)
def taught(request, halves, tmp_path_factory) -> Path:
    """A folder whose ``weights`` hold a model, under its name, that has learned the halves."""
    folder, name = tmp_path_factory.mktemp("taught"), request.param
    out = folder / "weights" / name
    niteru(*train_words(name, halves, out, labels=[halves], settings=SETTINGS[name]))
    return folder


def ink(told):
    """The share of white in the upper and in the lower half of all pictures."""
    found = [np.asarray(Image.open(io.BytesIO(base64.b64decode(p)))) for p in told["pictures"]]
    return np.stack(found)[..., :4, :4].reshape(len(found), 2, -1).mean((0, 2)) / 255


def test_pictures_of_a_label_are_as_the_data_with_it(taught, serve, monkeypatch, tmp_path):
    monkeypatch.chdir(taught)
    client, (folder,) = serve(**PATIENT), (taught / "weights").iterdir()
    name = folder.name
    (weights,) = client.get(f"/v1/models/{name}").json()["weights"]
    assert weights["classes"] == 2
    for label in (0, 1):
        asked = {"n": 24, "seed": 3, "label": label}
        told = client.post(f"/v1/models/{name}/samples", json=asked, headers=JSON)
        shares = ink(told.json())
        assert shares[label] == pytest.approx(0.8, abs=0.12)
        assert shares[1 - label] < 0.1
        out = tmp_path / f"{label}.json"
        said = niteru("sample", name, "-n", 24, "--seed", 3, "--label", label,
                      "--format", "json", "--out", out)  # fmt: skip
        assert f"seed 3, label {label}." in said
        assert json.loads(out.read_text()) == told.json()
    either = client.post(f"/v1/models/{name}/samples", json={"n": 64}, headers=JSON)
    assert min(ink(either.json())) > 0.15


def test_a_completion_is_of_the_label(taught, serve, monkeypatch, tmp_path):
    """Nothing is known, so that nothing but the label says what is drawn."""
    monkeypatch.chdir(taught)
    client, (folder,) = serve(**PATIENT), (taught / "weights").iterdir()
    photo = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(photo)
    for label in (0, 1):
        told = client.post(
            f"/v1/models/{folder.name}/completions",
            params={"rows": 0, "label": label, "n": 16},
            files={"image": photo.read_bytes()},
            headers=JSON,
        ).json()
        shares = ink(told)
        assert shares[label] > shares[1 - label] + 0.5
        out = tmp_path / f"{label}.json"
        niteru("complete", photo, "--known", 0, "--weights", folder.name, "--label", label,
               "-n", 16, "--format", "json", "--out", out)  # fmt: skip
        assert json.loads(out.read_text()) == told


def test_labels_that_are_not_there_are_told(taught, serve, monkeypatch, check_problem, tmp_path):
    monkeypatch.chdir(taught)
    client, (folder,) = serve(**PATIENT), (taught / "weights").iterdir()
    refused = client.post(f"/v1/models/{folder.name}/samples?label=2")
    assert "know 0 to 1" in check_problem(refused, 422, "model-cannot")["detail"]
    refused = client.post(f"/v1/models/{folder.name}/samples?label=-1")
    assert "greater than or equal to 0" in check_problem(refused, 422, "invalid-request")["detail"]
    told = niteru("sample", folder.name, "--label", 2, "--out", tmp_path / "a.png", code=1)
    assert "Label 2: these weights know 0 to 1." in told
    niteru("sample", folder.name, "--label", -1, "--out", tmp_path / "a.png", code=2)
    assert not (tmp_path / "a.png").exists()


def test_models_and_weights_without_labels_say_so(artist, check_problem, ask, tmp_path):
    for name, found in (
        ("pixelcnn", "these weights were trained without labels"),
        ("vae", "it is not conditioned on labels. Models that can: pixelcnn, pixelcnn_pp."),
    ):
        refused = artist.post(f"/v1/models/{name}/samples?label=0")
        assert found in check_problem(refused, 422, "model-cannot")["detail"]
        told = niteru("sample", name, "--label", 0, "--out", tmp_path / "a.png", code=1)
        assert found.split(".")[0] in told
        assert artist.get(f"/v1/models/{name}").json()["weights"][0]["classes"] is None
        assert ask(artist).model(name).weights[0].classes is None
    assert "label" in artist.get("/v1/models/pixelcnn").json()["abilities"]


def test_a_client_asks_for_a_label(taught, serve, monkeypatch, ask, photos):
    monkeypatch.chdir(taught)
    asked, (folder,) = ask(serve(**PATIENT)), (taught / "weights").iterdir()
    assert asked.model(folder.name).weights[0].classes == 2
    drawn = [asked.samples(folder.name, n=2, label=label).pictures for label in (0, 1, 1)]
    assert drawn[0] != drawn[1] == drawn[2]
    data = photos["hats/03"]
    done = [asked.completions(folder.name, data, rows=0, n=2, label=label) for label in (0, 1)]
    assert done[0].pictures != done[1].pictures


def test_a_pen_has_no_label(pens, monkeypatch, serve, check_problem, tmp_path):
    monkeypatch.chdir(pens)
    told = niteru("sample", "sketch_rnn", "--label", 1, "--out", tmp_path / "a.svg", code=1)
    assert "not conditioned on labels" in told
    refused = serve(**PATIENT).post("/v1/models/sketch_rnn/samples?label=1")
    assert "not conditioned" in check_problem(refused, 422, "model-cannot")["detail"]


# -- what a training is given --------------------------------------------------------------------


@pytest.fixture
def digits(tmp_path) -> Path:
    """Packed pictures and their labels, and labels that do not fit."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", train=rng.integers(0, 256, (6, 98), dtype=np.uint8))
    np.savez(tmp_path / "y.npz", train=np.arange(6, dtype=np.uint8) % 3)
    np.savez(tmp_path / "few.npz", train=np.zeros(5, np.uint8))
    np.savez(tmp_path / "other.npz", train=(np.arange(6, dtype=np.uint8) + 1) % 3)
    (tmp_path / "photos").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("model", "data", "labels", "settings", "message"),
    [
        ("pixelcnn", ["x.npz"], [], ["classes=3"], "give --labels with the class of each picture"),
        ("pixelcnn", ["x.npz"], ["y.npz"], [], "has classes=0, so --labels says nothing to it"),
        ("vae", ["x.npz"], ["y.npz"], [], "or train one of: pixelcnn, pixelcnn_pp."),
        ("sketch_rnn", ["x.npz"], ["y.npz"], [], "A sketch_rnn is not conditioned on labels"),
        ("pixelcnn", ["x.npz"], ["y.npz"], ["classes=2"], "from 0 to 2; expected 0 to 1, as"),
        ("pixelcnn", ["x.npz"], ["few.npz"], ["classes=3"], "has 5 labels and"),
        ("pixelcnn", ["x.npz"], ["y.npz"] * 2, ["classes=3"], "There are 1 --data and 2 --labels"),
        ("pixelcnn", ["photos"], ["y.npz"], ["classes=3"], "--labels are those of arrays"),
        ("pixelcnn", ["x.npz"], ["no.npz"], ["classes=3"], "no.npz is no .npz file of labels"),
    ],
)
def test_labels_that_do_not_fit_are_told(digits, model, data, labels, settings, message):
    words = ["train", model, "--out", digits / "w", "--steps", 1]
    words += ["--preset", "mnist-gated" if model == "pixelcnn" else "tiny"]
    words += [word for name in data for word in ("--data", digits / name)]
    words += [word for name in labels for word in ("--labels", digits / name)]
    told = niteru(*words, *(word for setting in settings for word in ("--set", setting)), code=1)
    assert message in told
    assert not (digits / "w").exists()


def test_a_run_goes_on_with_its_own_labels(digits, monkeypatch):
    """A run that was stopped ends as one that was not, and not at all with other labels."""
    small = ["classes=3", "width=4", "layers=1", "head=4"]
    words = ["train", "pixelcnn", "--preset", "mnist-gated", "--data", digits / "x.npz"]
    start = ["--steps", 6, "--batch-size", 2]
    start += [word for setting in small for word in ("--set", setting)]
    own = ["--labels", digits / "y.npz"]
    niteru(*words, *own, *start, "--out", digits / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("service.commands.training.stop_on_signal", lambda: stopped_at(3))
        niteru(*words, *own, *start, "--out", digits / "parts", code=130)
    again = [*words, "--out", digits / "parts", "--resume"]
    assert "cannot be trained without labels" in niteru(*again, code=1)
    told = niteru(*again, "--labels", digits / "other.npz", code=1)
    assert "Give the same --data, --masks and --labels" in told
    niteru(*again, *own)
    ends = [load_weights(digits / name).fingerprint for name in ("whole", "parts")]
    assert ends[0] == ends[1]


@contextlib.contextmanager
def stopped_at(step):
    asked = iter(range(1, 1_000))
    yield lambda: next(asked) >= step


def test_several_arrays_have_labels_each(halves, tmp_path):
    """Labels stay with their pictures, in colour too, whatever a source counts."""
    other = write_idx(
        tmp_path / "white", np.full((50, 4, 4), 255, np.uint8), np.full(50, 2, np.uint8)
    )
    out = tmp_path / "w"
    words = train_words("pixelcnn", halves, out, labels=[halves, other], settings=["classes=3"])
    niteru(*words, "--data", f"{other}@200")
    weights = load_weights(out)
    assert weights.model.config.classes == 3
    drawn = tmp_path / "a.json"
    niteru("sample", out, "-n", 16, "--label", 2, "--format", "json", "--out", drawn)
    assert min(ink_in_colour(json.loads(drawn.read_text()))) > 0.8


def ink_in_colour(told):
    found = [np.asarray(Image.open(io.BytesIO(base64.b64decode(p)))) for p in told["pictures"]]
    return np.stack(found).reshape(len(found), 2, -1).mean((0, 2)) / 255


def test_a_plan_needs_no_labels_until_it_is_trained():
    plan = make_plan("pixelcnn", "tiny", Wishes(settings=("classes=10",)))
    assert plan.build().config.classes == 10
