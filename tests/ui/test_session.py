"""What one visitor has: results, variants and files, none of them anyone else's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in import Painter, editor, noise

from editworld_core.editor import EditResult, WorldEditor
from editworld_core.images import read_settings
from editworld_core.settings import EditSettings
from ui import session as module
from ui.session import HISTORY, Session


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

    def refine(result: EditResult, settings: EditSettings) -> EditResult:
        refined.append(settings)
        return world.refine(result, settings)

    settings = replace(first.result.settings, keywords=first.result.keywords)
    off = replace(settings, post_edit=False)
    session.show_variant(entry, settings, refine)
    assert entry.shown is first
    session.show_variant(entry, off, refine)
    without = entry.shown
    assert without.after != first.after
    assert without.before == first.before
    session.show_variant(entry, settings, refine)
    session.show_variant(entry, off, refine)
    assert entry.shown is without
    assert refined == [off]
    assert painter.edits == 1
    assert without.result.settings.seed == 5


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
