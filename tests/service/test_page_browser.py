"""The page in a real browser: search, crop, like and not like, filters, map, playground, keys."""

import base64
import io
import re

import numpy as np
from PIL import Image

from service.client import Client
from tests.service.browsing import expect, give_key, results, search

# What forms are made of, as the browser does not tell of the bodies that it sends.
NOTE_FORMS = """
window.sent = [];
const append = FormData.prototype.append;
FormData.prototype.append = function (name, value, ...more) {
  window.sent.push([name, value instanceof Blob ? [value.type, value.size] : value]);
  return append.call(this, name, value, ...more);
};
"""


def photos_of(page):
    """The files of the forms that were made: field, type and size."""
    return [
        (name, *is_) for name, is_ in page.evaluate("() => window.sent") if isinstance(is_, list)
    ]


def test_a_photo_finds_its_item_first(page, address, folder, photos):
    search(page, address, folder, 9)
    expect(results(page)).to_have_count(24)
    expect(results(page).first).to_contain_text(list(photos)[9])
    expect(results(page).first.locator(".score")).to_have_text("1.000")
    expect(page.locator("#status")).to_contain_text(f"24 of {len(photos)} items")
    page.click("#more")
    expect(results(page)).to_have_count(len(photos))
    loaded = "image => image.complete && image.naturalWidth > 0"
    expect(results(page).first.locator("img")).to_have_js_property("complete", value=True)
    assert results(page).first.locator("img").evaluate(loaded)


def test_like_this_but_not_like_that(page, address, folder, photos):
    search(page, address, folder, 9)
    names = list(photos)
    page.get_by_label(f"More like {names[9]}").click()
    expect(page.locator("#examples li")).to_have_count(1)
    expect(page.get_by_label(f"More like {names[9]}")).to_have_count(0)  # no example is answered
    page.locator("#results li .acts button").nth(1).click()
    expect(page.locator("#examples li.minus")).to_have_count(1)
    page.get_by_label(f"Take {names[9]} away").click()
    expect(page.locator("#examples li")).to_have_count(1)
    page.click("#clear")
    expect(results(page)).to_have_count(0)


def test_filters_have_counts_and_keep_to_what_passes(page, address, folder):
    search(page, address, folder, 9)
    page.click("#filters-box summary")
    hats = page.get_by_role("checkbox", name="hats")
    expect(page.locator("label", has=hats)).to_contain_text("8")
    hats.check()
    expect(results(page)).to_have_count(8)
    expect(page.locator("#status")).to_contain_text("8 of 8 items")
    page.get_by_role("checkbox", name="bags").check()
    expect(results(page)).to_have_count(16)
    page.get_by_text("Options").click()
    page.select_option("#group", "kind")
    expect(results(page)).to_have_count(2)


def test_a_number_has_a_range_and_keys_go_on_where_they_were(page, address, folder):
    search(page, address, folder, 9)
    page.click("#filters-box summary")
    start, end = page.get_by_label("cost from"), page.get_by_label("cost to")
    start.fill("8")
    start.press("Tab")
    expect(page.locator("#filters-count")).to_have_text("(1)")
    expect(end).to_be_focused()
    end.fill("11")
    end.press("Enter")
    expect(results(page)).to_have_count(4)
    expect(end).to_be_focused()
    start.fill("")
    start.press("Enter")
    expect(results(page)).to_have_count(7)
    page.get_by_role("checkbox", name="hats").press("Space")
    expect(page.locator("#filters-count")).to_have_text("(2)")
    expect(page.get_by_role("checkbox", name="hats")).to_be_focused()


def test_who_has_no_photo_begins_with_an_item(page, address):
    page.goto(address)
    first = page.locator("#suggested button").first
    expect(page.locator("#suggested li")).to_have_count(12)
    first.press("Enter")
    expect(results(page)).not_to_have_count(0)
    expect(page.locator("#suggestion")).not_to_be_visible()
    page.click("#clear")
    expect(page.locator("#suggestion")).to_be_visible()


