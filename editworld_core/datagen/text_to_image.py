"""The text-to-image branch: a pair of pictures from a quadruple of texts (EditWorld, section 3.2).

Every stage is a function that takes what is known of a pair and gives it back with more: ``STAGES`` in their order,
``make_pair`` all of them. A stage draws a few candidates, each from its own seed, scores them, keeps the best and
notes all seeds and scores. Nothing is kept between stages but the record, so they can run on different machines.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from editworld_core.controlnet_inpainting import ControlNetInpainter, whole_cells
from editworld_core.datagen.keyword_masks import keyword_groups, keyword_mask, recording
from editworld_core.datagen.pair_models import PairModels
from editworld_core.datagen.pair_records import (
    Draw,
    PairRecord,
    draw_counts,
    draw_seed,
    mask_keywords,
    mask_of,
    original_of,
    target_of,
)
from editworld_core.datagen.pair_settings import PairSettings
from editworld_core.datagen.quadruple import Quadruple
from editworld_core.datagen.scoring import structure
from editworld_core.engines.stable_diffusion import clip_offsets
from editworld_core.errors import EditWorldError, EngineUnavailableError
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder

Scores = dict[str, float]
Stage = Callable[[PairRecord, PairModels, PairSettings], PairRecord]


def draw_original(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 1: the best of ``originals`` draws by CLIP(image, caption), and its keyword mask.

    Raises:
        BadInputError: a keyword is in no caption, or the mask is empty.
    """
    quadruple, pipeline = record.quadruple, models.ready(models.draw)
    caption = quadruple.original_caption
    offsets = clip_offsets(pipeline.tokenizer, caption)
    positions, groups = keyword_groups(caption, mask_keywords(quadruple), offsets)
    side = pipeline.unet.config.sample_size
    recorders: list[AttentionRecorder] = []

    def draw(seeds: Sequence[int]) -> list[Image.Image]:
        with recording(pipeline.unet, (side, side), len(seeds), positions, 2 * settings.mask_cells) as fresh:
            drawn = pipeline([caption] * len(seeds), **_options(seeds, settings))
        recorders.extend(fresh)
        return list(drawn.images)

    def score(images: Sequence[Image.Image]) -> list[Scores]:
        return [{"clip_text": value} for value in models.clip.similarity(images, caption)]

    best = _best_of("draw_original", record, models, settings, draw, score, {"clip_text": 1.0})
    maps = recorders[best.number].maps()
    cells = keyword_mask(maps, groups, settings.mask_threshold, settings.mask_cells)
    return replace(best.noted(record), original=best.image, mask=_on_pixels(cells, best.image.size))


