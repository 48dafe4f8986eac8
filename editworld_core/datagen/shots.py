"""Where one shot of a film ends and the next begins.

A cut is a jump: the frame after it differs from the one before it in colours and layout, several times more than
neighbours do on either side, and the frames that follow stay different. Fast motion differs from frame to frame
all the time, and a flash goes away again; neither is taken for a cut. Dissolves are not found here: there it is the
identity of two frames that keeps a pair within one scene.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

SIDE = 32  # pixels of the small pictures that are compared
JUMP = 0.25  # the least difference over a cut, 0..1
STANDS_OUT = 3.0  # how much more a cut differs than the neighbours beside it
AHEAD = 4  # frames after a cut that must differ from the one before it, and the other way round


@dataclass(frozen=True)
class Look:
    """What is remembered of a frame: ``grey`` float32 [SIDE, SIDE] in 0..255, and the shares of its colours."""

    grey: NDArray[np.float32]
    colours: NDArray[np.float32]


def look(small: NDArray[np.uint8]) -> Look:
    """The look of a frame that was scaled down to uint8 [SIDE, SIDE, 3] RGB."""
    histogram = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3).ravel()
    grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    return Look(grey.astype(np.float32), (histogram / small[..., 0].size).astype(np.float32))


def difference(a: Look, b: Look) -> float:
    """How much two frames differ, in 0..1: the mean of what differs in their colours and in their layout."""
    colours = float(np.abs(a.colours - b.colours).sum()) / 2
    one, other = a.grey - a.grey.mean(), b.grey - b.grey.mean()
    alike = (2 * (one * other).mean() + 100) / ((one * one).mean() + (other * other).mean() + 100)
    return (colours + 1 - float(np.clip(alike, 0, 1))) / 2


@dataclass(frozen=True)
class _Seen(Generic[T]):
    item: T
    look: Look


def mark_cuts(frames: Iterable[tuple[T, Look]]) -> Iterator[tuple[T, bool]]:
    """Each frame, and whether a shot begins with it; ``AHEAD`` frames are held back, whatever their number."""
    before: deque[Look] = deque(maxlen=AHEAD)
    coming: deque[_Seen[T]] = deque()

    def take() -> tuple[T, bool]:
        begins = not before or _is_cut(list(before), [seen.look for seen in coming])
        seen = coming.popleft()
        before.append(seen.look)
        return seen.item, begins

    for item, appearance in frames:
        coming.append(_Seen(item, appearance))
        if len(coming) == AHEAD:
            yield take()
    while coming:
        yield take()


def _is_cut(before: list[Look], coming: list[Look]) -> bool:
    """Whether the film is cut between the last of ``before`` and the first of ``coming``."""
    jump = difference(before[-1], coming[0])
    if jump < JUMP:
        return False
    beside = [difference(*pair) for pair in (before[-2:], coming[:2]) if len(pair) == 2]
    flash = any(difference(before[-1], later) < JUMP for later in coming[1:]) or any(
        difference(earlier, coming[0]) < JUMP for earlier in before[:-1]
    )
    return jump > STANDS_OUT * max(beside, default=0.0) and not flash
