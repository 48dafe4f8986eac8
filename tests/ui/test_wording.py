"""What the page says."""

from dataclasses import replace

import numpy as np
import pytest
from stand_in import BROKEN, COMING, INFO, ROW, editor, noise

from editworld_core.editor import EditResult
from editworld_core.settings import EditSettings
from ui import wording


@pytest.fixture(scope="module")
def result() -> EditResult:
    return editor().edit(noise(2), "paint the left", EditSettings(seed=2))


def test_an_engine_that_is_not_ready_says_why() -> None:
    assert wording.engine_choice(ROW) == ("pocket · MIT", "pocket")
    label, name = wording.engine_choice(BROKEN)
    assert (label, name) == (f"sleeper · MIT · not ready: {BROKEN.why}", "sleeper")
    assert "not ready" not in wording.engine_note(ROW)
    assert wording.engine_note(ROW).startswith("Paints the left half. Licence MIT")
    sentence = wording.not_ready(BROKEN)
    assert sentence in wording.engine_note(BROKEN)
    assert sentence.endswith("install the package again.")
    assert wording.not_ready(replace(BROKEN, why="It is asleep.")).count(".") == 1


def test_an_engine_says_its_licence_and_its_memory_before_its_first_use() -> None:
    label, _ = wording.engine_choice(COMING)
    assert label == "traveller (non-commercial) · Nobody's Non-Commercial License · not downloaded yet"
    note = wording.engine_note(COMING)
    assert "Licence Nobody's Non-Commercial License: **not for commercial use**" in note
    assert "weights: nobody/traveller" in note
    assert "needs 9 GB of memory, 6 GB with offload model, 2 GB with offload sequential" in note
    assert "the first edit downloads them" in note
    assert "offload" not in wording.engine_note(ROW)


def test_what_steps_do_is_true_for_the_engine() -> None:
    assert "One step is this engine's best" in wording.steps_help(replace(INFO, steps=1), "fast")
    assert wording.steps_help(INFO, "exact") == "3 is usual for this engine; more is slower."
    info = COMING.info
    assert wording.steps_help(info, "fast") == "8 is usual at this speed, 40 at exact; more is slower."
    assert wording.steps_help(info, "exact") == "40 is usual at this speed, 8 at fast; more is slower."


def test_the_page_says_what_leaves_it() -> None:
    assert wording.privacy("") == wording.PRIVACY
    assert "sends your words to a language model" in wording.privacy("your words")


def test_the_advice_is_in_the_engines_own_numbers() -> None:
    advice = wording.guidance_help(INFO)
    assert "usually 5; try 7.0" in advice
    assert "usually 1.5; try 1.20" in advice


def test_timings_add_up_and_leave_out_what_nobody_notices() -> None:
    line = wording.timings_line({"edit": 2.06, "carry": 0.001, "post_edit": 0.5})
    assert line == "edit 2.1 s · post-edit 0.5 s · **2.6 s in all**"


def test_the_mask_says_where_it_came_from(result: EditResult) -> None:
    half = np.zeros((48, 64), bool)
    half[:24] = True
    assert "the two pictures differ (50% of the picture)" in wording.mask_note(
        replace(result, mask=half, mask_source="difference")
    )
    by_words = replace(result, mask=half, mask_source="attention")
    assert "chosen words looked" in wording.mask_note(by_words)
    assert "(50% of the picture, with your own mask)" in wording.mask_note(replace(by_words, hand=half))
    assert "by your own mask alone" in wording.mask_note(replace(by_words, hand=half, mask_source="hand"))


def test_a_caption_stays_on_one_line(result: EditResult) -> None:
    assert wording.history_caption(result) == "paint the left"
    assert wording.history_caption(replace(result, instruction="x" * 48)) == "x" * 48
    assert wording.history_caption(replace(result, instruction="x" * 46 + " yz")) == "x" * 46 + "…"
