"""The sentences on the fields."""

from dataclasses import replace
from pathlib import Path

import pytest

from editworld_core.errors import BadInputError
from editworld_core.settings import LARGEST_SEED, EditSettings
from ui import checks

GOOD = EditSettings(steps=20, text_guidance=7.5, image_guidance=1.5, seed=0)


@pytest.mark.parametrize("path", [None, ""])
def test_an_empty_field_asks_for_a_picture(path: str | None) -> None:
    with pytest.raises(BadInputError, match="Add a picture first"):
        checks.picture(path)


def test_a_picture_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.png"
    file.write_text("no picture")
    with pytest.raises(BadInputError, match=r"not a picture that can be read; .*\.$"):
        checks.picture(str(file))


def test_an_instruction_is_trimmed_and_needs_words() -> None:
    assert checks.instruction("  the sun\n comes out ") == "the sun  comes out"
    for nothing in (None, "", " \n\t"):
        with pytest.raises(BadInputError, match="The instruction is empty"):
            checks.instruction(nothing)


def test_what_is_in_range_passes_and_none_means_the_default() -> None:
    assert checks.settings(GOOD) is GOOD
    open_settings = EditSettings()
    assert checks.settings(open_settings) is open_settings
    edge = replace(GOOD, steps=100, text_guidance=0, image_guidance=5, seed=LARGEST_SEED, feather=0)
    assert checks.settings(edge) is edge


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": 0}, "Steps must be between 1 and 100."),
        ({"steps": 101}, "Steps must be between 1 and 100."),
        ({"text_guidance": -0.1}, "Follow the words must be between 0 and 20."),
        ({"text_guidance": float("nan")}, "Follow the words must be between 0 and 20."),
        ({"image_guidance": 5.01}, "Hold on to the picture must be between 0 and 5."),
        ({"seed": -1}, "The seed must be between 0 and 4294967295."),
        ({"seed": 2**32}, "The seed must be between 0 and 4294967295."),
        ({"mask_threshold": 0.1}, "Threshold must be between 0.2 and 3."),
        ({"feather": 65}, "Soft edge must be between 0 and 64."),
        ({"grow": -65}, "Widen must be between -64 and 64."),
        ({"mask_rule": "guess"}, "The mask rule must be 'paper' or 'otsu'."),
        ({"speed": "slow"}, "The speed must be 'fast' or 'exact'."),
        ({"hand_rule": "cut"}, "The rule for your own mask must be 'join' or 'replace'."),
        ({"segmenter": "/etc/sam.pth"}, "The segmenter must be 'auto' or 'classical'."),
        (
            {"inpainter": "some/hub"},
            "The inpainter must be 'auto', 'engine', 'none', 'controlnet-sd15' or 'controlnet-sdxl'.",
        ),
    ],
)
def test_what_is_out_of_range_is_refused_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInputError) as refused:
        checks.settings(replace(GOOD, **wrong))  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_a_text_that_may_be_empty_is_refused_under_its_own_name() -> None:
    assert [checks.aside(text, "outcome") for text in (None, "", " \n", " a puddle ")] == [
        "",
        "",
        "",
        "a puddle",
    ]
    with pytest.raises(BadInputError, match=r"^The outcome is too long; .*\.$"):
        checks.aside("x" * 501, "outcome")


def test_a_field_shows_the_nearest_that_it_can() -> None:
    assert checks.STEPS.nearest(1000) == 100
    assert checks.STEPS.nearest(0) == 1
    assert checks.TEXT_GUIDANCE.nearest(7.5) == 7.5


def test_a_verdict_is_what_gradio_shows_on_the_field() -> None:
    fine = checks.verdict(lambda: None)
    wrong = checks.verdict(lambda: checks.SEED.check(-5))
    assert fine["is_valid"]
    assert not wrong["is_valid"]
    assert wrong["message"] == "The seed must be between 0 and 4294967295."
