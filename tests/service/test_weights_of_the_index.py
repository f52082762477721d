"""What nobody says is what the index was made with: servers and commands go on with its weights."""

import json
import urllib.request
from pathlib import Path

import pytest

from indexer.catalogues.memory import MemoryCatalogue
from indexer.doctor import examine
from indexer.engines.choice import EngineChoice
from indexer.errors import FingerprintMismatchError
from indexer.generations import current
from indexer.pipeline import index_catalogue
from indexer.torch_embedder import TorchEmbedder
from indexer.weights_at_hand import choose_to_index, choose_weights, find_made_with
from models.training.weights import WeightsError
from service.cli import main
from tests.served import address_of, niteru_serve

FAISS = EngineChoice()
ONE, TWO = "weights/one", "weights/two"


@pytest.fixture
def shop(tmp_path, make_weights, entries, monkeypatch):
    """A folder with weights ``one`` and ``two``, and a store that went over from one to two."""
    for seed, name in enumerate(("one", "two")):
        make_weights(tmp_path / "weights" / name, seed=seed)
    monkeypatch.chdir(tmp_path)
    for name in (ONE, TWO):
        publish(tmp_path, name, entries)
    return tmp_path


def publish(shop, name, entries):
    folder = shop / name
    index_catalogue(
        MemoryCatalogue(entries), shop / "store", TorchEmbedder.load(folder), workers=1, batch=8,
        weights=folder,
    )  # fmt: skip


def choose(shop, named=None, usual=ONE):
    return choose_weights(shop / "store", FAISS, named=named, usual=usual)


def test_the_weights_of_the_index_are_found_by_their_fingerprint(shop, caplog):
    assert choose(shop) == Path(TWO)
    assert "made with the weights in 'weights/two', so these embed" in caplog.text
    caplog.clear()
    assert choose(shop, usual=TWO) == Path(TWO)
    assert choose(shop, named=TWO) == Path(TWO)
    assert caplog.text == ""
    assert choose_weights(shop / "none", FAISS, named=None, usual=ONE) == Path(ONE)


def test_weights_that_are_named_and_do_not_fit_are_refused_by_name(shop):
    with pytest.raises(FingerprintMismatchError) as refused:
        choose(shop, named=ONE)
    assert refused.value.found == current(shop / "store").manifest.fingerprint
    assert TorchEmbedder.load(ONE).fingerprint in str(refused.value)
    assert "they are in 'weights/two'" in str(refused.value)
    assert "--weights WEIGHTS" in str(refused.value)


def test_they_are_found_where_the_run_had_them(shop, entries):
    (shop / "elsewhere").mkdir()
    (shop / TWO).rename(shop / "elsewhere" / "two")
    made = current(shop / "store").manifest.fingerprint
    assert find_made_with(shop / "store", made) is None
    assert choose(shop) == Path(ONE)  # and is refused where the index is opened
    with pytest.raises(WeightsError, match=r"neither below weights/.*--weights"):
        choose_to_index(shop / "store", FAISS, named=None, usual=ONE)
    assert choose_to_index(shop / "store", FAISS, named=ONE, usual=ONE) == Path(ONE)
    publish(shop, "elsewhere/two", entries)  # nothing to do, but it says where they are
    assert choose(shop) == shop / "elsewhere" / "two"
    assert any("elsewhere/two" in found.what for found in examine(shop / "store"))


def test_other_weights_at_the_remembered_place_are_not_taken_for_them(shop, make_weights):
    made = current(shop / "store").manifest.fingerprint
    (shop / TWO).rename(shop / "aside")
    make_weights(shop / TWO, seed=7)
    assert find_made_with(shop / "store", made) is None
    told = [found for found in examine(shop / "store") if made in found.what]
    assert any("neither below weights/" in found.what for found in told)


def test_a_server_comes_up_again_after_a_change_of_weights(shop):
    with niteru_serve(shop, NITERU_WEIGHTS=ONE) as process:
        address, said = address_of(process)
        with urllib.request.urlopen(f"{address}/readyz") as answer:
            told = json.load(answer)
    assert told["status"] == "ready"
    assert told["fingerprint"] == TorchEmbedder.load(TWO).fingerprint
    assert "with the weights in 'weights/two', so these embed, not 'weights/one'" in said


def test_a_server_that_is_told_of_others_does_not_start(shop):
    with niteru_serve(shop, "--weights", ONE) as process:
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "they are in 'weights/two'" in said


def test_commands_go_on_with_the_weights_of_the_index(shop, entries, capsys):
    photo = entries[0].uri
    with pytest.raises(SystemExit) as ended:
        main(["search", photo, "--store", "store", "--limit", "1", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)[0]["id"] == entries[0].id
    with pytest.raises(SystemExit) as ended:
        main(["search", photo, "--store", "store", "--weights", ONE])
    assert ended.value.code == 1
    assert "they are in 'weights/two'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["index", str(Path(photo).parent), "--store", "store", "--json"])
    assert not ended.value.code
    report = json.loads(capsys.readouterr().out)
    assert report["fingerprint"] == TorchEmbedder.load(TWO).fingerprint
