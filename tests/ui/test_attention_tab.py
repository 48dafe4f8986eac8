"""The Attention tab's handlers, called as the page calls them, on an engine whose attention is known."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from stand_in import BROKEN, ROW, noise
from tab import fields as edit_fields
from tab import value

from editworld_core.engines.registry import EngineRow
from editworld_core.laboratory.study import View, study_edit
from editworld_core.masks import mask_iou
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair
from tests.attender import INFO, Attender, attending_editor
from ui.attention import AttentionTab
from ui.attention_layout import lay_out_question, lay_out_seen
from ui.attention_session import LabSession, view_of
from ui.edit import EditTab
from ui.edit_layout import Answer, lay_out_answer, lay_out_ask, lay_out_history
from ui.session import Session
from ui.studio import Studio

WORDS = "the red door opens"
SEEING, BLIND = EngineRow(INFO, True, ""), replace(ROW, info=replace(ROW.info, id="blind"))


class Lab:
    """Both tabs behind one engine, and a picture to upload."""

    def __init__(self, picture: str) -> None:
        self.engine, self.picture = Attender(), picture
        studio = Studio(attending_editor(self.engine), [SEEING, BLIND, BROKEN], lambda: None)
        with gr.Blocks() as self.page:
            ask = lay_out_ask(studio)
            self.edits = EditTab(studio, gr.State(None), ask, Answer(*lay_out_answer(), *lay_out_history()))
            with gr.Tab("Attention") as tab:
                question = lay_out_question(studio)
                self.tab = AttentionTab(studio, gr.State(None), question, *lay_out_seen())
            self.tab.connect(tab, ask, self.edits.session)

    def run(
        self, session: LabSession | None = None, truth: str | None = None, steps: int = 3
    ) -> dict[Any, Any]:
        *_, last = self.tab.run(session, self.picture, WORDS, "pocket", steps, 5, truth)
        return last

    def outputs_of(self, name: str) -> list[Any]:
        """The fields that the tab's handler of that name may change."""
        (handler,) = {
            tuple(each.outputs)
            for each in self.page.fns.values()
            if getattr(each.fn, "__self__", None) in (self.tab, self.tab.looking) and each.fn.__name__ == name
        }
        return list(handler)

    def session(self) -> LabSession:
        return self.run()[self.tab.session]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def both_tabs(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    file = tmp_path_factory.mktemp("lab") / "upload.png"
    noise(4, (72, 56)).save(file)
    return Lab(str(file))


@pytest.fixture
def lab(both_tabs: Lab) -> Lab:
    both_tabs.engine.edits = 0  # all that it remembers
    return both_tabs


def looking(words: list[str], **changed: Any) -> list[Any]:
    """What the fields of the view hand in."""
    given = {"cells": 16, "layers": [], "step": 0, "rule": "otsu", "threshold": 0.8125}
    given |= {"other_words": []} | changed
    return [words, *given.values()]


def test_a_run_shows_heat_mask_words_and_segments(lab: Lab) -> None:
    first, *_, last = lab.tab.run(None, lab.picture, WORDS, "pocket", 3, 5, None)
    tab, question, answer, view = lab.tab, lab.tab.question, lab.tab.answer, lab.tab.view
    assert (first[question.run]["visible"], first[question.stop]["visible"]) == (False, True)
    assert (last[question.run]["visible"], last[question.stop]["visible"]) == (True, False)
    study = last[tab.session].study
    assert (last[view.words]["choices"], last[view.words]["value"]) == (
        WORDS.split(),
        ["red", "door", "opens"],
    )
    assert last[view.cells]["choices"] == [("32", 32), ("16", 16), ("8", 8)]
    assert last[view.cells]["value"] == 16
    assert [name for _, name in last[view.layers]["choices"]] == ["down_blocks.0", "up_blocks.0"]
    assert (last[view.step]["maximum"], last[view.step]["visible"]) == (3, True)
    assert last[answer.heat].size == last[answer.edited].size == (72, 56)
    share = f"{study.result.attention_mask.mean():.0%} of the picture"
    said = value(last[answer.said])
    assert said.startswith("red + door + opens · 2 layers of 16×12 · mean of 3 steps.")
    assert share in said
    assert [word for _, word in last[answer.each]] == WORDS.split()
    assert last[answer.segments_said].endswith(".")
    assert last[answer.before].size == last[answer.after].size


def test_a_seed_that_was_drawn_is_shown(lab: Lab) -> None:
    *_, last = lab.tab.run(None, lab.picture, WORDS, "pocket", 1, None, None)
    assert last[lab.tab.question.seed] == last[lab.tab.session].study.result.settings.seed


def test_one_step_has_no_slider_and_nothing_to_animate(lab: Lab) -> None:
    last = lab.run(steps=1)
    assert last[lab.tab.view.step]["visible"] == "hidden"
    assert not last[lab.tab.answer.through]["visible"]
    assert "the one step" in value(last[lab.tab.answer.said])


def test_the_threshold_moves_the_mask_without_another_edit(lab: Lab) -> None:
    session = lab.session()
    answer, pictures = lab.tab.answer, []
    for threshold in (0.5, 1.5, 3.0):
        found = lab.tab.looking.move_threshold(session, *looking(["red"], threshold=threshold))
        assert found[lab.tab.view.rule] == "paper"  # Otsu's has none
        mask = session.study.mask(View(words=("red",), rule="paper", threshold=threshold))
        assert f"{mask.mean():.0%} of the picture" in value(found[answer.said])
        pictures.append(np.asarray(found[answer.heat]))
    assert not np.array_equal(pictures[0], pictures[2])
    otsu = lab.tab.looking.look(session, *looking(["red"], threshold=3.0))
    mask = session.study.mask(View(words=("red",)))
    assert f"{mask.mean():.0%} of the picture" in value(otsu[answer.said])
    assert lab.engine.edits == 1


def test_steps_layers_and_resolutions(lab: Lab) -> None:
    session = lab.session()
    tab = lab.tab
    at = tab.looking.look_elsewhere(session, *looking(["red"], step=2, layers=["up_blocks.0"]))
    assert value(at[tab.answer.said]).startswith("red · 1 layer of 16×12 · step 2 of 3.")
    assert len(at[tab.answer.each]) == 4
    coarse = tab.looking.change_cells(session, *looking(["red"], cells=8, layers=["up_blocks.0"], step=3))
    assert value(coarse[tab.answer.said]).startswith("red · 1 layer of 8×6 · step 3 of 3.")
    assert coarse[tab.view.layers]["choices"] == [("mid_block", "mid_block")]
    fine = view_of(session.study, ["red"], 32, [], 0, "otsu", 1.0)
    assert (fine.layers, fine.steps) == (("up_blocks.1",), ())


def test_a_click_on_a_word_chooses_it_alone(lab: Lab) -> None:
    session = lab.session()
    event = gr.SelectData(None, {"index": 2, "value": None})
    found = lab.tab.looking.choose_word(event, session, *looking(["red", "opens"]))
    assert found[lab.tab.view.words] == ["door"]
    assert value(found[lab.tab.answer.said]).startswith("door · ")


def test_a_true_mask_gives_the_overlap(lab: Lab, tmp_path: Path) -> None:
    truth = np.zeros((56, 72), bool)
    truth[10:40, 10:50] = True
    file = tmp_path / "truth.png"
    Image.fromarray(truth).save(file)
    shown = lab.run(truth=str(file))
    session = shown[lab.tab.session]
    overlap = mask_iou(session.study.result.attention_mask, truth)
    assert f"IoU with the true mask: {overlap:.2f}" in value(shown[lab.tab.answer.said])
    noise(1, (20, 20)).save(tmp_path / "small.png")
    refused = lab.tab.looking.change_truth(session, str(tmp_path / "small.png"), *looking(["red"]))
    assert value(refused[lab.tab.answer.said]).startswith("The mask is 20x20 pixels and the picture 72x56")
    assert "refused" in refused[lab.tab.answer.said]["elem_classes"]
    assert refused[lab.tab.answer.heat].size == (72, 56)
    again = lab.tab.looking.change_truth(session, str(file), *looking(["red"]))
    overlap = mask_iou(session.study.mask(View(words=("red",))), truth)
    assert f"IoU with the true mask: {overlap:.2f}" in value(again[lab.tab.answer.said])
    gone = lab.tab.looking.change_truth(session, None, *looking(["red"]))
    assert "IoU" not in value(gone[lab.tab.answer.said])


def test_a_scene_of_the_simulator_brings_its_instruction_and_its_mask(lab: Lab) -> None:
    found = lab.tab.choose_scene(None, "melt_snowman", 2)
    pair, question = held_out_pair("melt_snowman", 2), lab.tab.question
    assert np.array_equal(np.asarray(Image.open(found[question.image])), pair.before)
    assert np.array_equal(np.asarray(Image.open(found[question.truth])) > 0, pair.mask)
    assert found[question.instruction] == pair.instruction
    session = found[lab.tab.session]
    folder = Path(found[question.image])
    session.close()
    assert not folder.exists()


def test_steps_go_by_as_an_animation(lab: Lab) -> None:
    found = lab.tab.looking.animate(lab.session(), *looking(["red"]))
    with Image.open(value(found[lab.tab.answer.animation])) as animation:
        assert (animation.format, animation.n_frames) == ("GIF", 3)  # type: ignore[attr-defined]


def test_two_instructions_side_by_side(lab: Lab) -> None:
    session, answer = lab.session(), lab.tab.answer
    *_, last = lab.tab.compare(session, "the red window", *looking(["red"]))
    assert last[answer.compared]["visible"]
    assert last[answer.other_words]["value"] == ["red", "window"]
    other = study_edit(
        Image.open(lab.picture), "the red window", EditSettings(seed=5, steps=3), editor=attending_editor()
    )
    overlap = mask_iou(session.study.mask(View(words=("red",))), other.mask(other.usual))
    assert f"IoU of {overlap:.2f}.**" in last[answer.compared_said]
    both = lab.tab.looking.look(session, *looking(["red"], other_words=["red"]))
    assert "IoU of 1.00.**" in both[answer.compared_said]
    assert lab.engine.edits == 2
    again = lab.run(session)  # another edit has nothing to do with it
    assert again[lab.tab.session].second is None
    assert not again[answer.compared]["visible"]


def test_no_handler_changes_a_field_that_it_is_not_wired_to(lab: Lab) -> None:
    session, tab = lab.session(), lab.tab
    *_, compared = tab.compare(session, "the red window", *looking(["red"]))
    *_, segmented = tab.segment(session, *looking(["red"]))
    *_, exported = tab.export(session, *looking(["red"], other_words=["red"]))
    *_, last = lab.edits.edit(None, lab.picture, WORDS, [], *edit_fields())
    event = gr.SelectData(None, {"index": 2, "value": None})
    taken = (last[lab.edits.session], lab.picture, WORDS, "pocket", 3, 7)
    changed = {
        "compare": compared,
        "segment": segmented,
        "export": exported,
        "look": tab.looking.look(session, *looking(["red"])),
        "change_truth": tab.looking.change_truth(session, None, *looking(["red"])),
        "move_threshold": tab.looking.move_threshold(session, *looking(["red"])),
        "look_elsewhere": tab.looking.look_elsewhere(session, *looking(["red"])),
        "change_cells": tab.looking.change_cells(session, *looking(["red"])),
        "choose_word": tab.looking.choose_word(event, session, *looking(["red"])),
        "animate": tab.looking.animate(session, *looking(["red"])),
        "choose_scene": tab.choose_scene(session, "melt_snowman", 0),
        "new_picture": tab.new_picture(),
        "choose_engine": tab.choose_engine("pocket"),
        "run": lab.run(session),
        "take": tab.take(session, *taken),
    }
    for name, updates in changed.items():
        outputs = lab.outputs_of(name)
        assert not [field for field in updates if field not in outputs], name


def test_everything_can_be_taken_as_one_zip(lab: Lab) -> None:
    session, answer = lab.session(), lab.tab.answer
    list(lab.tab.compare(session, "the red window", *looking(["red"])))
    *_, last = lab.tab.export(session, *looking(["door"], rule="paper", other_words=["window"]))
    file = last[answer.save]["value"]
    with zipfile.ZipFile(file) as archive:
        names = {name.split("/")[1] for name in archive.namelist()}
        with archive.open("editworld-attention-5/mask.png") as mask:
            shown = np.asarray(Image.open(mask)) > 0
    assert {"maps.npz", "mask.png", "figure.png", "heat_door.png", "steps.gif", "against.png"} <= names
    assert np.array_equal(shown, session.study.mask(View(words=("door",), rule="paper")))
    # another view has other files
    assert not lab.tab.looking.look(session, *looking(["red"]))[answer.save]["visible"]


def test_opening_the_tab_takes_the_edit_tabs_picture_unless_there_is_one(lab: Lab) -> None:
    other = ("/tmp/other.png", WORDS, "pocket", 3, None)
    question = lab.tab.question
    filled = lab.tab.take_into_empty(None, "", None, None, *other)
    assert (filled[question.image], filled[question.instruction]) == other[:2]
    assert filled.keys() <= {*lab.outputs_of("take_into_empty")}
    for image, instruction in ((lab.picture, ""), (None, "a word of their own")):
        assert question.image not in lab.tab.take_into_empty(image, instruction, None, None, *other)
    assert question.note not in lab.tab.take_into_empty(None, "", None, None, None, *other[1:])


def test_segments_of_another_mask(lab: Lab) -> None:
    session = lab.session()
    first, *_, last = lab.tab.segment(session, *looking(["the"]))
    button = lab.tab.answer.segment
    assert (first[button]["value"], first[button]["interactive"]) == ("Working…", False)
    assert (last[button]["value"], last[button]["interactive"]) == (
        "Find the segments of the mask above",
        True,
    )
    assert "segments that were proposed" in last[lab.tab.answer.segments_said]
    assert last[lab.tab.answer.before].size == last[lab.tab.answer.after].size
    *_, last = lab.tab.segment(session, *looking(["opens"]))  # looks to the right, where nothing changes
    assert last[lab.tab.answer.segments_said].startswith("Nothing visibly changed where these words look")


def test_the_edit_tabs_picture_comes_as_it_was_uploaded(lab: Lab, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    noise(3, (72, 56)).save(photo, quality=80)
    given = (str(photo), WORDS, "pocket", 3, 7)
    taken = lab.tab.take(None, None, *given)
    question = lab.tab.question
    assert (taken[question.image], taken[question.instruction]) == (str(photo), WORDS)
    served = question.image.postprocess(taken[question.image])
    assert Path(served.path).read_bytes() == photo.read_bytes()
    assert (taken[question.engine], taken[question.steps], taken[question.seed]) == ("pocket", 3, 7)
    assert value(taken[question.note]) == "Press Look to see where its words act."
    nothing = lab.tab.take(None, None, None, "", "pocket", 3, None)
    assert value(nothing[question.note]).startswith("There is no picture in the Edit tab yet")


def test_the_edit_tabs_edit_is_opened_as_it_is(lab: Lab) -> None:
    *_, last = lab.edits.edit(None, lab.picture, WORDS, [], *edit_fields())
    edits: Session = last[lab.edits.session]
    taken = lab.tab.take(None, edits, lab.picture, WORDS, "pocket", 3, 7)
    session = taken[lab.tab.session]
    assert edits.entry is not None
    assert session.study.result is edits.entry.shown.result
    assert lab.engine.edits == 1
    assert value(taken[lab.tab.question.note]) == "This is the edit on the Edit tab."
    elsewhere = lab.tab.take(None, edits, lab.picture, "the door shuts", "pocket", 3, 7)
    assert elsewhere[lab.tab.session].study is None
    empty = lab.tab.take(None, edits, lab.picture, "", "pocket", 3, 7)
    assert empty[lab.tab.question.instruction] == ""


def test_what_cannot_be_looked_into_is_said_on_its_field(lab: Lab) -> None:
    wrong = lab.tab.check(None, None, " ", "sleeper", 0, -1, None)
    sentences = [str(each["message"]) for each in wrong if not each["is_valid"]]
    assert [sentence.split(";")[0].split(":")[0] for sentence in sentences] == [
        "Add a picture first",
        "The instruction is empty",
        "The engine sleeper is not ready",
        "Steps must be between 1 and 100.",
        "The seed must be between 0 and 4294967295.",
    ]
    (blind,) = [
        each for each in lab.tab.check(None, lab.picture, WORDS, "blind", 3, 1, None) if not each["is_valid"]
    ]
    assert blind["message"] == "The engine blind does not show which words act where; choose another one."
    with pytest.raises(gr.Error, match="does not show which words act where"):
        list(lab.tab.run(None, lab.picture, WORDS, "blind", 3, 1, None))
    assert lab.engine.edits == 0


def test_before_the_first_run_and_after_its_end_nothing_breaks(lab: Lab) -> None:
    assert lab.tab.looking.look(None, *looking([])) == {lab.tab.session: None}
    assert lab.tab.looking.change_cells(None, *looking([])) == {lab.tab.session: None}
    for late in (lab.tab.segment, lab.tab.export):
        with pytest.raises(gr.Error, match="expired"):
            list(late(None, *looking([])))
    with pytest.raises(gr.Error, match="expired"):
        list(lab.tab.compare(None, "red", *looking([])))
    with pytest.raises(gr.Error, match="The instruction is empty"):
        list(lab.tab.compare(lab.session(), " ", *looking([])))
