"""What a measure is, and what most of them share: both pictures, and where a picture should have stayed as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.masks import Mask

EDITED, FINAL = "edited", "final"


@dataclass(frozen=True)
class Measure:
    """A family of scores that are taken together.

    Attributes:
        name: of the family.
        version: changes whenever values would: it names the weights and the way of measuring.
        names: of the values that it gives; what each means is in ``table.VALUES``.
        measure: the scores of an outcome; every one of ``names``, finite or None.
        model: the weights that decide the numbers, for reports; empty if there are none.
    """

    name: str
    version: str
    names: tuple[str, ...]
    measure: Callable[[Item, Pictures, Outcome], Values]
    model: str = ""


def model_name(name: str) -> str:
    """How reports call a model: its hub id, or the name of its folder, wherever that lies."""
    folder = Path(name).expanduser()
    return folder.resolve().name if folder.exists() else name


def on_both(outcome: Outcome, of: Callable[[Image.Image], Values]) -> dict[str, float | None]:
    """What ``of`` says of the picture before (``…_edited``) and after (``…_final``) post-edit."""
    edited = of(outcome.edited)
    final = edited if outcome.final.tobytes() == outcome.edited.tobytes() else of(outcome.final)
    return {
        f"{name}_{side}": value
        for side, values in ((EDITED, edited), (FINAL, final))
        for name, value in values.items()
    }


def kept_outside(item: Item, mask: Mask | None) -> Mask | None:
    """Where ``item`` lets nothing change, bool [H, W]; None if it has no true ``mask`` or is about the whole picture.

    A simulated world says so itself (``about["local"]``): dusk touches nearly everything, and its rest says nothing.
    """
    if mask is None or mask.all() or not item.about.get("local", True):
        return None
    return ~mask


def only(where: Mask, image: Image.Image, otherwise: Image.Image) -> Image.Image:
    """``image`` where ``where`` [H, W] is True and ``otherwise`` elsewhere, where no difference is to be seen then."""
    pixels = np.where(
        where[..., None], np.asarray(image.convert("RGB")), np.asarray(otherwise.convert("RGB"))
    )
    return Image.fromarray(pixels)


def nothing(names: tuple[str, ...]) -> Mapping[str, float | None]:
    """None for each of ``names``."""
    return dict.fromkeys(names)
