"""From attention maps and picture differences to masks (EditWorld, section 3.1 step 2 and section 3.4).

A map is ``float32 [h, w]``, not negative, often 16x16; a mask is ``bool [H, W]`` on the picture's own grid.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.settings import MaskRule

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

PAPER_FACTOR = 0.8125
FLAT_RATIO = 0.55  # a map whose lower Otsu class has this share of the upper one says nothing about where
LEAST_CHANGE = 0.06  # of a channel's range; an engine's noise stays below it
DIFFERENCE_SIDE = 320  # pixels; differences are measured at this longer side, finer ones are codec noise

STOP_WORDS = frozenset(
    """a about above accidentally after again all also always am an and another any are as at away back be became
    because become becomes becoming been before begin begins being below beside between both but by came can come
    comes could did do does doing done down during each either else ever every everything few finally first for from
    further gets getting give gives go goes going gone got had happen happened happening happens has have having he
    her here hers him his how however i if imagine in into is it its itself just keep keeps last later let lets like
    look looks made make makes making many may me might more most much must my near no nor not nothing now of off on
    once one only onto or other our out over own passed passes past picture image photo scene please quite rather
    really same see seem seems shall she should show shows so some someone something somewhere soon start starts still
    such suddenly suppose take takes than that the their them then there these they thing things this those through
    time to together too toward towards turn turned turning turns two under until up upon us very was we were what
    whatever when where whether which while who whole whom whose why will with within without would yet you your""".split()
)


def content_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words that carry the meaning: ``words`` without stop words, punctuation and repetitions, in order.

    All of ``words`` if nothing would remain.

    >>> content_words(["Melt", "the", "snowman", "!"])
    ('Melt', 'snowman')
    """
    bare = {word: "".join(c for c in word.lower() if c.isalnum() or c in "'’").strip("'’") for word in words}
    kept = (word for word in words if bare[word] and bare[word].split("'")[0] not in STOP_WORDS)
    return tuple(dict.fromkeys(kept)) or tuple(words)


def normalise(map: Map) -> Map:
    """Scale ``map`` [h, w] by its maximum to 0..1; a map of zeros stays zeros."""
    top = float(map.max(initial=0))
    return (map / top if top > 0 else np.zeros_like(map)).astype(np.float32)


def threshold_paper(map: Map, factor: float = PAPER_FACTOR) -> Mask:
    """The paper's mask: where ``map`` scaled by its maximum exceeds ``factor`` times its mean.

    A flat map gives the whole picture, since every cell then is the mean.
    """
    scaled = normalise(map)
    return scaled > factor * float(scaled.mean(dtype=np.float64))


def otsu_level(values: NDArray[np.float32], bins: int = 256) -> float:
    """Otsu's threshold (1979): the level that maximises the variance between the values above and below it."""
    counts, edges = np.histogram(values, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[int(np.argmax(np.nan_to_num(variance)))])


def is_flat(map: Map) -> bool:
    """Whether ``map`` says nothing about *where*: the mean below Otsu's threshold is more than 0.55 of the mean
    above it. So it is for an instruction about the whole picture, such as nightfall."""
    scaled = normalise(map)
    if np.ptp(scaled) < 1e-6:
        return True
    high = scaled > otsu_level(scaled)
    return not high.any() or bool(scaled[~high].mean() > FLAT_RATIO * scaled[high].mean())


def threshold_otsu(map: Map) -> Mask:
    """Where ``map`` exceeds Otsu's threshold; the whole picture if the map is flat (see ``is_flat``)."""
    if is_flat(map):
        return np.ones(map.shape, bool)
    scaled = normalise(map)
    return scaled > otsu_level(scaled)


def enlarge(map: Map, size: tuple[int, int]) -> Map:
    """``map`` [h, w] on the grid ``size`` = (H, W), smoothly (cubic), never below zero."""
    how = cv2.INTER_AREA if size[0] < map.shape[0] else cv2.INTER_CUBIC
    return np.maximum(cv2.resize(map.astype(np.float32), (size[1], size[0]), interpolation=how), 0)


def mask_from_maps(maps: Sequence[Map], rule: MaskRule, factor: float, size: tuple[int, int]) -> Mask:
    """One mask [H, W] of several keywords' ``maps``: each enlarged, thresholded by ``rule``, then their union.

    Under Otsu's rule a flat map counts only if all are flat: a word that attends everywhere ("temperature") must not
    hide one that attends to a place ("snowman").

    Raises:
        ValueError: there is no map.
    """
    if not maps:
        raise ValueError("A mask needs at least one attention map.")
    if rule == "otsu":
        maps = [map for map in maps if not is_flat(map)] or maps
    threshold = threshold_otsu if rule == "otsu" else lambda map: threshold_paper(map, factor)
    return np.logical_or.reduce([threshold(enlarge(map, size)) for map in maps])


def difference(before: Image.Image, after: Image.Image) -> Map:
    """How much each pixel changed: [h, w], in units of 0..1 a channel, h and w at most 320.

    A cast over the whole picture (one gain and offset a channel, fitted robustly) is taken out first, and single
    pixels are smoothed away, so that what remains is change that has a place.
    """
    from editworld_core.images import to_float

    size = shrunk(before.size)
    first, second = (to_float(image.resize(size, Image.Resampling.BOX)) for image in (before, after))
    change = np.abs(remove_cast(first, second) - first).max(-1)
    return cv2.GaussianBlur(change, (0, 0), 1.0)


def difference_mask(before: Image.Image, after: Image.Image) -> Mask:
    """Where the two pictures visibly differ, [H, W]: above Otsu's threshold, and at least ``LEAST_CHANGE``.

    Equal pictures give an empty mask, a change of everything a full one.
    """
    change = difference(before, after)
    level = max(LEAST_CHANGE, min(otsu_level(change), float(change.max()) / 4))
    return enlarge((change > level).astype(np.float32), (before.height, before.width)) > 0.5


def shrunk(size: tuple[int, int]) -> tuple[int, int]:
    """``size`` = (W, H) with its longer side brought down to at most 320 pixels."""
    scale = min(1.0, DIFFERENCE_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def remove_cast(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """``second`` without the colour cast that most of its pixels share against ``first`` (both [H, W, 3], 0..1).

    Iteratively re-weighted least squares, one gain and offset a channel, so that the edit itself has no say. A cast
    beyond 0.15 is an edit, not drift, and stays.
    """
    out = second.copy()
    for channel in range(3):
        x, y = second[..., channel].ravel()[::3], first[..., channel].ravel()[::3]
        gain, offset = 1.0, float(np.median(y - x))
        for _ in range(4):
            weight = 1 / (1 + ((gain * x + offset - y) / 0.03) ** 2) ** 2
            total = weight.sum()
            mean_x, mean_y = (weight * x).sum() / total, (weight * y).sum() / total
            spread = (weight * (x - mean_x) ** 2).sum() + 1e-3 * total
            gain = ((weight * (x - mean_x) * (y - mean_y)).sum() + 1e-3 * total) / spread
            offset = mean_y - gain * mean_x
        if abs(offset) < 0.15 and 0.8 < gain < 1.25:
            out[..., channel] = gain * second[..., channel] + offset
    return out


def overlap(a: Mask, b: Mask) -> float:
    """The share of ``a`` that lies in ``b``, 0..1; 0 if ``a`` is empty."""
    return float((a & b).sum() / a.sum()) if a.any() else 0.0


def mask_iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks, 0..1; 1 if both are empty."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0
