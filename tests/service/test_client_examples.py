"""What service/README.md says of the Python client is run."""

import re
from pathlib import Path

from indexer.engines.faiss_engine import FaissEngine
from service import client as package
from service.client import Client
from tests.service.clients import over_app

README = (Path(__file__).parents[2] / "service" / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def run_example(number, client, monkeypatch, capsys):
    def stand_in(address="http://127.0.0.1:8000", **given):
        assert address == "http://127.0.0.1:8000"
        return over_app("blocking", client.app, client.runner, **given)

    monkeypatch.setattr(package, "Client", stand_in)
    exec(compile(EXAMPLES[number], f"example {number}", "exec"), {})
    return capsys.readouterr().out


def test_the_readme_searches_and_writes_as_it_says(
    serve, tmp_path, publish, entries, embedder, photos, monkeypatch, capsys
):
    store = tmp_path / "shop"
    publish(store, entries, embedder)
    engine = FaissEngine.open(store, fingerprint=embedder.fingerprint)
    (tmp_path / "photo.jpg").write_bytes(photos["hats/03"])
    monkeypatch.chdir(tmp_path)
    printed = run_example(0, serve(engine=engine, store=store), monkeypatch, capsys)
    assert printed.startswith("unknown-item 404 There is no item 'shoes/none'")


def test_the_readme_draws_as_it_says(artist, monkeypatch, capsys):
    printed = run_example(1, artist, monkeypatch, capsys)
    assert printed.splitlines()[-1] == "64"
    assert "picture None [63]" in printed
    assert len(EXAMPLES) == 2


def test_the_readme_lists_every_call():
    table = README.split("| what | calls |")[1].split("\n\n")[0]
    told = set(re.findall(r"`(\w+)`", table))
    assert told == {name for name in vars(Client) if not name.startswith("_")} - {"send", "close"}
