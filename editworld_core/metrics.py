"""Drift: what an edit changed outside its mask, in numbers and in a sentence; and the measures behind it.

PSNR, ST-LPIPS (Ghildyal and Liu, ECCV 2022), shift by phase correlation, colour cast. Pictures are RGB images of
equal size; a mask is ``bool [H, W]``, True inside the edit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.errors import EditWorldError
from editworld_core.images import to_float
from editworld_core.masks import Mask, mask_iou

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "DriftReport",
    "colour_cast",
    "drift_report",
    "estimate_shift",
    "mask_iou",
    "psnr",
    "st_lpips_outside",
]

PERCEPTUAL_SIDE = (
    256  # pixels; ST-LPIPS sees the picture at this longer side, as it was trained on small patches
)
SHIFT_SIDE = 512  # pixels; the shift is estimated at this longer side


def psnr(a: Image.Image, b: Image.Image, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB over the pixels where ``mask`` [H, W] is True (all of them if None).

    Infinite if nothing differs, or if there is no pixel to compare.
    """
    difference = np.asarray(a.convert("RGB"), np.float32) - np.asarray(b.convert("RGB"), np.float32)
    if mask is not None:
        difference = difference[mask]
    error = float(np.mean(np.square(difference), dtype=np.float64)) if difference.size else 0.0
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def st_lpips_outside(original: Image.Image, image: Image.Image, mask: Mask) -> float:
    """Shift-tolerant LPIPS (AlexNet) between the two pictures, where ``mask`` is False.

    Inside the mask both show the original, so only the outside counts. 0 means no visible difference.

    Raises:
        EditWorldError: the package with the metric's weights is missing.
    """
    pixels = np.array(image.convert("RGB"))
    pixels[mask] = np.asarray(original.convert("RGB"))[mask]
    return st_lpips(original, Image.fromarray(pixels))


def st_lpips(a: Image.Image, b: Image.Image) -> float:
    """Shift-tolerant LPIPS (AlexNet, vST0.0) of two pictures, at a longer side of at most 256 pixels."""
    import torch

    if a.tobytes() == b.tobytes():
        return 0.0
    batch = torch.from_numpy(np.stack([_perceptual_input(image) for image in (a, b)])).permute(0, 3, 1, 2)
    weights = _st_lpips_weights()
    with torch.inference_mode():
        distance = 0.0
        for layer, features in enumerate(_shift_tolerant_alexnet(batch, weights)):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
            squared = (unit[:1] - unit[1:]).square()
            distance += float((squared * weights[f"lin{layer}.model.1.weight"]).sum(1).mean())
    return distance


def _perceptual_input(image: Image.Image) -> NDArray[np.float32]:
    """The picture [h, w, 3] in -1..1, at most 256 pixels long and at least 64 short (the network's footprint)."""
    scale = min(1.0, PERCEPTUAL_SIDE / max(image.size))
    size = (max(64, round(image.width * scale)), max(64, round(image.height * scale)))
    return 2 * to_float(image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)) - 1


