"""The page of an evaluation as a file in a real Chromium: many items, sorted, filtered, on a phone, by night."""

from time import perf_counter

import pytest
from playwright.sync_api import expect

from editworld_core.evaluation.record import Scored, Setup
from editworld_core.evaluation.report import write_report
from editworld_core.settings import EditSettings
from tests.evaluation.some import some_item, some_outcome, some_pictures

pytestmark = pytest.mark.browser

ITEMS = 120
EVIL = "</script><img src=x onerror=\"document.title='bad'\">"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Items whose CLIP score rises with their number; the first was refused, the second has no score."""
    folder = tmp_path_factory.mktemp("report")
    pictures = some_pictures()
    outcome = some_outcome()
    setups = (Setup("pocket", EditSettings(seed=0)), Setup("other", EditSettings(seed=1)))
    scored = []
    for place in range(ITEMS):
        item = some_item(
            f"item-{place}",
            pictures=pictures,
            category="Long-Term" if place % 2 else "Story-Type",
            instruction=f"{EVIL} number {place}",
        )
        setup = setups[place % 10 == 9]
        if place == 0:
            scored.append(Scored(item, setup, {}, "It was refused."))
        elif place == 1:
            scored.append(Scored(item, setup, {"shift": 1.0}))
        else:
            values = {"clip_score_final": place / ITEMS, "st_lpips_final": place / ITEMS, "shift": 1.0}
            scored.append(Scored(item, setup, values))
    write_report(folder, scored, {"data_set": "many"}, lambda one: None if one.failure else outcome, {})
    return folder / "report.html"


def first_is(page, text: str) -> None:
    expect(page.locator(".case h3").first).to_contain_text(text)


def test_items_are_shown_sorted_and_filtered(page_file, browser):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    start = perf_counter()
    page.goto(page_file.as_uri())
    page.wait_for_selector(".case")
    assert perf_counter() - start < 20
    first_is(page, "number 2”")  # the lowest CLIP score there is
    expect(page.locator(".case")).to_have_count(40)
    page.get_by_label("Order").select_option("best")
    first_is(page, "number 119")
    page.get_by_label("Sort by").select_option(label="ST-LPIPS with post-edit")
    first_is(page, "number 2”")
    page.get_by_label("Order").select_option("worst")
    first_is(page, "number 119")
    page.get_by_label("Setup", exact=True).select_option("pocket")
    first_is(page, "number 118")
    page.get_by_label("Category", exact=True).select_option(label="Simulation · Long-Term")
    first_is(page, "number 117")
    page.get_by_label("Search").fill("number 11")
    expect(page.locator(".case")).not_to_have_count(40)  # it searches once the typing has paused
    first_is(page, "number 117”")
    page.get_by_label("Search").fill("")
    expect(page.locator(".case")).to_have_count(40)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".case")).to_have_count(48)
    page.locator(".case summary").first.click()
    assert "ST-LPIPS with post-edit" in page.locator(".case .numbers").first.text_content()
    assert page.title() == "many: evaluation"
    assert errors == []
    page.close()


def test_pictures_load_only_where_one_looks(page_file, browser):
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(page_file.as_uri())
    page.locator(".case").first.scroll_into_view_if_needed()
    loaded = (
        "[...document.querySelectorAll('.case img')].map(image => image.complete && image.naturalWidth > 0)"
    )
    shown = page.locator(".case").first.locator("img")
    expect(shown).to_have_count(5)
    for place in range(5):
        expect(shown.nth(place)).to_have_js_property("complete", True)
    found = page.evaluate(loaded)
    assert all(found[:5])
    assert not all(found)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_by_day_and_by_night(page_file, browser, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(page_file.as_uri())
    page.wait_for_selector(".case")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, paper[4:-1].split(","))) / 3
    assert (light > 128) == (scheme == "light")
    page.close()
