"""The picture that shows where an instruction looked, and what it was allowed to change."""

from typing import TYPE_CHECKING

from PIL import Image

from editworld_core.laboratory.drawing import LONGEST, heat_overlay

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

__all__ = ["LONGEST", "attention_overlay"]


def attention_overlay(result: "EditResult") -> Image.Image:
    """The original, paled, with the heat of the words from amber to red and the final mask outlined in white."""
    return heat_overlay(result.original, result.heat, result.mask)
