"""What a visitor does on the page, in real clicks, with the bundled engine; no test looks at how good an edit is."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from visitor import Visitor, pixels

from editworld_core.images import read_settings
from ui.examples import load_examples

Visit = Callable[..., Visitor]
INSTRUCTION = "the sun comes out"


def shown_seed(visitor: Visitor, tmp_path: Path) -> int:
    """The seed of the edit that can be saved now."""
    file = tmp_path / "seed.png"
    visitor.save("save", file)
    found = read_settings(Image.open(file))
    assert found is not None
    seed = found[1].seed
    assert seed is not None
    return seed


def test_an_edit_shows_everything_about_itself(visitor: Visitor, snowman: Path) -> None:
    visitor.upload(snowman)
    visitor.edit(INSTRUCTION)
    before, after = visitor.before_and_after()
    assert np.array_equal(before, np.asarray(Image.open(snowman)))
    assert after.shape == before.shape
    page = visitor.page
    expect(page.locator("#overlay img")).to_be_visible()
    expect(page.locator("#words label")).to_have_text(["the", "sun", "comes", "out"])
    expect(page.locator("#words input:checked")).not_to_have_count(0)
    expect(page.locator("#mask-note")).to_contain_text("% of the picture")
    expect(visitor.drift).to_have_text(re.compile(r"\w.*\."))
    expect(page.locator("#timings")).to_contain_text("s in all")
    expect(visitor.history).to_have_count(1)
    expect(page.locator("#waiting")).to_be_hidden()
    assert visitor.seed() >= 0


def test_enter_edits_and_the_saved_picture_keeps_what_its_mask_does_not_hold(
    visitor: Visitor, meadow: Path, tmp_path: Path
) -> None:
    visitor.upload(meadow)
    visitor.instruction.fill("wilt the tulip")
    visitor.until_new(lambda: visitor.instruction.press("Enter"))
    after = pixels(visitor.save("save", tmp_path / "after.png"))
    mask = pixels(visitor.save("save-mask", tmp_path / "mask.png")) > 0
    before = np.asarray(Image.open(meadow))
    assert after.shape == before.shape
    assert mask.shape == before.shape[:2]
    assert np.array_equal(after[~mask], before[~mask])
    assert np.array_equal(after, visitor.before_and_after()[1])


def test_post_edit_mask_rule_and_words_reuse_the_edit(
    visitor: Visitor, snowman: Path, tmp_path: Path
) -> None:
    visitor.upload(snowman)
    visitor.edit("melt the snowman")
    page, saved = visitor.page, {}
    seed = shown_seed(visitor, tmp_path)

    def keep(name: str) -> None:
        saved[name] = visitor.save("save", tmp_path / f"{name}.png")
        assert shown_seed(visitor, tmp_path) == seed

    keep("on")
    post_edit = page.locator("#post-edit input")
    visitor.until_new(post_edit.uncheck)
    keep("off")
    visitor.open_masks()
    visitor.until_new(page.locator("#mask-rule").get_by_text("Paper").click)
    keep("paper")
    expect(page.get_by_label("number input for Threshold")).to_be_visible()
    visitor.until_new(page.locator("#words label").get_by_text("the", exact=True).click)
    keep("words")
    visitor.until_new(page.locator("#words label").get_by_text("the", exact=True).click)
    assert visitor.save("save", tmp_path / "back.png") == saved["paper"]
    assert len(set(saved.values())) == 4  # if not by their pixels, then by the settings that they remember
    expect(visitor.history).to_have_count(1)
    _, settings = read_settings(Image.open(tmp_path / "words.png")) or pytest.fail("no settings")
    assert not settings.post_edit
    assert settings.mask_rule == "paper"
    assert "the" in settings.keywords
    expect(post_edit).not_to_be_checked()


def test_stop_ends_the_work_and_leaves_the_page_usable(visitor: Visitor, snowman: Path) -> None:
    visitor.set_steps(100)
    visitor.upload(snowman)
    visitor.instruction.fill(INSTRUCTION)
    started = time.monotonic()
    visitor.edit_button.click()
    expect(visitor.stop_button).to_be_visible()
    expect(visitor.edit_button).to_be_hidden()
    status = visitor.page.locator("#status")
    expect(status).to_have_text(re.compile(r"Step ([3-9]|[1-9]\d) of 100"))
    done = int(re.findall(r"\d+", status.inner_text())[0])
    each = (time.monotonic() - started) / done
    visitor.stop_button.click()
    expect(visitor.edit_button).to_be_visible()
    expect(visitor.stop_button).to_be_hidden()
    expect(status).to_be_hidden()
    stopped = time.monotonic()
    visitor.set_steps(1)
    visitor.edit()
    # had the first run gone on, this one would have had to wait for its other steps
    assert time.monotonic() - stopped < max(5.0, each * (100 - done) / 2)
    expect(visitor.history).to_have_count(1)


def test_who_waits_behind_another_visitor_sees_it_and_can_stop(
    visit: Visit, snowman: Path, meadow: Path
) -> None:
    waiting, busy = visit(), visit()
    waiting.upload(snowman)
    waiting.edit("melt the snowman")
    waiting.open_masks()
    before = waiting.page.locator("#slider img").last.get_attribute("src")
    busy.set_steps(100)
    busy.upload(meadow)
    busy.instruction.fill(INSTRUCTION)
    busy.edit_button.click()
    expect(busy.page.locator("#status")).to_contain_text("of 100")
    rule = waiting.page.locator("#mask-rule")
    rule.get_by_text("Paper").click()
    expect(waiting.page.locator("#status")).to_contain_text("Remaking the mask")
    waiting.stop_button.click()
    expect(waiting.edit_button).to_be_visible()
    # the field says again how the picture that is still shown was made
    expect(rule.get_by_label("Otsu")).to_be_checked()
    expect(waiting.page.locator("#slider img").last).to_have_attribute("src", before or "")
    waiting.edit_button.click()
    expect(waiting.page.locator("#status")).to_contain_text("Waiting for the engine")
    expect(waiting.stop_button).to_be_visible()
    busy.stop_button.click()
    expect(waiting.history).to_have_count(2)


def test_a_saved_picture_brings_its_settings_back(visit: Visit, snowman: Path, tmp_path: Path) -> None:
    first, file = visit(), tmp_path / "saved.png"
    first.set_steps(3)
    first.upload(snowman)
    first.edit(INSTRUCTION)
    first.until_new(first.page.locator("#words label").get_by_text("out", exact=True).click)
    first.save("save", file)
    seed = first.seed()
    later = visit()
    expect(later.note).to_be_hidden()
    later.upload(file)
    expect(later.note).to_contain_text("Settings restored")
    expect(later.note).to_contain_text(str(seed))
    expect(later.instruction).to_have_value(INSTRUCTION)
    later.open_advanced()
    expect(later.page.locator("#steps input[type=number]")).to_have_value("3")
    expect(later.page.locator("#seed input")).to_have_value(str(seed))
    expect(later.page.locator("#new-seed input")).not_to_be_checked()
    later.upload(snowman)
    expect(later.note).to_be_hidden()
    later.edit()
    # the same picture, instruction, seed and words: the same edit, in somebody else's browser
    assert later.save("save", tmp_path / "again.png") == file.read_bytes()


def test_the_result_becomes_the_next_picture_and_the_history_brings_the_first_back(
    visitor: Visitor, snowman: Path, tmp_path: Path
) -> None:
    visitor.upload(snowman)
    visitor.edit(INSTRUCTION)
    before, first = visitor.before_and_after()
    saved = visitor.save("save", tmp_path / "first.png")
    visitor.page.locator("#reuse").click()
    expect(visitor.note).to_contain_text("The result is now the picture")
    visitor.edit("night falls")
    second_before, second = visitor.before_and_after()
    assert np.array_equal(second_before, first)
    expect(visitor.history).to_have_count(2)
    visitor.until_new(visitor.history.nth(1).click)
    expect(visitor.instruction).to_have_value(INSTRUCTION)
    assert np.array_equal(visitor.before_and_after(), (before, first))
    assert visitor.save("save", tmp_path / "recalled.png") == saved
    visitor.until_new(visitor.history.nth(0).click)
    assert np.array_equal(visitor.before_and_after(), (first, second))


def test_an_example_fills_the_fields(visitor: Visitor) -> None:
    for example in load_examples()[:2]:
        visitor.page.locator(".example-shelf").get_by_text(example.instruction, exact=True).click()
        expect(visitor.instruction).to_have_value(example.instruction)
        picture = visitor.page.locator("#picture img")
        expect(picture).to_have_attribute("src", re.compile(re.escape(example.image.name)))
    visitor.edit()
    before, _ = visitor.before_and_after()
    assert before.shape[1::-1] == Image.open(example.image).size


def test_what_is_missing_is_said_on_its_field(visitor: Visitor, snowman: Path) -> None:
    picture, instruction = visitor.page.locator("#picture"), visitor.page.locator("#instruction")
    visitor.edit_button.click()
    expect(picture).to_contain_text("Add a picture first: drop one here, or choose an example below.")
    expect(instruction).to_contain_text("The instruction is empty; say what should happen in the picture.")
    expect(visitor.stop_button).to_be_hidden()
    visitor.upload(snowman)
    visitor.edit("  melt the snowman  ")
    expect(visitor.history).to_have_count(1)
    expect(visitor.page.locator("body")).not_to_contain_text("Traceback")


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(
    visitor: Visitor, snowman: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    visitor.choose(text)
    sentence = "This is not a picture that can be read; use PNG, JPEG, WebP, GIF or TIFF."
    expect(visitor.note).to_have_text(sentence)
    expect(visitor.page.locator("body")).not_to_contain_text("Traceback")
    expect(visitor.page.locator("#picture img")).to_have_count(0)
    visitor.instruction.fill(INSTRUCTION)
    visitor.upload(snowman)
    expect(visitor.note).to_be_hidden()
    visitor.edit()
    expect(visitor.history).to_have_count(1)


def test_two_visitors_at_once_see_only_their_own(
    visit: Visit, snowman: Path, meadow: Path, tmp_path: Path
) -> None:
    visitors = {"melt the snowman": (visit(), snowman), "night falls": (visit(), meadow)}
    for instruction, (visitor, file) in visitors.items():
        visitor.set_steps(8)
        visitor.upload(file)
        visitor.instruction.fill(instruction)
    for visitor, _ in visitors.values():
        visitor.edit_button.click()
    for instruction, (visitor, file) in visitors.items():
        expect(visitor.page.locator("#slider img").last).to_be_visible()
        expect(visitor.edit_button).to_be_visible()
        original = np.asarray(Image.open(file))
        before, after = visitor.before_and_after()
        assert np.array_equal(before, original)
        assert after.shape == original.shape
        expect(visitor.history).to_have_count(1)
        expect(visitor.history).to_contain_text(instruction)
        saved = tmp_path / file.name
        visitor.save("save", saved)
        found = read_settings(Image.open(saved))
        assert found is not None
        assert found[0] == instruction
        expect(visitor.page.locator("#words label").last).to_have_text(instruction.split()[-1])


@pytest.mark.parametrize("touch", [False, True], ids=["narrow", "touch"])
def test_a_phone_shows_everything_in_its_width(visit: Visit, meadow: Path, touch: bool) -> None:
    phone = visit(viewport={"width": 390, "height": 844}, is_mobile=touch, has_touch=touch)

    def fits() -> None:
        widths = phone.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert widths == [390, 390]

    fits()
    phone.upload(meadow)
    phone.open_masks()
    fits()
    phone.instruction.fill("wilt the tulip")
    phone.page.locator("#think").click()
    expect(phone.page.locator("#outcome textarea")).to_be_visible()
    fits()
    phone.edit_button.click()
    phone.page.locator("#slider").scroll_into_view_if_needed()  # its pictures load when they come into sight
    phone.open_hand("Click")
    fits()
    phone.open_hand("Paint")
    fits()
    expect(phone.page.locator("#overlay img")).to_be_visible()
    expect(phone.history).to_have_count(1)
    fits()
    for part in ("#picture", "#thought", "#slider", "#words", "#hand", "#canvas", "#history"):
        box = phone.page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_dark_mode_is_dark(visit: Visit) -> None:
    night = visit(color_scheme="dark")
    background = night.page.evaluate("getComputedStyle(document.body).backgroundColor")
    text = night.page.evaluate("getComputedStyle(document.querySelector('.masthead h1')).color")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 64
    assert min(map(int, re.findall(r"\d+", text)[:3])) > 192
