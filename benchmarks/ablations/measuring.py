"""From an edit to a mask, to a post-edit, to a row of measures."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.ablations.edits import Edit, Edits, Scene, pair_of
from editworld_core.evaluation.simulated import MOST_DB, SUCCESS
from editworld_core.masks import (
    Map,
    Mask,
    content_words,
    difference_mask,
    enlarge,
    mask_from_maps,
    mask_iou,
    normalise,
    overlap,
)
from editworld_core.metrics import psnr
from editworld_core.settings import EditSettings, MaskRule

if TYPE_CHECKING:
    from editworld_core.simulation.world import SimulatedPair

DEFAULT = EditSettings()
Measures = dict[str, Any]
Layers = Sequence[Sequence[str]]
"""Names of layers, those of one resolution together."""


@dataclass(frozen=True)
class Located:
    """Where the words acted: bool and float32 [H, W]; None each if no attention was seen."""

    prompt: Mask | None
    heat: Map | None


@dataclass(frozen=True)
class Finished:
    """What a post-edit, or something in its place, made: RGB, and bool [H, W]."""

    final: Image.Image
    prompt: Mask
    mask: Mask


Work = Callable[[Scene, Edit], Finished]


def located(
    edit: Edit,
    rule: MaskRule = DEFAULT.mask_rule,
    factor: float = DEFAULT.mask_threshold,
    layers: Layers | None = None,
    steps: Sequence[int] | None = None,
) -> Located:
    """Where the content words acted, as ``WorldEditor`` finds it.

    Args:
        layers: the layers to take, for each resolution; maps of several are averaged after each is scaled to 0..1.
            None takes those that the editor takes.
        steps: the denoising steps to take; None takes all.
    """
    keywords = content_words([token.word for token in edit.words])
    chosen = [token for token in edit.words if token.word in keywords]
    if edit.attention is None or not chosen:
        return Located(None, None)
    size = edit.original.height, edit.original.width
    groups = layers or [edit.attention.nearest(16)]
    maps = []
    for token in chosen:
        each = [edit.attention.map(token.positions, group, steps) for group in groups]
        maps.append(
            each[0] if len(each) == 1 else np.mean([enlarge(normalise(map), size) for map in each], axis=0)
        )
    heat = normalise(np.sum([enlarge(normalise(map), size) for map in maps], axis=0))
    return Located(mask_from_maps(maps, rule, factor, size), heat)


def finish(edits: Edits, edit: Edit, where: Located, **options: Any) -> Finished:
    """The post-edit of ``edit`` by its mask; without alignment unless ``options`` say otherwise.

    Args:
        options: of ``post_edit``, and ``inpainter`` by its name.
    """
    from editworld_core.inpainting import load_inpainter
    from editworld_core.post_edit import post_edit
    from editworld_core.segmentation import load_segmenter

    name = options.pop("inpainter", "auto")
    kept = post_edit(
        edit.original,
        edit.edited,
        where.prompt,
        where.heat,
        edit.told,
        segmenter=load_segmenter("auto"),
        inpainter=load_inpainter(name, edits.engine, edits.settings),
        **{"feather": DEFAULT.feather, "align": False} | options,
    )
    return Finished(kept.final, kept.prompt, kept.mask)


def unfinished(edit: Edit, where: Located) -> Finished:
    """The engine's own picture in place of a post-edit; its mask is the attention's."""
    prompt = difference_mask(edit.original, edit.edited) if where.prompt is None else where.prompt
    return Finished(edit.edited, prompt, prompt)


def measured(scene: Scene, edit: Edit, work: Work) -> Measures:
    """The row of what ``work`` makes of ``edit``.

    Errors are mean absolute errors to the true target inside the true mask, in levels of 255. What is outside it, and
    the masks' IoU, are None for dynamics that touch the whole picture.
    """
    started = time.perf_counter()
    finished = work(scene, edit)
    seconds = edit.seconds + time.perf_counter() - started
    pair = pair_of(scene)
    source, before, after = (
        error_inside(picture, pair) for picture in (edit.original, edit.edited, finished.final)
    )
    row = {
        "dynamic": pair.dynamic,
        "category": pair.category.value,
        "seed": pair.seed,
        "mask_share": float(pair.mask.mean()),
        "error_source": source,
        "error_before": before,
        "error_after": after,
        "before": before <= SUCCESS * source,
        "after": after <= SUCCESS * source,
        "recall": overlap(pair.mask, finished.mask),
        "precision": overlap(finished.mask, pair.mask),
        "seconds": seconds,
    }
    outside = dict.fromkeys(("psnr_before", "psnr", "iou_attention", "iou"))
    return row | (outside if pair.mask.all() else _outside(pair, edit, finished))


def _outside(pair: "SimulatedPair", edit: Edit, finished: Finished) -> dict[str, float]:
    rest = ~pair.mask
    return {
        "psnr_before": min(MOST_DB, psnr(edit.original, edit.edited, rest)),
        "psnr": min(MOST_DB, psnr(edit.original, finished.final, rest)),
        "iou_attention": mask_iou(finished.prompt, pair.mask),
        "iou": mask_iou(finished.mask, pair.mask),
    }


def error_inside(image: Image.Image, pair: "SimulatedPair") -> float:
    """Mean absolute error to the true target inside the true mask, in levels of 255; 0 if the mask is empty."""
    if not pair.mask.any():
        return 0.0
    return float(np.abs(np.asarray(image, np.float32)[pair.mask] - pair.after[pair.mask]).mean())


def change(image: Image.Image, original: Image.Image) -> float:
    """Mean absolute difference of two pictures, in levels of 255."""
    return float(np.abs(np.asarray(image, np.float32) - np.asarray(original, np.float32)).mean())


Variant = Callable[[Scene], Measures]
"""What a line of a table does with a scene."""


def variant(edits: Edits, work: Work, take: Callable[[Scene], Edit] | None = None) -> Variant:
    """Does ``work`` on the edit that ``take`` gives; None takes that with the engine's own settings."""

    def measure(scene: Scene) -> Measures:
        return measured(scene, (take or edits.get)(scene), work)

    return measure


def by_default(edits: Edits) -> Variant:
    """The edit and the post-edit as they are without any choice, measured once for all tables that have this line."""

    def measure(scene: Scene) -> Measures:
        if scene not in edits.by_default:
            edits.by_default[scene] = redrawn(edits, scene)
        return edits.by_default[scene]

    return measure


def redrawn(edits: Edits, scene: Scene, told: str = "", **changes: Any) -> Measures:
    """The row of an edit with other words or settings, and the default post-edit."""
    return measured(
        scene, edits.get(scene, told, **changes), lambda _, edit: finish(edits, edit, located(edit))
    )


def over_scenes(
    edits: Edits, variants: Mapping[str, Variant], progress: Callable[[], None]
) -> dict[str, list[Measures]]:
    """For every one of ``variants`` the rows of all scenes; ``progress`` is called after every scene."""
    found: dict[str, list[Measures]] = {label: [] for label in variants}
    for scene in edits.scenes:
        for label, measure in variants.items():
            found[label].append(measure(scene))
        progress()
    return found