def redraw_original(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 2: the original once more inside its mask, at the size of the redrawing model, best by CLIP."""
    original, mask = _at_size(record, models)
    caption = record.quadruple.original_caption

    def score(images: Sequence[Image.Image]) -> list[Scores]:
        return [{"clip_text": value} for value in models.clip.similarity(images, caption)]

    draw = _inside(original, mask, caption, models, settings)
    best = _best_of("redraw_original", record, models, settings, draw, score, {"clip_text": 1.0})
    return replace(best.noted(record), original=best.image, mask=mask)


def draw_target(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 3: what the target caption says inside the mask.

    The best by CLIP(target, target caption) + CLIP(target, original) + structure term of SSIM(target, original).
    """
    original, mask = original_of(record), mask_of(record)
    caption = record.quadruple.target_caption

    def score(images: Sequence[Image.Image]) -> list[Scores]:
        return [
            {
                "clip_text": text,
                "clip_image": image,
                "structure": structure(picture, original, settings.structure_constant),
            }
            for picture, text, image in zip(
                images,
                models.clip.similarity(images, caption),
                models.clip.similarity(images, original),
                strict=True,
            )
        ]

    draw = _inside(original, mask, caption, models, settings)
    weights = {
        "clip_text": settings.target_text_weight,
        "clip_image": settings.target_image_weight,
        "structure": settings.target_structure_weight,
    }
    best = _best_of("draw_target", record, models, settings, draw, score, weights)
    return replace(best.noted(record), target=best.image)


def refine_original(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 4: the original again by image-to-image, made realistic."""
    refined, draw = _refined(
        "refine_original", original_of(record), record.quadruple.original_caption, record, models, settings
    )
    return replace(record, original=refined, draws={**record.draws, "refine_original": (draw,)})


def guide_target(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 5: the target once more inside the mask, held to its edges and to the looks of the original.

    ControlNet on the Canny edges of the target, IP-Adapter on the original; the best by CLIP(target, original) + 4
    CLIP(target, target caption).
    """
    original, target, mask = original_of(record), target_of(record), mask_of(record)
    caption = record.quadruple.target_caption

    def draw(seeds: Sequence[int]) -> list[Image.Image]:
        return [
            ControlNetInpainter(models.guide, _guide_settings(seed, caption, settings)).inpaint(
                original, target, mask, caption
            )
            for seed in seeds
        ]

    def score(images: Sequence[Image.Image]) -> list[Scores]:
        texts, pictures = (models.clip.similarity(images, other) for other in (caption, original))
        return [{"clip_text": text, "clip_image": image} for text, image in zip(texts, pictures, strict=True)]

    weights = {"clip_text": settings.guided_text_weight, "clip_image": settings.guided_image_weight}
    best = _best_of("guide_target", record, models, settings, draw, score, weights)
    return replace(best.noted(record), target=best.image)


def refine_target(record: PairRecord, models: PairModels, settings: PairSettings) -> PairRecord:
    """Stage 6: the target again by image-to-image; then the finished pair is scored."""
    target, draw = _refined(
        "refine_target", target_of(record), record.quadruple.target_caption, record, models, settings
    )
    original, quadruple = original_of(record), record.quadruple
    scores = {
        "clip_original": models.clip.similarity([original], quadruple.original_caption)[0],
        "clip_target": models.clip.similarity([target], quadruple.target_caption)[0],
        "clip_image": models.clip.similarity([target], original)[0],
        "structure": structure(target, original, settings.structure_constant),
    }
    return replace(
        record, target=target, draws={**record.draws, "refine_target": (draw,)}, scores=_finite(scores)
    )


STAGES: tuple[Stage, ...] = (
    draw_original,
    redraw_original,
    draw_target,
    refine_original,
    guide_target,
    refine_target,
)


def make_pair(
    quadruple: Quadruple,
    models: PairModels,
    settings: PairSettings,
    on_stage: Callable[[str], None] | None = None,
) -> PairRecord:
    """All stages for one quadruple.

    Args:
        on_stage: told the name of each stage as it begins.

    Raises:
        BadInputError: a keyword is in no caption, or the mask is empty.
        EngineUnavailableError: the memory does not suffice.
    """
    import torch

    record = PairRecord(quadruple)
    for stage in STAGES:
        if on_stage is not None:
            on_stage(stage.__name__)
        try:
            record = stage(record, models, settings)
        except torch.OutOfMemoryError as error:
            raise EngineUnavailableError(
                "The memory does not suffice for these models: take a smaller --batch, the offload preset 'model', "
                "or the smaller models 'sd15'."
            ) from error
    return record


# Drawing and choosing


@dataclass(frozen=True, eq=False)
class _Best:
    """What was chosen in a stage: which draw, its picture, and all draws."""

    stage: str
    number: int
    image: Image.Image
    draws: tuple[Draw, ...]

    def noted(self, record: PairRecord) -> PairRecord:
        return replace(record, draws={**record.draws, self.stage: self.draws})


def _best_of(
    stage: str,
    record: PairRecord,
    models: PairModels,
    settings: PairSettings,
    draw: Callable[[Sequence[int]], list[Image.Image]],
    score: Callable[[Sequence[Image.Image]], list[Scores]],
    weights: Mapping[str, float],
) -> _Best:
    """Draw the candidates of ``stage``, ``models.batch`` at once; the greatest weighted sum wins, else the first."""
    seeds = [
        draw_seed(settings.seed, record.quadruple, stage, number)
        for number in range(draw_counts(settings)[stage])
    ]
    images: list[Image.Image] = []
    for first in range(0, len(seeds), models.batch):
        images += draw(seeds[first : first + models.batch])
    draws = tuple(
        Draw(seed, _finite(scores), sum(weight * scores[name] for name, weight in weights.items()))
        for seed, scores in zip(seeds, score(images), strict=True)
    )
    number = max(range(len(draws)), key=lambda each: draws[each].total)
    return _Best(stage, number, images[number], draws)


def _finite(scores: Scores) -> Scores:
    broken = [name for name, value in scores.items() if not math.isfinite(value)]
    if broken:
        raise EditWorldError(
            f"The score {broken[0]} is no number, so the models drew or saw nothing; compute with --dtype fp32."
        )
    return scores


def _options(seeds: Sequence[int], settings: PairSettings) -> dict[str, Any]:
    import torch

    return {
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
    }


def _inside(
    original: Image.Image, mask: Mask, caption: str, models: PairModels, settings: PairSettings
) -> Callable[[Sequence[int]], list[Image.Image]]:
    """Drawing ``caption`` inside ``mask``.

    The model sees no mask. At every noise level the latents outside are replaced by the original's, noised to that
    level: z_t = M z_t + (1 - M) z_original,t (EditWorld, section 3.2).
    """
    pipeline = models.ready(models.inpaint)
    cover = Image.fromarray(
        whole_cells(mask, original.size, pipeline.vae_scale_factor).astype(np.uint8) * 255
    )

    def draw(seeds: Sequence[int]) -> list[Image.Image]:
        count = len(seeds)
        drawn = pipeline(
            [caption] * count,
            image=[original] * count,
            mask_image=[cover] * count,
            width=original.width,
            height=original.height,
            strength=settings.inpaint_strength,
            **_options(seeds, settings),
        )
        return list(drawn.images)

    return draw


def _refined(
    stage: str,
    image: Image.Image,
    caption: str,
    record: PairRecord,
    models: PairModels,
    settings: PairSettings,
) -> tuple[Image.Image, Draw]:
    seed = draw_seed(settings.seed, record.quadruple, stage, 0)
    drawn = models.ready(models.refine)(
        [caption + settings.refine_words],
        image=[image],
        strength=settings.refine_strength,
        **_options([seed], settings),
    )
    return drawn.images[0], Draw(seed, {}, 0.0)


def _guide_settings(seed: int, caption: str, settings: PairSettings) -> EditSettings:
    return EditSettings(
        seed=seed,
        outcome=caption,
        inpaint_steps=settings.steps,
        inpaint_strength=settings.guided_strength,
        canny_scale=settings.canny_scale,
        image_prompt_scale=settings.adapter_scale,
    )


def _at_size(record: PairRecord, models: PairModels) -> tuple[Image.Image, Mask]:
    """The original and its mask at the native size of the redrawing model."""
    original, mask = original_of(record), mask_of(record)
    side = models.inpaint.unet.config.sample_size * models.inpaint.vae_scale_factor
    if original.size == (side, side):
        return original, mask
    return original.resize((side, side), Image.Resampling.LANCZOS), _on_pixels(mask, (side, side))


def _on_pixels(mask: Mask, size: tuple[int, int]) -> Mask:
    """``mask`` enlarged or reduced to ``size`` = (width, height), without soft edges."""
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), bool)
