"""The command line as a user meets it: the whole job on a small catalogue, and its errors."""

import contextlib
import io
import json
import resource
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import models
from service.cli import main
from service.commands.demo import free_port, serving

TINY = ["--preset", "tiny", "--steps", "40"]


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


def niteru(*words: object, code: int = 0) -> Done:
    """Run a command in this process (torch takes seconds to import) and expect its exit code."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        found: object = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            found = end.code or 0
    done = Done(stdout.getvalue(), stderr.getvalue())
    assert found == code, done.stdout + done.stderr
    return done


def spawn(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own and expect its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A folder with a rendered catalogue, weights trained on it, and a store."""
    folder = tmp_path_factory.mktemp("shop")
    niteru("sample-catalogue", folder / "catalogue", "--items", 40, "--size", 96, "--masks",
           "--photos-per-item", 2)  # fmt: skip
    niteru("train", "pixelvae", "--data", folder / "catalogue" / "items.csv", *TINY,
           "--out", folder / "weights", "--cache", folder / "cache")  # fmt: skip
    niteru("index", folder / "catalogue" / "items.csv", "--store", folder / "store",
           "--weights", folder / "weights")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def photo(shop) -> Path:
    return sorted((shop / "catalogue" / "images").iterdir())[5]


def on_store(shop):
    return "--store", shop / "store", "--weights", shop / "weights"


def test_a_photo_of_the_catalogue_finds_itself(shop, photo, tmp_path):
    answer = niteru("search", photo, *on_store(shop), "--limit", 3, "--json",
                    "--picture", tmp_path / "sheet.png")  # fmt: skip
    found = json.loads(answer.stdout)
    assert found[0]["id"] == photo.stem
    assert found[0]["score"] == pytest.approx(1.0, abs=1e-3)
    assert found[0]["attributes"]["kind"] == photo.stem.split("-")[0]
    assert [hit["score"] for hit in found] == sorted((h["score"] for h in found), reverse=True)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 + 4 * 134 + 18, 6 + 134)
    assert photo.stem in niteru("search", photo, *on_store(shop)).stdout


def test_several_photos_are_answered_in_their_order(shop):
    photos = sorted((shop / "catalogue" / "images").iterdir())[:3]
    answer = json.loads(niteru("search", *photos, *on_store(shop), "--json").stdout)
    assert [row["items"][0]["id"] for row in answer] == [path.stem for path in photos]


def test_a_search_is_filtered_by_the_columns_of_the_manifest(shop, photo, tmp_path):
    kind = photo.stem.split("-")[0]
    tree = json.dumps({"must_not": [{"key": "kind", "match": kind}]})
    (tmp_path / "filter.json").write_text(tree)
    for given in (tree, f"@{tmp_path / 'filter.json'}"):
        words = ("search", photo, *on_store(shop), "--limit", 200, "--json", "--filter", given)
        found = {hit["attributes"]["kind"] for hit in json.loads(niteru(*words).stdout)}
        assert found
        assert kind not in found
    nothing = json.dumps({"must": [{"key": "knid", "exists": True}, {"key": "kind", "match": 5}]})
    told = niteru("search", photo, *on_store(shop), "--filter", nothing).stderr
    assert "No item passes the filter." in told
    assert "No item has an attribute 'knid'. Did you mean 'kind'?" in told
    assert "'kind' is \"" in told
    misspelt = niteru("search", photo, *on_store(shop), "--group-by", "knid", code=1).stderr
    assert misspelt.startswith("niteru: No item has an attribute 'knid'. Did you mean 'kind'? The")
    copy = json.loads(niteru("search", photo, *on_store(shop), "--threshold", 1, "--json").stdout)
    assert [hit["id"] for hit in copy] == [photo.stem]
    refused = niteru("search", photo, *on_store(shop), "--filter", "{", code=1)
    assert "no JSON" in refused.stderr


def test_a_second_index_run_has_nothing_to_do(shop):
    again = niteru("index", shop / "catalogue" / "items.csv", *on_store(shop), "--json")
    report = json.loads(again.stdout)
    assert report["embedded"] == 0
    assert report["unchanged"] == 80
    assert not report["published"]


