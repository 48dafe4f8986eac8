"""Which things a picture is made of: segments for the post-edit (EditWorld, section 3.4), and for a click.

The paper asks SAM for segments and takes the one with the greatest overlap with the instruction's mask; SAM itself is
in ``sam``. The classical segmenter needs no weights: it cuts the picture into regions, joins those that the prompt
mostly covers, and draws two further outlines from the prompt and its heat, by watershed and by GrabCut. The choice
among segments is the paper's for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.masks import Map, Mask, at_most, enlarge_mask, grown, mask_iou, tidy
from editworld_core.pixels import Picture, to_float

COVERED = (0.35, 0.5, 0.65)  # shares of a region that the prompt must cover for the region to be joined
MAX_AREA = 0.6  # of the picture; beyond it a segment is the background
SHIFT = 0.01  # of the longer side: the prompt is widened and narrowed by this to see how stable a segment is


@dataclass(frozen=True)
class Segment:
    """A thing in a picture, as a segmenter sees it.

    Attributes:
        mask: bool [H, W].
        overlap: intersection over union with the prompt, 0..1.
        stability: 0..1, how little the mask depends on a threshold: SAM's own measure (see ``sam.stability_scores``),
            or for the classical segmenter the IoU of what a slightly narrower and a slightly wider prompt give; None
            if the mask is the prompt itself.
        predicted_iou: what the model thinks is the mask's IoU with the truth; None where no model says so.
    """

    mask: Mask
    overlap: float
    stability: float | None = None
    predicted_iou: float | None = None


class Segmenter(Protocol):
    """Proposes segments of a picture."""

    @property
    def name(self) -> str:
        """What it is, for the user."""
        ...

    def segments(self, image: Image.Image, prompt: Mask, heat: Map | None = None) -> list[Segment]:
        """Segments that may be what ``prompt`` means.

        Args:
            image: RGB picture of H x W pixels.
            prompt: bool [H, W], where the instruction acts, roughly.
            heat: float32 [H, W] in 0..1, how strongly; None if only ``prompt`` is known.

        Returns:
            Segments, no mask empty and none twice; an empty list if the prompt is empty.
        """
        ...

    def at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> Mask:
        """The thing that is clicked on, bool [H, W].

        Args:
            image: RGB picture of H x W pixels.
            points: pixels (x, y).
            labels: one a point: True if it belongs to the thing, False if not.

        Raises:
            BadInputError: no point belongs to it, a point is outside the picture, or labels are missing.
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

    @property
    def name(self) -> str:
        """See ``Segmenter``."""
        return "classical"

    def segments(self, image: Image.Image, prompt: Mask, heat: Map | None = None) -> list[Segment]:
        """See ``Segmenter``."""
        pixels = to_float(at_most(image, self.side))
        size = pixels.shape[1], pixels.shape[0]
        seed = _shrink(prompt.astype(np.float32), size) > 0.5
        if not seed.any():
            return []
        warm = seed.astype(np.float32) if heat is None else _shrink(heat, size)
        partitions = _partitions(pixels)
        shift = max(1, round(SHIFT * max(size)))
        narrow, wide = ~grown(~seed, shift), grown(seed, shift)
        narrow = narrow if narrow.any() else seed
        found = _outlines(pixels, partitions, seed, warm)
        moved = zip(*(_outlines(pixels, partitions, each, warm) for each in (narrow, wide)), strict=True)
        stable = [mask_iou(*pair) for pair in moved]
        whole = [enlarge_mask(tidy(mask), prompt.shape) for mask in found]
        return _distinct(
            [
                Segment(mask, mask_iou(mask, prompt), stability)
                for mask, stability in zip(whole, stable, strict=True)
            ]
        )

    def at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> Mask:
        """See ``Segmenter``."""
        from editworld_core.clicks import clicked

        check_points(image, points, labels)
        pixels = to_float(at_most(image, self.side))
        scale = np.asarray(pixels.shape[1::-1]) / image.size
        where = [(int(x * scale[0]), int(y * scale[1])) for x, y in points]
        mask = enlarge_mask(clicked(pixels, where, labels), (image.height, image.width)).astype(np.uint8)
        radius = round(0.5 / float(scale.max()))
        for point, label in zip(points, labels, strict=True):  # what was clicked on is kept, however small
            cv2.circle(mask, point, radius, int(label), cv2.FILLED)
        for (x, y), label in zip(points, labels, strict=True):
            mask[y, x] = label
        return mask > 0


def choose_segment(segments: Sequence[Segment], prompt: Mask, max_area: float = MAX_AREA) -> Segment:
    """The segment with the greatest overlap with ``prompt`` [H, W], measured by intersection over union.

    Args:
        max_area: share of the picture; larger segments are the background and never win, unless ``prompt`` itself is
            as large.

    Returns:
        ``prompt`` itself, without a stability, if no segment overlaps it.
    """
    limit = max(max_area, 1.25 * float(prompt.mean()))
    fitting = [segment for segment in segments if segment.mask.mean() <= limit]
    best = max(fitting, key=lambda segment: segment.overlap, default=None)
    return best if best is not None and best.overlap > 0 else Segment(prompt.copy(), 1.0)


def load_segmenter(name: str = "auto") -> Segmenter:
    """The segmenter of that ``name``, loaded once and kept.

    Args:
        name: ``classical``; a checkpoint of segment-anything; a folder or hub id of SAM or SAM 2; or ``auto``, which
            takes what ``EDITWORLD_SAM`` names, else a SAM in the hub's cache, else the classical one, and downloads
            nothing of its own accord.

    Raises:
        BadInputError: there is no such segmenter.
        EngineUnavailableError: its weights are missing, damaged or of another model, or cannot be fetched.
    """
    if name == "auto":
        from editworld_core.sam_here import find_sam

        name = find_sam() or "classical"
    return _load(name)


@lru_cache(maxsize=2)
def _load(name: str) -> Segmenter:
    if name == "classical":
        return ClassicalSegmenter()
    from editworld_core.sam_weights import load_sam

    return load_sam(name)


def check_points(image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]) -> None:
    """Refuse clicks from which nothing follows.

    Raises:
        BadInputError: no point belongs to the thing, a point is outside ``image``, or labels are missing.
    """
    if len(points) != len(labels):
        raise BadInputError(
            f"There are {len(points)} points but {len(labels)} labels: say of each whether it belongs."
        )
    if not any(labels):
        raise BadInputError("Click on the thing itself before you click on what does not belong to it.")
    if not all(0 <= x < image.width and 0 <= y < image.height for x, y in points):
        raise BadInputError(
            f"A point is outside the picture of {image.width}x{image.height} pixels: click inside it."
        )


def _outlines(
    pixels: Picture, partitions: Sequence[NDArray[np.int64]], prompt: Mask, heat: Map
) -> list[Mask]:
    """What ``prompt`` may mean, always the same number of masks [h, w]; all empty if it is empty."""
    joined = [_joined(regions, prompt, share) for regions in partitions for share in COVERED]
    if prompt.all() or not prompt.any():
        return [*joined, prompt, prompt]
    return [*joined, _flooded(pixels, prompt), _grab_cut(pixels, prompt, heat)]


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


def _distinct(segments: Sequence[Segment]) -> list[Segment]:
    return list({segment.mask.tobytes(): segment for segment in segments if segment.mask.any()}.values())
