"""The mask that a visitor draws by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from stand_in import Squares, noise

from editworld_core.errors import BadInputError
from editworld_core.mask_files import read_mask
from editworld_core.masks import mask_iou
from ui.draft import (
    LONGEST,
    PAINT,
    STAYS,
    Click,
    Draft,
    Strokes,
    boxes,
    canvas,
    selection_picture,
    shrink,
    strokes,
)

Mask = NDArray[np.bool_]


def block(size: tuple[int, int], rows: slice, columns: slice) -> Mask:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


def squares(*points: Any) -> Mask:
    return Squares().at_points(noise(1), *points)


def layer(change: Mask, stay: Mask | None = None) -> NDArray[np.uint8]:
    """A canvas' layer with strokes in its two colours."""
    painted = np.zeros((*change.shape, 4), np.uint8)
    painted[change] = (*PAINT, 153)
    if stay is not None:
        painted[stay] = (*STAYS, 153)
    return painted


def test_strokes_on_a_small_canvas_are_the_mask_exactly() -> None:
    draft = Draft((48, 64))
    random = np.random.default_rng(0).random((48, 64))
    for _ in range(2):  # the same strokes come again until the canvas is given anew
        draft.take(strokes({"layers": [layer(random > 0.4, random > 0.8)]}))
        assert np.array_equal(draft.drawn, (random > 0.4) & (random <= 0.8))
    draft.take(strokes({"layers": []}))
    draft.take(strokes(None))
    assert draft.drawn.any()


def test_the_newer_of_two_strokes_counts() -> None:
    def over(new: tuple[int, int, int], old: tuple[int, int, int]) -> NDArray[np.uint8]:
        return np.rint(0.6 * np.float32([*new, 255]) + 0.4 * np.float32([*old, 153])).astype(np.uint8)

    painted = np.stack([over(PAINT, STAYS), over(STAYS, PAINT)])[None]
    found = strokes({"layers": [painted]})
    assert found is not None
    assert found.change.tolist() == [[True, False]]
    assert found.stay.tolist() == [[False, True]]


def test_the_canvas_shows_the_mask_and_is_told_apart_each_time() -> None:
    mask = block((48, 64), slice(10, 20), slice(30, 50))
    first, second = canvas(noise(1), mask), canvas(noise(1), mask)
    assert first["layers"] == []
    changed = (np.asarray(first["background"]) != np.asarray(noise(1))).any(-1)
    assert np.array_equal(changed, mask)
    assert np.array_equal(np.asarray(first["background"]), np.asarray(second["background"]))
    assert first["background"].info != second["background"].info


def test_a_large_mask_stays_exact_where_nobody_touches_it() -> None:
    given_mask = np.random.default_rng(0).random((1500, 3000)) > 0.5
    given_mask[:, 1500:] = False
    draft = Draft((1500, 3000), given_mask)
    size = draft.on_canvas.shape
    assert size == (LONGEST // 2, LONGEST)
    change = block(size, slice(100, 200), slice(700, 900))
    stay = block(size, slice(0, 50), slice(0, LONGEST))
    draft.take(Strokes(change, stay))
    truth = given_mask.copy()
    truth[round(100 * 3000 / LONGEST) : round(200 * 3000 / LONGEST), 2051:2637] = True
    truth[: round(50 * 3000 / LONGEST)] = False
    assert np.array_equal(draft.drawn[160:280, :1500], given_mask[160:280, :1500])
    assert np.array_equal(draft.drawn[600:], given_mask[600:])
    assert mask_iou(draft.drawn[:, 1500:], truth[:, 1500:]) > 0.98


def test_a_canvas_of_another_picture_is_refused() -> None:
    everything = np.ones((64, 48), bool)
    with pytest.raises(BadInputError, match="belongs to another picture"):
        Draft((48, 64)).take(Strokes(everything, ~everything))


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 47)), max_size=7))
@settings(max_examples=50, deadline=None)
def test_every_two_corners_make_a_box(corners: list[tuple[int, int]]) -> None:
    clicks = [Click("corner", x, y) for x, y in corners]
    expected = np.zeros((48, 64), bool)
    for (x1, y1), (x2, y2) in zip(corners[::2], corners[1::2], strict=False):
        for y in range(min(y1, y2), max(y1, y2) + 1):
            for x in range(min(x1, x2), max(x1, x2) + 1):
                expected[y, x] = True
    assert np.array_equal(boxes(clicks, (48, 64)), expected)


