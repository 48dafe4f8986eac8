"""The Chain tab's handlers behind a stand-in engine: steps, the way back, films, and what is taken over."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from stand_in import BROKEN, ROW, Painter, editor, noise
from tab import value

from editworld_core.images import read_settings
from ui.chain import ChainTab
from ui.chain_layout import lay_out_chain
from ui.chain_session import ChainSession
from ui.studio import Studio
from ui.taking import take, take_into_empty


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def tab(painter: Painter) -> ChainTab:
    studio = Studio(editor(painter), [ROW, BROKEN], lambda: None)
    with gr.Blocks():
        tab = ChainTab(studio, lay_out_chain(studio), gr.State(None))
        tab.connect()
    return tab


def add(tab: ChainTab, picture: str, session: ChainSession | None = None, words: str = "paint") -> Any:
    *_, last = tab.add(session, picture, words, "pocket", None if session else 3)
    return last


def test_steps_follow_one_another_and_the_rest_stays(tab: ChainTab, picture: str) -> None:
    f, last = tab.fields, add(tab, picture)
    session = last[tab.session]
    last = add(tab, picture, session, "then paint")
    frames = last[f.frames]
    assert [caption for _, caption in frames] == ["before", "paint", "then paint"]
    pictures = [np.asarray(Image.open(file)) for file, _ in frames]
    assert np.array_equal(pictures[0], np.asarray(noise(4)))
    kept = ~session.chain.touched
    assert kept.any()
    for after in pictures[1:]:
        assert np.array_equal(after[kept], pictures[0][kept])
    assert not np.array_equal(pictures[1], pictures[2])
    assert last[f.slider] == (frames[0][0], frames[2][0])
    assert f"{kept.mean():.0%} of the pixels" in last[f.note]
    assert read_settings(Image.open(frames[1][0]))[1].seed == 3  # type: ignore[index]
    assert f.instruction not in last  # the visitor may be typing the next one
    look = tab.look(session, gr.SelectData(None, {"index": 1, "value": None}))
    assert look[f.slider] == (frames[0][0], frames[1][0])
    assert look[f.note].startswith("“paint”")


def test_the_last_step_is_taken_back_and_all_of_them(tab: ChainTab, picture: str) -> None:
    session = add(tab, picture)[tab.session]
    gone = add(tab, picture, session, "then paint")[tab.fields.frames][2][0]
    shown = tab.remove(session)
    assert [caption for _, caption in shown[tab.fields.frames]] == ["before", "paint"]
    assert not Path(gone).exists()
    assert len(tab.remove(session)[tab.fields.frames]) == 1
    assert len(tab.remove(session)[tab.fields.frames]) == 1
    over = tab.restart(session)
    assert over[tab.fields.panel]["visible"] is False
    assert (session.chain, session.files) == (None, [])
    assert tab.remove(session) == {tab.session: session}


def test_another_picture_begins_another_chain(tab: ChainTab, picture: str, tmp_path: Path) -> None:
    session = add(tab, picture)[tab.session]
    other = tmp_path / "other.png"
    noise(9, (40, 56)).save(other)
    last = add(tab, str(other), session)
    assert len(last[tab.fields.frames]) == 2
    assert Image.open(last[tab.fields.frames][0][0]).size == (40, 56)


@pytest.mark.parametrize(("ending", "format"), [(".gif", "GIF"), (".mp4", None)])
def test_the_film_is_a_file_to_save(tab: ChainTab, picture: str, ending: str, format: str | None) -> None:
    f, session = tab.fields, add(tab, picture)[tab.session]
    *_, made = tab.make(session, ending, True, False)
    path = made[f.save_film]["value"]
    assert path.endswith(f"editworld-chain{ending}")
    assert (made[f.gif]["visible"], made[f.video]["visible"]) == (format == "GIF", format is None)
    if format:
        film = Image.open(path)
        assert (film.format, film.n_frames) == ("GIF", 2)  # type: ignore[attr-defined]
    *_, again = tab.make(session, ending, False, False)
    assert again[f.save_film]["value"] != path
    assert value(tab.remove(session)[f.gif]) is None


def test_a_page_that_is_left_stops_the_work_and_its_files_go(
    tab: ChainTab, picture: str, painter: Painter
) -> None:
    run: Any = tab.add(None, picture, "paint", "pocket", 3)
    session = next(run)[tab.session]
    run.close()
    assert painter.at_work == 0
    assert tab.rest()[tab.fields.add]["visible"]
    folder = add(tab, picture, session)[tab.session].files[0].parent
    session.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("picture_given", "words", "engine", "seed", "sentence"),
    [
        (False, "paint", "pocket", None, "Add a picture first: drop one here, or choose an example below."),
        (True, " ", "pocket", None, "The instruction is empty; say what should happen in the picture."),
        (
            True,
            "paint",
            "/etc/evil",
            None,
            "There is no engine named '/etc/evil' here; choose one from the list.",
        ),
        (True, "paint", "pocket", -1, "The seed must be between 0 and 4294967295."),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    tab: ChainTab, picture: str, picture_given: bool, words: str, engine: str, seed: int | None, sentence: str
) -> None:
    given = picture if picture_given else None
    with pytest.raises(gr.Error) as refused:
        list(tab.add(None, given, words, engine, seed))  # type: ignore[arg-type]
    assert refused.value.message == sentence
    assert [it["is_valid"] for it in tab.check(None, given, words, engine, seed)].count(False) == 1


def test_a_film_of_nothing_is_refused(tab: ChainTab, picture: str) -> None:
    with pytest.raises(gr.Error, match="add a step first"):
        list(tab.make(None, ".gif", True, True))
    session = add(tab, picture)[tab.session]
    with pytest.raises(gr.Error, match="GIF or MP4"):
        list(tab.make(session, ".exe", True, True))
    tab.remove(session)
    with pytest.raises(gr.Error, match="add a step first"):
        list(tab.make(session, ".gif", True, True))


def test_the_edit_tabs_picture_is_handed_on_as_it_is() -> None:
    left = gr.skip()
    assert take("up.jpg", "it snows") == ["up.jpg", "it snows"]
    assert take(None, "") == [left, left]
    assert take_into_empty("up.jpg", "it snows", None, "") == ["up.jpg", "it snows"]
    assert take_into_empty("up.jpg", "it snows", "own.png", "") == [left, "it snows"]
    assert take_into_empty(None, "", None, "mine") == [left, left]
