"""The fields of settings: what they show, what they hand in."""

from typing import Any

import gradio as gr
import pytest
from stand_in import BROKEN, COMING, ROW, editor
from tab import value

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings
from ui.choices import SETTINGS, Choices, lay_out_choices, settings_from
from ui.studio import Studio


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(editor(), [ROW, BROKEN, COMING], lambda: None)


@pytest.fixture(scope="module")
def choices(studio: Studio) -> Choices:
    with gr.Blocks():
        return lay_out_choices(studio)


def test_every_engine_is_in_the_list_and_says_what_it_is(choices: Choices) -> None:
    labels = [label for label, _ in choices.engine.choices]
    assert [label.split(" ")[0] for label in labels] == ["pocket", "sleeper", "traveller"]
    assert "not ready" in labels[1]
    assert "(non-commercial)" in labels[2]
    assert not choices.engine.allow_custom_value


def test_another_engine_brings_its_own_defaults(choices: Choices, studio: Studio) -> None:
    fast = choices.show_engine(studio, "traveller", "fast")
    assert value(fast[choices.steps]) == 8
    assert value(choices.show_engine(studio, "traveller", "exact")[choices.steps]) == 40
    assert fast[choices.text_guidance] == 4.0
    assert fast[choices.negative]["visible"] is False
    assert "not for commercial use" in fast[choices.engine_note]
    assert choices.show_engine(studio, "pocket", "fast")[choices.negative]["visible"] is True


def test_fields_say_settings_and_hand_them_in_again(choices: Choices, studio: Studio) -> None:
    settings = EditSettings(
        speed="exact",
        steps=5,
        text_guidance=0.0,
        image_guidance=2.0,
        negative="people",
        seed=9,
        post_edit=False,
        mask_rule="paper",
        mask_threshold=1.0,
        segmenter="classical",
        inpainter="controlnet-sdxl",
        align=False,
        match_colours=True,
    )
    shown = choices.show(studio, settings)
    given: dict[str, Any] = {name: value(shown.get(getattr(choices, name))) for name in SETTINGS}
    assert settings_from(studio, given) == settings
    assert settings_from(studio, given | {"new_seed": True}).seed is None


def test_only_an_engine_that_listens_hears_what_must_not_be_there(studio: Studio) -> None:
    given = {"engine": "pocket", "negative": " people "}
    assert settings_from(studio, given).negative == "people"
    assert settings_from(studio, given | {"engine": "traveller"}).negative == ""
    with pytest.raises(BadInputError, match="There is no engine named 'dreamer' here"):
        settings_from(studio, given | {"engine": "dreamer"})


def test_what_is_left_open_is_the_default(studio: Studio) -> None:
    nothing: dict[str, Any] = dict.fromkeys(["steps", "seed", "grow", "feather", "speed", "text_guidance"])
    assert settings_from(studio, {"engine": "pocket", **nothing}) == EditSettings()
