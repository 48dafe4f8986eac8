"""Against the truth, where the target and the mask of what changes are known, as they are of simulated worlds."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.evaluation.measures.base import Measure, nothing, on_both
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.masks import Mask

SUCCESS = 0.5  # of the unedited picture's error


def truth_measure() -> Measure:
    """Errors inside the true mask, and whether the edit succeeds: at most half of the unedited picture's error."""
    return Measure("truth", "truth-1", names_of("truth"), _measure)


def _measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    target, mask = pictures.target, pictures.mask
    if target is None or mask is None:
        return nothing(names_of("truth"))
    truth = np.asarray(target.convert("RGB"))
    source = error_inside(outcome.original, truth, mask)

    def of(image: Image.Image) -> Values:
        error = error_inside(image, truth, mask)
        return {"error": error, "success": float(error <= SUCCESS * source)}

    return {"error_source": source, **on_both(outcome, of)}


def error_inside(image: Image.Image, truth: NDArray[np.uint8], mask: Mask) -> float:
    """Mean absolute difference from ``truth`` [H, W, 3] inside ``mask`` [H, W], 0..1; 0 if the mask is empty."""
    if not mask.any():
        return 0.0
    difference = np.asarray(image.convert("RGB"))[mask].astype(np.float32) - truth[mask]
    return float(np.abs(difference).mean() / 255)
