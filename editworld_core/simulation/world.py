"""From a dynamic and a seed to a finished pair: the simulator's front door."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from editworld_core.categories import Category
from editworld_core.simulation import dynamics  # noqa: F401  (registers them)
from editworld_core.simulation.dynamic import REGISTRY, Dynamic, Mask, touched
from editworld_core.simulation.stage import Split, Stage


@dataclass(frozen=True)
class SimulatedPair:
    """An exact pair. ``before`` and ``after`` are uint8 [H, W, 3] RGB, identical wherever ``mask`` [H, W] is False."""

    dynamic: str
    category: Category
    seed: int
    strength: float
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    mask: Mask
    instruction: str
    phrasings: tuple[str, ...]
    caption_before: str
    caption_after: str
    keywords: tuple[str, ...]


def dynamic_names() -> tuple[str, ...]:
    """The names of all dynamics, in a fixed order."""
    return tuple(sorted(REGISTRY))


def get_dynamic(name: str) -> Dynamic:
    """The dynamic called ``name``.

    Raises:
        ValueError: there is none; the sentence lists those that there are.
    """
    if name not in REGISTRY:
        raise ValueError(f"There is no dynamic named {name!r}; choose from {', '.join(dynamic_names())}.")
    return REGISTRY[name]


def _generator(name: str, seed: int, split: Split) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), seed, int(split == "held_out")])


def _to_uint8(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def simulate(
    name: str,
    seed: int,
    *,
    split: Split = "train",
    size: int = 256,
    strength: float = 1.0,
    photos: Sequence[Path] = (),
) -> SimulatedPair:
    """Let the dynamic ``name`` happen in the scene that ``seed`` fixes.

    Args:
        name: a name of ``dynamic_names``.
        seed: fixes scene and instruction, together with ``name`` and ``split``.
        split: which phrasings and backdrops to draw from.
        size: height and width in pixels.
        strength: how far the dynamic has gone, the time t in 0..1 of the picture after.
        photos: files that may become backdrops in training.

    Raises:
        ValueError: ``name`` is unknown or ``strength`` is outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"The strength must lie between 0 and 1, not {strength}.")
    entry = get_dynamic(name)
    rng = _generator(name, seed, split)
    happening = entry.stage(Stage(rng, size, split, photos))
    before, after = (np.clip(happening.frame(t), 0, 1) for t in (0.0, strength))
    mask = np.ones(before.shape[:2], bool) if happening.everywhere else touched(before, after)
    texts = tuple(
        text.format(**happening.words) for text in (entry.phrasings if split == "train" else entry.held_out)
    )
    source = _to_uint8(before)
    return SimulatedPair(
        dynamic=name,
        category=entry.category,
        seed=seed,
        strength=strength,
        before=source,
        after=np.where(mask[..., None], _to_uint8(after), source),
        mask=mask,
        instruction=texts[int(rng.integers(len(texts)))],
        phrasings=texts,
        caption_before=entry.before.format(**happening.words),
        caption_after=entry.after.format(**happening.words),
        keywords=tuple(keyword.format(**happening.words) for keyword in entry.keywords),
    )
