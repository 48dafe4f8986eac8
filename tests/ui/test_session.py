"""What one visitor has: results, variants and files, none of them anyone else's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in import Painter, editor, noise

from editworld_core.editor import EditResult, WorldEditor
from editworld_core.images import read_settings
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings
from ui import session as module
from ui.session import HISTORY, VARIANTS, Session


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def world(painter: Painter) -> WorldEditor:
    return editor(painter)


def edit(world: WorldEditor, seed: int, size: tuple[int, int] = (64, 48)) -> EditResult:
    return world.edit(noise(seed, size), f"paint it {seed}", EditSettings(seed=seed))


def test_an_edit_is_shown_with_its_files(world: WorldEditor) -> None:
    session = Session()
    assert session.entry is None
    result = edit(world, 1)
    shown = session.add(result)
    assert session.entry is not None
    assert session.entry.shown is shown
    assert session.words_of == "paint it 1"
    assert np.array_equal(np.asarray(Image.open(shown.before)), np.asarray(result.original))
    after = Image.open(shown.after)
    assert np.array_equal(np.asarray(after), np.asarray(result.final))
    assert read_settings(after) == ("paint it 1", result.settings)
    assert np.array_equal(np.asarray(Image.open(shown.mask)) > 0, result.mask)
    assert "1" in shown.after.name


def test_the_history_keeps_the_newest(world: WorldEditor) -> None:
    session = Session()
    for seed in range(HISTORY + 3):
        session.add(edit(world, seed))
    assert [entry.shown.result.settings.seed for entry in session.entries] == list(range(3, HISTORY + 3))
    assert session.entry is session.entries[-1]


def test_large_pictures_make_room_earlier(world: WorldEditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HISTORY_PIXELS", 2 * 64 * 48)
    session = Session()
    for seed in range(3):
        session.add(edit(world, seed))
    assert [entry.shown.result.settings.seed for entry in session.entries] == [1, 2]
    session.add(edit(world, 9, (128, 96)))
    assert len(session.entries) == 1  # the newest always stays


def test_a_variant_is_made_once(world: WorldEditor, painter: Painter) -> None:
    session, refined = Session(), []
    first = session.add(edit(world, 5))
    entry = session.entry
    assert entry is not None

    def refine(result: EditResult, settings: EditSettings, hand: Mask | None) -> EditResult:
        refined.append((settings, hand))
        return world.refine(result, settings, hand=hand)

    settings = replace(first.result.settings, keywords=first.result.keywords)
    off = replace(settings, post_edit=False)
    session.show_variant(entry, settings, None, refine)
    assert entry.shown is first
    session.show_variant(entry, off, None, refine)
    without = entry.shown
    assert without.after != first.after
    assert without.before == first.before
    session.show_variant(entry, settings, None, refine)
    session.show_variant(entry, off, None, refine)
    assert entry.shown is without
    assert refined == [(off, None)]
    assert painter.edits == 1
    assert without.result.settings.seed == 5


def test_masks_drawn_by_hand_are_variants_and_the_oldest_makes_room(world: WorldEditor) -> None:
    session = Session()
    first = session.add(edit(world, 5))
    entry = session.entry
    assert entry is not None
    settings = replace(first.result.settings, keywords=first.result.keywords)
    made = []

    def refine(result: EditResult, settings: EditSettings, hand: Mask | None) -> EditResult:
        made.append(hand)
        return world.refine(result, settings, hand=hand)

    def hand(number: int) -> Mask:
        mask = np.zeros((48, 64), bool)
        mask[number, 40:60] = True
        return mask

    def show(number: int) -> None:
        session.show_variant(entry, settings, hand(number), refine)

    show(1)
    second = entry.shown
    show(2)
    show(1)
    assert entry.shown is second
    assert np.array_equal(entry.hand, hand(1))
    assert len(made) == 2
    for number in range(3, 3 + VARIANTS - 1):
        show(number)
    assert len(entry.variants) == VARIANTS
    assert second.after.exists()  # used after the others
    assert not first.after.exists()
    assert first.before.exists()
    show(2)
    assert len(made) == 2 + VARIANTS  # it had made room


def test_a_mask_goes_with_its_picture_only(world: WorldEditor) -> None:
    session = Session()
    assert session.hand_for(noise(5)) is None
    hand = np.zeros((48, 64), bool)
    hand[5, 5] = True
    result = world.edit(noise(5), "paint it", EditSettings(seed=5), hand=hand)
    session.add(result)
    for known in (noise(5), result.final.copy()):
        assert np.array_equal(session.hand_for(known), hand)
    assert session.hand_for(noise(6)) is None
    assert session.hand_for(noise(5, (48, 64))) is None


def test_closing_removes_the_files(world: WorldEditor) -> None:
    session = Session()
    shown = session.add(edit(world, 1))
    folder = shown.before.parent.parent
    assert folder.exists()
    session.close()
    assert not folder.exists()
    session.close()  # the page's end and the time limit may both come


def test_two_sessions_never_share_a_file(world: WorldEditor) -> None:
    result = edit(world, 3)
    sessions = Session(), Session()
    files: list[set[Path]] = []
    for session in sessions:
        shown = session.add(result)
        files.append({shown.before, shown.after, shown.mask})
    assert not files[0] & files[1]
    sessions[0].close()
    assert all(file.exists() for file in files[1])
    assert len(sessions[1].entries) == 1
