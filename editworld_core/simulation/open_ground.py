"""Spots on open ground: places whose every part can be guessed from the rest, for objects that leave theirs.

``props.find_spot`` may choose a photograph; what an object uncovers there nobody can know. Here the scene is always
painted, and its horizon comes along, since perspective needs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from editworld_core.simulation.props import Spot, smooth
from editworld_core.simulation.sprites import Picture, Sprite, crossfade, flip, load_sprite, stand
from editworld_core.simulation.stage import Stage

LANDMARKS = (
    "rock",
    "log",
    "bucket",
    "suitcase",
    "tree",
)  # beside the object in some scenes, and never touched


@dataclass(frozen=True)
class OpenSpot(Spot):
    """A ``Spot`` that knows the row (pixels) where its ground begins."""

    horizon: float


def find_open_spot(
    stage: Stage, *places: str, left: float, right: float, height: float, base: tuple[float, float]
) -> OpenSpot:
    """A spot in one of the painted ``places``.

    Args:
        stage: decides by chance.
        places: names of procedural places.
        left, right, height: units around the spot that must lie inside the picture.
        base: the rows, in units, between which the object stands.
    """
    backdrop = stage.backdrop(*places)
    unit = stage.size / 256
    x = stage.chance((left + 4) * unit, stage.size - (right + 4) * unit)
    row = max(stage.chance(*base), height + 4) * unit
    picture = backdrop.picture.copy()
    if stage.chance(0, 1) < 0.3:
        landmark = load_sprite(stage.choose(LANDMARKS), round(stage.chance(34, 56) * unit))
        half = landmark.shape[1] * 0.7
        rooms = ((half, x - left * unit - half), (x + right * unit + half, stage.size - half))
        free = tuple(room for room in rooms if room[1] > room[0])
        if free:
            stand(picture, landmark, stage.chance(*stage.choose(free)), row - 4 * unit)
    return OpenSpot(picture, backdrop.place, x, row, unit, backdrop.horizon)


def tight(sprite: Sprite) -> Sprite:
    """The sprite cropped to its visible part."""
    rows, columns = np.nonzero(sprite[..., 3] > 0.02)
    return sprite[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def either_way(stage: Stage, sprites: Sequence[Sprite]) -> list[Sprite]:
    """All the ``sprites`` as they are or all of them mirrored, as chance has it."""
    return [flip(sprite) for sprite in sprites] if stage.chance(0, 1) < 0.5 else list(sprites)


def becoming(spot: Spot, first: Sprite, last: Sprite) -> Callable[[float], Picture]:
    """The frames in which ``first`` turns into ``last`` on the same spot."""

    def frame(t: float) -> Picture:
        picture = spot.empty()
        share = smooth(t)
        sprite = first if share == 0 else last if share == 1 else crossfade(first, last, share)
        stand(picture, sprite, spot.x, spot.base)
        return picture

    return frame
