"""What a user can choose for the text-to-image branch; the defaults are the paper's (EditWorld, section 3.2)."""

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any

from editworld_core.errors import BadInputError


def _setting(default: float | str, about: str, low: float = 0, high: float = math.inf) -> Any:
    return field(default=default, metadata={"about": about, "low": low, "high": high})


@dataclass(frozen=True)
class PairSettings:
    """Settings of ``text_to_image``; ``setting_fields`` tells what each is and in which range it lies."""

    seed: int = _setting(0, "other seeds draw other pictures", high=2**31 - 1)
    steps: int = _setting(50, "denoising steps of every draw", 1, 1000)
    guidance: float = _setting(7.5, "how strongly a draw follows its caption", 0, 50)
    originals: int = _setting(10, "draws of the original, of which the best is kept", 1, 1000)
    mask_cells: int = _setting(16, "side of the attention maps that make the mask", 1, 128)
    mask_threshold: float = _setting(0.8125, "what a map must exceed, in parts of its mean", 0, 100)
    redrawn_originals: int = _setting(5, "draws of the original inside its mask", 1, 1000)
    targets: int = _setting(10, "draws of the target inside the mask", 1, 1000)
    inpaint_strength: float = _setting(1.0, "how much of the inside is drawn anew", 0, 1)
    target_text_weight: float = _setting(
        1.0, "weight of CLIP(target, target caption) among targets", -100, 100
    )
    target_image_weight: float = _setting(1.0, "weight of CLIP(target, original) among targets", -100, 100)
    target_structure_weight: float = _setting(1.0, "weight of the structure term among targets", -100, 100)
    structure_constant: float = _setting(1e-3, "C3 of the structure term of SSIM", 1e-12, 1)
    refine_strength: float = _setting(0.5, "how much of a picture a refinement draws anew", 0, 1)
    refine_words: str = _setting(", realistic", "what a refinement adds to the caption")
    guided_targets: int = _setting(5, "draws of the target with ControlNet and IP-Adapter", 1, 1000)
    guided_strength: float = _setting(1.0, "how much of the inside these draw anew", 0, 1)
    guided_image_weight: float = _setting(1.0, "weight of CLIP(target, original) among these", -100, 100)
    guided_text_weight: float = _setting(4.0, "weight of CLIP(target, target caption) among these", -100, 100)
    canny_scale: float = _setting(1.0, "how strictly ControlNet holds to the edges of the target", 0, 2)
    adapter_scale: float = _setting(1.0, "how much the IP-Adapter shows of the original", 0, 2)

    def __post_init__(self) -> None:
        """Refuse values that cannot be.

        Raises:
            BadInputError: one is out of its range.
        """
        for entry in setting_fields():
            value = getattr(self, entry.name)
            low, high = entry.metadata["low"], entry.metadata["high"]
            if entry.type is str:
                _check_words(entry.name, value)
            elif not low <= value <= high:
                up_to = "" if high == math.inf else f" and at most {high}"
                raise BadInputError(f"{entry.name} must be at least {low}{up_to}, not {value}.")
        for name in ("inpaint_strength", "refine_strength", "guided_strength"):
            if int(self.steps * getattr(self, name)) < 1:
                raise BadInputError(
                    f"With {self.steps} steps, {name} {getattr(self, name)} draws nothing; make one of them larger."
                )


def setting_fields() -> "tuple[Field[Any], ...]":
    """The settings with their type and, as ``metadata``, ``about``, ``low`` and ``high``."""
    return fields(PairSettings)


def _check_words(name: str, words: str) -> None:
    if len(words) > 200:
        raise BadInputError(f"{name} may have at most 200 characters, not {len(words)}.")
