"""Correcting the mask by hand: the panel's handlers, called as the page calls them."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from stand_in import noise
from tab import Page, refining, value

from ui.draft import PAINT, STAYS
from ui.session import Session

Mask = NDArray[np.bool_]
SIZE = (48, 64)
RIGHT = np.zeros(SIZE, bool)
RIGHT[10:20, 40:60] = True  # where the engine, which paints the left half, changes nothing


def painted(change: Mask, stay: Mask | None = None) -> dict[str, Any]:
    """What the canvas hands in when ``change`` is painted on it in amber, and ``stay`` in blue."""
    layer = np.zeros((*change.shape, 4), np.uint8)
    layer[change] = (*PAINT, 153)
    if stay is not None:
        layer[stay] = (*STAYS, 153)
    return {"background": None, "layers": [layer], "composite": None}


def on_canvas(update: Any) -> Mask:
    """The mask that an update of the canvas shows on the picture that is edited here."""
    return np.asarray((np.asarray(value(update)["background"]) != np.asarray(noise(4))).any(-1))


def use(page: Page, session: Session, mask: Mask, stay: Mask | None = None, **changed: Any) -> dict[Any, Any]:
    """Press "Use this mask" with ``mask`` painted, and ``stay`` in the other colour; the last update."""
    *_, last = page.tab.use_hand(session, painted(mask, stay), [], *refining(**changed))
    return last


def click(page: Page, session: Session, x: int, y: int, kind: Any = "add") -> dict[Any, Any]:
    """Click on the picture's pixel (x, y)."""
    event = gr.SelectData(None, {"index": [x, y], "value": None})
    return page.tab.hand.click(session, kind, "classical", event)


def final(session: Session) -> NDArray[np.uint8]:
    """The picture on the page."""
    assert session.entry is not None
    return np.asarray(session.entry.shown.result.final)