@lru_cache(maxsize=1)
def _st_lpips_weights() -> "Mapping[str, Tensor]":
    """The weights that the PyPI package stlpips-pytorch carries (BSD-2).

    Its own network code is left alone: it needs IPython and torchsummary, and its anti-aliasing layers are under a
    non-commercial licence. ``_shift_tolerant_alexnet`` is the architecture written anew.
    """
    import torch

    spec = find_spec("stlpips_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise EditWorldError("ST-LPIPS has no weights here: install the package stlpips-pytorch.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = folder / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
    return torch.load(path, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]


def _shift_tolerant_alexnet(x: "Tensor", weights: "Mapping[str, Tensor]") -> "list[Tensor]":
    """The five feature maps of AlexNet with stride 1 throughout and blurred, reflection-padded subsampling.

    Args:
        x: pictures [B, 3, h, w] in -1..1.
        weights: the package's state dictionary.
    """
    from torch.nn import functional as F

    def convolve(x: "Tensor", name: str, padding: int) -> "Tensor":
        return F.conv2d(x, weights[f"net.{name}.weight"], weights[f"net.{name}.bias"], padding=padding)

    def subsample(x: "Tensor", name: str) -> "Tensor":
        return F.conv2d(
            F.pad(x, (2, 2, 2, 2), "reflect"), weights[f"net.{name}.filt"], stride=2, groups=x.shape[1]
        )

    x = (x - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    first = F.relu(subsample(convolve(x, "slice1.0", 2), "slice1.1"))
    second = F.relu(convolve(subsample(F.max_pool2d(first, 3, 1), "slice2.4"), "slice2.5", 2))
    third = F.relu(convolve(subsample(F.max_pool2d(second, 3, 1), "slice3.8"), "slice3.9", 1))
    fourth = F.relu(convolve(third, "slice4.11", 1))
    return [first, second, third, fourth, F.relu(convolve(fourth, "slice5.13", 1))]


def estimate_shift(original: Image.Image, edited: Image.Image, mask: Mask) -> tuple[float, float]:
    """By how many pixels (right, down) the content outside ``mask`` moved from ``original`` to ``edited``.

    Phase correlation finds the whole pixels, Gauss-Newton on the brightness outside the mask the fraction. (0, 0) if
    undoing the estimate does not bring the pictures closer, as for a picture without texture.
    """
    scale = min(1.0, SHIFT_SIDE / max(original.size))
    size = (max(8, round(original.width * scale)), max(8, round(original.height * scale)))
    first, second = (_detail(image.resize(size, Image.Resampling.BOX)) for image in (original, edited))
    outside = cv2.resize((~mask).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    outside = cv2.erode(outside, np.ones((5, 5), np.uint8))
    if outside.sum() < 64:
        return 0.0, 0.0
    window = cv2.createHanningWindow(size, cv2.CV_32F) if min(size) > 16 else None
    (dx, dy), _ = cv2.phaseCorrelate(first * outside, second * outside, window)
    start = min(((0.0, 0.0), (dx, dy)), key=lambda shift: _misfit(first, second, outside, shift))
    shift = _refined_shift(first, second, outside, start)
    if _misfit(first, second, outside, shift) > 0.98 * _misfit(first, second, outside, (0.0, 0.0)):
        return 0.0, 0.0
    return shift[0] * original.width / size[0], shift[1] * original.height / size[1]


def _detail(image: Image.Image) -> NDArray[np.float32]:
    """Brightness [h, w] without its slow part, which is where a colour cast lives."""
    grey = to_float(image).mean(-1)
    return cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 8.0)


def _moved_back(image: NDArray[np.float32], shift: tuple[float, float]) -> NDArray[np.float32]:
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _misfit(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    weight: NDArray[np.float32],
    shift: tuple[float, float],
) -> float:
    error = np.abs(_moved_back(second, shift) - first)
    inner = _moved_back(weight, shift) * weight
    return float((inner * error).sum() / max(float(inner.sum()), 1e-6))


def _refined_shift(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    weight: NDArray[np.float32],
    shift: tuple[float, float],
) -> tuple[float, float]:
    """Lucas-Kanade (1981) for one translation of the whole picture, from ``shift``."""
    gradient = np.stack([np.gradient(first, axis=1), np.gradient(first, axis=0)], -1)
    for _ in range(8):
        error = _moved_back(second, shift) - first
        robust = weight / (1 + np.square(error / 0.05))
        normal = np.einsum("hw,hwi,hwj->ij", robust, gradient, gradient)
        step = np.linalg.lstsq(normal, -np.einsum("hw,hwi,hw->i", robust, gradient, error), rcond=1e-4)[0]
        step = np.clip(step, -2, 2)
        shift = (shift[0] + float(step[0]), shift[1] + float(step[1]))
        if np.abs(step).max() < 1e-3:
            break
    return shift


def colour_cast(original: Image.Image, edited: Image.Image, mask: Mask) -> tuple[float, float, float]:
    """By how much red, green and blue outside ``mask`` changed in the median, in -1..1; zeros if nothing is outside."""
    outside = ~mask
    if not outside.any():
        return 0.0, 0.0, 0.0
    change = np.asarray(edited.convert("RGB"), np.int16) - np.asarray(original.convert("RGB"), np.int16)
    red, green, blue = np.median(change[outside], axis=0) / 255
    return float(red), float(green), float(blue)


@dataclass(frozen=True)
class DriftReport:
    """What changed outside the mask.

    Attributes:
        outside: share of the picture outside the mask, 0..1.
        shift: how far the edited picture's content moved, pixels right and down.
        psnr_edited: dB, of the edited picture outside the mask; infinite if nothing changed.
        psnr_final: dB, of the final picture outside the mask.
        st_lpips_edited, st_lpips_final: perceptual distance outside the mask; None if not asked for.
        colour_cast: median change of red, green, blue of the edited picture, -1..1.
    """

    outside: float
    shift: tuple[float, float]
    psnr_edited: float
    psnr_final: float
    st_lpips_edited: float | None
    st_lpips_final: float | None
    colour_cast: tuple[float, float, float]

    def in_words(self) -> str:
        """One or two plain sentences for a designer."""
        if self.outside == 0:
            return "The edit is about the whole picture: there is nothing outside the mask to keep."
        if np.isinf(self.psnr_edited):
            return "Outside the mask nothing changed, not even before post-edit."
        if np.isinf(self.psnr_final):
            return (
                "Outside the mask nothing changed: every pixel is the upload's own. "
                f"Before post-edit the rest {self._drift_in_words(self.psnr_edited)}."
            )
        return f"Outside the mask the picture {self._drift_in_words(self.psnr_final)}."

    def _drift_in_words(self, decibels: float) -> str:
        levels = 255 * 10 ** (-decibels / 20)
        parts = [f"drifted by about {levels:.1f} of 255 levels"]
        moves = [
            f"{abs(by):.1f} pixels {forth if by > 0 else back}"
            for by, forth, back in ((self.shift[0], "right", "left"), (self.shift[1], "down", "up"))
            if abs(by) >= 0.25
        ]
        if moves:
            parts.append("moved " + " and ".join(moves))
        tinge = _cast_in_words(self.colour_cast)
        if tinge:
            parts.append(f"turned {tinge}")
        return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _cast_in_words(cast: tuple[float, float, float], least: float = 2 / 255) -> str:
    """ "darker", "a little warmer" …; empty if the cast is too small to see."""
    red, green, blue = cast
    light = (red + green + blue) / 3
    names = {
        "lighter": light,
        "darker": -light,
        "warmer": (red - blue) / 2,
        "cooler": (blue - red) / 2,
        "greener": green - (red + blue) / 2,
        "pinker": (red + blue) / 2 - green,
    }
    seen = sorted((name for name, size in names.items() if size >= least), key=lambda name: -names[name])
    if not seen:
        return ""
    return ("a little " if names[seen[0]] < 4 * least else "") + " and ".join(seen[:2])


def drift_report(
    original: Image.Image, edited: Image.Image, final: Image.Image, mask: Mask, *, perceptual: bool = False
) -> DriftReport:
    """Measure the drift of an edit, before (``edited``) and after (``final``) post-edit, outside ``mask`` [H, W].

    Args:
        perceptual: also measure ST-LPIPS, about a fifth of a second each.
    """
    outside = ~mask
    return DriftReport(
        outside=float(outside.mean()),
        shift=estimate_shift(original, edited, mask),
        psnr_edited=psnr(original, edited, outside),
        psnr_final=psnr(original, final, outside),
        st_lpips_edited=st_lpips_outside(original, edited, mask) if perceptual else None,
        st_lpips_final=st_lpips_outside(original, final, mask) if perceptual else None,
        colour_cast=colour_cast(original, edited, mask),
    )
