"""How well the masks of an edit agree with the true one, and how much they cover."""

from editworld_core.evaluation.measures.base import Measure, kept_outside
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.masks import mask_iou


def masks_measure() -> Measure:
    """Intersection over union with the true mask, unless the edit is about the whole picture; and shares."""
    return Measure("masks", "masks-1", names_of("masks"), _measure)


def _measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    truth = pictures.mask
    told = truth is not None and kept_outside(item, truth) is not None
    return {
        "mask_iou_attention": mask_iou(outcome.attention_mask, truth) if told and truth is not None else None,
        "mask_iou_final": mask_iou(outcome.mask, truth) if told and truth is not None else None,
        "mask_share": float(outcome.mask.mean()),
        "mask_share_true": None if truth is None else float(truth.mean()),
    }
