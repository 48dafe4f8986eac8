"""Edits on held-out items by the engine that a run has just saved, through the very code that its user will run."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from editworld_core.errors import BadInputError
from training.finetune.config import FinetuneConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

    from editworld_core.datagen.scoring import ClipScorer
    from editworld_core.datagen.triplet import Triplet
    from editworld_core.editor import EditResult

SCORES = (
    "st_lpips_target",
    "mask_iou",
    "psnr_outside",
    "st_lpips_outside",
    "clip_caption",
    "clip_target",
)
"""Perceptual distance to the target; attention mask against the true one, and what changed outside that; similarity
of the edit to the target's caption and to the target. The middle three need true masks, the last two a CLIP."""
MOST_DB = 100.0  # stands for the infinite PSNR of identical pictures
SHOWN = 24  # pictures on the sheet


@dataclass(frozen=True)
class Item:
    """One item's edit: its place in the data set, scores, and original, edit and target for the sheet."""

    index: int
    title: str
    instruction: str
    scores: dict[str, float]
    pictures: tuple[Image.Image, ...]


def held_out(config: FinetuneConfig) -> "list[Triplet]":
    """The items that are edited.

    Raises:
        BadInputError: the data set is none, or empty.
    """
    from editworld_core.datagen.records import read_triplets

    folder = config.validation.dataset
    assert folder is not None  # the caller saw to it
    items = [
        triplet for triplet, _ in zip(read_triplets(folder), range(config.validation.items), strict=False)
    ]
    if not items:
        raise BadInputError(f"{folder} has no items to validate on: name another validation.dataset.")
    return items


def check_validation(config: FinetuneConfig) -> None:
    """Refuse before the run what would stop it at its first validation.

    Raises:
        BadInputError: the data set is none, or empty.
        EngineUnavailableError: the CLIP model is not there.
    """
    if config.validation.dataset is not None:
        held_out(config)
        if config.validation.clip:
            from editworld_core.datagen.scoring import load_clip

            load_clip(config.validation.clip)


def validate(
    config: FinetuneConfig, product: Path, step: int, folder: Path, accelerator: "Accelerator"
) -> dict[str, float]:
    """Edit the held-out items, shared out to the processes, and draw them as ``validation-STEP.png``.

    Args:
        product: folder of the engine or of the LoRA weights that are judged.

    Returns:
        The mean of each of ``SCORES`` over the items that have it.
    """
    from accelerate.utils import gather_object

    from editworld_core.datagen.scoring import load_clip
    from editworld_core.editor import WorldEditor

    engine = _load(config, product, accelerator)
    editor = WorldEditor(lambda *_: engine)
    clip = load_clip(config.validation.clip, str(accelerator.device)) if config.validation.clip else None
    todo = list(enumerate(held_out(config)))[accelerator.process_index :: accelerator.num_processes]
    items: list[Item] = sorted(
        gather_object([_edit(config, editor, clip, index, triplet) for index, triplet in todo]),
        key=lambda item: item.index,
    )
    if accelerator.is_main_process:
        _draw(items, step, folder / f"validation-{step:06d}.png")
    names = [name for name in SCORES if any(name in item.scores for item in items)]
    return {name: fmean(item.scores[name] for item in items if name in item.scores) for name in names}


def _load(config: FinetuneConfig, product: Path, accelerator: "Accelerator") -> Any:
    from editworld_core.engines.load import load
    from editworld_core.engines.place import DTYPES, Place
    from editworld_core.engines.registry import row_for

    precision = accelerator.mixed_precision
    place = Place(str(accelerator.device), DTYPES["fp32" if precision == "no" else precision])
    if config.model.lora_rank:
        return load(config.model.base, row_for(config.model.base).info, place, lora=str(product))
    return load(str(product), row_for(str(product)).info, place)


def _edit(
    config: FinetuneConfig, editor: Any, clip: "ClipScorer | None", index: int, triplet: "Triplet"
) -> Item:
    from editworld_core.datagen.contact_sheet import thumbnail
    from editworld_core.datagen.records import load_images
    from editworld_core.settings import EditSettings

    chosen = config.validation
    assert chosen.dataset is not None  # the caller saw to it
    original, target, mask = load_images(chosen.dataset, triplet)
    settings = EditSettings(
        engine="trained",
        steps=chosen.steps,
        text_guidance=chosen.text_guidance,
        image_guidance=chosen.image_guidance,
        seed=index,
        inpainter="none",
        align=False,
    )
    result = editor.edit(original, triplet.instruction, settings)
    pictures = tuple(thumbnail(image) for image in (original, result.edited, target))
    scores = _scores(result, target, mask, triplet, clip)
    return Item(index, triplet.category.value, triplet.instruction, scores, pictures)


def _scores(
    result: "EditResult",
    target: Image.Image,
    mask: Image.Image | None,
    triplet: "Triplet",
    clip: "ClipScorer | None",
) -> dict[str, float]:
    from editworld_core.metrics import mask_iou, psnr, st_lpips, st_lpips_outside

    scores = {"st_lpips_target": st_lpips(result.edited, target)}
    true = None if mask is None else np.asarray(mask) > 127
    if true is not None and not true.all():
        scores |= {
            "mask_iou": mask_iou(result.attention_mask, true),
            "psnr_outside": min(MOST_DB, psnr(result.original, result.edited, ~true)),
            "st_lpips_outside": st_lpips_outside(result.original, result.edited, true),
        }
    if clip is not None:
        scores["clip_target"] = clip.similarity([result.edited], target)[0]
        scores["clip_caption"] = clip.similarity([result.edited], triplet.target_caption)[0]
    return scores


def _draw(items: list[Item], step: int, path: Path) -> None:
    from editworld_core.datagen.contact_sheet import Panel, draw_sheet
    from editworld_core.datagen.records import encode_png, write_file

    panels = [Panel(item.title, item.pictures, f"“{item.instruction}”") for item in items[:SHOWN]]
    write_file(
        path, encode_png(draw_sheet(f"Step {step}: original, edit, target", panels, min(3, len(panels))))
    )
