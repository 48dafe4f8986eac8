"""CLIP: whether the picture shows the outcome, changes in that direction, and stays the same scene."""

from typing import TYPE_CHECKING

from PIL import Image

from editworld_core.datagen.quality.gauges import weights_of
from editworld_core.evaluation.measures.base import Measure, model_name, on_both
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values

if TYPE_CHECKING:
    import torch

    from editworld_core.datagen.scoring import ClipScorer

SAME = 1e-6  # length of a change of embeddings that is rounding


def clip_measure(scorer: "ClipScorer") -> Measure:
    """CLIP score, direction, and similarity to target and original, by the weights that ``scorer`` has."""

    def measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
        return _measure(scorer, item, pictures, outcome)

    version = f"clip-1 {weights_of(scorer.name)}"
    return Measure("clip", version, names_of("clip"), measure, model_name(scorer.name))


def _measure(scorer: "ClipScorer", item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    known = scorer.embed_images([outcome.original, *([pictures.target] if pictures.target else [])])
    original, target = known[0], known[1] if len(known) > 1 else None
    after = scorer.embed_text(item.caption_after) if item.caption_after.strip() else None
    before = scorer.embed_text(item.caption_before) if item.caption_before.strip() else None

    def of(image: Image.Image) -> Values:
        vector = scorer.embed_images([image])[0]
        return {
            "clip_score": None if after is None else float(vector @ after),
            "clip_direction": None
            if after is None or before is None
            else direction(vector - original, after - before),
            "clip_target": None if target is None else float(vector @ target),
            "clip_original": float(vector @ original),
        }

    return on_both(outcome, of)


def direction(change: "torch.Tensor", told: "torch.Tensor") -> float | None:
    """Cosine of two changes [D] of embeddings; None if one is no change."""
    lengths = float(change.norm()), float(told.norm())
    return None if min(lengths) < SAME else float(change @ told) / (lengths[0] * lengths[1])