def test_a_painted_mask_replaces_the_automatic_one_without_editing_again(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    mask = np.zeros(SIZE, bool)
    mask[5:25, 3:20] = True
    use(page, session, mask, hand_rule="replace", feather=0)
    result = session.entry.shown.result
    assert result.mask_source == "hand"
    assert np.array_equal(result.mask, mask)
    assert np.array_equal(result.hand, mask)
    before, after = np.asarray(result.original), final(session)
    assert np.array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any()
    assert page.painter.edits == 1
    assert len(session.entries) == 1


def test_a_painted_mask_joins_the_automatic_one(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    automatic = session.entry.shown.result.mask
    last = use(page, session, RIGHT)
    result = session.entry.shown.result
    assert not automatic[RIGHT].any()
    assert result.mask[RIGHT].all()
    assert result.mask[automatic].mean() > 0.95
    assert "with your own mask" in last[page.tab.answer.mask_note]


def test_the_way_back_to_the_automatic_mask(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    first = session.entry.shown
    use(page, session, RIGHT, hand_rule="replace")
    *_, last = page.tab.clear_hand(session, [], *refining())
    assert session.entry.shown is first
    assert not on_canvas(last[page.tab.answer.hand.canvas]).any()
    # and by taking away everything that was painted
    use(page, session, RIGHT)
    assert session.entry.shown is not first
    use(page, session, np.zeros(SIZE, bool), np.ones(SIZE, bool))
    assert session.entry.shown is first


def test_another_refinement_keeps_the_mask_and_the_rule_needs_one(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    nothing = list(page.tab.refine_hand(session, [], *refining(hand_rule="replace")))
    assert nothing == [{page.tab.session: session}]
    use(page, session, RIGHT)
    list(page.tab.refine(session, [], *refining(feather=0)))
    assert np.array_equal(session.entry.hand, RIGHT)
    list(page.tab.refine_hand(session, [], *refining(hand_rule="replace", feather=0)))
    assert np.array_equal(session.entry.shown.result.mask, RIGHT)
    list(page.tab.refine(session, [], *refining(hand_rule="replace", feather=0, grow=2)))
    wide = session.entry.shown.result.mask
    assert wide[RIGHT].all()
    assert RIGHT.sum() < wide.sum() < RIGHT.sum() + 2 * 3 * (20 + 10 + 6)
    assert page.painter.edits == 1


def test_what_is_painted_is_seen_where_one_clicks(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    hand = page.tab.answer.hand
    plain = np.asarray(page.tab.hand.show(session.entry)[hand.picture])
    shown = page.tab.hand.to_click(session, painted(RIGHT))
    assert (np.asarray(shown[hand.picture]) != plain)[RIGHT].any()
    assert (np.asarray(shown[hand.picture]) == plain)[:, :30].all()
    assert set(page.tab.hand.to_click(None, None)) == {hand.note}


def test_nothing_drawn_is_said_beside_the_button(page: Page) -> None:
    session = page.edit()
    (only,) = page.tab.use_hand(session, None, [], *refining())
    assert value(only[page.tab.answer.hand.note]).startswith("There is no mask of yours yet")
    with pytest.raises(gr.Error, match="expired"):
        list(page.tab.use_hand(None, None, [], *refining()))


def test_the_current_mask_can_be_the_start(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    current = session.entry.shown.result.mask
    hand = page.tab.answer.hand
    started = page.tab.hand.start(session, painted(RIGHT))
    assert np.array_equal(on_canvas(started[hand.canvas]), current | RIGHT)
    assert started[hand.hand_rule] == "replace"
    top = np.zeros(SIZE, bool)
    top[:24] = True
    last = use(page, session, np.zeros(SIZE, bool), top, hand_rule="replace")
    assert np.array_equal(session.entry.shown.result.mask, (current | RIGHT) & ~top)
    assert np.array_equal(on_canvas(last[hand.canvas]), (current | RIGHT) & ~top)


def test_a_saved_mask_can_be_loaded_and_another_size_is_refused(page: Page, tmp_path: Path) -> None:
    session = page.edit()
    assert session.entry is not None
    hand, saved = page.tab.answer.hand, session.entry.shown.mask
    loaded = page.tab.hand.load(session, None, str(saved))
    assert np.array_equal(on_canvas(loaded[hand.canvas]), session.entry.shown.result.mask)
    other = tmp_path / "other.png"
    Image.new("L", (32, 32), 255).save(other)
    refused = page.tab.hand.load(session, painted(RIGHT), str(other))
    assert set(refused) == {hand.note}
    assert "save the mask at the picture's size" in value(refused[hand.note])


def test_clicks_select_show_and_join_the_painting_when_used(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    hand = page.tab.answer.hand
    plain = np.asarray(page.tab.hand.show(session.entry)[hand.picture])
    shown = click(page, session, 50, 20)
    assert page.squares.names == ["classical"]
    assert (np.asarray(shown[hand.picture]) != plain).any()
    click(page, session, 5, 5, "corner")
    click(page, session, 2, 9, "corner")
    selected = session.entry.draft.selected.copy()
    assert selected[15:26, 45:56].all()
    assert selected[5:10, 2:6].all()
    last = use(page, session, RIGHT, hand_rule="replace")
    assert np.array_equal(session.entry.shown.result.mask, selected | RIGHT)
    assert np.array_equal(on_canvas(last[hand.canvas]), selected | RIGHT)
    assert not session.entry.draft.clicks


def test_clicks_are_undone_and_refused_in_sight(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    hand = page.tab.answer.hand
    refused = click(page, session, 50, 20, "not")
    assert "Click first on something that may change" in value(refused[hand.note])
    click(page, session, 50, 20)
    click(page, session, 10, 20)
    page.tab.hand.undo(session, "classical")
    assert [(it.x, it.y) for it in session.entry.draft.clicks] == [(50, 20)]
    page.tab.hand.unselect(session)
    assert not session.entry.draft.whole.any()
    assert set(page.tab.hand.undo(session, "classical")) == {hand.note}
    assert "expired" in value(click(page, None, 1, 1)[hand.note])  # type: ignore[arg-type]


def test_a_segmenter_that_fails_says_so_and_selects_nothing(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("secret path")

    session = page.edit()
    assert session.entry is not None
    monkeypatch.setattr(page.squares, "at_points", fail)
    note = value(click(page, session, 50, 20)[page.tab.answer.hand.note])
    assert note.startswith("Something went wrong")
    assert session.entry.draft.clicks == ()


def test_the_mask_goes_on_to_the_result_as_input_and_not_to_a_new_picture(page: Page, tmp_path: Path) -> None:
    session = page.edit()
    use(page, session, RIGHT, hand_rule="replace")
    again = page.tab.reuse(session)
    assert "Your own mask stays" in value(again[page.tab.ask.note])
    page.picture = again[page.tab.ask.image]
    page.edit(session, "paint it once more", hand_rule="replace", seed=8)
    assert session.entry is not None
    assert np.array_equal(session.entry.shown.result.mask, RIGHT)
    assert np.array_equal(session.entry.draft.drawn, RIGHT)
    other = tmp_path / "other.png"
    noise(9).save(other)
    page.picture = str(other)
    page.edit(session, hand_rule="replace")
    assert session.entry.hand is None
    assert not session.entry.draft.whole.any()


def test_the_history_brings_the_drawing_back(page: Page) -> None:
    session = page.edit()
    use(page, session, RIGHT, hand_rule="replace")
    page.edit(session, "paint it again", hand_rule="join", feather=3)
    back = page.tab.recall(session, gr.SelectData(None, {"index": 1, "value": None}))
    hand = page.tab.answer.hand
    assert np.array_equal(on_canvas(back[hand.canvas]), RIGHT)
    assert (back[hand.hand_rule], back[hand.feather]) == ("replace", 6)


def test_the_canvas_of_another_picture_is_refused_in_sight(page: Page) -> None:
    session = page.edit()
    (only,) = page.tab.use_hand(session, painted(np.ones((32, 32), bool)), [], *refining())
    assert "belongs to another picture" in value(only[page.tab.answer.hand.note])
