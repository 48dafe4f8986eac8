"""Carrying an edit made on a small grid to the full size of the upload.

An engine edits at a few hundred pixels a side. Enlarging its picture would blur everything. What an edit does to
light and colour is, in a small window, close to an affine map of the colours that were there: so the map is fitted
window by window on the small pictures, enlarged, and applied to the full-size upload, whose texture stays (He et
al., Guided Image Filtering, with a colour guide; Chen et al., Bilateral Guided Upsampling). Where no such map
explains the edit, something new is there, and the enlarged small picture is shown. How much of the upload's texture
still shows, under water, in fog, behind what is new, is measured where the small pictures have texture themselves.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.pixels import Picture, to_float, to_image

RIDGE = 3e-4
"""Variance (squared units of 0..1) below which a window is too flat to fit, and the map stays a shift of colour."""
EXPLAINED = 0.025
"""Root mean square misfit at which the fitted map and the enlarged picture have equal weight, where they are flat."""
HIDDEN = 0.25
"""By how much of the local contrast that is more elsewhere: among texture a misfit is hardly seen."""
TEXTURE = (1.0, 2.5)
"""Standard deviations in small pixels of the blurs between which texture is compared."""
SHARP = 0.8
"""Share of the texture that counts as all of it: engines blur a little."""
FLAT = 2e-5
"""Variance of texture below which there is none to compare."""
REDRAWN, KEPT = 0.15, 0.4
"""Of the finest texture after, the share that comes from before: so little means drawn anew, so much means kept."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
STRIP_ROWS = 64


def carry_change(original: Image.Image, small_before: Image.Image, small_after: Image.Image) -> Image.Image:
    """Make at the size of ``original`` the edit that leads from ``small_before`` to ``small_after``.

    Args:
        original: the upload, RGB, any size.
        small_before: ``original`` at the engine's native size.
        small_after: the engine's edit of ``small_before``, of the same size.

    Returns:
        RGB image of the size of ``original``: ``original`` itself if the two small ones are equal, ``small_after``
        itself if it has that size already.

    Raises:
        ValueError: the small pictures differ in size.
    """
    if small_before.size != small_after.size:
        raise ValueError(f"the small pictures differ in size: {small_before.size} and {small_after.size}")
    if original.size == small_after.size:
        return small_after.convert("RGB")
    before, after = to_float(small_before), to_float(small_after)
    if np.array_equal(before, after):
        return original.convert("RGB")
    if original.width * original.height <= small_after.width * small_after.height:
        change = cv2.resize(after - before, original.size, interpolation=cv2.INTER_AREA)
        return to_image(to_float(original) + change)
    return Image.fromarray(_apply(np.asarray(original.convert("RGB")), _planes(before, after)))


def _mean(planes: Picture, radius: int) -> Picture:
    return cv2.blur(planes, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)


def _planes(before: Picture, after: Picture) -> Picture:
    """What is enlarged, ``float32 [12, h, w]``: for each of R, G, B the gains on R, G, B of the upload and the shift.

    With the map ``A x + c`` of a window, the share s of its texture that shows, and the weight n of what is new, the
    picture is a blend, (1 - n) : n, of the map of the small picture, its texture taken by s, with the small picture
    after; to which what the upload has beyond the small picture is added, mapped by A and taken by s cubed: what
    blurs the texture of the small picture takes more of the finer one.
    """
    height, width = before.shape[:2]
    radius = max(2, round(0.03 * min(height, width)))
    gain, shift, fitted = _local_maps(before, after, radius)
    blurred = (_blur(before, sigma) for sigma in TEXTURE)
    mapped, fine, smooth = (_apply_gain(gain, picture) for picture in (before, *blurred))
    share, likeness = _texture_share(fine - smooth, after, radius)
    kept = _finest_kept(mapped - fine, after, radius)
    new = 1 - kept * (1 - _novelty(after, fitted, radius)[..., None])
    finer = share**3 * (1 - new + new * likeness)
    shift = (1 - new) * (smooth + share * (mapped - smooth) + shift) + new * after - finer * mapped
    planes = np.concatenate((finer[..., None] * gain, shift[..., None]), -1).reshape(height, width, 12)
    return np.ascontiguousarray(planes.transpose(2, 0, 1), np.float32)


def _apply_gain(gain: Picture, picture: Picture) -> Picture:
    return np.asarray(np.einsum("hwck,hwk->hwc", gain, picture), np.float32)


def _blur(picture: Picture, sigma: float) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def _texture_share(mapped: Picture, after: Picture, radius: int) -> tuple[Picture, Picture]:
    """How much of the texture ``mapped`` [h, w, 3], of the small picture before, is in ``after``, and how much of the
    texture of ``after`` comes from it: [h, w, 1] in 0..1 each; the first is 1 where there is no texture."""
    texture = _blur(after, TEXTURE[0]) - _blur(after, TEXTURE[1])
    both, own, other = _powers(mapped, texture, radius)
    share = np.asarray(np.clip((both + FLAT) / (own + FLAT) / SHARP, 0, 1), np.float32)
    likeness = np.asarray(np.maximum(both, 0) ** 2 / ((own + FLAT) * (other + FLAT)), np.float32)
    return _mean(share, radius)[..., None], likeness[..., None]


