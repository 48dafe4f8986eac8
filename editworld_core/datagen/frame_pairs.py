"""Which two frames of a clip make a pair: the same scene, and as much of the story between them as possible.

The paper asks for two frames "with strong identity consistency and the greatest spatial or visual variance", usually
near the start and the end of the story, and gives no measure. Ours, over all pairs of candidate frames:

- *identity*: the mean of two similarities, of contours (blind to colour and light) and of a network's features
  (tolerant of small movements). It must reach a threshold.
- *change*: the mean of what differs in colour (CIELAB) and in structure (SSIM), 0 for equal frames and about 1 for a
  complete change.
- *story*: the share of all that happens in the clip, motion included, that happens between the two frames.

The pair with the greatest change times story wins, and among near-equal ones that which lies farthest apart in time,
so that what happens has not begun in the first frame and has ended in the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Scores = NDArray[np.float32]

Features = Callable[[Frames], Scores]
"""Frames uint8 [n, SIDE, SIDE, 3] to unit vectors float32 [n, d]; dot products say how much frames are alike."""

SIDE = 128  # pixels: frames are compared as squares of this side, and at half of it for their motion
CELLS = 16  # contours are summed up in so many cells a side
COLOUR_FULL = 30.0  # mean distance in CIELAB that counts as a complete change
MOTION_FULL = 0.1  # likewise, the way of the fastest tenth of the pixels as a share of the picture's side
NEAR = 0.85  # pairs with this share of the best score count as equally good
DISSOLVE = 6  # candidates that a change of scene may take
NOISE = 1.5  # what happens between neighbours counts above so many times its lower quartile over the clip


@dataclass(frozen=True)
class Choice:
    """What makes a pair.

    Attributes:
        identity: the least similarity of the two frames, -1..1.
        change: the least change, 0..1; camera noise on a still scene makes about 0.01.
    """

    identity: float = 0.45
    change: float = 0.03


@dataclass(frozen=True)
class FramePair:
    """The places of the two frames among the candidates, and their scores; ``motion`` is that between the two."""

    first: int
    second: int
    identity: float
    change: float
    story: float
    motion: float


def choose_pair(frames: Frames, choice: Choice, features: Features) -> FramePair | None:
    """The best pair among the candidates of a clip; None if nothing happens in it, or nothing stays the same.

    Args:
        frames: uint8 [n, SIDE, SIDE, 3] RGB, in the order of time.
        choice: thresholds.
        features: what sees whether two frames show the same things.
    """
    if len(frames) < 2:
        return None
    change, motion = changes(frames), motions(frames)
    possible = np.triu(change >= choice.change, 1)
    if not possible.any():
        return None  # before the network is asked: still clips are common
    identity = identities(frames, features)
    broken = _breaks(identity, choice.identity)
    scene = np.cumsum([0, *broken])
    possible &= (identity >= choice.identity) & (scene[:, None] == scene[None, :])
    activity = np.where(broken, 0, (2 * np.diag(change, 1) + motion) / 3)
    story = stories(activity.astype(np.float32))
    score = np.where(possible, change * story, 0)
    if score.max() <= 0:
        return None
    firsts, seconds = np.nonzero(score >= NEAR * score.max())
    best = np.lexsort((score[firsts, seconds], seconds - firsts))[-1]
    first, second = int(firsts[best]), int(seconds[best])
    return FramePair(
        first,
        second,
        identity=float(identity[first, second]),
        change=float(change[first, second]),
        story=float(story[first, second]),
        motion=float(motions(frames[[first, second]])[0]),
    )


def _breaks(identity: Scores, least: float) -> NDArray[np.bool_]:
    """Between which neighbours the scene changes, bool [n - 1]: where a few candidates later it is another one.

    That finds dissolves, which have no cut. Without it the pair would lie in the midst of one.
    """
    broken = np.zeros(len(identity) - 1, bool)
    for step in range(1, min(DISSOLVE, len(identity) - 1) + 1):
        for start in np.nonzero(np.diag(identity, step) < least)[0]:
            broken[start : start + step] = True
    return broken


def identities(frames: Frames, features: Features) -> Scores:
    """How much each two frames [n, SIDE, SIDE, 3] show the same scene: float32 [n, n] in -1..1."""
    similar = [unit @ unit.T for unit in (contours(frames), features(frames))]
    return np.mean(similar, axis=0, dtype=np.float32)


def contours(frames: Frames) -> Scores:
    """Where edges run, and in which direction: unit vectors float32 [n, 3 * CELLS * CELLS].

    The gradient's angle is doubled, so that an edge from dark to light equals one from light to dark, and its length
    is divided by what is usual around it, so that a faint scene equals a bright one: night and fog hardly matter.
    """
    vectors = []
    for frame in frames:
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
        x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        length = np.hypot(x, y)
        double = np.stack([length, (x * x - y * y) / (length + 1e-6), 2 * x * y / (length + 1e-6)], -1)
        double /= cv2.GaussianBlur(length, (0, 0), SIDE / 16)[..., None] + 4.0  # 4 levels are camera noise
        cells = cv2.resize(double, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        cells[..., 0] -= cells[..., 0].mean()
        vectors.append(cells.ravel() / (np.linalg.norm(cells) + 1e-6))
    return np.stack(vectors).astype(np.float32)


def changes(frames: Frames) -> Scores:
    """By how much each two frames [n, SIDE, SIDE, 3] differ in colour and structure: float32 [n, n] in 0..1."""
    smooth = [cv2.GaussianBlur(frame.astype(np.float32) / 255, (0, 0), 1.5) for frame in frames]
    lab = [cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) for frame in smooth]
    scores = np.zeros((len(frames), len(frames)), np.float32)
    for first in range(len(frames)):
        for second in range(first + 1, len(frames)):
            distance = float(np.linalg.norm(lab[first] - lab[second], axis=-1).mean())
            structure = 1 - _ssim(lab[first][..., 0] / 100, lab[second][..., 0] / 100)
            change = (min(1.0, distance / COLOUR_FULL) + min(1.0, structure)) / 2
            scores[first, second] = scores[second, first] = change
    return scores


def _ssim(a: Scores, b: Scores) -> float:
    """Mean structural similarity of two grey pictures in 0..1 (Wang et al. 2004) over windows of 9x9 pixels."""

    def mean(picture: Scores) -> Scores:
        return cv2.blur(picture, (9, 9)).astype(np.float32)

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) + mean(b * b) - mean_a**2 - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    return float((numerator / ((mean_a**2 + mean_b**2 + 1e-4) * (variances + 9e-4))).mean())


def motions(frames: Frames) -> Scores:
    """How far things move from each frame [n, SIDE, SIDE, 3] to the next: float32 [n - 1] in 0..1."""
    small = [cv2.resize(frame, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA) for frame in frames]
    smooth = [cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in small]
    return np.array([_motion(*pair) for pair in pairwise(smooth)], np.float32)


def _motion(before: Frames, after: Frames) -> float:
    """The way of the fastest tenth of the pixels, of dense flow (DIS, Kroeger et al. 2016).

    Flow finds movement everywhere, also where something changes its colour. It counts as far as moving the pixels
    explains the difference of the two pictures.
    """
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_FAST).calc(*greys, None)  # type: ignore[call-overload]
    y, x = np.indices(greys[0].shape, np.float32)
    back = cv2.remap(
        after, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    differs, remains = (
        cv2.blur(np.abs(picture.astype(np.float32) - before).mean(-1), (5, 5)) for picture in (after, back)
    )
    explained = np.where(differs > 3, 1 - remains / np.maximum(differs, 1), 0).clip(
        0, 1
    )  # 3 levels are noise
    ways = np.sort((np.linalg.norm(flow, axis=-1) * explained).ravel())
    return min(1.0, float(ways[-(ways.size // 10) :].mean()) / len(before) / MOTION_FULL)


def stories(activity: Scores) -> Scores:
    """The share of what happens in a clip that happens between each two frames: float32 [n, n].

    Args:
        activity: what happens from each frame to the next, float32 [n - 1]; what always happens is taken for noise.
    """
    above = np.maximum(activity - NOISE * np.quantile(activity, 0.25), 0)
    if above.sum() <= 0:  # a clip in which equally much happens all the time
        above = activity
    passed = np.concatenate([[0], np.cumsum(above)])
    return ((passed[None, :] - passed[:, None]) / max(passed[-1], 1e-6)).astype(np.float32)


def as_squares(frames: Sequence[Frames]) -> Frames:
    """Frames of any size as ``choose_pair`` wants them: uint8 [n, SIDE, SIDE, 3]."""
    squares = [cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(squares).astype(np.uint8)
