"""Sharpness as the variance of the Laplacian (Pech-Pacheco et al. 2000): cheap, and low for blurred pictures.

It depends on size and content, so it ranks pictures of one kind and has no threshold that holds everywhere.
"""

import cv2
import numpy as np
from PIL import Image


def sharpness(image: Image.Image) -> float:
    """Variance of the Laplacian (3x3, four neighbours) of the grey levels in 0..255."""
    return float(cv2.Laplacian(np.asarray(image.convert("L")), cv2.CV_64F).var())
