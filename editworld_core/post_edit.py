"""The paper's post-edit (EditWorld, section 3.4): keep what must not change, on any editor's output."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from editworld_core.engines.protocol import Progress
from editworld_core.images import composite
from editworld_core.inpainting import Inpainter
from editworld_core.masks import Map, Mask, difference_mask
from editworld_core.segmentation import Segmenter, best_segment, fill_holes

EVERYWHERE = 0.85
"""Share of the picture from which a mask means all of it."""
REACH = 0.08
"""How far from the prompt a change still belongs to it, as a share of the longer side."""
MARGIN = 0.012
"""What is added around the segments for their soft edges and shadows, as a share of the longer side."""


@dataclass(frozen=True)
class PostEdit:
    """``final`` equals the original wherever ``mask`` [H, W] is False; the segments are what was chosen in each."""

    final: Image.Image
    mask: Mask
    segment_original: Mask
    segment_edited: Mask
    timings: Mapping[str, float]


def post_edit(
    original: Image.Image,
    edited: Image.Image,
    prompt: Mask,
    heat: Map | None,
    instruction: str,
    *,
    segmenter: Segmenter,
    inpainter: Inpainter,
    feather: int = 6,
    progress: Progress | None = None,
) -> PostEdit:
    """Segment both pictures, unite the segments that the instruction means, draw anew inside, composite.

    Args:
        original, edited: RGB, same size.
        prompt: bool [H, W], the attention mask; one that covers nearly everything keeps the whole edit.
        heat: float32 [H, W] in 0..1, or None.
        feather: width in pixels of the soft edge inside the mask.
    """
    started = time.perf_counter()
    changed = difference_mask(original, edited)
    in_original = best_segment(segmenter.candidates(original, prompt, heat), prompt)
    in_edited = best_segment(segmenter.candidates(edited, prompt, heat), prompt)
    mask = _edit_mask(in_original | in_edited, prompt, changed)
    segmented = time.perf_counter()
    drawn = inpainter.inpaint(original, edited, mask, instruction, progress) if mask.any() else original
    final = composite(original, drawn, mask, feather)
    timings = {"segment": segmented - started, "inpaint": time.perf_counter() - segmented}
    return PostEdit(final, mask, in_original, in_edited, timings)


def _edit_mask(segments: Mask, prompt: Mask, changed: Mask) -> Mask:
    """The segments, and what changed near the prompt, without what did not change at all."""
    if prompt.mean() > EVERYWHERE or (prompt & changed).mean() > EVERYWHERE:
        return np.ones_like(prompt)
    side = max(prompt.shape)
    near = _grown(prompt, REACH * side)
    mask = fill_holes((segments | prompt | near) & _grown(changed, MARGIN * side))
    mask = _grown(mask, MARGIN * side)
    return np.ones_like(mask) if mask.mean() > EVERYWHERE else mask


def _grown(mask: Mask, pixels: float) -> Mask:
    size = 2 * max(1, round(pixels)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)
