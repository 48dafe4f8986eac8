"""The rows of a data set as a run sees them: which pictures, cut to which size, with which words."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from editworld_core.datagen.recheck import apply, read_log
from editworld_core.datagen.recheck_log import LOG
from editworld_core.datagen.records import MANIFEST, read_triplets
from editworld_core.errors import BadInputError

Size = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One triplet; paths are relative to the data set, ``size`` is (width, height) of the cut pictures in pixels."""

    id: str
    instruction: str
    original: str
    target: str
    mask: str | None
    size: Size


def read_rows(dataset: Path, resolution: int, multiple: int, buckets: bool, accepted_only: bool) -> list[Row]:
    """What is left of ``dataset`` after its recheck, as its reviewers left it, without what has no instruction.

    Args:
        resolution: side of the square, or the square root of the area, in pixels.
        multiple: of pixels, which the model needs its sides to be.
        buckets: take the nearest of ``aspect_sizes`` rather than the square.

    Raises:
        BadInputError: the folder is no data set, nothing in it can be trained on, or the resolution does not suit.
    """
    if resolution % multiple:
        raise BadInputError(f"The resolution {resolution} is no multiple of {multiple}: make it one.")
    sizes = aspect_sizes(resolution, multiple) if buckets else [(resolution, resolution)]
    rows = [
        Row(
            triplet.id,
            triplet.instruction.strip(),
            triplet.original_image,
            triplet.target_image,
            triplet.mask,
            nearest_size(_size_of(dataset / triplet.original_image), sizes) if buckets else sizes[0],
        )
        for triplet in apply(read_triplets(dataset), read_log(dataset), accepted_only=accepted_only)
        if triplet.instruction.strip()
    ]
    if not rows:
        which = "accepted triplet" if accepted_only else "triplet"
        raise BadInputError(
            f"{dataset} has no {which} with an instruction: give another data set, or recheck it."
        )
    return rows


def aspect_sizes(resolution: int, multiple: int) -> list[Size]:
    """Sizes (width, height) of at most ``resolution`` squared pixels, sides 1:4 to 4:1, as near to it as fits."""
    area, sizes = resolution**2, set()
    for long in range(resolution, 2 * resolution + 1, multiple):
        short = area // long // multiple * multiple
        if short:
            sizes |= {(long, short), (short, long)}
    return sorted(sizes)


def nearest_size(size: Size, sizes: list[Size]) -> Size:
    """That of ``sizes`` of which a picture of ``size`` loses least when it is cut to it; the largest of equals."""
    width, height = size

    def kept(candidate: Size) -> tuple[float, int]:
        ratio = width * candidate[1] / (height * candidate[0])
        return min(ratio, 1 / ratio), candidate[0] * candidate[1]

    return max(sizes, key=kept)


def _size_of(path: Path) -> Size:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path} is missing or not an image; make the data set again.") from error


def fingerprint(dataset: Path) -> str:
    """A hash that changes with the triplets of a data set and the verdicts on them."""
    digest = hashlib.sha256()
    for name in (MANIFEST, LOG):
        path = dataset / name
        digest.update(path.read_bytes() if path.exists() else b"")
        digest.update(b"\0")
    return digest.hexdigest()
