"""The paper's post-edit (EditWorld, section 3.4): keep everything that the instruction does not touch.

Segment both pictures, take from each what overlaps most with the instruction's mask, unite the two, redraw inside the
union, and put the result into the upload. It works on any editor's output. Beyond the paper, the difference of the two
pictures is evidence: what changed where attention says nothing is drift, and what did not change needs no mask.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.alignment import VISIBLE, Alignment, estimate_alignment
from editworld_core.colours import Cast, estimate_cast, without_cast
from editworld_core.engines.protocol import Progress
from editworld_core.fitting import Fitted, fit
from editworld_core.images import composite
from editworld_core.inpainting import Inpainter, NoInpainter, load_inpainter
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
from editworld_core.segmentation import MAX_AREA, Segment, Segmenter, choose_segment, load_segmenter
from editworld_core.settings import EditSettings, HandRule

NEARLY_EVERYTHING = 0.85  # of the picture; a prompt as large as this means the whole picture
BLURS = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0)  # pixels of the small pictures that are compared
MOST_UNLIKE = 24  # levels; where the pictures differ by more it is the edit, not blur
GHOST = 0.1  # of a channel; where the pictures differ by more, a soft edge would show them both
RIM = 2  # pixels of the small pictures; what differs so much this near to the mask belongs to it
WEAK = 0.7  # of the evidence's threshold: enough inside a segment, not enough alone


@dataclass(frozen=True)
class PostEdit:
    """What the post-edit made.

    Attributes:
        final: RGB, the upload's size; equal to the upload wherever ``mask`` is False.
        mask: bool [H, W], the paper's M_edit, joined with or replaced by the hand's, then grown.
        prompt: bool [H, W], what the masks were sought from: attention's, or the difference of the pictures.
        segment_original, segment_edited: the paper's M_ori and M_gen, [H, W], with their overlap with what certainly
            changed, and their stability.
        edited: RGB, the edited picture as it came, at the upload's size.
        used: the same with shift, zoom and cast undone, if that was asked for.
        alignment: the shift and zoom that were found; None if they were not sought, as when the whole picture changed.
        cast: the colour cast that was undone; none if not asked for.
        found: all masks on the way, with the segments that were chosen among.
        timings: seconds of "align", "segment", "inpaint" and "composite".
    """

    final: Image.Image
    mask: Mask
    prompt: Mask
    segment_original: Segment
    segment_edited: Segment
    edited: Image.Image
    used: Image.Image
    alignment: Alignment | None
    cast: Cast
    found: "EditMasks"
    timings: Mapping[str, float]


def post_edit(
    original: Image.Image,
    edited: Image.Image,
    prompt: Mask | None,
    heat: Map | None,
    instruction: str,
    *,
    segmenter: Segmenter,
    inpainter: Inpainter,
    feather: int,
    align: bool = True,
    match_colours: bool = False,
    segment_area: float = MAX_AREA,
    grow: int = 0,
    hand: Mask | None = None,
    hand_rule: HandRule = "join",
    progress: Progress | None = None,
) -> PostEdit:
    """Keep of ``edited`` only what the instruction is about.

    An edit of the whole picture is kept as the editor made it: there is nothing to align it with.

    Args:
        original: RGB picture of H x W pixels.
        edited: RGB picture of nearly the same proportions, best at the size that the editor gave it (see ``fitting``).
        prompt: bool [H, W], the attention's mask M_instr. If it covers nearly everything, or the whole picture
            visibly changed, so does the final mask; if it is None or empty, the difference of the pictures takes its
            place.
        heat: float32 [H, W] in 0..1, the attention itself; None if only ``prompt`` is known.
        instruction: what the inpainter is told.
        segmenter, inpainter: what finds the segments and redraws the inside.
        feather: pixels of soft edge inside the mask; a quarter of it where one thing took another's place, since both
            would show. A mask that the user replaced or narrowed may cut through such a place, and has it all.
        align: undo shift and zoom of ``edited`` first (see ``alignment``).
        match_colours: undo its colour cast outside the mask as well (see ``colours``).
        segment_area: share of the picture beyond which a segment is the background.
        grow: pixels by which the final mask is widened, or narrowed if negative.
        hand: bool [H, W], the mask that the user drew; None if none was drawn.
        hand_rule: ``join`` unites it with the automatic mask, ``replace`` takes it as it is and seeks nothing.
        progress: handed to the inpainter.

    Raises:
        BadInputError: the proportions of the two pictures differ.
    """
    seconds: dict[str, float] = {}
    given = hand if hand_rule == "replace" else None
    known = prompt if given is None else given
    undo = align and (known is None or known.mean() <= NEARLY_EVERYTHING)
    with _timed(seconds, "align"):
        fitted = fit(original, edited, known, undo=undo)
    with _timed(seconds, "segment"):
        if given is not None:
            found = EditMasks(given, Segment(given, 1.0), Segment(given, 1.0), given)
        else:
            found = edit_masks(original, fitted.aligned.image, prompt, heat, segmenter, segment_area)
    if undo and given is None:
        with _timed(seconds, "align"):
            better = _better_fit(original, edited, fitted, found.edit)
        if better is not fitted:
            fitted = better
            with _timed(seconds, "segment"):
                found = edit_masks(original, fitted.aligned.image, prompt, heat, segmenter, segment_area)
    used, alignment = fitted.aligned.image, fitted.aligned.transform if undo else None
    mask = widened(found.edit if hand is None else found.edit | hand, grow)
    cast = Cast()
    if mask.all():
        used, alignment = fitted.image, None
    elif match_colours:
        cast = estimate_cast(original, used, mask)
        used = without_cast(used, cast)
    redrawn = used
    if mask.any() and not mask.all():
        with _timed(seconds, "inpaint"):
            redrawn = inpainter.inpaint(original, used, mask, instruction, progress)
    with _timed(seconds, "composite"):
        final = composite(original, redrawn, mask, feather)
        if given is None and grow >= 0 and not mask.all():
            firm = found.edit & _replaced(original, redrawn)
            final = composite(final, redrawn, firm, feather // 4)
    return PostEdit(
        final=final,
        mask=mask,
        prompt=found.prompt,
        segment_original=found.original,
        segment_edited=found.edited,
        edited=fitted.image,
        used=used,
        alignment=alignment,
        cast=cast,
        found=found,
        timings=seconds,
    )


def post_edit_any(
    original: Image.Image,
    edited: Image.Image,
    instruction: str,
    settings: EditSettings | None = None,
    hand: Mask | None = None,
    *,
    segmenter: Segmenter | None = None,
    inpainter: Inpainter | None = None,
    progress: Progress | None = None,
) -> PostEdit:
    """The post-edit of a picture that was edited elsewhere, by any program or person: no engine, no attention.

    Args:
        settings: those of mask and post-edit count; the inpainter ``engine``, for want of one, is none.
        segmenter, inpainter: what the settings name, if None.

    The rest as for ``post_edit``.

    Raises:
        BadInputError: the proportions of the two pictures differ, or the settings name no segmenter.
        EngineUnavailableError: the weights of a segmenter or inpainter are missing or damaged.
    """
    settings = settings or EditSettings()
    if inpainter is None and settings.inpainter not in ("auto", "engine", "none"):
        inpainter = load_inpainter(settings.inpainter, None, settings)
    return post_edit(
        original,
        edited,
        None,
        None,
        instruction,
        segmenter=segmenter or load_segmenter(settings.segmenter),
        inpainter=inpainter or NoInpainter(),
        feather=settings.feather,
        align=settings.align,
        match_colours=settings.match_colours,
        segment_area=settings.segment_area,
        grow=settings.grow,
        hand=hand,
        hand_rule=settings.hand_rule,
        progress=progress,
    )


@dataclass(frozen=True)
class EditMasks:
    """On the way to the final mask, all [H, W]: what the masks were sought from, M_ori, M_gen, M_edit.

    ``proposed_original`` and ``proposed_edited`` are the segments that M_ori and M_gen were chosen among, on the grid
    that pictures are compared on (see ``masks.at_most``); none where nothing was segmented.
    """

    prompt: Mask
    original: Segment
    edited: Segment
    edit: Mask
    proposed_original: tuple[Segment, ...] = ()
    proposed_edited: tuple[Segment, ...] = ()


def edit_masks(
    original: Image.Image,
    edited: Image.Image,
    prompt: Mask | None,
    heat: Map | None,
    segmenter: Segmenter,
    segment_area: float = MAX_AREA,
) -> EditMasks:
    """The paper's masks for two pictures that lie on each other; see ``post_edit``."""
    size = (original.height, original.width)
    before, after = at_most(original), at_most(edited)
    soft = as_blurred(before, after)
    if prompt is None or not prompt.any():
        prompt, heat = enlarge_mask(difference_mask(soft, after), size), None
    if prompt.mean() > NEARLY_EVERYTHING or changed_everywhere(before, after, heat):
        everything = np.ones(size, bool)
        return EditMasks(prompt, Segment(everything, 1.0), Segment(everything, 1.0), everything)
    acted = _fit(prompt.astype(np.float32) if heat is None else heat, before.size)
    if heat is None:
        acted = cv2.GaussianBlur(acted, (0, 0), 0.02 * max(before.size))
    change = difference(soft, after)
    found = evidence(change, acted)
    level = max(otsu_level(found), LEAST)
    certain = tidy(found > level)
    proposed = [tuple(segmenter.segments(image, certain, found)) for image in (before, after)]
    segments = [choose_segment(each, certain, segment_area) for each in proposed]
    either = segments[0].mask | segments[1].mask
    mask = tidy((either & (found > WEAK * level)) | certain)
    mask |= widened(mask, RIM) & (change > GHOST)
    of_before, of_after = (replace(one, mask=enlarge_mask(one.mask, size)) for one in segments)
    return EditMasks(prompt, of_before, of_after, enlarge_mask(mask, size), *proposed)


