"""Which measures can be taken here, and why the others cannot."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from editworld_core.errors import EditWorldError
from editworld_core.evaluation.measures.answers import AnswerBook
from editworld_core.evaluation.measures.base import Measure
from editworld_core.evaluation.measures.clip import clip_measure
from editworld_core.evaluation.measures.dino import dino_measure
from editworld_core.evaluation.measures.geometry import cost_measure, geometry_measure
from editworld_core.evaluation.measures.judge import judge_measure
from editworld_core.evaluation.measures.masks import masks_measure
from editworld_core.evaluation.measures.perceptual import lpips_measure, st_lpips_measure
from editworld_core.evaluation.measures.pixels import pixels_measure
from editworld_core.evaluation.measures.truth import truth_measure

if TYPE_CHECKING:
    from editworld_core.language import LanguageModel

log = logging.getLogger(__name__)

CLIP_HELP = (
    "No CLIP weights were named: give --clip a folder or a hub id such as openai/clip-vit-large-patch14."
)
DINO_HELP = "No DINO weights were named: give --dino a folder or a hub id such as facebook/dinov2-base."
JUDGE_HELP = (
    "No vision-language model was named: give --judge, with a server in EDITWORLD_LLM_URL and its model in "
    "EDITWORLD_LLM_MODEL, or --judge-model with a folder or a hub id."
)
QUICK_HELP = "It was left out by --quick: run the evaluation again without it."


def choose_measures(
    clip: str | None = None,
    dino: str | None = None,
    judge: "LanguageModel | None" = None,
    quick: bool = False,
    answers: Path | None = None,
) -> tuple[list[Measure], dict[str, str]]:
    """The measures that can be taken here, and a sentence for every family that cannot.

    Args:
        clip: CLIP model, folder or hub id.
        dino: DINO model, folder or hub id.
        judge: a vision-language model that looks at every picture.
        quick: leave LPIPS and ST-LPIPS out, which take nearly all of the time.
        answers: file of lines of JSON for what the judge answers, which a later run then does not ask again; the
            report finds it as ``answers.jsonl`` in its folder. None keeps answers in memory.

    Raises:
        EditWorldError: ``answers`` cannot be read.
    """
    measures = [truth_measure(), masks_measure(), pixels_measure(), geometry_measure(), cost_measure()]
    absent: dict[str, str] = {}

    def take(family: str, reason: str, make: Callable[[], Measure]) -> None:
        if reason:
            absent[family] = reason
            return
        try:
            measures.append(make())
        except EditWorldError as error:
            if family != "lpips":  # nobody asked for it by name
                log.warning("%s is not measured: %s", family, error)
            absent[family] = str(error)

    take("st_lpips", QUICK_HELP if quick else "", st_lpips_measure)
    take("lpips", QUICK_HELP if quick else "", lpips_measure)
    take("clip", "" if clip else CLIP_HELP, lambda: _clip(clip or ""))
    take("dino", "" if dino else DINO_HELP, lambda: _dino(dino or ""))
    if judge is None:
        absent["judge"] = JUDGE_HELP
    else:
        measures.append(judge_measure(judge, AnswerBook(answers)))
    return measures, absent


def models_of(measures: list[Measure]) -> dict[str, str]:
    """The weights behind the numbers by family, for the report."""
    return {measure.name: measure.model for measure in measures if measure.model}


def _clip(name: str) -> Measure:
    from editworld_core.datagen.scoring import load_clip
    from editworld_core.engines.place import best_place

    return clip_measure(load_clip(name, best_place().device))


def _dino(name: str) -> Measure:
    import torch

    from editworld_core.datagen.frame_features import VisionModel

    return dino_measure(name, VisionModel(name, torch.float32))