def test_a_box_searches_with_what_is_within(page, address, folder):
    search(page, address, folder, 9)
    first = results(page).first.locator(".score")
    expect(first).to_have_text("1.000")
    frame = page.locator("#crop .frame")
    around = frame.bounding_box()
    page.mouse.move(around["x"] + 5, around["y"] + 5)
    page.mouse.down()
    page.mouse.move(around["x"] + around["width"] / 3, around["y"] + around["height"] / 3, steps=4)
    page.mouse.up()
    expect(page.locator("#crop .box")).to_have_count(1)
    expect(first).not_to_have_text("1.000")
    frame.focus()
    page.keyboard.press("Escape")
    expect(first).to_have_text("1.000")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#crop .box")).to_have_count(1)
    expect(first).not_to_have_text("1.000")


def test_a_box_is_sent_as_the_crop_of_the_whole_photo(page, address, folder):
    page.add_init_script(NOTE_FORMS)
    search(page, address, folder, 9)
    first = results(page).first.locator(".score")
    expect(first).to_have_text("1.000")
    with page.expect_response("**/v1/search") as answered:
        page.locator("#crop .frame").press("Enter")
    data = (folder / "9.png").read_bytes()
    box = "0.2000,0.2000,0.8000,0.8000"
    assert ["crop", box] in page.evaluate("() => window.sent")
    assert set(photos_of(page)) == {("image", "image/png", len(data))}  # the file as it is
    with Client(address) as niteru:
        expected = niteru.search(data, crop=[0.2, 0.2, 0.8, 0.8], limit=24)
    found = answered.value.json()["items"]
    assert [(hit["id"], hit["score"]) for hit in found] == [
        (hit.id, hit.score) for hit in expected.items
    ]
    # Beside items for and against, too: these have no crop, so it is the photo's.
    page.evaluate("() => { window.sent.length = 0; }")
    page.locator("#results li .acts button").first.click()
    expect(page.locator("#examples li")).to_have_count(1)
    expect(page.locator("#status")).to_contain_text("items, in")
    assert photos_of(page) == [("image", "image/png", len(data))]
    assert ["crop", box] in page.evaluate("() => window.sent")
    assert "positives" in {name for name, _ in page.evaluate("() => window.sent")}


