"""Edits as an editor elsewhere returns them: a little shifted, zoomed and tinted."""

import cv2
import numpy as np
from PIL import Image

from editworld_core.alignment import Alignment

MOVED = Alignment(shift=(3.0, -2.0), scale=1.015)
"""Of a picture of 256 pixels."""
TINT = np.array([1.05, 1.0, 0.94], np.float32)
"""Gain of red, green and blue: warmer."""


def as_from_elsewhere(image: Image.Image) -> Image.Image:
    """``image``, RGB, moved by ``MOVED`` and tinted by ``TINT``; its border is mirrored into what is uncovered."""
    side = max(image.size) / 256
    matrix = MOVED.resized((side, side)).matrix(image.size)
    pixels = np.asarray(image.convert("RGB"))
    moved = cv2.warpAffine(
        pixels, matrix, image.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return Image.fromarray(np.clip(np.rint(moved * TINT), 0, 255).astype(np.uint8))
