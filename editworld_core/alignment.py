"""Alignment: undoing the shift and the zoom that editors leave in a picture.

Editors that encode, crop and resize return a picture whose content lies a few pixels off, or a little larger, than
the upload's. Put into the upload as it is, every outline of the edit would be broken. So one shift and one scale are
estimated on what the edit left alone, and undone.

The estimate is coarse to fine: at every scale of a short list the pictures are correlated, with their spectra wholly
whitened (phase correlation, Kuglin and Hines, 1975) and half; then comes Gauss-Newton on shift and scale (Lucas and
Kanade, 1981) with Geman-McClure weights, so that the edit, whose place may be unknown, has no say.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.masks import Mask, shrunk

Plane = NDArray[np.float32]

COARSE_SIDE, FINE_SIDE = 128, 512  # pixels of the longer side at which the search begins and ends
LARGEST_SHIFT = 0.1  # of the longer side; what is searched
SCALES = [float(scale) for scale in np.linspace(0.9, 1.1, 21)]  # likewise
VISIBLE = 0.5  # pixels; what moves no point of the picture farther than this is left alone
CLOSER = 0.97  # of the misfit; a small estimate that does not lower it to this is not believed
MUCH_CLOSER = 0.8  # the same for a large estimate
LARGE = 0.02  # of the longer side; the farther things moved, the more must be gained by moving them back
NOISE = 0.01  # of a channel; the least spread that the robust weights assume
KEPT = 4  # starting points that are tried in earnest
LEAST_SUPPORT = 64  # cells of the coarse grid that must be outside the mask


@dataclass(frozen=True)
class Alignment:
    """Where the content of an edited picture lies: what was at ``p`` is at ``centre + scale * (p - centre) + shift``.

    Attributes:
        shift: pixels right and down, of the picture's centre.
        scale: above 1 the editor zoomed in.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def farthest(self, size: tuple[int, int]) -> float:
        """By how many pixels the content of a picture of ``size`` = (W, H) is displaced where it is most: in a
        corner."""
        across, down = (
            abs(self.scale - 1) * side / 2 + abs(by) for side, by in zip(size, self.shift, strict=True)
        )
        return math.hypot(across, down)

    def matrix(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """[2, 3], from pixels of the original of ``size`` = (W, H) to pixels of the edited picture."""
        centre = (np.array(size) - 1) / 2
        offset = (1 - self.scale) * centre + self.shift
        return np.array([[self.scale, 0, offset[0]], [0, self.scale, offset[1]]])

    def resized(self, factors: tuple[float, float]) -> "Alignment":
        """The same alignment of the same pictures enlarged by ``factors`` = (horizontally, vertically)."""
        return Alignment((self.shift[0] * factors[0], self.shift[1] * factors[1]), self.scale)


@dataclass(frozen=True)
class Aligned:
    """An edited picture brought to lie on its original.

    Attributes:
        image: RGB; the edited picture itself if there was nothing to undo.
        transform: the shift and scale that were estimated, and are undone if any point lay off by half a pixel.
    """

    image: Image.Image
    transform: Alignment


def align(original: Image.Image, edited: Image.Image, mask: Mask | None = None) -> Aligned:
    """Undo the shift and zoom of ``edited`` against ``original``, both RGB of the same size.

    Where that leaves the frame uncovered, as at the border of a picture that was zoomed out of, the original fills.

    Args:
        mask: bool [H, W], True inside the edit, which does not count; None if that is not known yet.
    """
    found = estimate_alignment(original, edited, mask)
    return Aligned(undone(original, edited, found), found)


def undone(original: Image.Image, edited: Image.Image, found: Alignment) -> Image.Image:
    """``edited`` moved back by ``found`` (cubic interpolation) over ``original``; itself if nobody would see it."""
    if found.farthest(original.size) <= VISIBLE:
        return edited
    pixels = np.array(original.convert("RGB"))
    matrix = found.matrix(original.size)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        np.asarray(edited.convert("RGB")), matrix, original.size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    columns, rows = _covered(matrix, original.size)
    pixels[rows, columns] = moved[rows, columns]
    return Image.fromarray(pixels)


def _covered(matrix: NDArray[np.float64], size: tuple[int, int]) -> tuple[slice, slice]:
    """The columns and rows of the original whose content is in the edited picture."""

    def axis(scale: float, offset: float, side: int) -> slice:
        first, last = np.ceil((-0.5 - offset) / scale), np.floor((side - 0.5 - offset) / scale)
        return slice(int(np.clip(first, 0, side)), int(np.clip(last + 1, 0, side)))

    return axis(matrix[0, 0], matrix[0, 2], size[0]), axis(matrix[1, 1], matrix[1, 2], size[1])


def estimate_alignment(original: Image.Image, edited: Image.Image, mask: Mask | None = None) -> Alignment:
    """Shift and scale from ``original`` to ``edited`` (RGB, one size) by what lies outside ``mask`` [H, W].

    Returns:
        No shift and no zoom if undoing them does not bring the pictures closer, as without texture, or if too little
        is outside the mask.
    """
    outside = None if mask is None else (~mask).astype(np.float32)
    first, second = _grey(original), _grey(edited)
    if np.array_equal(first, second):
        return Alignment()
    side = min(COARSE_SIDE, max(original.size))
    level = _Level.of(first, second, outside, side)
    if level.outside.sum() < LEAST_SUPPORT:
        return Alignment()
    found = level.searched()
    while True:
        found = level.refined(found)
        if side >= min(FINE_SIDE, max(original.size)):
            break
        side *= 2
        finer = _Level.of(first, second, outside, side)
        factors = finer.size[0] / level.size[0], finer.size[1] / level.size[1]
        level, found = finer, found.resized(factors)
    if not level.believes(found):
        return Alignment()
    return found.resized((original.width / level.size[0], original.height / level.size[1]))


def misfit(original: Image.Image, edited: Image.Image, mask: Mask | None = None) -> float:
    """How badly ``edited`` lies on ``original`` outside ``mask``: mean difference of detail, at most 0.1 of a channel
    from each pixel."""
    outside = None if mask is None else (~mask).astype(np.float32)
    first, second = _grey(original), _grey(edited)
    return _Level.of(first, second, outside, min(FINE_SIDE, max(original.size))).misfit(Alignment())


@dataclass(frozen=True)
class _Level:
    """Both pictures on one grid: detail [h, w], whose slow part, and with it a cast, is gone; and what counts."""

    first: Plane
    second: Plane
    outside: Plane

    @classmethod
    def of(
        cls, first: NDArray[np.uint8], second: NDArray[np.uint8], outside: Plane | None, side: int
    ) -> "_Level":
        size = shrunk(first.shape[::-1], side)
        counts = np.ones(size[::-1], np.float32)
        if outside is not None:
            counts = cv2.resize(outside, size, interpolation=cv2.INTER_AREA)
            counts = cv2.erode(counts, np.ones((5, 5), np.uint8))
        return cls(_detail(first, size), _detail(second, size), counts)

    @property
    def size(self) -> tuple[int, int]:
        return self.first.shape[1], self.first.shape[0]

    def back(self, plane: Plane, found: Alignment) -> Plane:
        """``plane`` [h, w] of the edited picture moved back by ``found``; 0 where nothing is known."""
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(plane, found.matrix(self.size), self.size, flags=flags)

    def compared(self, found: Alignment) -> tuple[Plane, Plane]:
        """What is left between the pictures once ``found`` is undone and contrast made equal, and what of it counts,
        both [h, w]."""
        second, counts = self.back(self.second, found), self.outside * self.back(self.outside, found)
        counts = np.clip(counts, 0, 1)
        error = second - self.first
        for _ in range(2):
            weight = counts * _robust(error, counts)
            gain = float(
                (weight * self.first * second).sum() / max(float((weight * second * second).sum()), 1e-9)
            )
            error = np.clip(gain, 0.5, 2) * second - self.first
        return error, counts

    def misfit(self, found: Alignment) -> float:
        """Mean difference outside the mask, in units of a channel, of which no pixel has more than a small say."""
        error, counts = self.compared(found)
        return float((counts * np.minimum(np.abs(error), 0.1)).sum() / max(float(counts.sum()), 1e-6))

    def searched(self) -> Alignment:
        """The best of no change at all and of the correlation peaks at each of ``SCALES``, each refined a little."""
        window = np.outer(*(np.hanning(side + 2)[1:-1] for side in self.outside.shape))
        first = np.fft.rfft2(window * self.first * self.outside)
        peaks = []
        for scale in SCALES:
            second = np.fft.rfft2(window * self.back(self.second * self.outside, Alignment(scale=scale)))
            peaks += [Alignment(shift, scale) for shift in self.peaks(first.conj() * second, scale)]
        starts = [Alignment(), *sorted(peaks, key=self.misfit)[:KEPT]]
        return min([Alignment(), *(self.refined(start) for start in starts)], key=self.misfit)

    def peaks(self, cross: NDArray[np.complex128], scale: float) -> list[tuple[float, float]]:
        """The shifts of greatest correlation by the cross spectrum at ``scale``, half and wholly whitened."""
        far = LARGEST_SHIFT * max(self.size)
        height, width = self.outside.shape
        down, across = (np.fft.fftfreq(n, 1 / n) for n in (height, width))
        near = (np.abs(down)[:, None] <= far) & (np.abs(across)[None, :] <= far)
        found = []
        for power in (0.5, 1.0):
            surface = np.fft.irfft2(cross / (np.abs(cross) ** power + 1e-9), (height, width))
            row, column = np.unravel_index(int(np.argmax(np.where(near, surface, -np.inf))), surface.shape)
            found.append((float(across[column] * scale), float(down[row] * scale)))
        return found

    def refined(self, found: Alignment, rounds: int = 8) -> Alignment:
        """Gauss-Newton on shift and scale from ``found``."""
        width, height = self.size
        across = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
        down = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
        reach = max(self.size) / 2  # the scale counts in pixels at the border, like the shift
        right, below = np.gradient(self.first, axis=1), np.gradient(self.first, axis=0)
        slopes = np.stack([right, below, (right * across + below * down) / reach]).reshape(3, -1)
        for _ in range(rounds):
            error, counts = self.compared(found)
            weighted = slopes * (counts * _robust(error, counts)).ravel()
            step = np.linalg.lstsq(weighted @ slopes.T, -weighted @ error.ravel(), rcond=1e-4)[0]
            step = np.clip(step, -2, 2)
            shift = (found.shift[0] + float(step[0]), found.shift[1] + float(step[1]))
            found = Alignment(shift, float(np.clip(found.scale + step[2] / reach, 0.8, 1.25)))
            if np.abs(step).max() < 2e-3:
                break
        return found

    def believes(self, found: Alignment) -> bool:
        """Whether undoing ``found`` brings the pictures so much closer that it must be true.

        What differs a lot either way is the edit, and is left out.
        """
        (still, counts), (moved, sure) = self.compared(Alignment()), self.compared(found)
        still, moved, counts = np.abs(still), np.abs(moved), np.minimum(counts, sure)
        neither = cv2.GaussianBlur(np.minimum(still, moved), (0, 0), 0.01 * max(self.size))
        seen = counts > 0.5
        limit = max(NOISE, 2.5 * float(np.median(neither[seen]))) if seen.any() else 0.0
        counts = counts * (neither < limit)
        large = min(1.0, found.farthest(self.size) / (LARGE * max(self.size)))
        closer = CLOSER + large * (MUCH_CLOSER - CLOSER)
        return self.within_reach(found) and bool((counts * moved).sum() < closer * (counts * still).sum())

    def within_reach(self, found: Alignment) -> bool:
        """Whether ``found`` is of a size that was searched, so that it can be believed."""
        far = LARGEST_SHIFT * max(self.size) + 1
        return max(map(abs, found.shift)) <= far and SCALES[0] - 0.01 <= found.scale <= SCALES[-1] + 0.01


def _robust(error: Plane, counts: Plane) -> Plane:
    """Weights of Geman and McClure (1985) [h, w] for ``error``, whose spread is its median where ``counts``."""
    seen = np.abs(error[counts > 0.5])
    spread = max(NOISE, 3 * float(np.median(seen[:: 1 + seen.size // 4000])) if seen.size else 0.0)
    return np.asarray(1 / np.square(1 + np.square(error / spread)), np.float32)


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2GRAY), np.uint8)


def _detail(grey: NDArray[np.uint8], size: tuple[int, int]) -> Plane:
    """Brightness [h, w] in units of a channel, without its slow part, which is where a colour cast lives."""
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(small, (0, 0), 1.0) - cv2.GaussianBlur(small, (0, 0), 6.0)
