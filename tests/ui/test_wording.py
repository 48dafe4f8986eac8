"""What the page says."""

from dataclasses import replace

import numpy as np
import pytest
from stand_in import BROKEN, INFO, ROW, editor, noise

from editworld_core.editor import EditResult
from editworld_core.settings import EditSettings
from ui import wording


@pytest.fixture(scope="module")
def result() -> EditResult:
    return editor().edit(noise(2), "paint the left", EditSettings(seed=2))


def test_an_engine_that_is_not_ready_says_why() -> None:
    assert wording.engine_choice(ROW) == ("pocket", "pocket")
    assert wording.engine_choice(BROKEN) == ("sleeper (not ready)", "sleeper")
    assert "not ready" not in wording.engine_note(ROW)
    assert wording.engine_note(ROW).startswith("Paints the left half. Licence MIT")
    sentence = wording.not_ready(BROKEN)
    assert sentence in wording.engine_note(BROKEN)
    assert sentence.endswith("install the package again.")
    assert wording.not_ready(replace(BROKEN, why="It is asleep.")).count(".") == 1


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
    assert "chosen words looked" in wording.mask_note(replace(result, mask=half, mask_source="attention"))


def test_a_caption_stays_on_one_line(result: EditResult) -> None:
    assert wording.history_caption(result) == "paint the left"
    assert wording.history_caption(replace(result, instruction="x" * 48)) == "x" * 48
    assert wording.history_caption(replace(result, instruction="x" * 46 + " yz")) == "x" * 46 + "…"
