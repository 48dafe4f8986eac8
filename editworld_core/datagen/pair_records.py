"""What is known of a pair in the making, its seeds and its id, and how it is written into a data set.

A pair is made of its quadruple, the settings and the revisions of the models: its id and the seed of every draw are
known before anything is drawn, so a resumed run knows what it has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from editworld_core.datagen.pair_settings import PairSettings
from editworld_core.datagen.quadruple import Quadruple
from editworld_core.datagen.records import encode_png
from editworld_core.datagen.triplet import Triplet, image_path, item_id
from editworld_core.masks import Mask


@dataclass(frozen=True)
class Draw:
    """One candidate: its seed, its scores by name, and the weighted sum that decides."""

    seed: int
    scores: Mapping[str, float]
    total: float


@dataclass(frozen=True, eq=False)
class PairRecord:
    """What is known of a pair in the making.

    Attributes:
        original, target: RGB, of one size from the second stage on; None before they are drawn.
        mask: ``bool [H, W]`` on the pixels of ``original``: where the keywords are. The pair is meant to differ there;
            the last refinement changes a little everywhere.
        draws: by stage, all candidates in the order of their seeds.
        scores: of the finished pair.
    """

    quadruple: Quadruple
    original: Image.Image | None = None
    target: Image.Image | None = None
    mask: Mask | None = None
    draws: Mapping[str, tuple[Draw, ...]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


def original_of(record: PairRecord) -> Image.Image:
    """The original of ``record``.

    Raises:
        ValueError: no stage has drawn it yet; so for the other two.
    """
    return _present(record.original, "original")


def target_of(record: PairRecord) -> Image.Image:
    """The target of ``record``."""
    return _present(record.target, "target")


def mask_of(record: PairRecord) -> Mask:
    """The keyword mask of ``record``, ``bool [H, W]``."""
    return _present(record.mask, "mask")


def _present(value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"This record has no {what} yet: run the stages in their order.")
    return value


def mask_keywords(quadruple: Quadruple) -> tuple[str, ...]:
    """The keywords that the mask is made of: all but those that stand in the target caption only.

    What a picture only gains, such as the puddle of a melting snowman, has no place in the original. A keyword that
    stands in neither caption stays, for ``keyword_positions`` to refuse; so do all if none stands in the original's.
    """
    before = quadruple.keywords_in(quadruple.original_caption)
    after = quadruple.keywords_in(quadruple.target_caption)
    kept = tuple(word for word in quadruple.keywords if word in before or word not in after)
    return kept or tuple(quadruple.keywords)


def pair_id(quadruple: Quadruple, settings: PairSettings, models: Mapping[str, str]) -> str:
    """The id of the triplet that this quadruple gives, known before anything is drawn."""
    return item_id("text_to_image", _recipe(quadruple, settings), seeds_of(quadruple, settings), models)


def seeds_of(quadruple: Quadruple, settings: PairSettings) -> dict[str, int]:
    """The seed of every draw, by stage and number."""
    return {
        f"{stage}.{number}": draw_seed(settings.seed, quadruple, stage, number)
        for stage, count in draw_counts(settings).items()
        for number in range(count)
    }


def draw_seed(seed: int, quadruple: Quadruple, stage: str, number: int) -> int:
    """The seed of one draw: other draws, stages, quadruples and runs have others."""
    made_of = f"{seed} {quadruple.id} {stage}"
    first = int.from_bytes(hashlib.sha256(made_of.encode()).digest()[:4], "big") >> 1
    return first + number


def to_triplet(record: PairRecord, settings: PairSettings, models: Mapping[str, str]) -> Triplet:
    """The finished pair as a triplet; scores of draws are named ``draws/STAGE.NUMBER/SCORE``.

    It has no ``mask``, since nobody knows where exactly the pair differs; the keyword mask lies beside the pictures
    (``keyword_mask_path``).
    """
    quadruple = record.quadruple
    item = pair_id(quadruple, settings, models)
    draws = {
        f"draws/{stage}.{number}/{name}": value
        for stage, found in record.draws.items()
        for number, draw in enumerate(found)
        for name, value in {**draw.scores, "total": draw.total}.items()
        if draw.scores
    }
    return Triplet(
        id=item,
        branch="text_to_image",
        category=quadruple.category,
        instruction=quadruple.instruction,
        original_caption=quadruple.original_caption,
        target_caption=quadruple.target_caption,
        keywords=tuple(quadruple.keywords),
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=None,
        recipe=_recipe(quadruple, settings),
        seeds=seeds_of(quadruple, settings),
        models=models,
        scores={**record.scores, **draws},
    )


def keyword_mask_path(item: str) -> str:
    """Where the keyword mask of the item with this id lies in its data set."""
    return f"shards/{item[:2]}/{item}_keywords.png"


def to_files(record: PairRecord) -> tuple[bytes, bytes, bytes]:
    """PNG files of the original, the target and the keyword mask of a finished pair."""
    mask = Image.fromarray(mask_of(record).astype(np.uint8) * 255)
    return encode_png(original_of(record)), encode_png(target_of(record)), encode_png(mask)


def _recipe(quadruple: Quadruple, settings: PairSettings) -> dict[str, Any]:
    return {
        "quadruple": quadruple.id,
        "mask_keywords": list(mask_keywords(quadruple)),
        "settings": asdict(settings),
    }


def draw_counts(settings: PairSettings) -> dict[str, int]:
    """How many candidates each stage draws."""
    return {
        "draw_original": settings.originals,
        "redraw_original": settings.redrawn_originals,
        "draw_target": settings.targets,
        "refine_original": 1,
        "guide_target": settings.guided_targets,
        "refine_target": 1,
    }
