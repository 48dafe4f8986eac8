"""The arms of the experiment: the same pairs, fewer of them, less diverse ones, or ones with faults on purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from training.pool import PairPool

Pixels = NDArray[np.uint8]

JPEG_QUALITY = 20
FARTHEST = 3 / 128  # of the side; shifts of targets
MASK_FARTHEST, MASK_GROWTH = (
    12 / 128,
    6 / 128,
)  # of the side; shifts of masks, and how much they swell or shrink
WRONG = 0.2  # of the pairs
WORDINGS = 3  # of each pair, so that few texts are embedded


@dataclass(frozen=True)
class Arm:
    """One way to make the data.

    Attributes:
        name, title: for the command line, and for people.
        change: makes the arm's pool of the whole one; what is drawn by lot comes from the generator.
        seed: of the training; all arms but one share it.
        photos: the pairs are rendered with photographs among their backdrops, as the held-out worlds are.
    """

    name: str
    title: str
    change: "Callable[[PairPool, np.random.Generator], PairPool]"
    seed: int = 0
    photos: bool = False


def some(pool: "PairPool", rows: Sequence[int]) -> "PairPool":
    """The pairs of ``rows``."""
    chosen = np.asarray(rows)
    return replace(
        pool,
        before=pool.before[chosen],
        after=pool.after[chosen],
        masks=pool.masks[chosen],
        phrasings=[pool.phrasings[row] for row in rows],
        names=[pool.names[row] for row in rows],
    )


def share(part: float) -> "Callable[[PairPool, np.random.Generator], PairPool]":
    """Takes the first ``part`` of the pairs, which has as many of each dynamic."""
    return lambda pool, rng: some(pool, range(round(part * len(pool))))


def half_the_dynamics(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """The pairs of every second dynamic: half of the pairs."""
    kept = kept_dynamics(pool.names)
    return some(pool, [row for row, name in enumerate(pool.names) if name in kept])


def kept_dynamics(names: Sequence[str]) -> tuple[str, ...]:
    """Those that ``half_the_dynamics`` keeps."""
    return tuple(dict.fromkeys(names))[::2]


def one_wording(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """Every pair with its plainest command only, in place of some fourteen wordings."""
    return replace(pool, phrasings=[texts[:1] for texts in pool.phrasings])


def noisy_targets(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """Targets as a careless editor leaves them: moved by up to ``FARTHEST`` and saved as JPEG."""
    far = FARTHEST * pool.after.shape[1]
    moved = [_as_jpeg(_moved(picture, rng.uniform(-far, far, 2))) for picture in pool.after]
    return replace(pool, after=np.stack(moved))


def noisy_masks(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """Masks that lie up to ``MASK_FARTHEST`` off and are up to ``MASK_GROWTH`` too wide or too narrow."""
    side = pool.after.shape[1]
    masks = np.unpackbits(pool.masks, axis=-1)
    spoiled = []
    for mask in masks:
        shift = rng.uniform(-MASK_FARTHEST * side, MASK_FARTHEST * side, 2)
        spoiled.append(_swollen(_moved(mask, shift), rng.uniform(-MASK_GROWTH * side, MASK_GROWTH * side)))
    return replace(pool, masks=np.packbits(np.stack(spoiled), axis=-1))


def wrong_instructions(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """A fifth of the pairs with the instructions of another dynamic."""
    phrasings = list(pool.phrasings)
    for row in rng.choice(len(pool), round(WRONG * len(pool)), replace=False):
        others = [other for other, name in enumerate(pool.names) if name != pool.names[row]]
        phrasings[row] = pool.phrasings[int(rng.choice(others))]
    return replace(pool, phrasings=phrasings)


def few_wordings(pool: "PairPool", rng: np.random.Generator) -> "PairPool":
    """``pool`` with at most ``WORDINGS`` wordings of each pair, by lot; all together they still are all of them."""
    kept = [tuple(texts[i] for i in rng.permutation(len(texts))[:WORDINGS]) for texts in pool.phrasings]
    return replace(pool, phrasings=kept)


def _moved(picture: Pixels, shift: NDArray[np.float64]) -> Pixels:
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    flags = cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST
    size = picture.shape[1], picture.shape[0]
    moved = cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _as_jpeg(picture: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr[..., ::-1], np.uint8)


def _swollen(mask: Pixels, by: float) -> Pixels:
    radius = round(abs(by))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray((cv2.dilate if by > 0 else cv2.erode)(mask, disc), np.uint8)


ARMS = (
    Arm("all", "all pairs", share(1)),
    Arm("seed", "all pairs, another seed", share(1), seed=1),
    Arm("half", "half of the pairs", share(1 / 2)),
    Arm("quarter", "a quarter of the pairs", share(1 / 4)),
    Arm("sixteenth", "a sixteenth of the pairs", share(1 / 16)),
    Arm("half-dynamics", "half of the dynamics, so half of the pairs", half_the_dynamics),
    Arm("one-wording", "one plain command a dynamic", one_wording),
    Arm("photos", "all pairs, photographs among the backdrops", share(1), photos=True),
    Arm("noisy-targets", "targets shifted and saved as JPEG", noisy_targets),
    Arm("noisy-masks", "masks shifted, too wide or too narrow", noisy_masks),
    Arm("wrong-instructions", "20% with a wrong instruction", wrong_instructions),
)
"""The first is what the others are compared with, the second what chance does."""
