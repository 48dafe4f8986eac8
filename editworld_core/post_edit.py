"""The paper's post-edit (EditWorld, section 3.4): keep everything that the instruction does not touch.

Segment both pictures, take from each what overlaps most with the instruction's mask, unite the two, redraw inside the
union, and put the result into the upload. It works on any editor's output. Beyond the paper, the difference of the two
pictures is evidence: what changed where attention says nothing is drift, and what did not change needs no mask.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from editworld_core.engines.protocol import Progress
from editworld_core.images import composite
from editworld_core.inpainting import Inpainter
from editworld_core.masks import (
    LEAST,
    Map,
    Mask,
    at_most,
    changed_everywhere,
    difference,
    difference_mask,
    enlarge_mask,
    evidence,
    otsu_level,
    tidy,
)
from editworld_core.segmentation import Segmenter, best_segment

NEARLY_EVERYTHING = 0.85  # of the picture; a prompt as large as this means the whole picture
WEAK = 0.7  # of the evidence's threshold: enough inside a segment, not enough alone


@dataclass(frozen=True)
class PostEdit:
    """What the post-edit made.

    Attributes:
        final: RGB, the upload's size; equal to the upload wherever ``mask`` is False.
        mask: bool [H, W], the paper's M_edit.
        segment_original, segment_edited: bool [H, W], the paper's M_ori and M_gen.
        timings: seconds of "segment", "inpaint" and "composite".
    """

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
    feather: int,
    progress: Progress | None = None,
) -> PostEdit:
    """Keep of ``edited`` only what the instruction is about.

    Args:
        original, edited: RGB pictures of H x W pixels.
        prompt: bool [H, W], the attention's mask M_instr. If it covers nearly everything, or the whole picture
            visibly changed, so does the final mask; if it is empty, the difference of the pictures takes its place.
        heat: float32 [H, W] in 0..1, the attention itself; None if only ``prompt`` is known.
        instruction: what the inpainter is told.
        segmenter, inpainter: what finds the segments and redraws the inside.
        feather: pixels of soft edge inside the mask.
        progress: handed to the inpainter.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "segment"):
        masks = edit_masks(original, edited, prompt, heat, segmenter)
    mask, segment_original, segment_edited = masks
    redrawn = edited
    if mask.any() and not mask.all():
        with _timed(seconds, "inpaint"):
            redrawn = inpainter.inpaint(original, edited, mask, instruction, progress)
    with _timed(seconds, "composite"):
        final = composite(original, redrawn, mask, feather)
    return PostEdit(final, mask, segment_original, segment_edited, seconds)


def edit_masks(
    original: Image.Image, edited: Image.Image, prompt: Mask, heat: Map | None, segmenter: Segmenter
) -> tuple[Mask, Mask, Mask]:
    """M_edit, M_ori and M_gen, each bool [H, W]; see ``post_edit``."""
    size = prompt.shape
    if not prompt.any():
        prompt, heat = difference_mask(original, edited), None
    if prompt.mean() > NEARLY_EVERYTHING or changed_everywhere(original, edited):
        return np.ones(size, bool), np.ones(size, bool), np.ones(size, bool)
    before, after = at_most(original), at_most(edited)
    acted = _fit(prompt.astype(np.float32) if heat is None else heat, before.size)
    if heat is None:
        acted = cv2.GaussianBlur(acted, (0, 0), 0.02 * max(before.size))
    found = evidence(difference(before, after), acted)
    level = max(otsu_level(found), LEAST)
    certain = tidy(found > level)
    segments = [
        best_segment(segmenter.candidates(image, certain, found), certain) for image in (before, after)
    ]
    mask = tidy(((segments[0] | segments[1]) & (found > WEAK * level)) | certain)
    return enlarge_mask(mask, size), enlarge_mask(segments[0], size), enlarge_mask(segments[1], size)


def _fit(map: Map, size: tuple[int, int]) -> Map:
    return map if map.shape == size[::-1] else cv2.resize(map, size, interpolation=cv2.INTER_AREA)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
