"""Samples for the page: a triplet's original, target and mask side by side in one small JPEG."""

import base64
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from editworld_core.datagen.quality.items import Item, Pictures
from editworld_core.datagen.triplet import Triplet
from editworld_core.masks import Mask

SIDE, GAP = 168, 4  # pixels of a picture, and between two
AMBER = np.array([242, 168, 40], np.float32)


@dataclass(frozen=True)
class Sample:
    """A triplet, and its strip as a data URL; None if its pictures cannot be read."""

    triplet: Triplet
    strip: str | None
    size: tuple[int, int]


def draw_samples(folder: Path, triplets: Iterable[Triplet], wanted: Collection[str]) -> dict[str, Sample]:
    """The samples of the triplets with the ids ``wanted``, by id."""
    return {triplet.id: _sample(Item(folder, triplet)) for triplet in triplets if triplet.id in wanted}


def _sample(item: Item) -> Sample:
    pictures = item.pictures
    if pictures is None:
        return Sample(item.triplet, None, (0, 0))
    strip = draw_strip(pictures)
    out = io.BytesIO()
    strip.save(out, "JPEG", quality=82)
    url = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
    return Sample(item.triplet, url, strip.size)


def draw_strip(pictures: Pictures) -> Image.Image:
    """Original, target, and if there is a mask the target with the mask in amber and the rest dimmed."""
    shown = [shrink(pictures.original), shrink(pictures.target)]
    if pictures.mask is not None:
        shown.append(overlay(shown[1], pictures.mask))
    width, height = shown[0].size
    strip = Image.new("RGB", (len(shown) * (width + GAP) - GAP, height), (128, 128, 128))
    for place, picture in enumerate(shown):
        strip.paste(picture, (place * (width + GAP), 0))
    return strip


def shrink(image: Image.Image, side: int = SIDE) -> Image.Image:
    """``image`` with ``side`` pixels at its longer side."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def overlay(picture: Image.Image, mask: Mask) -> Image.Image:
    """``picture`` with what ``mask`` [H, W] covers in amber and the rest dimmed; the mask may have another size."""
    inside = (
        np.asarray(Image.fromarray(mask).convert("L").resize(picture.size, Image.Resampling.BOX))[..., None]
        / 255
    )
    pixels = np.asarray(picture, np.float32)
    grey = pixels.mean(-1, keepdims=True) * 0.45
    tinted = 0.6 * pixels + 0.4 * AMBER
    return Image.fromarray((inside * tinted + (1 - inside) * grey).astype(np.uint8))
