"""Pictures of users: reading and checking them, fitting them to an engine, and putting the edit back.

Outside this module a picture is an RGB ``PIL.Image``; inside it is ``float32 [H, W, 3]`` in 0..1.
"""

import io
import math
import re
import unicodedata
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from editworld_core.carry import carry_change
from editworld_core.errors import BadInputError
from editworld_core.pixels import Picture, to_float, to_image
from editworld_core.png_settings import SETTINGS_KEY, read_settings, with_settings, write_png

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "carry_change",
    "check_instruction",
    "composite",
    "native_size",
    "read_image",
    "read_settings",
    "to_float",
    "to_image",
    "with_settings",
    "write_png",
]

MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_ASPECT = 8
MAX_INSTRUCTION = 500

# Without a list Pillow would also open EPS and other formats that run a program or draw what text says.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "ICO")

Source = str | Path | bytes | BinaryIO | Image.Image


def read_image(source: Source) -> Image.Image:
    """Read a picture as a person would see it.

    EXIF orientation and colour profile are applied, transparency is laid over white, 16-bit, grey, CMYK, palette
    and floating-point pixels become 8-bit RGB, and an animation gives its first frame. Of the metadata only our own
    settings (see ``png_settings``) are kept.

    Args:
        source: a path, the bytes of a file, a stream of them, or a picture that Pillow has opened.

    Returns:
        A new RGB image; ``source`` is left as it is.

    Raises:
        BadInputError: the picture is missing, unreadable, damaged, too small, too big or too long and thin.
    """
    image = source if isinstance(source, Image.Image) else _open(_bytes_of(source))
    _check_size(*image.size)
    try:
        rgb = _to_rgb(_upright(image))
    except Exception as error:  # decoders raise anything from OSError to IndexError on damaged data
        raise BadInputError(
            "The picture is damaged or incomplete; save it again or choose another one."
        ) from error
    settings = image.info.get(SETTINGS_KEY)
    rgb.info = {SETTINGS_KEY: settings} if isinstance(settings, str) else {}
    return rgb


def _bytes_of(source: str | Path | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, str | Path):
        data = _file_bytes(Path(source))
    else:
        data = source.read()
    if not data:
        raise BadInputError("The picture is an empty file; choose another one.")
    return data


def _file_bytes(path: Path) -> bytes:
    try:
        if not path.exists():
            raise BadInputError(f"There is no file {str(path)!r}; check the path.")
        if not path.is_file():
            raise BadInputError(f"{str(path)!r} is not a file; give the path of a picture.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise BadInputError(
            f"The file {str(path)!r} cannot be read ({reason}); check its path and rights."
        ) from error


