"""What a handful of scenes tells about all of them: estimates with bootstrap intervals (Efron, 1979)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
CONFIDENCE = 0.95
Values = Sequence[float | None]


@dataclass(frozen=True)
class Estimate:
    """A statistic of ``count`` values, and the interval in which it lies in 95% of resamplings of them."""

    value: float
    low: float
    high: float
    count: int


def estimate(
    values: Values, statistic: Callable[..., NDArray[np.float64]] = np.mean, seed: int = 0
) -> Estimate | None:
    """``statistic`` (``np.mean``, ``np.median``) of the values that are not None, by percentile bootstrap.

    None if there is no value. The same values give the same interval.
    """
    known = np.array([value for value in values if value is not None], np.float64)
    if not len(known):
        return None
    drawn = np.random.default_rng(seed).integers(len(known), size=(DRAWS, len(known)))
    ends = np.quantile(statistic(known[drawn], axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(statistic(known)), float(ends[0]), float(ends[1]), len(known))


def estimate_difference(values: Values, reference: Values, seed: int = 0) -> Estimate | None:
    """The mean of what ``values`` exceed ``reference`` by, both in the order of the same scenes.

    The scenes are resampled, so what all of them have in common does not widen the interval.

    Raises:
        ValueError: the two differ in length.
    """
    pairs = zip(values, reference, strict=True)
    return estimate([a - b for a, b in pairs if a is not None and b is not None], seed=seed)
