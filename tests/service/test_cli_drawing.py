"""``niteru sample``, ``complete``, ``reconstruct``, ``interpolate``: as over HTTP, and in files."""

import base64
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from models.training.checkpoint import load_weights
from models.training.weights import METRICS
from service.likelihoods import png_bits, share_above
from tests.service.commands import niteru

JSON = {"accept": "application/json"}


@pytest.fixture(scope="module")
def files(tmp_path_factory, photos):
    """Two photos and a mask as files."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.png").write_bytes(photos["hats/03"])
    (folder / "b.png").write_bytes(photos["bags/01"])
    mask = np.zeros((120, 160), np.uint8)
    mask[:60] = 255
    Image.fromarray(mask).save(folder / "top.png")
    Image.open(folder / "a.png").resize((4, 4), Image.Resampling.NEAREST).save(folder / "small.png")
    (folder / "broken.png").write_bytes(photos["hats/03"][:200])
    return folder


def test_the_same_files_as_over_http(artist, files, tmp_path):
    """The command in this process and the call to a server, byte for byte, in every format."""
    a, b = ("image", ("a.png", (files / "a.png").read_bytes())), (
        "image", ("b.png", (files / "b.png").read_bytes()),
    )  # fmt: skip
    mask = ("mask", ("m.png", (files / "top.png").read_bytes()))
    for number, (words, call, given) in enumerate(
        [
            (["sample", "vae", "-n", 11, "--seed", 3], "vae/samples?n=11&seed=3", {}),
            (["sample", "pixelcnn", "--size", 5], "pixelcnn/samples?size=5", {}),
            (["sample", "made", "--temperature", 0.5], "made/samples?temperature=0.5", {}),
            (
                ["complete", files / "a.png", "--known", 2, "--weights", "pixelcnn"],
                "pixelcnn/completions?rows=2",
                {"files": [a]},
            ),
            (
                ["complete", files / "a.png", "--known", files / "top.png", "--weights",
                 "pixelcnn", "-n", 2],
                "pixelcnn/completions?n=2",
                {"files": [a, mask]},
            ),
            (
                ["reconstruct", files / "a.png", files / "b.png", "--weights", "vae", "--mean"],
                "vae/reconstructions?mean=true",
                {"files": [a, b]},
            ),
            (
                ["interpolate", files / "a.png", files / "b.png", "--weights", "vae", "--steps", 3],
                "vae/interpolations?steps=3",
                {"files": [a, b]},
            ),
            (
                ["interpolate", 1, 2, "--weights", "pixelvae"],
                "pixelvae/interpolations",
                {"json": {"seeds": [1, 2]}},
            ),
            (
                ["arithmetic", 1, "-", 2, "+", 3, "--weights", "vae", "-n", 2],
                "vae/arithmetic?n=2",
                {"json": {"plus": [1, 3], "minus": [2]}},
            ),
            (
                ["frames", "--weights", "draw", "-n", 2, "--frames", 2, "--seed", 3],
                "draw/frames?n=2&frames=2&seed=3",
                {},
            ),
            (["frames", files / "a.png", "--weights", "draw"], "draw/frames", {"files": [a]}),
        ]
    ):  # fmt: skip
        for file_format in ("grid", "json", "zip"):
            out = tmp_path / f"{number}.{file_format}"
            said = niteru(*words, "--out", out, "--format", file_format)
            assert str(out) in said
            joined = f"{call}{'&' if '?' in call else '?'}format={file_format}"
            answer = artist.post(f"/v1/models/{joined}", **given)
            assert answer.status_code == 200, answer.text
            assert out.read_bytes() == answer.content, (words, file_format)


@pytest.mark.parametrize("file_format", ["grid", "json", "zip"])
def test_a_small_picture_is_made_as_large_as_over_http(artist, files, tmp_path, file_format):
    small, out = files / "small.png", tmp_path / "large"
    niteru("enlarge", small, "--weights", "multiscale", "-n", 9, "--seed", 3, "--temperature", 0.5,
           "--out", out, "--format", file_format)  # fmt: skip
    answer = artist.post(
        "/v1/models/multiscale/enlargements",
        params={"n": 9, "seed": 3, "temperature": 0.5, "format": file_format},
        content=small.read_bytes(),
    )
    assert answer.status_code == 200, answer.text
    assert out.read_bytes() == answer.content


def test_files_are_what_their_format_says(artist, tmp_path):
    niteru("sample", "vae", "-n", 2, "--out", tmp_path / "a.zip", "--format", "zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["000.png", "001.png"]
    niteru("sample", "vae", "-n", 2, "--out", tmp_path / "a.json", "--format", "json")
    told = json.loads((tmp_path / "a.json").read_text())
    with Image.open(io.BytesIO(base64.b64decode(told["pictures"][0]))) as image:
        assert image.size == (8, 8)


def test_errors_are_sentences(artist, files, tmp_path):
    a, out = files / "a.png", tmp_path / "x.png"
    for words, found in (
        (["sample", "autoencoder", "--temperature", 2], "its draws have no temperature"),
        (["sample", "vae", "--temperature", 0], "positive number"),
        (["sample", "nothing"], "no weights 'nothing'"),
        (["complete", a, "--known", 1, "--weights", "vae"], "cannot do that (complete)"),
        (["complete", a, "--known", 4, "--weights", "pixelcnn"], "expected 0 to 3"),
        (["complete", a, "--known", files / "no.png", "--weights", "pixelcnn"], "no.png"),
        (["enlarge", a, "--weights", "vae"], "cannot do that (enlarge)"),
        (["enlarge", a, "--weights", "pixelvae2"], "cannot do that (enlarge)"),
        (["enlarge", a, "--weights", "multiscale"], "a.png: The small picture has 160 x 120"),
        (["enlarge", files / "no.png", "--weights", "multiscale"], "no.png"),
        (["reconstruct", files / "broken.png", "--weights", "vae"], "broken.png"),
        (["reconstruct", a, "--weights", "made"], "no latent vector"),
        (["interpolate", 1, 2, "--weights", "pixelrnn"], "no latent vector"),
        (["arithmetic", 1, "-", 2, "--weights", "vae"], "adds 1 and takes away 1"),
        (["interpolate", a, 2, "--weights", "vae"], "expected two photos, or two seeds"),
        (["arithmetic", 1, 2, "--weights", "vae"], "with + or - between"),
        (["arithmetic", a, "--weights", "gan"], "give seeds"),
        (["frames", "--weights", "vae"], "at one go"),
        (["interpolate", a, files / "no.png", "--weights", "vae"], "no.png"),
    ):
        assert found in niteru(*words, "--out", out, code=1), words
    assert not out.exists()
    niteru("interpolate", 1, 2, "--steps", 1, code=2)
    niteru("complete", a, "--weights", "pixelcnn", code=2)
    niteru("enlarge", a, code=2)


@pytest.mark.parametrize(
    "command",
    ["sample", "complete", "enlarge", "reconstruct", "interpolate", "arithmetic", "frames"],
)
def test_help_does_not_wait_for_torch(command):
    code = (
        "import sys; from service.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: print([m for m in ('torch', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--temperature" in done.stdout


def test_likelihoods_are_recorded_for_servers(serve, make_weights, tmp_path, monkeypatch, photos):
    """What the command leaves in metrics.json is what a server then compares photos with."""
    monkeypatch.chdir(tmp_path)
    folder = make_weights(tmp_path / "weights" / "mine", name="pixelcnn")
    (folder / METRICS).write_text(json.dumps({"training": {"steps": 3}}))
    (tmp_path / "held-out").mkdir()
    for number, data in enumerate(photos.values()):
        (tmp_path / "held-out" / f"{number}.png").write_bytes(data)
    niteru("evaluate", "nll", "mine", "--data", tmp_path / "held-out")
    assert "likelihood" not in json.loads((folder / METRICS).read_text())
    niteru("evaluate", "nll", "mine", "--data", tmp_path / "held-out", "--record")
    metrics = json.loads((folder / METRICS).read_text())
    assert metrics["training"] == {"steps": 3}
    kept = metrics["likelihood"]
    assert (kept["data"], kept["pictures"], kept["samples"]) == ("held-out", len(photos), None)
    weights = load_weights(folder)
    excesses = []
    for data in photos.values():
        seen = weights.preprocessing.read(data)
        x = torch.tensor(seen).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            bits = -weights.model.score(x).item() / (seen.size * np.log(2))
        excesses.append(bits - png_bits(seen))
    assert kept["excess"][0] == pytest.approx(min(excesses), abs=1e-4)
    assert kept["excess"][-1] == pytest.approx(max(excesses), abs=1e-4)
    told = serve(job_wait=20).post("/v1/models/pixelcnn/likelihoods", content=photos["hats/03"])
    score = told.json()["scores"][0]
    assert score["share_no_better"] == pytest.approx(
        share_above(score["excess_bits_per_dim"], kept["excess"])
    )
