"""Every score by name: what it says, in which unit, which way is better, and in which table it stands.

Most scores come in two: ``…_edited`` of the picture as the engine left it, which is *without post-edit*, and
``…_final`` of the picture *with post-edit*.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from editworld_core.evaluation.measures.base import EDITED, FINAL

Better = Literal["high", "low"]
Table = Literal["Outcome", "Judge", "Preservation", "Truth", "Masks", "Geometry", "Cost"]

BOTH = (EDITED, FINAL)


@dataclass(frozen=True)
class Score:
    """One thing that is measured.

    Attributes:
        stem: of its values' names.
        family: the measure that gives it.
        title, about: for people; ``about`` is a sentence.
        table: where reports show it.
        better: the good end; None if neither is as such.
        unit: empty for a plain number.
        sides: ``edited`` and ``final`` if the value's name has one of them at its end; empty if the name is the stem.
    """

    stem: str
    family: str
    title: str
    table: Table
    about: str
    better: Better | None = None
    unit: str = ""
    sides: tuple[str, ...] = BOTH

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its values."""
        return tuple(f"{self.stem}_{side}" for side in self.sides) or (self.stem,)


SCORES: tuple[Score, ...] = (
    Score(
        "clip_score",
        "clip",
        "CLIP score",
        "Outcome",
        "Cosine of the CLIP embeddings of the picture and of the output description.",
        "high",
    ),
    Score(
        "clip_direction",
        "clip",
        "CLIP direction",
        "Outcome",
        "Cosine of the change of the picture's CLIP embedding with the change of the description's.",
        "high",
    ),
    Score(
        "clip_target",
        "clip",
        "CLIP, target",
        "Outcome",
        "Cosine of the CLIP embeddings of the picture and of the target.",
        "high",
    ),
    Score(
        "clip_original",
        "clip",
        "CLIP, original",
        "Preservation",
        "Cosine of the CLIP embeddings of the picture and of the original: an unedited picture has 1.",
    ),
    Score(
        "dino_target",
        "dino",
        "DINO, target",
        "Outcome",
        "Cosine of the DINO embeddings of the picture and of the target.",
        "high",
    ),
    Score(
        "dino_original",
        "dino",
        "DINO, original",
        "Preservation",
        "Cosine of the DINO embeddings of the picture and of the original: an unedited picture has 1.",
    ),
    Score(
        "mllm",
        "judge",
        "MLLM score",
        "Judge",
        "1 if a vision-language model says that the picture shows what the instruction leads to, else 0.",
        "high",
    ),
    Score(
        "judge_instruction",
        "judge",
        "Instruction grade",
        "Judge",
        "How well the picture shows what the instruction leads to, 1 to 5.",
        "high",
    ),
    Score(
        "judge_preservation",
        "judge",
        "Preservation grade",
        "Judge",
        "How well the picture keeps what the instruction does not concern, 1 to 5.",
        "high",
    ),
    Score(
        "judge_quality",
        "judge",
        "Quality grade",
        "Judge",
        "How clear, natural and unbroken the picture is, 1 to 5.",
        "high",
    ),
    Score(
        "lpips",
        "lpips",
        "LPIPS",
        "Preservation",
        "LPIPS (AlexNet) between the picture and the original: low is more preserved, and 0 is unedited.",
        "low",
    ),
    Score(
        "lpips_outside",
        "lpips",
        "LPIPS outside",
        "Preservation",
        "LPIPS (AlexNet) between the picture and the original outside the true mask.",
        "low",
    ),
    Score(
        "st_lpips",
        "st_lpips",
        "ST-LPIPS",
        "Preservation",
        "Shift-tolerant LPIPS (AlexNet) between the picture and the original.",
        "low",
    ),
    Score(
        "st_lpips_outside",
        "st_lpips",
        "ST-LPIPS outside",
        "Preservation",
        "Shift-tolerant LPIPS (AlexNet) between the picture and the original outside the true mask.",
        "low",
    ),
    Score(
        "psnr_outside",
        "pixels",
        "PSNR outside",
        "Preservation",
        "Against the original outside the true mask, or where there is none the edit's own; 100 dB if nothing changed.",
        "high",
        "dB",
    ),
    Score(
        "ssim_outside",
        "pixels",
        "SSIM outside",
        "Preservation",
        "Against the original outside the true mask, or where there is none the edit's own.",
        "high",
    ),
    Score(
        "psnr_inside",
        "pixels",
        "PSNR inside",
        "Truth",
        "Against the target inside the true mask, or where there is none the edit's own.",
        "high",
        "dB",
    ),
    Score(
        "ssim_inside",
        "pixels",
        "SSIM inside",
        "Truth",
        "Against the target inside the true mask, or where there is none the edit's own.",
        "high",
    ),
    Score(
        "success",
        "truth",
        "Success",
        "Truth",
        "1 if the error inside the true mask is at most half of the unedited picture's.",
        "high",
    ),
    Score(
        "error",
        "truth",
        "Error inside",
        "Truth",
        "Mean absolute difference from the target inside the true mask, 0 to 1.",
        "low",
    ),
    Score(
        "error_source",
        "truth",
        "Error of doing nothing",
        "Truth",
        "What the unedited picture has as error inside the true mask.",
        sides=(),
    ),
    Score(
        "mask_iou_attention",
        "masks",
        "IoU, attention mask",
        "Masks",
        "Intersection over union of the thresholded attention with the true mask.",
        "high",
        sides=(),
    ),
    Score(
        "mask_iou_final",
        "masks",
        "IoU, final mask",
        "Masks",
        "Intersection over union of the post-edit's mask with the true mask.",
        "high",
        sides=(),
    ),
    Score("mask_share", "masks", "Share of the mask", "Masks", "How much the final mask covers.", sides=()),
    Score(
        "mask_share_true",
        "masks",
        "Share of the true mask",
        "Masks",
        "How much the true mask covers.",
        sides=(),
    ),
    Score(
        "shift",
        "geometry",
        "Shift",
        "Geometry",
        "How far the engine moved the picture at its centre.",
        "low",
        "px",
        sides=(),
    ),
    Score(
        "zoom",
        "geometry",
        "Zoom",
        "Geometry",
        "By how much the engine enlarged or shrank the picture.",
        "low",
        "%",
        sides=(),
    ),
    Score(
        "scale",
        "geometry",
        "Scale",
        "Geometry",
        "How large the engine made the picture; 1 is as it was.",
        sides=(),
    ),
    Score(
        "seconds",
        "cost",
        "Time",
        "Cost",
        "Of an edit with mask and post-edit.",
        "low",
        "s",
        sides=(),
    ),
)


@dataclass(frozen=True)
class Value:
    """One column: a score, and for ``side`` ``edited`` or ``final`` of which picture; empty if that is no question."""

    name: str
    score: Score
    side: str

    @property
    def title(self) -> str:
        """The score's title with its side in words."""
        return self.score.title + {EDITED: " without post-edit", FINAL: " with post-edit", "": ""}[self.side]


VALUES: Mapping[str, Value] = {
    name: Value(name, score, side)
    for score in SCORES
    for name, side in zip(score.names, score.sides or ("",), strict=True)
}


def names_of(family: str) -> tuple[str, ...]:
    """The names of the values that the measure called ``family`` gives."""
    return tuple(name for score in SCORES if score.family == family for name in score.names)
