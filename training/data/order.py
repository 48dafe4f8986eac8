"""Which items a step sees, as a function of the seed and the step alone: so a resumed run needs no sampler state.

All items of a step have one size. An epoch shows each size about as often as it has items, in a drawn order; within a
size, one drawn order of its items follows the other without a gap. So every batch is full, a size with fewer items
than a batch waits for its turn, and in the long run every item is seen equally often.
"""

import re
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

NAMES_A_SIDE = re.compile(r"\b(left|right|(anti|counter)?-?clockwise|west|east)", re.IGNORECASE)


@dataclass(frozen=True)
class Draw:
    """One item of a step's global batch.

    Attributes:
        row: in the data set.
        flip: whether it is mirrored.
        keep_text, keep_image: whether the model is told the instruction, and shown the picture before.
        seed: of the noise, the timestep and the sample of the VAE.
    """

    row: int
    flip: bool
    keep_text: bool
    keep_image: bool
    seed: int


@dataclass(frozen=True)
class Chances:
    """Shares of the items that are mirrored, or shown without text, without picture, and without both."""

    flip: float
    drop_text: float
    drop_image: float
    drop_both: float


class Order:
    """The batches of a run.

    Args:
        groups: what may stand in one batch, by row: the size of its pictures.
        may_flip: by row.
        batch_size: items of a step, on all devices together.
        seed: of the run.
    """

    def __init__(
        self,
        groups: Sequence[Hashable],
        may_flip: Sequence[bool],
        chances: Chances,
        batch_size: int,
        seed: int,
    ) -> None:
        by_group: dict[Hashable, list[int]] = {}
        for row, group in enumerate(groups):
            by_group.setdefault(group, []).append(row)
        self._members = [np.array(rows) for rows in by_group.values()]
        self._may_flip, self._chances = may_flip, chances
        self._batch, self._seed = batch_size, seed
        self._permutation = lru_cache(maxsize=2 * len(self._members) + 2)(self._draw_permutation)
        self._turns = lru_cache(maxsize=2)(self._draw_turns)

    def draw(self, step: int) -> list[Draw]:
        """The global batch of ``step``, 0-based."""
        rows = self._rows(step)
        rng = np.random.default_rng([self._seed, 0, step])
        flips, drops = rng.random(self._batch), rng.random(self._batch)
        seeds = rng.integers(2**62, size=self._batch)
        chances = self._chances
        text, image, both = np.cumsum([chances.drop_text, chances.drop_image, chances.drop_both])
        return [
            Draw(
                row=int(row),
                flip=bool(flip < chances.flip and self._may_flip[row]),
                keep_text=not (drop < text or image <= drop < both),
                keep_image=not text <= drop < both,
                seed=int(seed),
            )
            for row, flip, drop, seed in zip(rows, flips, drops, seeds, strict=True)
        ]

    def _rows(self, step: int) -> NDArray[np.int64]:
        items = sum(map(len, self._members))
        latest = (step + len(self._members)) * self._batch // items + 1  # no epoch after it holds the step
        epoch = bisect_right(range(latest + 1), step, key=self._steps_before) - 1
        turns = self._turns(epoch)
        turn = step - self._steps_before(epoch)
        group = int(turns[turn])
        number = self._batches_before(group, epoch) + int((turns[:turn] == group).sum())
        count = len(self._members[group])
        start, stop = number * self._batch, (number + 1) * self._batch
        orders = [self._permutation(group, again) for again in range(start // count, (stop - 1) // count + 1)]
        first = start % count
        chosen: NDArray[np.int64] = np.concatenate(orders)[first : first + self._batch]
        return chosen

    def _batches_before(self, group: int, epoch: int) -> int:
        return epoch * len(self._members[group]) // self._batch

    def _steps_before(self, epoch: int) -> int:
        return sum(self._batches_before(group, epoch) for group in range(len(self._members)))

    def _draw_turns(self, epoch: int) -> NDArray[np.int64]:
        """The group of each step of the epoch."""
        groups = range(len(self._members))
        counts = [
            self._batches_before(group, epoch + 1) - self._batches_before(group, epoch) for group in groups
        ]
        return np.random.default_rng([self._seed, 1, epoch]).permutation(np.repeat(groups, counts))

    def _draw_permutation(self, group: int, again: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, 2, group, again]).permutation(self._members[group])


def names_a_side(instruction: str) -> bool:
    """Whether the instruction would be wrong for the mirrored pair."""
    return NAMES_A_SIDE.search(instruction) is not None
