"""Which things a picture is made of: segments for the post-edit (EditWorld, section 3.4) without any download.

The paper asks SAM for segments and takes the one with the greatest overlap with the instruction's mask. The classical
segmenter cuts the picture into regions, joins those that the prompt mostly covers, and draws two further outlines
from the prompt and its heat, by watershed and by GrabCut; the choice among them is the paper's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.masks import Map, Mask, at_most, enlarge_mask, grown, mask_iou, tidy
from editworld_core.pixels import to_float

COVERED = (0.35, 0.5, 0.65)  # shares of a region that the prompt must cover for the region to be joined
MAX_AREA = 0.6  # of the picture; beyond it a segment is the background


class Segmenter(Protocol):
    """Proposes segments of a picture."""

    def candidates(self, image: Image.Image, prompt: Mask, heat: Map | None) -> list[Mask]:
        """Segments [H, W] that may be what ``prompt`` means.

        Args:
            image: RGB picture of H x W pixels.
            prompt: bool [H, W], where the instruction acts, roughly.
            heat: float32 [H, W] in 0..1, how strongly; None if only ``prompt`` is known.

        Returns:
            Masks, none of them empty; an empty list if the prompt is empty.
        """
        ...


@dataclass(frozen=True)
class ClassicalSegmenter:
    """Over-segmentation and GrabCut, about a tenth of a second a picture.

    Attributes:
        side: pixels; larger pictures are segmented with their longer side brought down to this, and the outlines
            enlarged smoothly.
    """

    side: int = 192

    def candidates(self, image: Image.Image, prompt: Mask, heat: Map | None) -> list[Mask]:
        """See ``Segmenter``."""
        pixels = to_float(at_most(image, self.side))
        size = pixels.shape[1], pixels.shape[0]
        seed = _shrink(prompt.astype(np.float32), size) > 0.5
        if not seed.any():
            return []
        warm = seed.astype(np.float32) if heat is None else _shrink(heat, size)
        found = [_joined(regions, seed, share) for regions in _partitions(pixels) for share in COVERED]
        if not seed.all():
            found += [_flooded(pixels, seed), _grab_cut(pixels, seed, warm)]
        return _distinct([enlarge_mask(tidy(mask), prompt.shape) for mask in found])


def best_segment(candidates: Sequence[Mask], prompt: Mask, max_area: float = MAX_AREA) -> Mask:
    """The candidate with the greatest overlap with ``prompt`` [H, W], measured by intersection over union.

    Args:
        max_area: share of the picture; larger candidates are the background and never win, unless ``prompt`` itself
            is as large.

    Returns:
        ``prompt`` itself if no candidate overlaps it.
    """
    limit = max(max_area, 1.25 * float(prompt.mean()))
    fitting = [candidate for candidate in candidates if candidate.mean() <= limit]
    best = max(fitting, key=lambda candidate: mask_iou(candidate, prompt), default=prompt)
    return best if (best & prompt).any() else prompt.copy()


def _partitions(pixels: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """The picture [h, w, 3] cut into regions of even colour (Felzenszwalb and Huttenlocher, 2004), as label maps
    [h, w] at two scales."""
    from skimage.color import rgb2lab
    from skimage.segmentation import felzenszwalb

    lab = rgb2lab(pixels) / 100
    smallest = max(4, pixels.shape[0] * pixels.shape[1] // 2000)
    return [felzenszwalb(lab, scale=scale, sigma=0.6, min_size=smallest) for scale in (15, 60)]


def _joined(regions: NDArray[np.int64], prompt: Mask, share: float) -> Mask:
    """The regions of which ``prompt`` covers at least ``share``."""
    sizes = np.bincount(regions.ravel())
    covered = np.bincount(regions.ravel(), weights=prompt.ravel().astype(np.float64))
    return np.asarray((covered >= share * np.maximum(sizes, 1))[regions], bool)


def _flooded(pixels: NDArray[np.float32], prompt: Mask) -> Mask:
    """The watershed between the inside and the surroundings of ``prompt``: its outline, drawn to the nearest edges."""
    from skimage.segmentation import watershed

    reach = max(2, round(0.025 * max(prompt.shape)))
    inside, outside = ~grown(~prompt, reach), ~grown(prompt, reach)
    if not inside.any() or not outside.any():
        return prompt
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.0)
    slopes = [cv2.Sobel(smooth, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))]
    steepness = np.hypot(*slopes).max(-1)
    return np.asarray(watershed(steepness, inside.astype(np.int32) + 2 * outside) == 1)


def _grab_cut(pixels: NDArray[np.float32], prompt: Mask, heat: Map) -> Mask:
    """GrabCut (Rother et al., 2004) between the prompt's warm core and what is far from the prompt."""
    reach = max(3, round(0.06 * max(prompt.shape)))
    near = grown(prompt, reach)
    core = prompt & (heat >= np.quantile(heat[prompt], 0.6))
    core &= ~grown(~prompt, 1)
    labels = np.full(prompt.shape, cv2.GC_BGD, np.uint8)
    labels[near] = cv2.GC_PR_BGD
    labels[prompt] = cv2.GC_PR_FGD
    labels[core] = cv2.GC_FGD
    if near.all() or not prompt.any():
        return prompt
    bgr = np.ascontiguousarray(np.rint(pixels[..., ::-1] * 255).astype(np.uint8))
    cv2.setRNGSeed(0)  # its colour clusters start at random
    cv2.grabCut(bgr, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def _shrink(map: Map, size: tuple[int, int]) -> Map:
    how = cv2.INTER_AREA if size[0] <= map.shape[1] else cv2.INTER_LINEAR
    return (
        map if map.shape == size[::-1] else np.asarray(cv2.resize(map, size, interpolation=how), np.float32)
    )


def _distinct(masks: Sequence[Mask]) -> list[Mask]:
    return list({mask.tobytes(): mask for mask in masks if mask.any()}.values())
