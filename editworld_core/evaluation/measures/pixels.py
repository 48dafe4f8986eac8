"""SSIM and PSNR: outside the mask against the original, inside it against the target.

The mask is the true one; where a data set has none, it is the one that the edit ended with. Then what lies outside
after a post-edit is the original's own, and setups whose masks differ are not measured in the same place.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.evaluation.measures.base import Measure, kept_outside, on_both, only
from editworld_core.evaluation.measures.table import names_of
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.metrics import psnr

if TYPE_CHECKING:
    from editworld_core.masks import Mask

MOST_DB = 100.0  # stands for the infinite PSNR of identical pictures, which JSON cannot say
WINDOW = 11  # pixels of the Gaussian window of SSIM (Wang et al. 2004, section III C), whose deviation is 1.5


def pixels_measure() -> Measure:
    """SSIM and PSNR inside and outside the mask."""
    return Measure("pixels", "pixels-1", names_of("pixels"), _measure)


def _measure(item: Item, pictures: Pictures, outcome: Outcome) -> Values:
    mask = outcome.mask if pictures.mask is None else pictures.mask
    outside, target = kept_outside(item, mask), pictures.target

    def of(image: Image.Image) -> Values:
        return {
            "psnr_outside": psnr_within(outcome.original, image, outside),
            "ssim_outside": ssim_within(outcome.original, image, outside),
            "psnr_inside": None if target is None else psnr_within(target, image, mask),
            "ssim_inside": None if target is None else ssim_within(target, image, mask),
        }

    return on_both(outcome, of)


def psnr_within(a: Image.Image, b: Image.Image, mask: "Mask | None") -> float | None:
    """PSNR in dB where ``mask`` [H, W] is True, at most 100; None without a mask, or if it is empty."""
    return None if mask is None or not mask.any() else min(MOST_DB, psnr(a, b, mask))


def ssim_within(a: Image.Image, b: Image.Image, mask: "Mask | None") -> float | None:
    """Mean SSIM where ``mask`` [H, W] is True; None without a mask, if it is empty, or under 11 pixels a side.

    Windows reach over the mask's border: what they see there of ``b`` is taken from ``a``, so that it does not count.
    """
    if mask is None or not mask.any() or min(a.size) < WINDOW:
        return None
    return float(ssim_map(a, only(mask, b, a))[mask].mean())


def ssim_map(a: Image.Image, b: Image.Image) -> NDArray[np.float64]:
    """SSIM [H, W] of the Gaussian windows around each pixel, mean of the three channels (Wang et al. 2004)."""
    from skimage.metrics import structural_similarity

    _, full = structural_similarity(
        np.asarray(a.convert("RGB"), np.float64) / 255,
        np.asarray(b.convert("RGB"), np.float64) / 255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
        full=True,
    )
    return np.asarray(full.mean(-1))
