"""Means with bootstrap intervals over the items of an evaluation (Efron 1979): per group, and of paired differences.

Draws are seeded, so that the same scores give the same interval.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from editworld_core.evaluation.record import Scored

RESAMPLES, LEVEL = 2000, 0.95
MOST_KEPT = 1500  # values whose draws stay in memory, at most 24 MB


@dataclass(frozen=True)
class Mean:
    """A mean of ``count`` values with the interval in which it lies with 95%; no interval of a single value."""

    mean: float
    low: float | None
    high: float | None
    count: int


def mean_of(values: Iterable[float | None], seed: int = 0) -> Mean | None:
    """The mean of those that are not None with the percentile interval of 2,000 resamples; None of no value."""
    known = np.array([value for value in values if value is not None], np.float64)
    if not len(known):
        return None
    if len(known) == 1:
        return Mean(float(known[0]), None, None, 1)
    low, high = interval(known, seed)
    return Mean(float(known.mean()), low, high, len(known))


def interval(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of ``values`` [n], n > 0."""
    means = _resampled_means(np.asarray(values, np.float64), seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The means [RESAMPLES] of as many values, drawn with replacement."""
    count = len(values)
    if count <= MOST_KEPT:
        return _kept_draws(count, seed) @ values / count
    dice = np.random.default_rng(seed)
    return np.concatenate([_draws(count, 50, dice) @ values / count for _ in range(RESAMPLES // 50)])


@lru_cache(maxsize=8)
def _kept_draws(count: int, seed: int) -> NDArray[np.float64]:
    """A report has dozens of means of equally many values; drawing is what takes the time."""
    return _draws(count, RESAMPLES, np.random.default_rng(seed))


def _draws(count: int, times: int, dice: np.random.Generator) -> NDArray[np.float64]:
    """How often each of ``count`` values is drawn: [times, count]."""
    drawn = dice.integers(0, count, (times, count)) + count * np.arange(times)[:, None]
    return np.bincount(drawn.ravel(), minlength=times * count).reshape(times, count).astype(np.float64)


def grouped(
    scored: Iterable[Scored], names: Sequence[str], by: Callable[[Scored], str]
) -> dict[str, dict[str, Mean]]:
    """By group and name the mean, in the order in which groups first occur; names without a value are left out."""
    groups: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        groups[by(one)].append(one)
    return {group: means(members, names) for group, members in groups.items()}


def means(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, Mean]:
    """By name the mean; names without a value are left out."""
    found = {name: mean_of(one.values.get(name) for one in scored) for name in names}
    return {name: mean for name, mean in found.items() if mean is not None}


def paired(scored: Iterable[Scored], reference: str, other: str, names: Sequence[str]) -> dict[str, Mean]:
    """By name by how much the setup ``other`` exceeds ``reference`` on the items of which both have a value."""
    rows: Mapping[str, dict[str, Scored]] = {reference: {}, other: {}}
    for one in scored:
        if one.setup.label in rows:
            rows[one.setup.label][one.item.id] = one
    pairs = [(one, rows[other][item]) for item, one in rows[reference].items() if item in rows[other]]
    found = {
        name: mean_of(_difference(first.values.get(name), second.values.get(name)) for first, second in pairs)
        for name in names
    }
    return {name: mean for name, mean in found.items() if mean is not None}


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first
