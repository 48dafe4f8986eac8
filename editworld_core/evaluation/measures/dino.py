"""DINO: whether the same things are seen, in fewer words than CLIP and more detail."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from editworld_core.datagen.quality.gauges import weights_of
from editworld_core.evaluation.measures.base import Measure, model_name, on_both
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values

if TYPE_CHECKING:
    from editworld_core.datagen.frame_features import VisionModel


def dino_measure(name: str, model: "VisionModel") -> Measure:
    """Similarity to target and original by the DINO ``model`` called ``name``."""

    def measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
        original = _embed(model, outcome.original)
        target = None if pictures.target is None else _embed(model, pictures.target)

        def of(image: Image.Image) -> Values:
            vector = _embed(model, image)
            return {
                "dino_target": None if target is None else float(vector @ target),
                "dino_original": float(vector @ original),
            }

        return on_both(outcome, of)

    return Measure("dino", f"dino-1 {weights_of(name)}", names_of("dino"), measure, model_name(name))


def _embed(model: "VisionModel", image: Image.Image) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The unit vector [d] of ``image``."""
    return np.asarray(model(np.asarray(image.convert("RGB"))[None])[0])
