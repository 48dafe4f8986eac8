"""What the run itself found out about an edit: by how much the engine moved and zoomed the picture, and the time."""

import math

from editworld_core.evaluation.measures.base import Measure
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values


def geometry_measure() -> Measure:
    """Shift in pixels, zoom in percent, scale."""
    return Measure("geometry", "geometry-1", names_of("geometry"), _geometry)


def cost_measure() -> Measure:
    """Seconds of an edit."""
    return Measure("cost", "cost-1", names_of("cost"), _cost)


def _geometry(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    return {
        "shift": math.hypot(*outcome.shift),
        "zoom": 100 * abs(outcome.scale - 1),
        "scale": outcome.scale,
    }


def _cost(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    return {"seconds": outcome.seconds}
