"""Masks that are given as boxes."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from editworld_core.datagen.formats.item import BadItem
from editworld_core.images import FORMATS
from editworld_core.masks import Mask

SIDES = ("x", "y", "width", "height")


def box_content(boxes: Any) -> bytes | None:
    """The boxes as bytes that ``box_mask`` reads; None if there are none, or they are not known.

    Args:
        boxes: objects with x, y, width and height in pixels of the picture, or the same as JSON; anything else if
            nobody knows.
    """
    if isinstance(boxes, str):
        try:
            boxes = json.loads(boxes)
        except (ValueError, RecursionError):
            return None
    if not isinstance(boxes, list):
        return None
    sides = [[box[side] for side in SIDES] for box in boxes if isinstance(box, Mapping) and _whole(box)]
    return json.dumps(sides).encode() if sides else None


def _whole(box: Mapping[str, Any]) -> bool:
    return all(isinstance(box.get(side), int | float) for side in SIDES)


def box_mask(mask: bytes, original: bytes, where: str) -> Mask:
    """What lies in a box, bool [H, W].

    Raises:
        BadItem: the picture is damaged, or no box lies in it.
    """
    try:
        with Image.open(io.BytesIO(original), formats=FORMATS) as image:
            width, height = image.size
    except Exception as error:  # decoders raise anything from OSError to IndexError on damaged data
        raise BadItem("picture unusable", f"the original of {where} is damaged or not a picture") from error
    inside = np.zeros((height, width), bool)
    for x, y, wide, high in json.loads(mask):
        left, top = max(0, round(x)), max(0, round(y))
        inside[top : max(top, round(y + high)), left : max(left, round(x + wide))] = True
    if not inside.any():
        raise BadItem("text damaged", f"the boxes of {where} lie outside its picture")
    return inside
