"""What a user can choose for an edit: the one place for defaults."""

from dataclasses import dataclass
from typing import Literal

MaskRule = Literal["paper", "otsu"]


@dataclass(frozen=True)
class EditSettings:
    """Settings of one edit.

    Attributes:
        engine: id of a registered engine, or a folder in diffusers format.
        steps: denoising steps; None takes the engine's own default.
        text_guidance: how strongly to follow the instruction (InstructPix2Pix s_T); None as above.
        image_guidance: how strongly to hold on to the picture (InstructPix2Pix s_I); None as above.
        seed: 0 … 2**32 - 1; None draws one, and the result says which.
        post_edit: keep everything outside the mask as it was.
        mask_rule: how attention maps become a mask: the paper's threshold, or Otsu's.
        mask_threshold: the paper rule's factor on the map's mean.
        keywords: the instruction's words whose attention makes the mask; empty takes its content words.
        feather: width in pixels of the soft edge *inside* the final mask.
    """

    engine: str = "pocket"
    steps: int | None = None
    text_guidance: float | None = None
    image_guidance: float | None = None
    seed: int | None = None
    post_edit: bool = True
    mask_rule: MaskRule = "otsu"
    mask_threshold: float = 0.8125
    keywords: tuple[str, ...] = ()
    feather: int = 6
