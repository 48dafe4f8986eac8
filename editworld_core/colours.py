"""A colour cast: the one gain and offset a channel by which an editor recolours the whole picture, and its undoing."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.masks import Mask, at_most
from editworld_core.pixels import to_float

Three = tuple[float, float, float]

SPREAD = 0.03  # of a channel; what misses the cast by more has little say in it
CLIPPED = 2 / 255  # of a channel; what is as near to black or white as this may have been cut off
GAINS = (0.5, 2.0)  # beyond them it is no cast
LEAST = 64  # pixels that must be outside the mask


@dataclass(frozen=True)
class Cast:
    """How an edited picture's colours (0..1) lead back to the original's: ``gain * edited + offset``, by channel."""

    gain: Three = (1.0, 1.0, 1.0)
    offset: Three = (0.0, 0.0, 0.0)


def estimate_cast(original: Image.Image, edited: Image.Image, mask: Mask | None = None) -> Cast:
    """The cast of ``edited`` (RGB, the size and place of ``original``) by what lies outside ``mask`` [H, W].

    Iteratively re-weighted least squares, so that an edit which the mask missed has little say. No cast if too little
    is outside the mask, or if what is found is too strong to be one.
    """
    small = at_most(original)
    first, second = to_float(small), to_float(at_most(edited))
    outside = np.ones(first.shape[:2], bool)
    if mask is not None:
        inside = cv2.resize(mask.astype(np.float32), small.size, interpolation=cv2.INTER_AREA)
        outside = cv2.dilate(inside, np.ones((3, 3), np.uint8)) == 0
    if outside.sum() < LEAST:
        return Cast()
    fits = [_fit(second[..., channel][outside], first[..., channel][outside]) for channel in range(3)]
    gains, offsets = zip(*fits, strict=True)
    return Cast(gains, offsets)


def without_cast(edited: Image.Image, cast: Cast) -> Image.Image:
    """``edited`` in the original's colours; itself if there is no cast."""
    if cast == Cast():
        return edited
    levels = np.arange(256)[:, None] * np.array(cast.gain) + 255 * np.array(cast.offset)
    table = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return Image.fromarray(cv2.LUT(np.asarray(edited.convert("RGB")), table[None]))


def _fit(edited: NDArray[np.float32], original: NDArray[np.float32]) -> tuple[float, float]:
    """Gain and offset that lead from ``edited`` [n] to ``original`` [n]."""
    whole = [(values > CLIPPED) & (values < 1 - CLIPPED) for values in (edited, original)]
    kept = whole[0] & whole[1]
    if kept.sum() < LEAST:
        return 1.0, 0.0
    x, y = edited[kept].astype(np.float64), original[kept].astype(np.float64)
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(12):
        weight = np.square(1 / (1 + np.square((gain * x + offset - y) / SPREAD)))
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = np.average(np.square(x - mean_x), weights=weight) + 1e-3
        gain = float((np.average((x - mean_x) * (y - mean_y), weights=weight) + 1e-3) / spread)
        offset = float(mean_y - gain * mean_x)
    return (gain, offset) if GAINS[0] < gain < GAINS[1] else (1.0, 0.0)
