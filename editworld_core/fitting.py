"""Bringing what an editor returned to the size and the place of the upload.

What comes back is seldom the upload's size: sides are rounded to multiples of 8, 16 or 64, by squeezing the picture
or by cropping it, and large pictures come back small. So the picture is brought to the upload's proportions, as
squeezed or as cropped, whichever fits; then aligned (``alignment``), at its own resolution, where it is sharp; then
enlarged by carrying its change over (``carry``).
"""

from dataclasses import dataclass

from PIL import Image

from editworld_core.alignment import Aligned, Alignment, align, misfit
from editworld_core.carry import carry_change
from editworld_core.errors import BadInputError
from editworld_core.masks import Mask

MOST_STRETCH = 1.05  # between the proportions of the two pictures


@dataclass(frozen=True)
class Fitted:
    """An editor's picture at the size of the upload.

    Attributes:
        image: RGB, as it came, stretched to fit.
        aligned: the same with cropping, shift and zoom undone.
    """

    image: Image.Image
    aligned: Aligned


def fit(original: Image.Image, edited: Image.Image, mask: Mask | None = None, *, undo: bool = True) -> Fitted:
    """Bring ``edited``, RGB of any size and nearly the proportions of ``original``, to its size and place.

    Args:
        mask: bool [H, W], True inside the edit, which does not count; None if that is not known yet.
        undo: False leaves cropping, shift and zoom as they are.

    Raises:
        BadInputError: the proportions differ by more than rounding explains.
    """
    stretch = (edited.width / original.width) / (edited.height / original.height)
    if not 1 / MOST_STRETCH < stretch < MOST_STRETCH:
        raise BadInputError(
            f"The edited picture is {edited.width}x{edited.height} and the original {original.width}x{original.height};"
            " they must have the same proportions."
        )
    scale = min(1.0, max(edited.width / original.width, edited.height / original.height))
    size = max(1, round(original.width * scale)), max(1, round(original.height * scale))
    small = _resized(original, size)
    squeezed = _resized(edited, size)
    image = _enlarged(original, small, squeezed)
    if not undo:
        return Fitted(image, Aligned(image, Alignment()))
    best = align(small, squeezed, mask)
    if abs(stretch - 1) * max(size) > 1:
        uncropped = align(small, _uncropped(small, edited), mask)
        best = min(best, uncropped, key=lambda aligned: misfit(small, aligned.image, mask))
    moved = image if best.image is squeezed else _enlarged(original, small, best.image)
    factors = original.width / size[0], original.height / size[1]
    return Fitted(image, Aligned(moved, best.transform.resized(factors)))


def _enlarged(original: Image.Image, small: Image.Image, edited: Image.Image) -> Image.Image:
    return edited if edited.size == original.size else carry_change(original, small, edited)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _uncropped(small: Image.Image, edited: Image.Image) -> Image.Image:
    """``edited`` over the middle of ``small``, at the scale of the side that lost nothing if the editor cropped."""
    scale = min(small.width / edited.width, small.height / edited.height)
    whole = _resized(edited, (round(edited.width * scale), round(edited.height * scale)))
    result = small.copy()
    result.paste(whole, ((small.width - whole.width) // 2, (small.height - whole.height) // 2))
    return result
