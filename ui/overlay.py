"""The picture that shows where an instruction looked, and what it was allowed to change."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

LONGEST = 1024  # pixels; enough for a panel, and quick to draw for any upload
AMBER, EMBER = np.float32([1.0, 0.80, 0.30]), np.float32([0.92, 0.25, 0.10])


def attention_overlay(result: "EditResult") -> Image.Image:
    """The original, paled, with the heat of the words from amber to red and the final mask outlined in white."""
    width, height = result.original.size
    scale = min(1.0, LONGEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = np.asarray(result.original.resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    heat = np.clip(cv2.resize(result.heat, size, interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
    paled = 0.45 * picture + 0.35 * picture.mean(-1, keepdims=True) + 0.06
    colour = AMBER + heat * (EMBER - AMBER)
    blended = paled + 0.78 * heat**0.8 * (colour - paled)
    drawn = np.rint(np.clip(blended, 0, 1) * 255).astype(np.uint8)
    _outline(drawn, result.mask)
    return Image.fromarray(drawn)


def _outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    """Draw the edge of ``mask`` [H, W] into ``picture`` [h, w, 3], white in a dark border to show on anything."""
    height, width = picture.shape[:2]
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thin = max(1, round(max(height, width) / 256))
    cv2.drawContours(picture, edges, -1, (20, 26, 32), 3 * thin, cv2.LINE_AA)
    cv2.drawContours(picture, edges, -1, (255, 255, 255), thin, cv2.LINE_AA)