def _better_fit(original: Image.Image, edited: Image.Image, fitted: Fitted, mask: Mask) -> Fitted:
    """``fitted`` again outside ``mask``, if that shows that the edit, whose place was unknown, had led it astray."""
    left = estimate_alignment(original, fitted.aligned.image, mask)
    return fit(original, edited, mask) if left.farthest(original.size) > VISIBLE else fitted


def _replaced(original: Image.Image, redrawn: Image.Image) -> Mask:
    """Where one thing took another's place, [H, W]. A soft edge there would show both, as a ghost's outline."""
    change = difference(at_most(original), at_most(redrawn))
    return cv2.resize(change, original.size, interpolation=cv2.INTER_LINEAR) > GHOST


def as_blurred(original: Image.Image, edited: Image.Image) -> Image.Image:
    """``original`` with as much blur as an editor's encoder left in ``edited``, so that edges do not seem edited."""

    def unlike(blurred: NDArray[np.uint8]) -> float:
        return float(np.minimum(cv2.absdiff(blurred, pixels), MOST_UNLIKE).mean())

    sharp, pixels = np.asarray(original.convert("RGB")), np.asarray(edited.convert("RGB"))
    tried = [sharp, *(np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8) for sigma in BLURS)]
    return Image.fromarray(min(tried, key=unlike))


def widened(mask: Mask, pixels: int) -> Mask:
    """``mask`` [H, W] with everything within ``pixels`` of it; if negative, without what is as near to its edge.

    The picture's border is no edge.
    """
    if pixels == 0 or not mask.any() or mask.all():
        return mask
    side = mask if pixels < 0 else ~mask
    distance = cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= pixels if pixels > 0 else distance > -pixels, bool)


def _fit(map: Map, size: tuple[int, int]) -> Map:
    return map if map.shape == size[::-1] else cv2.resize(map, size, interpolation=cv2.INTER_AREA)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
