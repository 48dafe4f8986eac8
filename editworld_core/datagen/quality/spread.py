"""A score over the whole data set: its spread, its histogram, and the triplets at its ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 24
LOW, HIGH = 5, 95


@dataclass(frozen=True)
class Spread:
    """Of ``count`` values: mean, standard deviation, and the values below which 0, 5, 25, 50, 75, 95, 100% lie."""

    count: int
    mean: float
    deviation: float
    least: float
    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    found = np.asarray(values, np.float64)
    points = np.percentile(found, [0, LOW, 25, 50, 75, HIGH, 100])
    return Spread(len(found), float(found.mean()), float(found.std()), *map(float, points))


def histogram(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Counts in equal bins, and the bins' edges; a bin a number where values are whole and few."""
    found = np.asarray(values, np.float64)
    low, high = float(found.min()), float(found.max())
    if np.equal(found, np.round(found)).all() and high - low < 2 * BINS:
        counts, edges = np.histogram(found, np.arange(low - 0.5, high + 1))
    elif high - low < 1e-9 * max(abs(high), 1e-9):
        return [len(found)], [low, high]
    else:
        counts, edges = np.histogram(found, BINS)
    return counts.tolist(), edges.tolist()


@dataclass(frozen=True)
class Ends:
    """Places of the triplets with the smallest and the greatest values, and of some drawn by lot, in their order."""

    lowest: list[int]
    highest: list[int]
    drawn: list[int]


def ends(values: Sequence[float | None], count: int, seed: int) -> Ends:
    """Up to ``count`` places of each kind among those that have a value; equal ones as lots decide."""
    places = [place for place, value in enumerate(values) if value is not None]
    shuffled = [int(place) for place in np.random.default_rng(seed).permutation(places)]
    ordered = sorted(shuffled, key=lambda place: values[place] or 0.0)
    return Ends(ordered[:count], ordered[::-1][:count], shuffled[:count])