def _open(data: bytes) -> Image.Image:
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        raise BadInputError("HEIC pictures cannot be read; save it as JPEG or PNG and try again.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInputError(_too_big()) from error
    except Exception as error:  # as in read_image
        raise BadInputError(
            "This is not a picture that can be read; use PNG, JPEG, WebP, GIF or TIFF."
        ) from error


def _too_big() -> str:
    return f"The picture is too big; scale it down to at most {MAX_PIXELS // 1_000_000} million pixels."


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadInputError(_too_big())
    if min(width, height) < MIN_SIDE:
        raise BadInputError(
            f"The picture is {width}x{height} pixels, too small to edit; it needs at least {MIN_SIDE} on each side."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadInputError(
            f"The picture is {width}x{height} pixels, too long and thin; crop it to at most {MAX_ASPECT} to 1."
        )


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a picture with nonsense for EXIF is still a picture
        return image.copy()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _deep_grey_to_rgb(image)
    if image.mode not in ("RGB", "RGBA", "CMYK", "L", "LA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image = _to_srgb(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """One channel of more than 8 bits; a float picture is taken as 0..1, 0..255 or 0..65535 by its maximum."""
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0))
    if image.mode == "F":
        white = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    else:
        white = max(65535.0, top)
    grey = np.rint(np.clip(values / white, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert from the embedded colour profile; a profile that is sRGB already, or broken, changes nothing."""
    data = image.info.get("icc_profile")
    if not data:
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if converted is None else converted


def check_instruction(text: str) -> str:
    """The instruction on one line, without space around it, in Unicode normal form C.

    Raises:
        BadInputError: nothing to read in it, more than ``MAX_INSTRUCTION`` characters, or control characters.
    """
    # Composing shortens a text at most four times; what is far too long is not worth normalising.
    start = re.sub(r"[\t\r\n]+", " ", text.strip()[: 5 * MAX_INSTRUCTION])
    line = unicodedata.normalize("NFC", start).strip()
    if len(line) > MAX_INSTRUCTION:
        raise BadInputError(f"The instruction is too long; say it in at most {MAX_INSTRUCTION} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in line):
        raise BadInputError("The instruction contains control characters; type it as plain text.")
    if all(unicodedata.category(character)[0] in "ZC" for character in line):
        raise BadInputError("The instruction is empty; say what should happen in the picture.")
    return line


def native_size(size: tuple[int, int], native: int, multiple: int) -> tuple[int, int]:
    """The size at which an engine edits a picture of ``size``.

    Args:
        size: width and height in pixels.
        native: side in pixels of the square that the engine was trained on.
        multiple: both sides of the result are multiples of this.

    Returns:
        Width and height with nearly the aspect of ``size`` and nearly ``native ** 2`` pixels.
    """
    aspect = size[0] / size[1]
    ideal = (native * math.sqrt(aspect) / multiple, native / math.sqrt(aspect) / multiple)

    def misfit(cells: tuple[int, int]) -> float:
        wrong_aspect = abs(math.log(cells[0] / cells[1] / aspect))
        wrong_area = abs(math.log(cells[0] * cells[1] / (ideal[0] * ideal[1])))
        return 2 * wrong_aspect + wrong_area  # a squeezed picture is worse than a smaller one

    widths, heights = ({max(1, math.floor(side)), math.ceil(side)} for side in ideal)
    width, height = min(((w, h) for w in sorted(widths) for h in sorted(heights)), key=misfit)
    return width * multiple, height * multiple


def composite(
    original: Image.Image, edited: Image.Image, mask: NDArray[np.bool_], feather: int
) -> Image.Image:
    """Put the part of ``edited`` inside ``mask`` into ``original``.

    Pixels where ``mask`` [H, W] is False are bit-identical to ``original``. The soft edge, ``feather`` pixels wide,
    lies inside the mask, and takes at most half of the depth of a thin region, whose middle is thus all ``edited``.

    Raises:
        ValueError: the three differ in size.
    """
    before, after = np.asarray(original.convert("RGB")), np.asarray(edited.convert("RGB"))
    if before.shape != after.shape or before.shape[:2] != mask.shape:
        raise ValueError(f"sizes differ: original {before.shape}, edited {after.shape}, mask {mask.shape}")
    result = before.copy()
    if not mask.any():
        return Image.fromarray(result)
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    # One pixel more on each side, where there is one, so that the mask's own edge is seen.
    rows = slice(max(top - 1, 0), top + height + 1)
    columns = slice(max(left - 1, 0), left + width + 1)
    inside = mask[rows, columns]
    share = _soft_edge(inside, feather)[..., None]
    old, new = before[rows, columns].astype(np.float32), after[rows, columns].astype(np.float32)
    blend = np.rint(old + share * (new - old)).astype(np.uint8)
    result[rows, columns] = np.where(inside[..., None], blend, before[rows, columns])
    return Image.fromarray(result)


def _soft_edge(mask: NDArray[np.bool_], feather: int) -> NDArray[np.float32]:
    """0 outside ``mask``, rising to 1 over ``feather`` pixels inside it; the picture's border is no edge."""
    if feather <= 0 or mask.all():
        return mask.astype(np.float32)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels[mask], depth[mask])
    width = np.minimum(np.float32(feather + 1), np.maximum(deepest / 2, 1))[labels]
    ramp = np.clip(depth / width, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)
