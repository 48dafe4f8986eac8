"""Checks of what a visitor gives, as sentences on the fields: the same for the page and for the API."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.images import check_instruction, read_image
from editworld_core.settings import LARGEST_SEED, EditSettings, HandRule, MaskRule, Speed, check_settings

# Only these: a public page must not load what a visitor names.
SEGMENTERS = ("auto", "classical")
INPAINTERS = ("auto", "engine", "none", "controlnet-sd15", "controlnet-sdxl")


def picture(path: str | None) -> Image.Image:
    """The uploaded picture.

    Raises:
        BadInputError: there is none, or it cannot be used.
    """
    if not path:
        raise BadInputError("Add a picture first: drop one here, or choose an example below.")
    return read_image(path)


def instruction(text: str | None) -> str:
    """The instruction without space around it.

    Raises:
        BadInputError: there is none, or it cannot be used.
    """
    return check_instruction(text or "")


def aside(text: str | None, name: str) -> str:
    """A text that may be left empty, without space around it; ``name`` is what a refusal calls it.

    Raises:
        BadInputError: it cannot be used.
    """
    if not text or not text.strip():
        return ""
    try:
        return check_instruction(text)
    except BadInputError as error:
        raise BadInputError(str(error).replace("The instruction", f"The {name}")) from error


@dataclass(frozen=True)
class Range:
    """Bounds of a number that a visitor chooses; ``name`` is the field's label."""

    name: str
    low: float
    high: float

    def check(self, value: float | None) -> None:
        """Refuse what is not a number of the range; None means that the default will do.

        Raises:
            BadInputError: it is none.
        """
        if value is not None and not self.low <= value <= self.high:
            raise BadInputError(f"{self.name} must be between {self.low:.10g} and {self.high:.10g}.")

    def nearest(self, value: float) -> float:
        """``value``, or the bound next to it: a field cannot show what lies beyond."""
        return min(max(value, self.low), self.high)


STEPS = Range("Steps", 1, 100)
TEXT_GUIDANCE = Range("Follow the words", 0, 20)
IMAGE_GUIDANCE = Range("Hold on to the picture", 0, 5)
SEED = Range("The seed", 0, LARGEST_SEED)
THRESHOLD = Range("Threshold", 0.2, 3)
GROW = Range("Widen", -64, 64)
FEATHER = Range("Soft edge", 0, 64)
INPAINT_STEPS = Range("Inpainting steps", 1, 100)
WHOLE = {"steps": STEPS, "grow": GROW, "feather": FEATHER, "inpaint_steps": INPAINT_STEPS}


def whole_numbers(given: dict[str, Any]) -> None:
    """Make whole what must be, by the settings' names, of the values that a program gives.

    Raises:
        BadInputError: one is not whole, or outside its range.
    """
    for name, bounds in WHOLE.items():
        value = given.get(name)
        if value is None:
            continue
        bounds.check(value)
        if value != int(value):
            raise BadInputError(f"{bounds.name} must be a whole number.")
        given[name] = int(value)


def settings(given: EditSettings) -> EditSettings:
    """``given``, if every number lies in its range and every choice is one that the page offers.

    Raises:
        BadInputError: one does not, or is not.
    """
    STEPS.check(given.steps)
    TEXT_GUIDANCE.check(given.text_guidance)
    IMAGE_GUIDANCE.check(given.image_guidance)
    SEED.check(given.seed)
    THRESHOLD.check(given.mask_threshold)
    GROW.check(given.grow)
    FEATHER.check(given.feather)
    INPAINT_STEPS.check(given.inpaint_steps)
    _among("The mask rule", given.mask_rule, get_args(MaskRule))
    _among("The speed", given.speed, get_args(Speed))
    _among("The rule for your own mask", given.hand_rule, get_args(HandRule))
    _among("The segmenter", given.segmenter, SEGMENTERS)
    _among("The inpainter", given.inpainter, INPAINTERS)
    return check_settings(given)


def _among(name: str, value: str, offered: tuple[str, ...]) -> None:
    if value not in offered:
        *others, last = map(repr, offered)
        raise BadInputError(f"{name} must be {', '.join(others)} or {last}.")


def verdict(check: Callable[[], object]) -> dict[str, object]:
    """What ``check`` says, for a Gradio validator: fine, or the sentence that it raises."""
    import gradio as gr

    try:
        check()
    except BadInputError as error:
        return gr.validate(False, str(error))
    return gr.validate(True, "")
