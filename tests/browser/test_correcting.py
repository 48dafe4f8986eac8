"""Correcting the mask in a real browser: strokes, clicks, boxes and files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from visitor import Visitor, pixels


@pytest.fixture
def edited(visitor: Visitor, snowman: Path) -> Visitor:
    """A visitor who has melted the snowman."""
    visitor.upload(snowman)
    visitor.edit("melt the snowman")
    return visitor


def keeps_the_rest(visitor: Visitor, original: Path, folder: Path) -> np.ndarray:
    """The mask that can be saved, after a look at the pixels outside it."""
    mask = visitor.mask(folder / "mask.png")
    after = pixels(visitor.save("save", folder / "after.png"))
    before = np.asarray(Image.open(original))
    assert np.array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any()
    return mask


def test_a_stroke_replaces_the_mask_and_can_be_taken_away(
    edited: Visitor, snowman: Path, tmp_path: Path
) -> None:
    seed, automatic = edited.seed(), edited.mask(tmp_path / "automatic.png")
    expect(edited.page.locator("#hand")).to_be_visible()
    edited.paint((-60, 0), (60, 0))
    edited.use_mask("Replace it")
    mask = keeps_the_rest(edited, snowman, tmp_path)
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    assert mask[height // 2, width // 2]
    assert 0.005 < mask.mean() < 0.3
    assert abs(columns.mean() - width / 2) < 0.03 * width
    assert abs(rows.mean() - height / 2) < 0.03 * height
    assert np.ptp(columns) > 2 * np.ptp(rows)
    expect(edited.page.locator("#mask-note")).to_contain_text("by your own mask alone")
    edited.until_new(edited.page.locator("#hand-rule").get_by_label("Join the automatic mask").check)
    both = edited.mask(tmp_path / "both.png")
    assert both[mask].all()
    assert both.sum() > mask.sum()
    edited.until_new(edited.page.locator("#clear-mask").click)
    assert np.array_equal(edited.mask(tmp_path / "back.png"), automatic)
    assert edited.seed() == seed
    expect(edited.history).to_have_count(1)


def test_a_blue_stroke_takes_a_part_of_the_current_mask_away(
    edited: Visitor, snowman: Path, tmp_path: Path
) -> None:
    current = edited.mask(tmp_path / "current.png")
    middle = current.shape[0] // 2, current.shape[1] // 2
    assert current[middle]  # the snowman's belly
    edited.open_hand("Paint")
    edited.page.locator("#start-mask").click()
    expect(edited.page.locator("#hand-rule").get_by_label("Replace it")).to_be_checked()
    edited.paint((-60, 0), (60, 0), blue=True)
    edited.use_mask("Replace it")
    mask = keeps_the_rest(edited, snowman, tmp_path)
    assert not mask[middle]
    assert not (mask & ~current).any()
    assert 0.4 * current.sum() < mask.sum() < current.sum()


def test_clicks_and_a_box_select_what_may_change(edited: Visitor, snowman: Path, tmp_path: Path) -> None:
    edited.click_picture(0.5, 0.6)
    edited.click_picture(0.1, 0.1, "Not this")
    edited.until_redrawn(edited.page.locator("#undo-click").click)
    edited.click_picture(0.05, 0.85, "Box: two corners")
    edited.click_picture(0.15, 0.95, "Box: two corners")
    edited.use_mask("Replace it")
    mask = keeps_the_rest(edited, snowman, tmp_path)
    height, width = mask.shape
    assert mask[int(0.6 * height), width // 2]
    assert mask[int(0.86 * height) : int(0.94 * height), int(0.06 * width) : int(0.14 * width)].all()
    assert mask.mean() < 0.6
    # what was clicked is paint now
    edited.until_redrawn(edited.page.locator("#clear-clicks").click)
    edited.open_hand("Paint")
    edited.paint((0, 150), (0, 151))
    edited.use_mask("Replace it")
    assert edited.mask(tmp_path / "painted.png")[mask].all()


def test_a_saved_mask_loads_again_and_another_size_is_refused(
    edited: Visitor, snowman: Path, meadow: Path, tmp_path: Path
) -> None:
    page = edited.page
    own = np.zeros(np.asarray(Image.open(snowman)).shape[:2], bool)
    own[40:120, 30:90] = True
    file = tmp_path / "own.png"
    Image.fromarray(own).save(file)
    edited.open_hand("Paint")
    load = page.get_by_test_id("Load a mask-upload-button")
    load.set_input_files(meadow)
    expect(page.locator("#hand-note")).to_contain_text("save the mask at the picture's size.")
    load.set_input_files(file)
    expect(page.locator("#hand-note")).to_be_hidden()
    edited.use_mask("Replace it")
    assert np.array_equal(keeps_the_rest(edited, snowman, tmp_path), own)
    # it goes on with the result, and not with another picture
    page.locator("#reuse").click()
    expect(edited.note).to_contain_text("Your own mask stays.")
    edited.edit("night falls")
    assert np.array_equal(edited.mask(tmp_path / "again.png"), own)
    edited.upload(meadow)
    edited.edit("wilt the tulip")
    assert not np.array_equal(edited.mask(tmp_path / "other.png").shape, own.shape)
    expect(page.locator("#mask-note")).not_to_contain_text("your own mask")


def test_before_anything_is_drawn_the_panel_says_what_to_do(edited: Visitor) -> None:
    edited.open_hand("Paint")
    edited.page.locator("#use-mask").click()
    expect(edited.page.locator("#hand-note")).to_contain_text("There is no mask of yours yet")
