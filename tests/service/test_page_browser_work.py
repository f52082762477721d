"""The page in a real browser: photos dropped and pasted, explaining, indexes, refusals told."""

import base64
import json
import threading
from contextlib import contextmanager

import pytest

from indexer import pipeline
from indexer.torch_embedder import TorchEmbedder
from service.client import Client
from service.reindexing import BATCH
from tests.service.browsing import expect, give_key, results, search

KEYS = {"search": "s" * 20, "admin": "a" * 20}
# Puts a picture where a person's copying would.
COPY = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const picture = new Blob([bytes], { type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""
CUT = "ReadableStreamDefaultReader.prototype.read = () => Promise.reject(new TypeError('network'));"


@contextmanager
def drop(page, where, **given):
    """Drag what comes from outside of the browser over an element, and let it go there."""
    around = page.locator(where).bounding_box()
    at = {"x": around["x"] + around["width"] / 2, "y": around["y"] + around["height"] / 2}
    data = {"items": [], "dragOperationsMask": 1, **given}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    yield
    session.send("Input.dispatchDragEvent", {"type": "drop", **at, "data": data})


def refuse(page, pattern, *, method, status=403, detail="It may not be done."):
    """Let the server refuse a call in these words."""
    told = {"title": "Refused", "status": status, "detail": detail}

    def answer(route):
        if route.request.method != method:
            return route.fallback()
        kind = "application/problem+json"
        return route.fulfill(status=status, content_type=kind, body=json.dumps(told))

    page.route(pattern, answer)


class Held:
    """An embedder that waits before the last photos of an indexing until it is let go."""

    def __init__(self, embedder):
        self.dim, self.fingerprint = embedder.dim, embedder.fingerprint
        self.preprocessing = embedder.preprocessing
        self.embedder = embedder
        self.go = threading.Event()

    def embed(self, pixels):
        if threading.current_thread().name.startswith("intake") and len(pixels) < BATCH:
            self.go.wait(60)
        return self.embedder.embed(pixels)


@pytest.fixture
def held(embedder, monkeypatch):
    """Such an embedder, which a test that failed does not keep waiting; all else counts at once."""
    monkeypatch.setattr(pipeline, "COMMIT_SECONDS", 0.0)
    made = Held(embedder)
    yield made
    made.go.set()


def test_a_photo_is_dropped(page, address, folder, photos):
    page.goto(address)
    expect(page.locator("#suggested li")).to_have_count(12)
    with drop(page, "#drop", files=[str(folder / "9.png")]):
        expect(page.locator("#drop.over")).to_have_count(1)
    expect(results(page)).to_have_count(24)
    expect(page.locator("#drop.over")).to_have_count(0)
    expect(results(page).first).to_contain_text(list(photos)[9])
    expect(page.locator("#crop img")).to_be_visible()
    page.click("#clear")
    text = {"mimeType": "text/plain", "data": "a word"}
    with drop(page, "#drop", items=[text]):
        pass
    expect(page.locator("#status.problem")).to_contain_text("That is no file")


def test_a_photo_is_pasted_and_a_text_is_not(page, address, photos):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(address)
    expect(page.locator("#suggested li")).to_have_count(12)
    page.evaluate("() => navigator.clipboard.writeText('hats')")
    page.keyboard.press("Control+V")
    page.evaluate(COPY, base64.b64encode(photos["hats/03"]).decode())
    page.keyboard.press("Control+V")
    expect(results(page)).to_have_count(24)
    expect(results(page).first).to_contain_text("hats/03")
    expect(results(page).first.locator(".score")).to_have_text("1.000")


def test_what_was_seen_is_drawn_of_the_box_and_goes_with_the_next_search(
    page, start, folder, make_weights, publish, entries, tmp_path
):
    weights = make_weights(tmp_path / "weights")
    learned = TorchEmbedder.load(weights)
    publish(tmp_path / "store", entries, learned)
    search(page, start(embedder=learned, store=tmp_path / "store", weights=str(weights)), folder, 9)
    sheet = page.locator("#explanation img")
    for keys in ((), ("Enter",)):  # of the whole photo, then of a box
        for key in keys:
            page.locator("#crop .frame").press(key)
            expect(page.locator("#explanation")).not_to_be_visible()
            expect(page.locator("#status")).to_contain_text("items, in")
        with page.expect_response("**/v1/explain") as answered:
            page.click("#explain")
        assert answered.value.headers["content-type"] == "image/png"
        expect(page.get_by_role("heading", name="What the vector kept")).to_be_visible()
        expect(sheet).to_have_js_property("complete", value=True)
        assert sheet.evaluate("image => image.naturalWidth") > 500
        expect(page.locator("#status")).to_have_text("")
    page.click("#clear")
    expect(page.locator("#explanation")).not_to_be_visible()


def test_vectors_that_nothing_can_draw_are_told_of(page, address, folder):
    search(page, address, folder, 9)
    page.click("#explain")
    expect(page.locator("#status.problem")).to_contain_text("there is no decoder")
    expect(page.locator("#explanation")).not_to_be_visible()


def test_an_earlier_index_answers_again(page, start, publish, entries, embedder, tmp_path):
    first = publish(tmp_path / "store", entries[:5], embedder)
    second = publish(tmp_path / "store", entries[:9], embedder)
    address = start(store=tmp_path / "store")
    page.goto(f"{address}#manage")
    rows = page.locator("#generations tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("answers")
    page.get_by_label(f"Answer from {first}").click()
    expect(page.locator("#manage-status")).to_have_text(f"{first} answers now.")
    expect(rows.last).to_contain_text("answers")
    expect(page.get_by_label(f"Answer from {second}")).to_be_enabled()
    with Client(address) as niteru:
        assert niteru.ready().generation == first
    refuse(page, "**/activate", method="POST", detail="It is damaged.", status=422)
    page.get_by_label(f"Answer from {second}").click()
    expect(page.locator("#manage-status.problem")).to_have_text("It is damaged.")


def test_indexing_shows_how_far_it_is_and_a_stop_that_fails(
    page, start, held, folder, photos, tmp_path
):
    page.goto(f"{start(embedder=held, store=tmp_path / 'store', catalogue=folder)}#manage")
    line, bar = page.locator("#manage-status"), page.locator("#reindex-progress")
    page.click("#reindex")
    expect(line).to_have_text(f"embed: {BATCH} of {len(photos)}")
    expect(bar).to_be_visible()
    assert bar.evaluate("bar => bar.value") == BATCH / len(photos)
    expect(page.locator("#reindex")).to_be_disabled()
    refuse(page, "**/v1/jobs/*", method="DELETE", detail="No key for that.")
    page.click("#reindex-cancel")
    expect(page.locator("#manage-status.problem")).to_have_text("No key for that.")
    held.go.set()
    expect(line).to_contain_text("Published generation")
    expect(page.locator("#manage-status.problem")).to_have_count(0)
    assert bar.evaluate("bar => bar.value") == 1
    expect(bar).not_to_be_visible()
    expect(page.locator("#reindex-cancel")).not_to_be_visible()
    expect(page.locator("#reindex")).to_be_enabled()
    expect(page.locator("#generations tbody tr")).to_have_count(1)


def test_indexing_is_stopped(page, start, held, folder, photos, tmp_path):
    page.goto(f"{start(embedder=held, store=tmp_path / 'store', catalogue=folder)}#manage")
    page.click("#reindex")
    expect(page.locator("#manage-status")).to_have_text(f"embed: {BATCH} of {len(photos)}")
    with page.expect_response("**/v1/jobs/*") as answered:
        page.click("#reindex-cancel")
    assert answered.value.request.method == "DELETE"
    held.go.set()
    expect(page.locator("#manage-status")).to_have_text("Stopped. What was embedded is kept.")
    expect(page.locator("#reindex")).to_be_enabled()


def test_what_the_key_may_not_do_is_said_beforehand(
    page, start, publish, entries, embedder, tmp_path
):
    for number in (5, 9):
        publish(tmp_path / "store", entries[:number], embedder)
    listed = ",".join(f"{role}:{key}" for role, key in KEYS.items())
    page.goto(f"{start(store=tmp_path / 'store', api_keys=listed)}#manage")
    give_key(page, KEYS["search"])
    back = page.locator("#generations button")
    expect(back).to_have_count(1)
    expect(back).to_be_disabled()
    expect(page.locator("#reindex")).to_be_disabled()
    expect(page.locator("#manage-role")).to_contain_text("'admin'; yours has the role 'search'")
    expect(page.locator("#manage-status.problem")).to_have_count(0)
    page.click("#key-button")
    give_key(page, KEYS["admin"])
    expect(back).to_be_enabled()
    expect(page.locator("#reindex")).to_be_enabled()
    expect(page.locator("#manage-role")).not_to_be_visible()


def test_where_metrics_are_kept_from_browsers_the_calls_tell(page, start):
    page.route("**/metrics", lambda route: route.fulfill(status=403, body="not for you"))
    page.goto(f"{start(api_keys='search:' + KEYS['search'])}#manage")
    give_key(page, KEYS["search"])
    expect(page.locator("#reindex")).to_be_enabled()
    page.click("#reindex")
    expect(page.locator("#manage-status.problem")).to_contain_text("needs 'admin'")
    expect(page.locator("#reindex")).to_be_disabled()
    expect(page.locator("#manage-role")).to_contain_text("yours has the role 'search'")


def test_the_playground_waits_for_its_models(page, address):
    asked = []
    page.route("**/v1/models", lambda route: asked.append(route))  # noqa: PLW0108 - it is marked
    page.goto(f"{address}#play")
    expect(page.locator("#play-status")).to_contain_text("Looking which models there are")
    expect(page.locator("#model")).to_have_text("Loading …")
    for name in ("#model", "#task", "#draw"):
        expect(page.locator(name)).to_be_disabled()
    for name in (".of-image", ".of-known", ".of-size", ".of-temperature"):
        expect(page.locator(name)).not_to_be_visible()
    told = {"title": "Not now", "status": 503, "detail": "Models are being looked for."}
    asked[0].fulfill(status=503, content_type="application/problem+json", body=json.dumps(told))
    expect(page.locator("#play-status.problem")).to_have_text("Models are being looked for.")
    expect(page.locator("#draw")).to_be_disabled()
    page.goto(f"{address}#map")
    page.goto(f"{address}#play")  # asks again
    expect(page.locator("#model")).to_have_text("Loading …")
    page.goto(f"{address}#map")
    page.goto(f"{address}#play")  # and not once more while it waits
    assert len(asked) == 2
    asked[1].continue_()
    expect(page.locator("#draw")).to_be_enabled()
    expect(page.locator("#play-status")).to_have_text("")
    expect(page.locator("#model option")).not_to_have_count(1)


def test_a_stop_that_is_refused_is_told_while_the_drawing_goes_on(page, address):
    refuse(page, "**/v1/jobs/*", method="DELETE", detail="The key may not.")
    page.goto(f"{address}#play")
    page.select_option("#model", "pixelcnn")
    page.fill("#n", "64")
    page.fill("#size", "100")
    page.click("#draw")
    page.click("#cancel")
    expect(page.locator("#play-status.problem")).to_have_text("The key may not.")
    expect(page.locator("#cancel")).to_be_enabled()
    page.wait_for_timeout(500)  # events that come do not hide it
    expect(page.locator("#play-status.problem")).to_have_text("The key may not.")
    page.unroute_all()
    page.click("#cancel")
    expect(page.locator("#play-status")).to_have_text("Stopped.")


def test_a_connection_that_breaks_off_is_told_in_words(page, address):
    page.add_init_script(CUT)
    page.goto(f"{address}#play")
    page.select_option("#model", "pixelcnn")
    page.fill("#n", "1")
    page.click("#draw")
    expect(page.locator("#play-status.problem")).to_contain_text("The connection broke off")
    expect(page.locator("#draw")).to_be_enabled()


def test_an_address_that_is_no_address_of_an_item_is_told(page, address):
    page.goto(f"{address}#search/50%")
    expect(page.locator("#status.problem")).to_contain_text("50%")
