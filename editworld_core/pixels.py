"""Between the two forms of a picture: RGB ``PIL.Image`` at the borders, ``float32 [H, W, 3]`` in 0..1 inside."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Picture = NDArray[np.float32]
"""``float32 [H, W, 3]``, RGB in 0..1."""


def to_float(image: Image.Image) -> Picture:
    """RGB image to ``float32 [H, W, 3]`` in 0..1."""
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def to_image(array: ArrayLike) -> Image.Image:
    """``float [H, W, 3]`` in 0..1 (values outside are clipped) to an RGB image."""
    return Image.fromarray(np.rint(np.clip(np.asarray(array, np.float32), 0, 1) * 255).astype(np.uint8))
