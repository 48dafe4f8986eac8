"""LPIPS (Zhang et al. 2018) and ST-LPIPS (Ghildyal and Liu 2022): how much a picture visibly changed."""

from collections.abc import Callable

from PIL import Image

from editworld_core.evaluation.measures.base import Measure, kept_outside, on_both, only
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.metrics import st_lpips

Distance = Callable[[Image.Image, Image.Image], float]


def st_lpips_measure() -> Measure:
    """ST-LPIPS, whose weights come with the requirements."""
    return _measure_of("st_lpips", "st-lpips-1", st_lpips, "AlexNet, vST0.0")


def lpips_measure() -> Measure:
    """LPIPS, if its weights are here.

    Raises:
        EngineUnavailableError: they are not.
    """
    from editworld_core.evaluation.measures.lpips import load_lpips

    return _measure_of("lpips", "lpips-1", load_lpips(), "AlexNet, v0.1")


def _measure_of(stem: str, version: str, distance: Distance, model: str) -> Measure:
    def measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
        outside = kept_outside(item, pictures.mask)

        def of(image: Image.Image) -> Values:
            return {
                stem: distance(outcome.original, image),
                f"{stem}_outside": None
                if outside is None
                else distance(outcome.original, only(outside, image, outcome.original)),
            }

        return on_both(outcome, of)

    return Measure(stem, version, names_of(stem), measure, model)
