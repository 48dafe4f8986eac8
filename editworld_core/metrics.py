"""Drift: what an edit changed outside its mask, in numbers and in a sentence; and the measures behind it.

PSNR, ST-LPIPS (Ghildyal and Liu, ECCV 2022), shift and scale (``alignment``), colour cast. Pictures are RGB images of
equal size; a mask is ``bool [H, W]``, True inside the edit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.alignment import Alignment, estimate_alignment
from editworld_core.errors import EditWorldError
from editworld_core.images import to_float
from editworld_core.masks import Mask, mask_iou

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "DriftReport",
    "colour_cast",
    "drift_report",
    "mask_iou",
    "psnr",
    "st_lpips_outside",
]

PERCEPTUAL_SIDE = (
    256  # pixels; ST-LPIPS sees the picture at this longer side, as it was trained on small patches
)
ZOOM_SEEN = 0.5  # pixels; a zoom that moves the border by no more is not spoken of


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
    first, second = (torch.from_numpy(_perceptual_input(each)).permute(2, 0, 1)[None] for each in (a, b))
    with torch.no_grad():
        return float(perceptual_distance(first, second))


def perceptual_distance(first: "Tensor", second: "Tensor") -> "Tensor":
    """Shift-tolerant LPIPS (AlexNet, vST0.0) of pictures [B, 3, h, w] in -1..1, with its gradient: [B]."""
    weights = {name: each.to(first.device) for name, each in st_lpips_weights().items()}
    distance = first.new_zeros(len(first))
    layers = zip(*(shift_tolerant_alexnet(each, weights) for each in (first, second)), strict=True)
    for layer, features in enumerate(layers):
        ours, theirs = (
            each.float() / (each.float().square().sum(1, keepdim=True) + 1e-20).sqrt() for each in features
        )
        squared = (ours - theirs).square()
        distance = distance + (squared * weights[f"lin{layer}.model.1.weight"]).sum(1).mean((1, 2))
    return distance


def _perceptual_input(image: Image.Image) -> NDArray[np.float32]:
    """The picture [h, w, 3] in -1..1, at most 256 pixels long and at least 64 short (the network's footprint)."""
    scale = min(1.0, PERCEPTUAL_SIDE / max(image.size))
    size = (max(64, round(image.width * scale)), max(64, round(image.height * scale)))
    return 2 * to_float(image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)) - 1


@lru_cache(maxsize=1)
def st_lpips_weights() -> "Mapping[str, Tensor]":
    """The weights that the PyPI package stlpips-pytorch carries (BSD-2).

    Its own network code is left alone: it needs IPython and torchsummary, and its anti-aliasing layers are under a
    non-commercial licence. ``shift_tolerant_alexnet`` is the architecture written anew.
    """
    import torch

    spec = find_spec("stlpips_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise EditWorldError("ST-LPIPS has no weights here: install the package stlpips-pytorch.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = folder / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
    return torch.load(path, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]


def shift_tolerant_alexnet(x: "Tensor", weights: "Mapping[str, Tensor]") -> "list[Tensor]":
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
    """What changed outside the mask: in the edited picture, and (``_final``) in the final one.

    After a post-edit nothing did, and the final values are exactly those of no change.

    Attributes:
        outside: share of the picture outside the mask, 0..1.
        shift, shift_final: how far the content moved at the picture's centre, pixels right and down.
        scale, scale_final: how much larger it became; above 1 the editor zoomed in.
        border, border_final: pixels by which that moves the border of the longer side, outwards.
        psnr_edited, psnr_final: dB outside the mask; infinite if nothing changed.
        st_lpips_edited, st_lpips_final: perceptual distance outside the mask; None if not asked for.
        colour_cast, colour_cast_final: median change of red, green, blue, -1..1.
    """

    outside: float
    shift: tuple[float, float]
    scale: float
    border: float
    psnr_edited: float
    psnr_final: float
    st_lpips_edited: float | None
    st_lpips_final: float | None
    colour_cast: tuple[float, float, float]
    shift_final: tuple[float, float]
    scale_final: float
    border_final: float
    colour_cast_final: tuple[float, float, float]

    def in_words(self) -> str:
        """One or two plain sentences for a designer."""
        if self.outside == 0:
            return "The edit is about the whole picture: there is nothing outside the mask to keep."
        if np.isinf(self.psnr_edited):
            return "Outside the mask nothing changed, not even before post-edit."
        if np.isinf(self.psnr_final):
            before = _in_words(self.psnr_edited, self.shift, self.scale, self.border, self.colour_cast)
            return (
                "Outside the mask nothing changed: every pixel is the upload's own. "
                f"Before post-edit the rest {before}."
            )
        after = _in_words(
            self.psnr_final, self.shift_final, self.scale_final, self.border_final, self.colour_cast_final
        )
        return f"Outside the mask the picture {after}."


def _in_words(
    decibels: float,
    shift: tuple[float, float],
    scale: float,
    border: float,
    cast: tuple[float, float, float],
) -> str:
    levels = 255 * 10 ** (-decibels / 20)
    parts = [f"drifted by about {levels:.1f} of 255 levels"]
    moves = [
        f"{abs(by):.1f} pixels {forth if by > 0 else back}"
        for by, forth, back in ((shift[0], "right", "left"), (shift[1], "down", "up"))
        if abs(by) >= 0.25
    ]
    if moves:
        parts.append("moved " + " and ".join(moves))
    if abs(border) > ZOOM_SEEN:
        parts.append(f"was zoomed {'in' if scale > 1 else 'out'} by {100 * abs(scale - 1):.1f}%")
    tinge = _cast_in_words(cast)
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
    original: Image.Image,
    edited: Image.Image,
    final: Image.Image,
    mask: Mask,
    *,
    alignment: Alignment | None = None,
    perceptual: bool = False,
) -> DriftReport:
    """Measure the drift of an edit, before (``edited``) and after (``final``) post-edit, outside ``mask`` [H, W].

    Args:
        alignment: of ``edited``, if it is known already, as from ``PostEdit``; else it is estimated.
        perceptual: also measure ST-LPIPS, about a fifth of a second each.
    """
    outside = ~mask
    psnr_edited, psnr_final = psnr(original, edited, outside), psnr(original, final, outside)
    before = _global_drift(original, edited, mask, alignment, psnr_edited)
    unedited = psnr_final == psnr_edited and final.tobytes() == edited.tobytes()
    after = before if unedited else _global_drift(original, final, mask, None, psnr_final)
    return DriftReport(
        outside=float(outside.mean()),
        shift=before[0].shift,
        scale=before[0].scale,
        border=_at_border(before[0], original),
        psnr_edited=psnr_edited,
        psnr_final=psnr_final,
        st_lpips_edited=st_lpips_outside(original, edited, mask) if perceptual else None,
        st_lpips_final=st_lpips_outside(original, final, mask) if perceptual else None,
        colour_cast=before[1],
        shift_final=after[0].shift,
        scale_final=after[0].scale,
        border_final=_at_border(after[0], original),
        colour_cast_final=after[1],
    )


def _global_drift(
    original: Image.Image, image: Image.Image, mask: Mask, known: Alignment | None, decibels: float
) -> tuple[Alignment, tuple[float, float, float]]:
    if np.isinf(decibels):
        return Alignment(), (0.0, 0.0, 0.0)
    return known or estimate_alignment(original, image, mask), colour_cast(original, image, mask)


def _at_border(found: Alignment, image: Image.Image) -> float:
    return (found.scale - 1) * max(image.size) / 2
