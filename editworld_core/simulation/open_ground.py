"""Spots on open ground: places whose every part can be guessed from the rest, for objects that leave theirs.

``props.find_spot`` may choose a photograph; what an object uncovers there nobody can know. Here the scene is always
painted, and its horizon comes along, since perspective needs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from editworld_core.simulation.props import Spot, find_columns, furnished, smooth
from editworld_core.simulation.sprites import Picture, Sprite, crossfade, flip, stand
from editworld_core.simulation.stage import Stage


@dataclass(frozen=True)
class OpenSpot(Spot):
    """A ``Spot`` that knows the row (pixels) where its ground begins."""

    horizon: float


def find_open_spot(
    stage: Stage,
    *places: str,
    left: float,
    right: float,
    height: float,
    base: tuple[float, float],
    subject: str = "",
) -> OpenSpot:
    """A spot in one of the painted ``places``.

    Args:
        stage: decides by chance.
        places: names of procedural places.
        left, right, height: units around the spot that must lie inside the picture.
        base: the rows, in 256ths of the picture, between which the object stands.
        subject: no bystander is one.
    """
    backdrop = stage.backdrop(*places)
    x, unit = find_columns(stage, left, right)
    row = max(stage.chance(*base) / 256 * stage.size, (height + 4) * unit)
    return OpenSpot(furnished(stage, backdrop, subject), backdrop.place, x, row, unit, backdrop.horizon)


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