def test_what_is_no_photo_is_told_in_the_servers_words(page, address, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    page.goto(address)
    page.set_input_files("#photo", tmp_path / "a.png")
    expect(page.locator("#status.problem")).to_contain_text("Not an image")


def test_the_map_leads_to_a_search(page, address, photos):
    page.goto(f"{address}#map")
    expect(page.locator("#map-status")).to_have_text(f"{len(photos)} items")
    page.focus("#map")
    for key in ("+", "+", "ArrowLeft", "-", "-"):
        page.keyboard.press(key)
    around = page.locator("#map").bounding_box()
    middle = around["y"] + around["height"] / 2
    for share in range(1, 40):  # somewhere along this line an item stands
        if "#search/" in page.url:
            break
        page.mouse.click(around["x"] + around["width"] * share / 40, middle)
    assert "#search/" in page.url
    expect(results(page)).not_to_have_count(0)


def test_the_playground_shows_pictures_and_stops(page, address):
    page.goto(f"{address}#play")
    expect(page.locator("#model option")).not_to_have_count(0)
    page.select_option("#model", "pixelcnn")
    page.fill("#n", "3")
    page.click("#draw")
    expect(page.locator("#play-status")).to_have_text("Done.")
    expect(page.locator("#sheet img")).to_have_count(3)
    first = page.locator("#sheet img").first.get_attribute("src")
    page.fill("#seed", "1")
    page.click("#draw")
    expect(page.locator("#play-status")).to_have_text("Done.")
    assert page.locator("#sheet img").first.get_attribute("src") != first
    page.fill("#n", "64")
    page.fill("#size", "100")
    page.click("#draw")
    page.click("#cancel")
    expect(page.locator("#play-status")).to_have_text("Stopped.")


def pixels(image):
    """(H, W, C) uint8 of an image on the page that was sent as Base64."""
    data = base64.b64decode(image.get_attribute("src").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_photo_is_completed_and_a_started_sketch_too(page, address, folder, tmp_path):
    page.goto(f"{address}#play")
    page.select_option("#model", "pixelcnn")
    page.select_option("#task", "completions")
    page.click("#draw")
    expect(page.locator("#play-status")).to_contain_text("Choose a photo first")
    page.set_input_files("#play-photo", folder / "9.png")
    page.fill("#n", "2")
    page.click("#draw")
    expect(page.locator("#sheet img")).to_have_count(2)
    expect(page.locator("#play-status")).to_have_text("Done.")
    # All but the last rows of a picture that was drawn: those are kept, exactly.
    page.locator("#sheet button").first.click()
    expect(page.locator("#play-photo-name")).to_have_text("Picture 1")
    before = pixels(page.locator("#sheet img").first)
    half = page.locator("#half").bounding_box()
    page.mouse.click(half["x"] + 9, half["y"] + 0.75 * half["height"])
    expect(page.locator("#known")).to_have_value("75")
    page.fill("#seed", "5")
    page.click("#draw")
    expect(page.locator("#play-status")).to_have_text("Done.")
    after = pixels(page.locator("#sheet img").first)
    kept = after.shape[0] * 3 // 4
    assert (after[:kept] == before[:kept]).all()
    assert (after != before).any()
    page.select_option("#model", "sketch_rnn")
    page.select_option("#task", "sketches/completions")
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M 0 0 L 90 0 L 45 80 Z"/></svg>', "utf-8"
    )
    page.set_input_files("#pad-file", tmp_path / "a.svg")
    expect(page.locator("#pad-name")).to_have_text("a.svg")
    page.click("#draw")
    expect(page.locator("#play-status")).to_have_text("Done.")
    page.click("#pad-clear")
    page.click("#draw")
    expect(page.locator("#play-status")).to_contain_text("Draw the beginning")
    around = page.locator("#pad").bounding_box()
    page.mouse.move(around["x"] + 50, around["y"] + 50)
    page.mouse.down()
    page.mouse.move(around["x"] + 200, around["y"] + 60, steps=5)
    page.mouse.move(around["x"] + 220, around["y"] + 200, steps=5)
    page.mouse.up()
    page.click("#draw")
    expect(page.locator("#play-status")).to_have_text("Done.")
    expect(page.locator("#sheet img.whole")).to_have_count(1)


def test_indexes_are_listed_and_a_server_without_a_catalogue_says_so(page, address):
    page.goto(f"{address}#manage")
    expect(page.locator("#generations tbody tr")).to_have_count(1)
    expect(page.locator("#generations")).to_contain_text("answers")
    page.click("#reindex")
    expect(page.locator("#manage-status.problem")).to_contain_text("NITERU_CATALOGUE")


def test_a_key_is_asked_for_and_used_for_photos_too(page, start, folder):
    page.goto(start(api_keys="search:" + "k" * 20))
    give_key(page, "k" * 20)
    expect(page.locator("#suggested li")).to_have_count(12)
    expect(page.locator("#filters input")).not_to_have_count(0)
    page.set_input_files("#photo", folder / "3.png")
    expect(results(page)).to_have_count(24)
    picture = results(page).first.locator("img")
    expect(picture).to_have_attribute("src", re.compile("^blob:"))
    page.goto("about:blank")


def test_it_fits_a_phone_in_the_dark(browser, address, folder):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True
    )
    page = context.new_page()
    search(page, address, folder, 9)
    for view in ("search", "map", "play", "manage"):
        page.goto(f"{address}#{view}")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, view
    ground = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert ground == "rgb(25, 24, 22)"
    context.close()


def test_all_is_reached_with_the_keyboard(page, address):
    page.goto(address)
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("() => document.activeElement.id || document.activeElement.hash"))
    assert {"#search", "#map", "#play", "#manage", "key-button", "photo"} <= set(seen)
