"""The tab's handlers, called as the page calls them, behind a stand-in engine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from stand_in import BROKEN, ROW, Painter, editor, noise

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings
from ui.edit import EditTab, progress_bar, refusal
from ui.edit_layout import Answer, lay_out_answer, lay_out_ask, lay_out_history
from ui.running import Step
from ui.session import Session
from ui.studio import Studio

FIELDS = ["pocket", 3, 5.0, 1.5, 7, False, True, "otsu", 0.8125, 6]


@dataclass
class Page:
    """The tab, the engine behind it, and a picture to upload."""

    tab: EditTab
    painter: Painter
    picture: str

    def edit(self, session: Session | None = None, instruction: str = "paint the left") -> Session:
        *_, last = self.tab.edit(session, self.picture, instruction, [], *FIELDS)
        return last[self.tab.session]  # type: ignore[no-any-return]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    painter = Painter()
    studio = Studio(editor(painter), [ROW, BROKEN], lambda: None)
    with gr.Blocks():
        waiting, panel, parts = lay_out_answer()
        answer = Answer(waiting, panel, *parts, *lay_out_history())
        tab = EditTab(studio, gr.State(None), lay_out_ask(studio), answer)
        tab.connect()
    file = tmp_path / "upload.png"
    noise(4).save(file)
    return Page(tab, painter, str(file))


def value(update: Any) -> Any:
    """What an update, or a bare value, puts into its field."""
    return update["value"] if isinstance(update, dict) else update


def test_an_edit_shows_that_it_runs_and_then_what_came_of_it(page: Page) -> None:
    first, *_, last = page.tab.edit(None, page.picture, "paint the left", [], *FIELDS)
    ask, answer = page.tab.ask, page.tab.answer
    assert (first[ask.edit]["visible"], first[ask.stop]["visible"]) == (False, True)
    assert (last[ask.edit]["visible"], last[ask.stop]["visible"]) == (True, False)
    before, after = last[answer.slider]
    assert Image.open(before).size == Image.open(after).size == (64, 48)
    assert "7" in Path(after).name
    assert last[answer.drift].endswith(".")
    assert last[ask.choices.seed] == 7
    assert isinstance(last[page.tab.session], Session)


def test_a_page_that_is_left_stops_the_work(page: Page) -> None:
    run: Iterator[Any] = page.tab.edit(None, page.picture, "paint", [], *["pocket", 100, *FIELDS[2:]])
    session = next(run)[page.tab.session]
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert page.painter.at_work == 0
    assert page.tab.rest(session)[page.tab.ask.edit]["visible"]


def test_a_refinement_reuses_the_edit_and_comes_back_to_it(page: Page) -> None:
    session = page.edit()
    answer, choices = page.tab.answer, page.tab.ask.choices
    *_, off = page.tab.refine(session, [], False, "otsu", 0.8125, 6)
    assert off[choices.post_edit] is False
    *_, back = page.tab.refine(session, [], True, "otsu", 0.8125, 6)
    assert off[answer.slider] != back[answer.slider]
    *_, again = page.tab.refine(session, [], False, "otsu", 0.8125, 6)
    assert again[answer.slider] == off[answer.slider]
    assert page.painter.edits == 1
    assert len(session.entries) == 1


def test_before_the_first_edit_there_is_nothing_to_refine(page: Page) -> None:
    assert list(page.tab.refine(None, [], False, "otsu", 0.8125, 6)) == []


def test_a_refinement_that_came_to_nothing_puts_its_fields_back(page: Page) -> None:
    session = page.edit()
    fields = page.tab.rest_refined(session)
    choices = page.tab.ask.choices
    assert fields[choices.post_edit] is True
    assert fields[choices.mask_rule] == "otsu"
    assert choices.steps not in fields  # nobody asked for that one to be put back
    assert page.tab.ask.edit in page.tab.rest_refined(None)


def test_a_saved_result_restores_what_it_was_made_with(page: Page) -> None:
    session = page.edit()
    assert session.entry is not None
    found = page.tab.restore(None, str(session.entry.shown.after))
    ask = page.tab.ask
    assert found[ask.instruction] == "paint the left"
    assert "seed 7" in value(found[ask.note])
    assert (found[ask.choices.seed], found[ask.choices.new_seed]) == (7, False)
    assert found[ask.choices.steps] == 3


def test_settings_of_an_engine_that_is_not_here_say_so(page: Page, tmp_path: Path) -> None:
    from editworld_core.images import write_png

    file = tmp_path / "foreign.png"
    write_png(file, noise(1), "it rains", EditSettings(engine="dreamer", seed=3, steps=900))
    found = page.tab.restore(None, str(file))
    assert "an engine that is not here" in value(found[page.tab.ask.note])
    assert found[page.tab.ask.choices.engine] == "pocket"
    assert found[page.tab.ask.choices.steps] == 100


def test_a_picture_that_cannot_be_used_leaves_the_field(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "text.png"
    file.write_text("no picture")
    refused = page.tab.restore(None, str(file))
    assert refused[page.tab.ask.image] is None
    assert value(refused[page.tab.ask.note]).startswith("This is not a picture that can be read")


def test_the_history_brings_an_earlier_edit_back(page: Page) -> None:
    session = page.edit(page.edit(), "paint it again")
    event = gr.SelectData(None, {"index": 1, "value": None})
    back = page.tab.recall(session, event)
    assert back[page.tab.ask.instruction] == "paint the left"
    assert session.current == 0
    assert session.words_of == "paint the left"
    assert page.tab.recall(None, event) == {}
    assert page.tab.reuse(session)[page.tab.ask.image] == str(session.entries[0].shown.after)
    assert "expired" in value(page.tab.reuse(None)[page.tab.ask.note])


def test_every_field_gets_its_own_verdict(page: Page, tmp_path: Path) -> None:
    verdicts = page.tab.check(None, None, " ", [], *["sleeper", *FIELDS[1:4], -3, *FIELDS[5:]])
    assert len(verdicts) == 4 + len(FIELDS)
    wrong = [verdict["message"] for verdict in verdicts if not verdict["is_valid"]]
    assert [sentence.split(";")[0].split(":")[0] for sentence in map(str, wrong)] == [
        "Add a picture first",
        "The instruction is empty",
        "The engine sleeper is not ready",
        "The seed must be between 0 and 4294967295.",
    ]
    fine = page.tab.check(None, page.picture, "paint", [], *FIELDS)
    assert all(verdict["is_valid"] for verdict in fine)


def test_what_fails_inside_is_one_sentence(page: Page) -> None:
    assert str(refusal(BadInputError("The picture is too big."))) == "'The picture is too big.'"
    assert "not enough memory" in str(refusal(MemoryError()))
    hidden = str(refusal(RuntimeError("secret path")))
    assert "Something went wrong" in hidden
    assert "secret" not in hidden
    run = page.tab.edit(None, "nowhere.png", "paint", [], *FIELDS)
    with pytest.raises(gr.Error, match="There is no file"):
        list(run)


def test_the_bar_says_what_it_counts_and_what_it_waits_for() -> None:
    assert "Step 3 of 4" in progress_bar(Step(3, 4), "Waiting")
    assert "width: 75%" in progress_bar(Step(3, 4), "Waiting")
    assert "Remaking the mask…" in progress_bar(Step(0, 0), "Remaking the mask")
