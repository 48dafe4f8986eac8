"""What a user can choose for an edit: the one place for defaults."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from editworld_core.errors import BadInputError

MaskRule = Literal["paper", "otsu"]
Speed = Literal["fast", "exact"]
HandRule = Literal["join", "replace"]


@dataclass(frozen=True)
class EditSettings:
    """Settings of one edit.

    Attributes:
        engine: id of a registered engine, a folder in diffusers format, a checkpoint file, or a hub id.
        lora: LoRA weights on top of the engine: a file, a folder or a hub id; empty for none.
        lora_scale: how much of the LoRA counts.
        speed: ``fast`` takes the short cuts that were measured to be harmless, ``exact`` none.
        steps: denoising steps; None takes the engine's own default.
        text_guidance: how strongly to follow the instruction (InstructPix2Pix s_T); None as above.
        image_guidance: how strongly to hold on to the picture (InstructPix2Pix s_I); None as above.
        outcome: what the engine is told in place of the instruction, from the think step; empty for the instruction.
        negative: what the picture should not show; for engines that listen to it.
        seed: 0 … 2**32 - 1; None draws one, and the result says which.
        post_edit: keep everything outside the mask as it was.
        align: undo shift and zoom of the edited picture before it is put into the upload.
        match_colours: undo a colour cast of the edited picture as well.
        mask_rule: how attention maps become a mask: the paper's threshold, or Otsu's.
        mask_threshold: the paper rule's factor on the map's mean.
        keywords: the words whose attention makes the mask; empty takes the content words of what the engine is told.
        hand_rule: whether a mask drawn by hand joins the automatic one or replaces it.
        segmenter: ``auto``, ``classical``, a checkpoint of segment-anything, or a hub id or folder of SAM or SAM 2.
        segment_area: largest share of the picture that one segment may have; beyond it, it is the background.
        inpainter: ``auto`` for the engine's own if that makes its edits better, ``engine`` for it in any case,
            ``none``, ``controlnet-sd15``, ``controlnet-sdxl``, or a folder.
        inpaint_steps: denoising steps of a ControlNet inpainter.
        inpaint_strength: how much of the inside is drawn anew, 0..1; for ControlNet inpainters.
        canny_scale: how strictly a ControlNet inpainter follows the edges of the edited picture.
        image_prompt_scale: how much it sees of the original through the IP-Adapter.
        grow: pixels by which the final mask is widened, or narrowed if negative.
        feather: width in pixels of the soft edge *inside* the final mask.
    """

    engine: str = "pocket"
    lora: str = ""
    lora_scale: float = 1.0
    speed: Speed = "fast"
    steps: int | None = None
    text_guidance: float | None = None
    image_guidance: float | None = None
    outcome: str = ""
    negative: str = ""
    seed: int | None = None
    post_edit: bool = True
    align: bool = True
    match_colours: bool = False
    mask_rule: MaskRule = "otsu"
    mask_threshold: float = 0.8125
    keywords: tuple[str, ...] = ()
    hand_rule: HandRule = "join"
    segmenter: str = "auto"
    segment_area: float = 0.6
    inpainter: str = "auto"
    inpaint_steps: int = 50
    inpaint_strength: float = 0.8
    canny_scale: float = 1.0
    image_prompt_scale: float = 1.0
    grow: int = 0
    feather: int = 6


LARGEST_SEED = 2**32 - 1
_RANGES: dict[str, tuple[float, float, str]] = {
    "lora_scale": (-10, 10, "LoRA's scale"),
    "steps": (1, 1000, "number of steps"),
    "text_guidance": (0, 50, "text guidance"),
    "image_guidance": (0, 50, "image guidance"),
    "seed": (0, LARGEST_SEED, "seed"),
    "mask_threshold": (0, 100, "mask threshold"),
    "segment_area": (0, 1, "largest segment"),
    "inpaint_steps": (1, 1000, "number of inpainting steps"),
    "inpaint_strength": (0, 1, "inpaint strength"),
    "canny_scale": (0, 2, "canny scale"),
    "image_prompt_scale": (0, 2, "image prompt scale"),
    "grow": (-64, 64, "growth of the mask"),
    "feather": (0, 256, "feather"),
}
_WHOLE = ("steps", "inpaint_steps", "seed", "grow", "feather")
_OPEN = ("steps", "text_guidance", "image_guidance", "seed")
_CHOICES: dict[str, tuple[str, ...]] = {
    "speed": get_args(Speed),
    "mask_rule": get_args(MaskRule),
    "hand_rule": get_args(HandRule),
}
_LENGTHS = {"engine": 500, "lora": 500, "outcome": 1000, "negative": 1000, "segmenter": 500, "inpainter": 500}
_SWITCHES = ("post_edit", "align", "match_colours")


def check_settings(settings: EditSettings) -> EditSettings:
    """``settings``, if every value is of its kind and in its range.

    Raises:
        BadInputError: one is not.
    """
    for name, value in asdict(settings).items():
        _check(name, value)
    return settings


def settings_from(found: Any) -> EditSettings:
    """``EditSettings`` from what JSON gave; fields of other versions are left out.

    Raises:
        BadInputError: it is no object, or a value cannot be.
    """
    if not isinstance(found, dict):
        raise BadInputError("The settings are not an object.")
    known = {name: found[name] for name in asdict(EditSettings()) if name in found}
    if isinstance(known.get("keywords"), list):
        known["keywords"] = tuple(known["keywords"])
    for name, value in known.items():
        _check(name, value)
    return EditSettings(**known)


def _check(name: str, value: Any) -> None:
    if name in _RANGES:
        low, high, title = _RANGES[name]
        kind: Callable[[Any], bool] = _is_whole if name in _WHOLE else _is_number
        if value is None and name in _OPEN:
            return
        if not kind(value) or not low <= value <= high:
            raise BadInputError(f"The {title} must lie between {low} and {high}, not {value}.")
    elif name in _CHOICES:
        if value not in _CHOICES[name]:
            raise BadInputError(f"{name} must be {' or '.join(_CHOICES[name])}, not {value!r}.")
    elif name in _LENGTHS:
        if not isinstance(value, str) or len(value) > _LENGTHS[name] or (name == "engine" and not value):
            raise BadInputError(f"{name} must be text of at most {_LENGTHS[name]} characters.")
    elif name in _SWITCHES:
        if not isinstance(value, bool):
            raise BadInputError(f"{name} must be true or false, not {value!r}.")
    elif (
        not isinstance(value, tuple | list) or len(value) > 100 or not all(isinstance(w, str) for w in value)
    ):
        raise BadInputError(f"{name} must be a list of at most 100 words.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
