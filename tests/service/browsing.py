"""The page in a real browser: a server over the drawn catalogue, Chromium, and what both tell."""

import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.app import create_app, open_engine
from service.settings import Settings
from tests.service.listening import listening

try:
    from playwright import sync_api
except ImportError:  # the tests are skipped
    sync_api = None
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update",
         "--no-first-run")  # fmt: skip
# What the server refuses on purpose, the browser logs as well.
REFUSED = "status of (401|403|404|415|422|501|503)"
expect = sync_api.expect if sync_api else None


@pytest.fixture(scope="module")
def start(tmp_path_factory, publish, entries, embedder, gallery, make_weights):
    """Serves the drawn catalogue over a real socket: ``start(api_keys=...)`` -> its address."""
    drawn = tmp_path_factory.mktemp("page") / "store"
    known = [
        type(e)(e.id, e.uri, {**e.attributes, "kind": e.id.split("/")[0], "cost": 5 + number})
        for number, e in enumerate(entries)
    ]
    publish(drawn, known, embedder)
    make_weights(gallery / "weights" / "sketch_rnn", name="sketch_rnn")
    before = Path.cwd()
    os.chdir(gallery)  # where weights/ is
    with ExitStack() as running:

        def run(*, embedder=embedder, store=drawn, **given):
            chosen = Settings(store=store, refresh_interval=0, decoders=0, **given)
            app = create_app(chosen, embedder=embedder, engine=open_engine(chosen, embedder))
            return running.enter_context(listening(app))

        yield run
    os.chdir(before)


@pytest.fixture(scope="module")
def address(start):
    return start()


@pytest.fixture(scope="module")
def browser():
    if sync_api is None:
        pytest.skip("playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with sync_api.sync_playwright() as found:
        opened = found.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A fresh page; whatever it complains about fails the test."""
    opened = browser.new_page(viewport={"width": 1100, "height": 800})
    opened.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)  # 5 s by itself: too few beside other tests that compute
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    yield opened
    opened.close()
    assert not [text for text in wrong if not re.search(REFUSED, text)]


def results(page):
    """The items found, as they stand on the page."""
    return page.locator("#results li")


def search(page, address, folder, number):
    """Search with a photo of the drawn catalogue."""
    page.goto(address)
    page.set_input_files("#photo", folder / f"{number}.png")
    expect(results(page)).not_to_have_count(0)


def give_key(page, key):
    """Answer the question for a key."""
    expect(page.locator("#key-dialog")).to_be_visible()
    page.fill("#key", key)
    page.get_by_role("button", name="Use it").click()
