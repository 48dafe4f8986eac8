"""Two instructions on one picture: their masks, and what they made of it."""

from dataclasses import dataclass

import numpy as np

from editworld_core.errors import BadInputError
from editworld_core.laboratory.study import Study, View
from editworld_core.masks import Map, Mask, mask_iou
from editworld_core.pixels import to_float


@dataclass(frozen=True)
class Comparison:
    """What two instructions have in common.

    Attributes:
        first, second: the mask [H, W] of each.
        iou: their intersection over union, 0..1.
        difference: float32 [H, W] in 0..1, by how much the two edited pictures differ, as the engine left them: the
            greatest difference among the channels.
    """

    first: Mask
    second: Mask
    iou: float
    difference: Map


def compare(first: Study, second: Study, of_first: View, of_second: View) -> Comparison:
    """Lay two edits of one picture side by side.

    Raises:
        BadInputError: they do not start from the same picture, or a view names what was not recorded.
    """
    if first.result.original.size != second.result.original.size or not np.array_equal(
        np.asarray(first.result.original), np.asarray(second.result.original)
    ):
        raise BadInputError("The two edits start from different pictures; compare edits of one picture.")
    masks = first.mask(of_first), second.mask(of_second)
    change = np.abs(to_float(first.result.edited) - to_float(second.result.edited)).max(-1)
    return Comparison(*masks, mask_iou(*masks), change)
