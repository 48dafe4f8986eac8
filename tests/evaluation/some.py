"""Items and outcomes with small pictures, for the tests of measures and reports."""

from dataclasses import replace

import numpy as np
from PIL import Image

from editworld_core.evaluation.record import Item, Outcome, Pictures, Scored, Setup
from editworld_core.settings import EditSettings


def picture(seed: int, size=(96, 80)) -> Image.Image:
    """Smooth colours, as a photograph has them."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def blend(a: Image.Image, b: Image.Image, share: float) -> Image.Image:
    return Image.blend(a, b, share)


def some_mask(left: int = 20, size=(96, 80)) -> np.ndarray:
    mask = np.zeros((size[1], size[0]), bool)
    mask[10:60, left : left + 40] = True
    return mask


def some_pictures() -> Pictures:
    return Pictures(picture(0), picture(1), some_mask())


def some_item(name: str = "a", pictures: Pictures | None = None, **fields) -> Item:
    shown = some_pictures() if pictures is None else pictures
    known = {
        "id": name,
        "category": "Long-Term",
        "branch": "simulation",
        "instruction": "the sun comes out",
        "caption_before": "a snowman",
        "caption_after": "a puddle",
        "content": name,
        "read": lambda: shown,
    }
    return Item(**(known | fields))


def some_outcome(**fields) -> Outcome:
    """Half of the way to the target, everywhere; after post-edit only inside a mask beside the true one."""
    pictures = some_pictures()
    edited, mask = blend(pictures.original, pictures.target, 0.6), some_mask(30)
    final = np.where(mask[..., None], np.asarray(edited), np.asarray(pictures.original))
    outcome = Outcome(
        original=pictures.original,
        edited=edited,
        final=Image.fromarray(final),
        attention_mask=some_mask(24),
        mask=mask,
        mask_source="attention",
        shift=(3.0, -4.0),
        scale=0.98,
        seconds=2.5,
    )
    return replace(outcome, **fields)


def some_scored(name="a", label="pocket", values=None, failure="", **fields) -> Scored:
    return Scored(some_item(name, **fields), Setup(label, EditSettings(seed=0)), values or {}, failure)
