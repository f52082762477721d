"""Takes the pictures of the page that stand in ``docs/``: ``python -m tests.bench.page_pictures``.

It needs a server with the weights that are shipped, over rendered items, with an earlier index to
go back to; Chromium; and a Japanese font. In a folder of their own::

    niteru sample-catalogue photos --items 900 --queries 8 --factor both
    head -851 photos/items.csv > photos/some.csv
    niteru index photos/some.csv --store store
    niteru index photos/items.csv --store store
    NITERU_CATALOGUE=photos/items.csv niteru serve --store store
    python -m tests.bench.page_pictures photos-both/00001.jpg docs --only dark phone

``page_search.jpg`` and ``page_map.jpg`` are of 2,400 items (``--items 2400``).
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.service.browsing import CHROMIUM, QUIET, results

ADDRESS = "http://127.0.0.1:8000/"
BYTES = 60_000  # of a picture at most: a README shows several
WIDE, PHONE = (1000, 700), (390, 844)
SECONDS = 120  # for a drawing, beside other work


def search(page: Page, photo: Path) -> None:
    """Search with a photo, and wait until what was found is seen."""
    page.goto(ADDRESS)
    page.set_input_files("#photo", photo)
    expect(results(page)).to_have_count(24)
    expect(page.locator("#status")).to_contain_text("items, in")


def like_and_not(page: Page, photo: Path) -> None:
    """Also say what the items should look like, and what not."""
    search(page, photo)
    for side, place in (("More", 1), ("Not", 4)):
        results(page).nth(place).get_by_label(f"{side} like").click()
        expect(page.locator("#status")).to_contain_text("items, in")
    expect(page.locator("#examples li")).to_have_count(2)


def filtered(page: Page, photo: Path) -> None:
    """Keep to items that pass a filter."""
    search(page, photo)
    page.click("#filters-box summary")
    page.locator("#filters input[type=checkbox]").first.check()
    expect(page.locator("#filters-count")).to_have_text("(1)")
    expect(page.locator("#status")).to_contain_text("items, in")


def wander(page: Page, photo: Path) -> None:
    """Look at the map."""
    page.goto(f"{ADDRESS}#map")
    expect(page.locator("#map-status")).to_contain_text("items")


def explain(page: Page, photo: Path) -> None:
    """Ask what was seen."""
    search(page, photo)
    page.click("#explain")
    expect(page.locator("#explanation img")).to_be_visible()


def complete(page: Page, photo: Path) -> None:
    """Draw digits, and let one of them be drawn on from its middle."""
    page.goto(f"{ADDRESS}#play")
    page.select_option("#model", "pixelcnn")
    for task in ("samples", "completions"):
        page.select_option("#task", task)
        page.click("#draw")
        expect(page.locator("#play-status")).to_have_text("Done.")
        expect(page.locator("#sheet img")).to_have_count(16)
        if task == "samples":
            page.locator("#sheet button").first.click()
            expect(page.locator("#half")).to_be_visible()


def manage(page: Page, photo: Path) -> None:
    """Look at the indexes."""
    page.goto(f"{ADDRESS}#manage")
    expect(page.locator("#generations tbody tr")).not_to_have_count(0)


SCENES = {
    "search": (like_and_not, WIDE, "light"),
    "dark": (filtered, WIDE, "dark"),
    "phone": (search, PHONE, "light"),
    "map": (wander, WIDE, "light"),
    "playground": (complete, WIDE, "light"),
    "explain": (explain, (WIDE[0], 770), "light"),
    "manage": (manage, (WIDE[0], 360), "light"),
}


def as_jpeg(png: bytes) -> bytes:
    """A picture as the best JPEG of so many bytes at most."""
    for quality in range(88, 30, -4):
        made = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").save(
            made, "JPEG", quality=quality, optimize=True, progressive=True
        )
        if len(made.getvalue()) < BYTES:
            break
    return made.getvalue()


def main() -> None:
    """Take the pictures that are asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("photo", type=Path, help="what is searched with")
    asked.add_argument("out", type=Path, help="folder of the pictures")
    asked.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    given = asked.parse_args()
    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as found:
        browser = found.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for name in given.only:
            play, (width, height), colours = SCENES[name]
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=colours,
                reduced_motion="reduce",
                has_touch=width < WIDE[0],
            )
            page.set_default_timeout(1000 * SECONDS)
            play(page, given.photo)
            page.evaluate("() => scrollTo(0, 0)")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)  # photos that were loaded are painted
            data = as_jpeg(page.screenshot())
            (given.out / f"page_{name}.jpg").write_bytes(data)
            print(f"page_{name}.jpg: {len(data)} bytes")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