def test_generations_and_rollback(shop, tmp_path):
    store = tmp_path / "store"
    images = shop / "catalogue" / "images"
    niteru("index", images, "--store", store, "--weights", shop / "weights")
    first = json.loads(niteru("generations", "--store", store, "--json").stdout)[0]
    assert first["current"]
    assert first["count"] == 80
    mine = tmp_path / "mine"
    mine.mkdir()
    Image.new("RGB", (50, 60), "teal").save(mine / "teal.png")
    (mine / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    second = niteru("index", mine, "--store", store, "--weights", shop / "weights")
    assert "left out broken" in second.stderr
    assert "81 items" in second.stdout
    listed = niteru("generations", "--store", store).stdout.splitlines()
    assert [line[0] for line in listed] == [" ", "*"]
    niteru("rollback", first["id"], "--store", store)
    after = json.loads(niteru("generations", "--store", store, "--json").stdout)
    assert [generation["current"] for generation in after] == [True, False]


def test_embed_writes_unit_vectors(shop, photo, tmp_path):
    niteru("embed", photo, photo, "--weights", shop / "weights", "--out", tmp_path / "v.npy")
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    printed = json.loads(niteru("embed", photo, "--weights", shop / "weights").stdout)
    np.testing.assert_allclose(printed[0]["vector"], vectors[0], atol=1e-6)


def test_models_are_listed_with_their_weights(shop):
    listed = json.loads(niteru("models", "--json").stdout)
    assert [line["name"] for line in listed] == list(models.available())
    assert all({"name", "weights", "figures", "presets", "about"} <= set(line) for line in listed)
    text = niteru("models").stdout
    assert all(name in text for name in models.available())


def test_samples_are_seeded(shop, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        niteru(
            "sample", shop / "weights", "-n", 4, "--seed", seed, "--out", tmp_path / f"{name}.png"
        )
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_retrieval_is_measured(shop, tmp_path):
    niteru("sample-catalogue", tmp_path / "c", "--items", 12, "--size", 96, "--queries", 6)
    measure = ["evaluate", "retrieval", shop / "weights", "--gallery", tmp_path / "c",
               "--queries", tmp_path / "c-background"]  # fmt: skip
    report = json.loads(niteru(*measure, "--json").stdout)[0]
    assert report["queries"]["photos"] == 6
    assert 0 <= report["figures"]["R@1"]["mean"] <= 1
    table = niteru(*measure, "--comparators", "--record").stdout
    metrics = json.loads((shop / "weights" / "metrics.json").read_text())
    assert metrics["retrieval"]["c-background in c"]["figures"] == report["figures"]
    assert "steps" in metrics["training"]
    assert "raw pixels" in table
    assert "HOG" in table


def test_an_interrupted_training_says_how_to_go_on(shop, tmp_path):
    command = ["train", "autoencoder", "--data", shop / "catalogue" / "images",
               "--preset", "tiny", "--out", tmp_path / "w"]  # fmt: skip
    run = subprocess.Popen(
        [sys.executable, "-m", "service", *map(str, command), "--minutes", "10"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    history = tmp_path / "w" / "history.jsonl"
    deadline = time.monotonic() + 60
    while not (history.is_file() and history.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    run.terminate()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert "--resume" in errors
    assert (tmp_path / "w" / "state.safetensors").is_file()
    refused = niteru(*command, "--steps", 5, code=1)
    assert "unfinished run" in refused.stderr
    niteru(*command, "--resume", "--steps", 5, code=2)
    other = ["train", "pixelvae", *command[2:], "--resume"]
    assert "unfinished autoencoder, not a pixelvae" in niteru(*other, code=1).stderr
    early = niteru("embed", "x.jpg", "--weights", tmp_path / "w", code=1)
    assert "has not ended" in early.stderr
    # The command that the message proposes is one that works.
    again = errors.split("go on with: niteru ")[1].splitlines()[0]
    state = tmp_path / "w" / "state.safetensors"
    before = state.stat().st_mtime_ns
    resumed = subprocess.Popen(
        [sys.executable, "-m", "service", *shlex.split(again)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = history.read_text().count("\n")
    while history.read_text().count("\n") <= lines and resumed.poll() is None:
        time.sleep(0.1)
    resumed.terminate()
    _, errors = resumed.communicate(timeout=60)
    assert resumed.returncode == 130, errors
    assert state.stat().st_mtime_ns > before


def test_two_processes_train_one_model(shop, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
                "-m", "service"]  # fmt: skip
    words = ["train", "autoencoder", "--data", shop / "catalogue" / "images", "--preset", "tiny",
             "--steps", "4", "--out", tmp_path / "w"]  # fmt: skip
    done = subprocess.run(
        [*torchrun, *map(str, words)], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert metrics["training"]["processes"] == 2
    assert metrics["training"]["steps"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "pixelva", "--data", ".", "--out", "w"], "Did you mean 'pixelvae'?"),
        (["train", "pixelvae", "--data", ".", "--out", "w", "--preset", "cup"], "no preset 'cup'"),
        (["train", "autoencoder", "--data", ".", "--out", "w", "--rate", "9"], "no latent rate"),
        (["search", "nothing.jpg", "--store", "s", "--weights", "none"], "no weights 'none'"),
        (["index", "nowhere", "--store", "s", "--weights", "none"], "no weights 'none'"),
        (["serve", "--store", "s", "--weights", "none"], "no weights 'none'"),
        (["rollback", "x", "--store", "nowhere"], "nowhere"),
    ],
)
def test_errors_are_sentences(words, message):
    assert message in niteru(*words, code=1).stderr


def test_weights_that_do_not_fit_are_refused_with_both_fingerprints(shop, photo, tmp_path):
    niteru("train", "autoencoder", "--data", shop / "catalogue" / "images", "--preset", "tiny",
           "--steps", 1, "--out", tmp_path / "other")  # fmt: skip
    wrong = ("--store", shop / "store", "--weights", tmp_path / "other")
    searched = niteru("search", photo, *wrong, code=1)
    served = spawn("serve", "--port", 0, *wrong, code=1)
    for refused in (searched, served):
        assert "pixelvae-" in refused.stderr
        assert "autoencoder-" in refused.stderr


def test_help_is_quick_and_needs_no_torch():
    times = []
    for _ in range(3):
        # Of the processor and not of the clock: other tests run beside this one.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        spawn("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5
    code = "import sys, service.cli; print('torch' in sys.modules, 'faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_server_is_measured_over_http(shop, tmp_path):
    """The figures through a server are those of the vectors themselves."""
    niteru("sample-catalogue", tmp_path / "c", "--items", 20, "--size", 96, "--queries", 10)
    weights = ("--weights", shop / "weights")
    niteru("index", tmp_path / "c" / "items.csv", "--store", tmp_path / "s", *weights)
    truth = ("--gallery", tmp_path / "c", "--queries", tmp_path / "c-background")
    expected = json.loads(
        niteru("evaluate", "retrieval", shop / "weights", *truth, "--json").stdout
    )
    address = f"http://127.0.0.1:{free_port()}"
    with serving(tmp_path / "s", str(shop / "weights"), address):
        told = niteru("evaluate", "served", address, *truth, "--json",
                      "--picture", tmp_path / "p.png")  # fmt: skip
        other = niteru("evaluate", "served", address, "--gallery", shop / "catalogue",
                       "--queries", tmp_path / "c-background", code=1)  # fmt: skip
    figures = json.loads(told.stdout)["figures"]
    for name in ("R@1", "R@10"):
        assert figures[name] == expected[0]["figures"][name]
    assert (tmp_path / "p.png").stat().st_size > 1000
    assert "niteru:" in other.stderr
    assert "No answer from" in niteru("evaluate", "served", address, *truth, code=1).stderr


def test_training_without_cutting_items_out(shop, tmp_path):
    niteru("train", "pixelvae", "--data", shop / "catalogue" / "images", *TINY[:2], "--steps", 2,
           "--no-swap", "--out", tmp_path / "w")  # fmt: skip
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert metrics["training"]["photos_with_mask"] == 0


def test_a_likelihood_is_measured_on_digits(tmp_path):
    rng = np.random.default_rng(0)
    bars = np.zeros((60, 28, 28), np.uint8)
    for picture in bars:
        picture[:, rng.integers(4, 20) :][:, :4] = 1  # one vertical bar each: easy to learn
    packed = np.packbits(bars.reshape(60, 784), axis=1)
    np.savez(tmp_path / "bits.npz", train=packed, test=packed[:20])
    data = ("--data", tmp_path / "bits.npz")
    scores = []
    for steps in (1, 40):
        out = tmp_path / str(steps)
        niteru("train", "pixelvae", *data, "--preset", "mnist", "--steps", steps,
               "--batch-size", 20, "--out", out)  # fmt: skip
        told = json.loads(niteru("evaluate", "nll", out, *data, "--samples", 3, "--json").stdout)
        assert told["pictures"] == 20
        scores.append(told["nll_importance_weighted"])
    assert scores[1] < 0.7 * scores[0]
    assert "importance samples" in niteru("evaluate", "nll", tmp_path / "40", *data).stdout


def test_an_autoencoder_has_no_likelihood(shop, tmp_path):
    niteru("train", "autoencoder", "--data", shop / "catalogue" / "images", "--preset", "tiny",
           "--steps", 1, "--out", tmp_path / "w")  # fmt: skip
    refused = niteru("evaluate", "nll", tmp_path / "w", "--data", tmp_path / "x", code=1)
    assert "has no likelihood" in refused.stderr


def test_the_doctor_finds_nothing_wrong_and_then_what_was_done(shop, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(shop / "store", store)
    well = niteru("doctor", "--store", store, "--weights", shop / "weights")
    assert well.stdout.endswith("All is well.\n")
    generation = next((store / "generations").iterdir())
    (generation / "index.faiss").write_bytes(b"x")
    told = json.loads(niteru("doctor", "--store", store, "--json", code=1).stdout)
    assert told["well"] is False
    assert told["findings"][0]["severity"] == "error"
    assert "index.faiss has 1 bytes" in told["findings"][0]["what"]
    assert "no niteru store" in niteru("doctor", "--store", tmp_path / "no", code=1).stderr


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["--memory", "much"], "expected one like 500MB or 2GB"),
        (["--memory", "0"], "expected one like 500MB or 2GB"),
        (["--recall", "1.5"], "less than or equal to 1"),
    ],
)
def test_what_an_index_cannot_be_asked_for(shop, given, found):
    catalogue = shop / "catalogue" / "items.csv"
    assert found in niteru("index", catalogue, *on_store(shop), *given, code=2).stderr


@pytest.mark.parametrize("when", ["typer", "indexer.pipeline"])
def test_an_interrupt_while_it_is_loaded_is_no_traceback(tmp_path, when):
    """Typer is loaded before there is a command line, the pipeline by a command."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {when!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from service.__main__ import start\n"
        f"sys.argv = ['niteru', 'index', 'x', '--store', {str(tmp_path)!r}]\n"
        "start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
