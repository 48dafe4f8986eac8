"""Where stars, flakes, streaks and embers are: anywhere, or where a field is highest.

No network can know where chance put a flake, and one that must guess draws none. In training the field is a part of the
noise that the sampler starts from, so that what the world leaves to chance is there for the network to read.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Frame = tuple[tuple[float, float], tuple[float, float]]
Scatter = Callable[[int, Frame], NDArray[np.float64]]
"""``scatter(count, frame)`` is [count, 3]: x and y inside ``frame``, and a share of the largest size in 0..1."""

PICTURE: Frame = ((0, 1), (0, 1))
"""From the left to the right, and from the top to the bottom."""
CELL = 4
"""Side in pixels of a field's cell in training: a quarter of the pocket engine's."""


def anywhere(rng: np.random.Generator) -> Scatter:
    """Evenly at random."""

    def scatter(count: int, frame: Frame) -> NDArray[np.float64]:
        draws = rng.random((count, 3))
        low, high = np.array(frame).T
        draws[:, :2] = low + (high - low) * draws[:, :2]
        return draws

    return scatter


def highest(field: NDArray[np.floating]) -> Scatter:
    """In the middle of the cells where ``field`` [h, w] is highest, the largest where it is highest.

    Of what is to lie in the frame, that in the picture is scattered. Every call takes the next highest cells, and fewer
    than it was asked for when they come to an end.
    """
    order = np.argsort(-field, axis=None, kind="stable")
    taken = 0

    def scatter(count: int, frame: Frame) -> NDArray[np.float64]:
        nonlocal taken
        low, high = np.array(frame).T
        cells = order[taken : taken + round(count / (high - low).prod())]
        taken += len(cells)
        rows, columns = np.unravel_index(cells, field.shape)
        shares = 1 - (np.arange(len(cells)) + 0.5) / max(len(cells), 1)
        return np.stack([(columns + 0.5) / field.shape[1], (rows + 0.5) / field.shape[0], shares], 1)

    return scatter
