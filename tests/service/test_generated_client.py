"""A public generator makes a client of the description, and that client searches a real server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.served import running

DESCRIPTION = Path(__file__).parents[1] / "golden" / "openapi.json"
# What a stranger would write with the generated package at hand, and nothing of ours.
SCRIPT = """
import json
import sys
from pathlib import Path

import generated

photo = Path(sys.argv[2]).read_bytes()
form = {"_content_type": "multipart/form-data"}  # of the bodies that a call takes
with generated.ApiClient(generated.Configuration(host=sys.argv[1])) as client:
    search, items = generated.SearchApi(client), generated.ItemsApi(client)
    catalogue = generated.CatalogueApi(client)
    found = search.search(image=("photo.png", photo), limit=3, **form)
    told = {"ids": [hit.id for hit in found.items], "score": found.items[0].score}
    told["timed"] = found.timings_ms.total > 0
    told["fingerprint"] = search.embed(image=photo, **form).fingerprint
    told["item"] = items.get_item(found.items[0].id).image
    told["put"] = items.put_item("new/1", image=photo, attributes='{"number": 7}', **form).id
    told["total"] = catalogue.get_facets().total
    items.delete_item("new/1")
    try:
        items.get_item("new/1")
    except generated.ApiException as error:
        told["problem"] = json.loads(error.body)["type"]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder in which there is the package ``generated``."""
    tool = pytest.importorskip(
        "openapi_generator_cli", reason="the extra dev has openapi-generator-cli"
    )
    if shutil.which("java") is None:
        pytest.skip("openapi-generator-cli runs on Java, and there is none")
    folder = tmp_path_factory.mktemp("package")
    jar = Path(tool.__file__).with_name("openapi-generator.jar")
    made = subprocess.run(
        ["java", "-jar", jar, "generate", "-i", DESCRIPTION, "-g", "python", "-o", folder,
         "--additional-properties=packageName=generated"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_a_generated_client_searches_reads_and_writes(
    package, tmp_path, publish, entries, embedder, photos, folder
):
    store = tmp_path / "store"
    publish(store, entries, embedder)
    photo = folder / f"{list(photos).index('hats/03')}.png"
    with running(store, decoders=0) as (address, _):
        made = subprocess.run(
            [sys.executable, "-c", SCRIPT, address, photo],
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        uploaded = httpx.post(f"{address}/v1/search?limit=3", content=photo.read_bytes()).json()
    told = json.loads(made.stdout)
    assert told.pop("ids") == [hit["id"] for hit in uploaded["items"]]
    assert told.pop("score") == pytest.approx(uploaded["items"][0]["score"])
    assert told == {
        "timed": True,
        "fingerprint": embedder.fingerprint,
        "item": "/v1/items/hats/03/image",
        "put": "new/1",
        "total": len(entries) + 1,
        "problem": "urn:niteru:problem:unknown-item",
    }
