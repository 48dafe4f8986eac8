"""Masks in files: what users draw elsewhere and what they keep."""

import numpy as np
from PIL import Image, ImageOps

from editworld_core.errors import BadInputError
from editworld_core.images import read_image
from editworld_core.masks import Mask


def read_mask(path: str, size: tuple[int, int]) -> Mask:
    """The mask, bool [H, W], in a file: white may change; if it is transparent somewhere, what is painted may.

    Args:
        size: width and height of the picture that it is for.

    Raises:
        BadInputError: the file cannot be read, its size is another one, or nothing in it may change.
    """
    picture = read_image(path)  # refuses what is damaged, far too big, or no picture at all
    if picture.size != size:
        raise BadInputError(
            f"The mask is {picture.width}x{picture.height} pixels and the picture {size[0]}x{size[1]}: "
            "save the mask at the picture's size."
        )
    mask = np.asarray(picture.convert("L")) > 127
    with Image.open(path) as file:
        if file.has_transparency_data:
            alpha = np.asarray(ImageOps.exif_transpose(file).convert("RGBA"))[..., 3]
            mask = mask if alpha.min() == 255 else alpha > 127
    if not mask.any():
        raise BadInputError("The mask is empty: make white what may change.")
    return mask
