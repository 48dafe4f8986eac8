"""Gauges: what measures triplets, a few at a time, and what it needs to have read of them.

A gauge has a version in its name, to be raised whenever its numbers change; the cache keeps them apart by it.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from editworld_core.datagen.quadruple import Quadruple, make_quadruple, occurs
from editworld_core.datagen.quality.cache import Cache
from editworld_core.datagen.quality.items import Item, Pictures
from editworld_core.datagen.quality.measures import Values
from editworld_core.datagen.quality.near_duplicates import describe_pair
from editworld_core.datagen.quality.sharpness import sharpness
from editworld_core.datagen.quality.wording import complexity
from editworld_core.datagen.triplet import Triplet
from editworld_core.metrics import st_lpips, st_lpips_outside

if TYPE_CHECKING:
    from editworld_core.datagen.scoring import ClipScorer
    from editworld_core.language import LanguageModel

Reading = Literal["pictures", "texts", "both"]
Stored = str | bytes


@dataclass(frozen=True)
class Gauge:
    """Something that measures.

    Attributes:
        name: with its version, and the weights it uses.
        reads: what its values depend on.
        measure: the values of some items as they are kept: JSON of ``Values``, or the bytes of a descriptor.
    """

    name: str
    reads: Reading
    measure: Callable[[Sequence[Item]], list[Stored]]

    def content(self, item: Item) -> str:
        """The hash of what the gauge reads of ``item``."""
        if self.reads == "both":
            return item.picture_content + item.text_content
        return item.picture_content if self.reads == "pictures" else item.text_content

    def take(self, items: Sequence[Item], cache: Cache) -> tuple[list[Stored], int]:
        """What is kept of ``items``, and how many of them had to be measured."""
        contents = [self.content(item) for item in items]
        found = cache.get(self.name, contents)
        missing = {
            content: item for content, item in zip(contents, items, strict=True) if content not in found
        }
        if missing:
            new = dict(zip(missing, self.measure(list(missing.values())), strict=True))
            cache.put(self.name, new)
            found |= new
        return [found[content] for content in contents], len(missing)


def scalar_gauge(name: str, reads: Reading, measure: Callable[[Item], Values]) -> Gauge:
    """A gauge of numbers that looks at one item after the other."""
    return Gauge(name, reads, lambda items: [to_text(measure(item)) for item in items])


def to_text(values: Values) -> str:
    """``values`` as JSON, with six digits; what is no finite number is None."""
    kept = {
        name: None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
        for name, value in values.items()
    }
    return json.dumps(kept)


def pair_descriptor() -> Gauge:
    """The descriptors of pairs for near-duplicates; empty if the pictures cannot be read."""
    return Gauge("cells-1", "pictures", lambda items: [_describe(item.pictures) for item in items])


def text_descriptor() -> Gauge:
    """MiniLM's unit vectors float16 [3, d] of original caption, instruction and target caption."""
    return Gauge("minilm-1", "texts", _embed_texts)


def clip_gauge(scorer: "ClipScorer") -> Gauge:
    """The three CLIP scores, by the weights that ``scorer`` has."""
    return scalar_gauge(f"clip-1 {weights_of(scorer.name)}", "both", lambda item: _measure_clip(item, scorer))


def judge_gauge(model: "LanguageModel") -> Gauge:
    """What a vision-language model says of alignment, identity and quality."""
    return scalar_gauge(f"judge-1 {model.name}", "both", lambda item: _ask_judge(item, model))


def weights_of(name: str) -> str:
    """A hub id, or a folder with when and how large its files were written: other weights, another name."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return name
    states = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return json.dumps(
        [str(folder.resolve()), [(file, state.st_size, state.st_mtime_ns) for file, state in states]]
    )


def measure_pictures(item: Item) -> Values:
    """Sharpness, the size of the mask, and whether the files can be read."""
    pictures = item.pictures
    if pictures is None:
        return {"readable": 0.0}
    before, after = sharpness(pictures.original), sharpness(pictures.target)
    return {
        "readable": 1.0,
        "sharpness": min(before, after),
        "sharpness_original": before,
        "sharpness_target": after,
        "sharpness_ratio": after / before if before else None,
        "mask_share": None if pictures.mask is None else float(pictures.mask.mean()),
    }


def measure_st_lpips(item: Item) -> Values:
    """ST-LPIPS of the pair, everywhere and outside the mask."""
    pictures = item.pictures
    if pictures is None:
        return {}
    original, target, mask = pictures.original, pictures.target, pictures.mask
    outside = mask is not None and not mask.all()
    return {
        "st_lpips": st_lpips(original, target),
        "st_lpips_outside": st_lpips_outside(original, target, mask)
        if mask is not None and outside
        else None,
    }


def measure_wording(item: Item) -> Values:
    """How complex the instruction is, and how many keywords stand in a caption."""
    one = item.triplet
    captions = f"{one.original_caption}\n{one.target_caption}"
    found = [occurs(word, captions) for word in one.keywords] if captions.strip() else []
    return {
        **complexity(one.instruction),
        "keywords_found": sum(found) / len(found) if found else None,
    }


def _describe(pictures: Pictures | None) -> bytes:
    return b"" if pictures is None else describe_pair(pictures.original, pictures.target)


def _embed_texts(items: Sequence[Item]) -> list[Stored]:
    from editworld_core.datagen.text import embed

    vectors = embed([_as_quadruple(item.triplet) for item in items])
    return [vector.astype(np.float16).tobytes() for vector in vectors]


def coherence(triplet: Triplet, vectors: NDArray[np.float16]) -> float | None:
    """How much nearer the instruction is to the target caption than to the original one; None without all three.

    Args:
        vectors: [3, d], as of ``text_descriptor``.
    """
    if not all(text.strip() for text in _as_quadruple(triplet).texts()):
        return None
    before, told, after = vectors.astype(np.float64)
    return float(told @ after - told @ before)


def _measure_clip(item: Item, scorer: "ClipScorer") -> Values:
    pictures, one = item.pictures, item.triplet
    if pictures is None:
        return {}
    before, after = scorer.embed_images([pictures.original, pictures.target])
    values: dict[str, float | None] = {"clip_image": float(before @ after)}
    if one.target_caption.strip():
        outcome = scorer.embed_text(one.target_caption)
        values["clip_text"] = float(after @ outcome)
        if one.original_caption.strip():
            change, told = after - before, outcome - scorer.embed_text(one.original_caption)
            length = float(change.norm() * told.norm())
            values["clip_direction"] = float(change @ told) / length if length > 1e-9 else None
    return values


def _ask_judge(item: Item, model: "LanguageModel") -> Values:
    from editworld_core.datagen.judging import judge

    pictures = item.pictures
    if pictures is None or not item.triplet.instruction.strip():
        return {}
    verdict = judge(pictures.original, pictures.target, _as_quadruple(item.triplet), model)
    return {f"judge_{aspect}": score for aspect, score in verdict.scores.items()}


def _as_quadruple(one: Triplet) -> Quadruple:
    return make_quadruple(
        one.category, one.original_caption, one.instruction, one.target_caption, one.keywords, "local", "", 0
    )


def read_values(stored: Stored) -> Mapping[str, float | None]:
    """What ``to_text`` wrote."""
    values: Mapping[str, float | None] = json.loads(stored)
    return values
