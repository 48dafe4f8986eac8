"""A small data set of random smooth pictures in the real format."""

from pathlib import Path

import numpy as np
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.records import encode_png, open_data_set
from editworld_core.datagen.triplet import Triplet, image_path, item_id

TEXTS = (
    "melt the snowman",
    "the sun comes out",
    "",
    "the candle on the left melts",
    "the sun comes out",
    "rain",
)


def _picture(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def make_data_set(folder: Path, sizes: list[tuple[int, int]], masks: bool = True) -> Path:
    """Random smooth pictures, one triplet for each size, with the ``TEXTS`` in turn."""
    rng = np.random.default_rng(0)
    with open_data_set(folder, {}) as writer:
        for number, size in enumerate(sizes):
            seeds = {"scene": number}
            item = item_id("simulation", {}, seeds, {})
            mask = np.zeros(size[::-1], bool)
            mask[: size[1] // 2, : size[0] // 4] = True
            triplet = Triplet(
                id=item,
                branch="simulation",
                category=Category.PHYSICAL_TRANS,
                instruction=TEXTS[number % len(TEXTS)],
                original_caption="",
                target_caption="",
                keywords=(),
                original_image=image_path(item, "original"),
                target_image=image_path(item, "target"),
                mask=image_path(item, "mask") if masks else None,
                recipe={},
                seeds=seeds,
                models={},
            )
            pictures = [encode_png(_picture(rng, size)) for _ in range(2)]
            writer.add(triplet, *pictures, encode_png(Image.fromarray(mask)) if masks else None)
    return folder