def _powers(first: Picture, second: Picture, radius: int) -> tuple[Picture, ...]:
    """Around each pixel the covariance of two textures [h, w, 3] and the variance of each, [h, w]."""
    pairs = ((first, second), (first, first), (second, second))
    return tuple(_mean((one * two).sum(-1), radius) for one, two in pairs)


def _finest_kept(mapped: Picture, after: Picture, radius: int) -> Picture:
    """Whether the finest texture ``mapped`` [h, w, 3] is still there in ``after``, blurred or beside others: [h, w, 1]
    in 0..1. It is not in pixel art, to which a map from window to window may be as close as to a change of light."""
    finest = after - _blur(after, TEXTURE[0])
    both, own, other = (power + FLAT for power in _powers(mapped, finest, radius))
    likeness = np.maximum(both, 0) ** 2 / own * np.maximum(1 / own, 1 / other)
    share = np.clip((likeness - REDRAWN) / (KEPT - REDRAWN), 0, 1)
    return _mean(np.asarray(share, np.float32), radius)[..., None]


def _novelty(after: Picture, fitted: Picture, radius: int) -> Picture:
    """Weight [h, w] in 0..1 of ``after`` against what the map makes of the picture before."""
    misfit = _mean(((after - fitted) ** 2).mean(-1), max(1, radius // 3))
    luma, around = after @ LUMA, max(1, radius // 2)
    contrast = np.maximum(_mean(luma * luma, around) - _mean(luma, around) ** 2, 0)
    allowed = EXPLAINED**2 + HIDDEN**2 * contrast
    return misfit**2 / (misfit**2 + allowed**2)


def _local_maps(before: Picture, after: Picture, radius: int) -> tuple[Picture, Picture, Picture]:
    """Ridge regression of the change on ``before`` in every window, drawn towards "the same plus a shift".

    The finest detail is a fourth regressor: engines blur a little, and what is merely lost of the detail must count
    neither as misfit nor as lower contrast. The map that is returned leaves it out, and so puts the detail back.

    Returns:
        Gains [h, w, 3, 3] (target channel, source channel) and shifts [h, w, 3], each the mean over the windows
        that a pixel lies in; and what the whole regression makes of ``before`` [h, w, 3].
    """
    height, width = before.shape[:2]
    change = after - before
    luma = before @ LUMA
    source = np.concatenate((before, (luma - cv2.GaussianBlur(luma, (0, 0), 1.0))[..., None]), -1)
    mean_source, mean_change = _mean(source, radius), _mean(change, radius)

    def covariance(other: Picture, mean_other: Picture) -> Picture:
        products = (source[..., :, None] * other[..., None, :]).reshape(height, width, -1)
        product_of_means = mean_source[..., :, None] * mean_other[..., None, :]
        return _mean(products, radius).reshape(product_of_means.shape) - product_of_means

    spread = covariance(source, mean_source) + RIDGE * np.eye(4, dtype=np.float32)
    slope = np.linalg.solve(spread, covariance(change, mean_change)).swapaxes(-1, -2)
    shift = _mean(mean_change - np.einsum("hwck,hwk->hwc", slope, mean_source), radius)
    slope = _mean(slope.reshape(height, width, 12), radius).reshape(height, width, 3, 4)
    fitted = before + np.einsum("hwck,hwk->hwc", slope, source) + shift
    return slope[..., :3] + np.eye(3, dtype=np.float32), shift, fitted


def _apply(original: NDArray[np.uint8], planes: Picture) -> NDArray[np.uint8]:
    """Enlarge ``planes`` [12, h, w] and apply them to ``original`` [H, W, 3], a strip of rows at a time.

    Twelve coefficients for every pixel of a 12-megapixel photograph would be 600 MB, and slower out of the cache.
    """
    height, width = original.shape[:2]
    small_height = planes.shape[1]
    wide = np.stack(
        [cv2.resize(plane, (width, small_height), interpolation=cv2.INTER_CUBIC) for plane in planes], 1
    )
    # Enlarging the unit matrix gives the weights of each small row in each full row.
    weights = cv2.resize(
        np.eye(small_height, dtype=np.float32), (small_height, height), interpolation=cv2.INTER_CUBIC
    )
    result = np.empty_like(original)
    for top in range(0, height, STRIP_ROWS):
        strip = slice(top, min(top + STRIP_ROWS, height))
        used = np.flatnonzero(weights[strip].any(0))
        rows = slice(used[0], used[-1] + 1)
        enlarged = weights[strip, rows] @ wide[rows].reshape(rows.stop - rows.start, -1)
        result[strip] = _mapped(original[strip], enlarged.reshape(-1, 12, width))
    return result


def _mapped(original: NDArray[np.uint8], planes: Picture) -> NDArray[np.uint8]:
    """One strip: ``original`` [n, W, 3] under the maps in ``planes`` [n, 12, W]."""
    source = cv2.split(original.astype(np.float32))
    channels = []
    for channel in range(3):
        mapped = planes[:, 4 * channel + 3] * 255
        for colour in range(3):
            mapped += planes[:, 4 * channel + colour] * source[colour]
        channels.append(mapped)
    return np.rint(np.clip(cv2.merge(channels), 0, 255)).astype(np.uint8)
