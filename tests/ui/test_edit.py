"""The tab's handlers, called as the page calls them, behind a stand-in engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from stand_in import noise
from tab import Page, fields, refining, value

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings
from ui.notes import progress_bar, refusal
from ui.running import Step
from ui.session import Session
from ui.think import Told


def test_an_edit_shows_that_it_runs_and_then_what_came_of_it(page: Page) -> None:
    first, *_, last = page.tab.edit(None, page.picture, "paint the left", [], *fields())
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
    run: Iterator[Any] = page.tab.edit(None, page.picture, "paint", [], *fields(steps=100))
    session = next(run)[page.tab.session]
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert page.painter.at_work == 0
    assert page.tab.rest(session)[page.tab.ask.edit]["visible"]


def test_a_refinement_reuses_the_edit_and_comes_back_to_it(page: Page) -> None:
    session = page.edit()
    answer, choices = page.tab.answer, page.tab.ask.choices
    *_, off = page.tab.refine(session, [], *refining(post_edit=False))
    assert off[choices.post_edit] is False
    *_, back = page.tab.refine(session, [], *refining())
    assert off[answer.slider] != back[answer.slider]
    *_, again = page.tab.refine(session, [], *refining(post_edit=False))
    assert again[answer.slider] == off[answer.slider]
    assert page.painter.edits == 1
    assert len(session.entries) == 1


def test_before_the_first_edit_there_is_nothing_to_refine(page: Page) -> None:
    # nothing at all would empty every field
    assert list(page.tab.refine(None, [], *refining(post_edit=False))) == [{page.tab.session: None}]


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
    assert value(found[ask.choices.steps]) == 3


def test_settings_of_an_engine_that_is_not_here_say_so(page: Page, tmp_path: Path) -> None:
    from editworld_core.images import write_png

    file = tmp_path / "foreign.png"
    write_png(file, noise(1), "it rains", EditSettings(engine="dreamer", seed=3, steps=900))
    found = page.tab.restore(None, str(file))
    assert "an engine that is not here" in value(found[page.tab.ask.note])
    assert found[page.tab.ask.choices.engine] == "pocket"
    assert value(found[page.tab.ask.choices.steps]) == 100


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
    assert page.tab.recall(None, event) == {page.tab.session: None}
    assert page.tab.reuse(session)[page.tab.ask.image] == str(session.entries[0].shown.after)
    assert "expired" in value(page.tab.reuse(None)[page.tab.ask.note])


def test_every_field_gets_its_own_verdict(page: Page) -> None:
    wrong_fields = fields(engine="sleeper", seed=-3, negative="x" * 501, outcome="\0")
    verdicts = page.tab.check(None, None, " ", [], *wrong_fields)
    assert len(verdicts) == 4 + len(wrong_fields)
    wrong = [verdict["message"] for verdict in verdicts if not verdict["is_valid"]]
    assert [sentence.split(";")[0].split(":")[0] for sentence in map(str, wrong)] == [
        "Add a picture first",
        "The instruction is empty",
        "The engine sleeper is not ready",
        "The text of what must not be there is too long",
        "The seed must be between 0 and 4294967295.",
        "The text of what it looks like afterwards contains control characters",
    ]
    fine = page.tab.check(None, page.picture, "paint", [], *fields())
    assert all(verdict["is_valid"] for verdict in fine)
    assert all(
        verdict["is_valid"]
        for verdict in page.tab.check(None, page.picture, "paint", [], *fields(engine="traveller"))
    )


def test_the_fields_say_what_the_engine_gets(page: Page) -> None:
    page.edit(
        speed="exact", negative=" people ", align=False, match_colours=True, grow=3, segmenter="classical"
    )
    _, settings = page.painter.told or pytest.fail("no edit")
    assert settings == EditSettings(
        speed="exact",
        steps=3,
        text_guidance=5.0,
        image_guidance=1.5,
        negative="people",
        seed=7,
        align=False,
        match_colours=True,
        segmenter="classical",
        grow=3,
    )


def test_a_thought_is_told_to_the_engine_and_comes_back_with_the_edit(page: Page) -> None:
    told = Told("it is painted", "the left is painted", "paint the left")
    thought = {"told": told, "outcome": told.outcome, "keywords": "LEFT, right"}
    session = page.edit(instruction="it is painted", **thought)
    words, _ = page.painter.told or pytest.fail("no edit")
    assert words == "paint the left"
    assert session.entry is not None
    result = session.entry.shown.result
    assert (result.instruction, result.settings.outcome, result.keywords) == (
        "it is painted",
        "paint the left",
        ("left",),
    )
    assert session.words_of == "paint the left"
    # another instruction has nothing to do with it
    page.edit(session, "paint it all", **thought)
    words, settings = page.painter.told
    assert (words, settings.outcome) == ("paint it all", "")
    ask = page.tab.ask
    back = page.tab.recall(session, gr.SelectData(None, {"index": 1, "value": None}))
    assert (back[ask.instruction], back[ask.think.outcome]) == ("it is painted", "paint the left")
    assert back[ask.think.panel]["visible"]
    new = page.tab.recall(session, gr.SelectData(None, {"index": 0, "value": None}))
    assert not new[ask.think.panel]["visible"]
    saved = page.tab.restore(None, str(session.entries[0].shown.after))
    assert saved[ask.think.told] == Told("it is painted", "paint the left")


def test_a_dropped_picture_cannot_name_what_is_loaded(page: Page, tmp_path: Path) -> None:
    from editworld_core.images import write_png

    file = tmp_path / "foreign.png"
    asked = EditSettings(lora="/etc/evil", segmenter="/etc/sam.pth", inpainter="evil/hub", seed=1)
    write_png(file, noise(1), "it rains", asked)
    choices = page.tab.ask.choices
    found = page.tab.restore(None, str(file))
    assert (found[choices.segmenter], found[choices.inpainter]) == ("auto", "auto")
    with pytest.raises(gr.Error, match="The segmenter must be 'auto' or 'classical'"):
        page.edit(segmenter="/etc/sam.pth")
    with pytest.raises(gr.Error, match="The inpainter must be 'auto', 'engine', 'none', "):
        page.edit(inpainter="evil/hub")
    assert page.painter.edits == 0


def test_what_fails_inside_is_one_sentence(page: Page) -> None:
    assert str(refusal(BadInputError("The picture is too big."))) == "'The picture is too big.'"
    assert "not enough memory" in str(refusal(MemoryError()))
    hidden = str(refusal(RuntimeError("secret path")))
    assert "Something went wrong" in hidden
    assert "secret" not in hidden
    run = page.tab.edit(None, "nowhere.png", "paint", [], *fields())
    with pytest.raises(gr.Error, match="There is no file"):
        list(run)


def test_the_bar_says_what_it_counts_and_what_it_waits_for() -> None:
    assert "Step 3 of 4" in progress_bar(Step(3, 4), "Waiting")
    assert "width: 75%" in progress_bar(Step(3, 4), "Waiting")
    assert "Remaking the mask…" in progress_bar(Step(0, 0), "Remaking the mask")
