"""From a picture's file to what the autoencoder reads, and from a mask's to the grid of the latents."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from editworld_core.errors import BadInputError
from training.data.rows import Size


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of the data set.

    Raises:
        BadInputError: it is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read ({error.strerror}); make the data set again.") from error


def read_pixels(path: Path, size: Size, flip: bool) -> Tensor:
    """The picture scaled to cover ``size`` (width, height) and cut to it about its middle: [3, H, W] in -1..1.

    Raises:
        BadInputError: it is missing or no picture.
    """
    picture = ImageOps.fit(_open(path, "RGB"), size, Image.Resampling.LANCZOS)
    array = np.asarray(ImageOps.mirror(picture) if flip else picture, np.float32)
    return torch.from_numpy(array.transpose(2, 0, 1) / 127.5 - 1)


def read_mask(path: Path, size: Size, factor: int) -> Tensor:
    """The share of each latent cell that the mask covers, which is cut like its pictures: [1, h, w] in 0..1, fp16.

    Raises:
        BadInputError: it is missing or no picture.
    """
    mask = ImageOps.fit(_open(path, "L"), size, Image.Resampling.BOX)
    cells = torch.from_numpy(np.asarray(mask, np.float32) / 255)[None]
    return F.avg_pool2d(cells, factor).half()


def _open(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(read_bytes(path))) as image:
            return image.convert(mode)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path} is not an image; make the data set again.") from error
