"""From attention maps and picture differences to masks (EditWorld, section 3.1 step 2 and section 3.4).

A map is ``float32 [h, w]``, not negative, often 16x16; a mask is ``bool [H, W]`` on the picture's own grid.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.pixels import to_float
from editworld_core.settings import MaskRule

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

PAPER_FACTOR = 0.8125
FLAT_RATIO = 0.55  # a map whose lower Otsu class has this share of the upper one says nothing about where
FLAT_TOGETHER = 0.7  # the same for the mean of several words' maps: one flat word among two is not enough
LEAST_CHANGE = 0.06  # of a channel's range; an engine's noise stays below it
WORK_SIDE = (
    320  # pixels; pictures are compared and segmented at this longer side, finer differences are noise
)
BLUR = 1.8 / 256  # of the longer side: smooths single pixels out of a difference
VISIBLE = 0.06  # of a channel; engines drift by less, what they change on purpose is mostly more
EVERYWHERE, STRONG = (
    0.7,
    0.1,
)  # share of visible change, and median change, of an edit about the whole picture
LEAST = 0.2  # evidence under which nothing happened
HEAT, FAINT = 0.5, 0.03  # power of the attention in the evidence, and the change that counts half

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
    whatever when where whether which while who whole whom whose why will with within without would yet you
    your""".split()
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
    # in float32 the bins of an all but constant map would have no width
    counts, edges = np.histogram(values.astype(np.float64), bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[int(np.argmax(np.nan_to_num(variance)))])


def is_flat(map: Map, ratio: float = FLAT_RATIO) -> bool:
    """Whether ``map`` says nothing about *where*: the mean below Otsu's threshold is more than ``ratio`` of the mean
    above it. So it is for an instruction about the whole picture, such as nightfall."""
    scaled = normalise(map)
    if np.ptp(scaled) < 1e-6:
        return True
    high = scaled > otsu_level(scaled)
    return not high.any() or bool(scaled[~high].mean() > ratio * scaled[high].mean())


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

    Under Otsu's rule the mask is the whole picture if the maps' mean is flat; else flat maps do not count: a word that
    attends everywhere ("temperature") must not hide one that attends to a place ("snowman").

    Raises:
        ValueError: there is no map.
    """
    if not maps:
        raise ValueError("A mask needs at least one attention map.")
    if rule == "paper":
        return np.logical_or.reduce([threshold_paper(enlarge(map, size), factor) for map in maps])
    telling = [map for map in maps if not is_flat(map)]
    if not telling or is_flat(np.mean([normalise(map) for map in maps], axis=0), FLAT_TOGETHER):
        return np.ones(size, bool)
    return np.logical_or.reduce([threshold_otsu(enlarge(map, size)) for map in telling])


def heat_from_maps(maps: Sequence[Map], size: tuple[int, int]) -> Map:
    """Where several keywords acted together, [H, W] in 0..1: the sum of their ``maps``, each scaled by its maximum."""
    return normalise(np.sum([enlarge(normalise(map), size) for map in maps], axis=0))


def shrunk(size: tuple[int, int], side: int = WORK_SIDE) -> tuple[int, int]:
    """``size`` = (W, H) with its longer side brought down to at most ``side`` pixels."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def at_most(image: Image.Image, side: int = WORK_SIDE) -> Image.Image:
    """``image`` with its longer side brought down to at most ``side`` pixels."""
    size = shrunk(image.size, side)
    return image if size == image.size else image.resize(size, Image.Resampling.BOX)


def difference(before: Image.Image, after: Image.Image, *, keep_cast: bool = False) -> Map:
    """How much each pixel changed: [H, W], 0..1 of a channel, single pixels smoothed away.

    A cast that most of the picture shares (one gain and offset a channel) is taken out first, so that what remains is
    change that has a place; not so with ``keep_cast``.
    """
    first, second = to_float(before), to_float(after)
    if not keep_cast:
        second = remove_cast(first, second)
    blur = max(0.5, BLUR * max(before.size))
    return cv2.GaussianBlur(np.abs(second - first).max(-1), (0, 0), blur)


def changed_everywhere(before: Image.Image, after: Image.Image, heat: Map | None = None) -> bool:
    """Whether the edit is about the whole picture: most of it changed, and by more than an engine drifts, or by less if
    the ``heat`` [H, W] of the words is flat."""
    change = difference(at_most(before), at_most(after), keep_cast=True)
    least = VISIBLE if heat is not None and is_flat(heat) else STRONG
    return bool((change > VISIBLE).mean() > EVERYWHERE and np.median(change) > least)


def difference_mask(before: Image.Image, after: Image.Image) -> Mask:
    """Where ``after`` visibly differs from ``before``, [H, W]: for editors whose attention is not to be had.

    The whole picture if it changed everywhere; empty if nothing changed beyond noise and a slight cast.
    """
    size = (before.height, before.width)
    if changed_everywhere(before, after):
        return np.ones(size, bool)
    change = difference(at_most(before), at_most(after))
    saturated = change / (change + VISIBLE)
    level = max(otsu_level(saturated), LEAST)
    return enlarge_mask(tidy(saturated > level), size)


def evidence(change: Map, heat: Map) -> Map:
    """Where the picture visibly changed *and* the instruction acted, [H, W] in 0..1.

    The saturated change, c / (c + 0.03), times the heat above its background to the power of ``HEAT``. The power
    trades what of the edit is kept against the blurred halo that an engine leaves around it.

    Args:
        change: [H, W], see ``difference``.
        heat: [H, W], 0..1.
    """
    background = float(np.quantile(heat, 0.2))
    acted = np.clip((heat - background) / max(float(heat.max()) - background, 1e-6), 0, 1)
    return np.asarray(acted**HEAT * change / (change + FAINT), np.float32)


def tidy(mask: Mask, radius: int = 2) -> Mask:
    """``mask`` without specks, cracks, and holes smaller than 2% of the picture."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    return fill_holes(cv2.morphologyEx(smooth, cv2.MORPH_OPEN, disc).astype(bool), max_share=0.02)


def fill_holes(mask: Mask, max_share: float = 1.0) -> Mask:
    """``mask`` with those holes filled that are at most ``max_share`` of the picture."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    inner = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    hole = inner & (stats[:, cv2.CC_STAT_AREA] <= max_share * mask.size)
    hole[0] = False  # label 0 is the mask itself
    return np.asarray(mask | hole[labels], bool)


def grown(mask: Mask, radius: int) -> Mask:
    """``mask`` and everything within ``radius`` pixels of it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


def enlarge_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """``mask`` on the grid ``size`` = (H, W), its outline smooth rather than in steps."""
    if mask.shape == size:
        return mask
    if mask.all():
        return np.ones(size, bool)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
    return np.asarray(cv2.resize(soft, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0.5)


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
