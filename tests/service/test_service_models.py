"""``GET /v1/models``: what is told of models, of their weights, and of those that have none."""

import json
import logging
import sys
from pathlib import Path

import pytest

import models
from models.training.weights import METRICS, list_weights
from service.model_cards import train_command

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder that commands and servers are started in, with its ``weights``."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "weights"


def test_every_model_is_listed_with_what_it_can_do(client):
    listed = client.get("/v1/models").json()["models"]
    assert [model["name"] for model in listed] == list(models.available())
    able = {model["name"]: set(model["abilities"]) for model in listed}
    assert all("sample" in found for found in able.values())
    assert {"complete", "exact_likelihood", "temperature"} <= able["pixelcnn"]
    assert {"likelihood_bound", "reconstruct", "interpolate", "arithmetic"} <= able["vae"]
    assert not able["autoencoder"] & {"exact_likelihood", "likelihood_bound", "temperature"}
    for model in listed:
        assert {"exact_likelihood", "likelihood_bound"} - able[model["name"]]
        assert model["train"].startswith(f"niteru train {model['name']} --data ")
        assert "tiny" in model["presets"]
        assert model["about"]
        assert model["modality"] == models.modality(model["name"])


def test_weights_are_told_with_their_figures(client, shelf, make_weights):
    folder = make_weights(shelf / "mine", name="vae")
    (folder / METRICS).write_text(json.dumps({"training": {"steps": 3}}))
    told = client.get("/v1/models/vae").json()
    assert [weights["name"] for weights in told["weights"]] == ["mine"]
    mine = told["weights"][0]
    assert (mine["size"], mine["draws"], mine["channels"]) == (16, 8, 3)
    assert mine["figures"] == {"training": {"steps": 3}}
    assert mine["config"]["latent"] == 8
    assert str(shelf) not in json.dumps(told)
    described = json.loads(GOLDEN.read_text("utf-8"))["components"]["schemas"]
    assert set(told) == set(described["ModelResponse"]["properties"])
    assert set(mine) == set(described["WeightsResponse"]["properties"])
    whole = client.get("/v1/models").json()["models"]
    assert told in whole


def test_the_weights_of_the_server_count_wherever_they_are(serve, make_weights, tmp_path):
    make_weights(tmp_path / "elsewhere" / "ours", name="vae")
    client = serve(weights=str(tmp_path / "elsewhere" / "ours"))
    told = client.get("/v1/models/vae").json()
    assert [weights["name"] for weights in told["weights"]] == ["ours"]


def test_weights_here_come_before_those_that_were_shipped(shelf, make_weights):
    assert "pixelvae-clothing" in list_weights()
    shipped = list_weights()["pixelvae-clothing"]
    make_weights(shelf / "pixelvae-clothing")
    make_weights(shelf / "another")
    assert list(list_weights()) == sorted(list_weights())
    assert list_weights()["pixelvae-clothing"] != shipped
    assert "another" in list_weights()


def test_a_damaged_folder_does_not_hide_the_others(client, shelf, make_weights, caplog):
    make_weights(shelf / "good", name="vae")
    (shelf / "bad").mkdir()
    (shelf / "bad" / "config.json").write_text("{")
    with caplog.at_level(logging.WARNING, logger="service"):
        told = client.get("/v1/models/vae").json()
    assert [weights["name"] for weights in told["weights"]] == ["good"]
    assert "bad" in caplog.text


def test_a_model_without_weights_says_how_to_make_some(client, shelf):
    told = client.get("/v1/models/made").json()
    assert told["weights"] == []
    assert told["train"] in models.made.__doc__


def test_the_first_command_of_a_docstring_trains_and_without_one_the_usual_does():
    text = "A model.\n\n    niteru evaluate x\n    niteru train flow --data a --out b\n    niteru "
    assert train_command("flow", text) == "niteru train flow --data a --out b"
    assert train_command("flow", "Nothing.") == "niteru train flow --data DIR --out weights/flow"


def test_an_unknown_model_is_refused_with_the_nearest(client, check_problem):
    problem = check_problem(client.get("/v1/models/pixelca"), 404, "unknown-model")
    assert "Did you mean 'pixelvae'?" in problem["detail"]
    check_problem(client.get("/v1/models/nn"), 404, "unknown-model")


def test_a_server_without_torch_says_so(client, check_problem, monkeypatch):
    for name in ("service.model_cards", "models.training.abilities", "models.training.protocols"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    problem = check_problem(client.get("/v1/models"), 501, "cannot-generate")
    assert "'torch'" in problem["detail"]
