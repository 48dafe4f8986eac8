"""Thinking before the edit, and the list of engines, in a real browser."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import expect
from visitor import Visitor

from editworld_core.images import read_settings

CAUSE = "the sun comes out and the snowman gets warm"


def test_a_thought_fills_fields_that_can_be_changed(visitor: Visitor, snowman: Path, tmp_path: Path) -> None:
    page = visitor.page
    outcome, words = page.locator("#outcome textarea"), page.locator("#thought-keywords input")
    visitor.upload(snowman)
    visitor.instruction.fill(CAUSE)
    page.locator("#think").click()
    expect(outcome).to_have_value("a melted snowman, a hat on a little snow in a puddle")
    expect(words).to_have_value("snowman")
    expect(page.locator("#thought-about")).to_contain_text("Physical-Trans")
    outcome.fill("a big puddle of melted snow")
    words.fill("puddle")
    visitor.edit()
    instruction, settings = read_settings(Image.open(saved(visitor, tmp_path))) or ("", None)
    assert instruction == CAUSE
    assert settings is not None
    assert (settings.outcome, settings.keywords) == ("a big puddle of melted snow", ("puddle",))
    expect(page.locator("#words label")).to_have_text(["a", "big", "puddle", "of", "melted", "snow"])
    # another instruction leaves nothing of it
    visitor.instruction.press("End")
    visitor.instruction.press_sequentially(" and dry")
    expect(page.locator("#thought")).to_be_hidden()
    visitor.edit()
    instruction, settings = read_settings(Image.open(saved(visitor, tmp_path))) or ("", None)
    assert instruction == f"{CAUSE} and dry"
    assert settings is not None
    assert settings.outcome == ""
    # the history brings it back
    visitor.until_new(visitor.history.nth(1).click)
    expect(outcome).to_have_value("a big puddle of melted snow")


def saved(visitor: Visitor, folder: Path) -> Path:
    """The picture on the page, as a file."""
    file = folder / "saved.png"
    visitor.save("save", file)
    return file


def test_thinking_needs_words(visitor: Visitor) -> None:
    visitor.page.locator("#think").click()
    expect(visitor.page.locator("#instruction")).to_contain_text("The instruction is empty")
    expect(visitor.page.locator("#thought")).to_be_hidden()


def test_the_list_of_engines_says_what_one_may_do_with_them(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_advanced()
    engine, note = page.locator("#engine input"), page.locator("#engine-note")
    expect(note).to_contain_text("Licence Apache-2.0")
    expect(page.locator("#negative")).to_be_hidden()
    engine.click()
    options = page.get_by_role("option")
    expect(options.filter(has_text="(non-commercial)")).to_have_count(1)
    options.filter(has_text="flux-kontext").click()
    expect(note).to_contain_text("not for commercial use")
    expect(note).to_contain_text("offload")
    engine.click()
    options.filter(has_text="sdxl-instruct-pix2pix").click()
    expect(note).to_contain_text("diffusers/sdxl-instructpix2pix-768")
    expect(page.locator("#negative")).to_be_visible()
    steps = page.locator("#steps input[type=number]")
    expect(steps).to_have_value("20")
    page.locator("#speed").get_by_text("Exact").click()
    expect(steps).to_have_value("100")