def test_clicks_select_and_can_be_taken_back() -> None:
    draft = Draft((48, 64))
    draft.click(Click("add", 20, 20), squares)
    thing = block((48, 64), slice(15, 26), slice(15, 26))
    assert np.array_equal(draft.selected, thing)
    draft.click(Click("not", 20, 20), squares)
    assert np.array_equal(draft.selected, thing & ~block((48, 64), slice(18, 23), slice(18, 23)))
    for corner in (Click("corner", 40, 2), Click("corner", 50, 4)):
        draft.click(corner, squares)
    assert draft.selected[2:5, 40:51].all()
    assert not draft.drawn.any()
    for _ in range(3):
        draft.click(None, squares)
    assert np.array_equal(draft.selected, thing)
    draft.settle()
    assert np.array_equal(draft.drawn, thing)
    assert not draft.clicks
    assert not draft.selected.any()
    draft.clear()
    assert not draft.whole.any()


def test_a_refused_click_leaves_everything_as_it_was() -> None:
    draft = Draft((48, 64))
    with pytest.raises(BadInputError, match="Click first on something that may change"):
        draft.click(Click("not", 3, 3), squares)
    assert draft.clicks == ()


@pytest.mark.parametrize("size", [(64, 48), (3000, 1500), (1, 5000)])
def test_a_click_lands_on_the_uploads_pixel(size: tuple[int, int]) -> None:
    width, height = size
    draft = Draft((height, width))
    shown_height, shown_width = draft.on_canvas.shape
    assert draft.to_upload(0, 0)[0] < max(1, width / shown_width)
    assert draft.to_upload(shown_width + 3, shown_height + 3) == (width - 1, height - 1)
    x, y = draft.to_upload(shown_width // 2, shown_height // 2)
    assert abs(x - width / 2) <= width / shown_width
    assert abs(y - height / 2) <= height / shown_height


def test_the_picture_to_click_on_shows_paint_selection_and_clicks() -> None:
    size = (200, 300)
    picture = Image.new("RGB", (300, 200), (128, 128, 128))
    draft = Draft(size, block(size, slice(0, 40), slice(0, 40)))
    draft.click(Click("add", 200, 100), lambda points, labels: block(size, slice(80, 120), slice(180, 220)))
    drawn = np.asarray(selection_picture(picture, draft), int)
    amber, teal = drawn[20, 20], drawn[115, 185]
    assert amber[0] > amber[2] + 50
    assert teal[2] > teal[0] + 30
    assert np.abs(drawn[100, 200] - teal).max() > 30  # the mark of the click
    assert (drawn[150, 100] == 128).all()


def test_a_mask_shrinks_to_the_canvas() -> None:
    mask = block((3000, 4000), slice(0, 1500), slice(0, 4000))
    small = shrink(mask)
    assert small.shape == (768, 1024)
    assert small[:384].all()
    assert not small[384:].any()


def save(folder: Path, picture: Image.Image) -> str:
    file = folder / "mask.png"
    picture.save(file)
    return str(file)


def test_white_in_a_file_may_change_whatever_its_mode(tmp_path: Path) -> None:
    truth = block((48, 64), slice(10, 20), slice(30, 50))
    grey = Image.fromarray(truth.astype(np.uint8) * 255)
    deep = Image.fromarray(truth.astype(np.uint16) * 65535)
    for picture in (deep, *map(grey.convert, ("1", "L", "RGB", "P", "RGBA"))):
        assert np.array_equal(read_mask(save(tmp_path, picture), (64, 48)), truth), picture.mode


def test_what_is_painted_on_transparency_may_change_whatever_its_colour(tmp_path: Path) -> None:
    truth = block((48, 64), slice(10, 20), slice(30, 50))
    for colour in ((0, 0, 0), (255, 255, 255), (200, 30, 30)):
        painted = np.zeros((48, 64, 4), np.uint8)
        painted[truth] = (*colour, 255)
        assert np.array_equal(read_mask(save(tmp_path, Image.fromarray(painted)), (64, 48)), truth)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (Image.new("L", (48, 64), 255), "The mask is 48x64 pixels and the picture 64x48: save the mask at"),
        (Image.new("L", (64, 48), 0), "The mask is empty: make white what may change."),
        (Image.new("RGBA", (64, 48), (255, 255, 255, 0)), "The mask is empty"),
    ],
    ids=["size", "black", "transparent"],
)
def test_a_mask_that_cannot_be_used_is_refused(tmp_path: Path, picture: Image.Image, sentence: str) -> None:
    with pytest.raises(BadInputError, match=sentence) as refused:
        read_mask(save(tmp_path, picture), (64, 48))
    assert str(refused.value).count(". ") == 0


def test_a_file_that_is_no_mask_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mask.png"
    file.write_text("no mask")
    with pytest.raises(BadInputError, match="not a picture that can be read"):
        read_mask(str(file), (64, 48))
