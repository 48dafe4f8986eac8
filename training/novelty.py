"""Which pixels of an edit are new, and not the source's in other light or colours."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

AROUND = 17
"""Side in pixels of the surroundings in which a recolouring of the source is fitted to the change."""
RIDGE = 1e-3
"""Variance (squared units of -1..1) of surroundings so flat that of a recolouring only the shift is fitted."""
NEW = 0.3
"""Mean absolute difference (of 2, the range of pixels) from it at which a pixel of the target is wholly new."""
BESIDE = 2
"""Pixels around one that is new which count as it does: its outline."""


def novelty(source: Tensor, target: Tensor) -> Tensor:
    """How new each pixel of ``target`` is: a moon, a flake, ink, an outline, too small to count for much else.

    In the surroundings of every pixel the best affine function of the source's brightness is fitted to the change, as
    the guided filter does (He et al. 2010); what is new is the difference from it, since a recolouring comes by itself.

    Args:
        source, target: [B, 3, H, W] in -1..1.

    Returns:
        [B, 1, H, W] in 0..1, the most in ``BESIDE`` pixels around.
    """
    left = [_unexplained(*pair) for pair in zip(source.numpy(), target.numpy(), strict=True)]
    share = torch.from_numpy(np.stack(left))[:, None].div(NEW).clamp_max(1)
    return F.max_pool2d(share, 2 * BESIDE + 1, stride=1, padding=BESIDE)


def _unexplained(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    def around(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (AROUND, AROUND))

    grey, change = source.mean(0), (target - source).transpose(1, 2, 0)
    grey_mean, change_mean = around(grey)[..., None], around(change)
    grey = grey[..., None]
    together = around(grey * change) - grey_mean * change_mean
    slope = together / (around(grey**2)[..., None] - grey_mean**2 + RIDGE)
    return np.abs(change - change_mean - slope * (grey - grey_mean)).mean(-1)
