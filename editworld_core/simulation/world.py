"""From a dynamic and a seed to a finished pair: the simulator's front door."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from editworld_core.categories import Category
from editworld_core.simulation import dynamics  # noqa: F401  (registers them)
from editworld_core.simulation.dynamic import REGISTRY, Dynamic, Happening, Mask, touched
from editworld_core.simulation.naming import Which, leave_out, say_which
from editworld_core.simulation.stage import Half, Split, Stage

TWINS = 0.2  # of the scenes have two subjects of a kind
BY_SIZE = 0.25  # of these say which is meant by its size, the others by its side
NAMED = 0.45  # of the scenes with bystanders out of harm's way name one
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


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


@dataclass(frozen=True)
class Scene:
    """What happens, the ``stage`` it happens on, and ``which`` of two subjects is meant, if there are two; ``first``
    is the stage of the one to which nothing happens."""

    happening: Happening
    stage: Stage
    which: Which | None = None
    first: Stage | None = None


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
    luck: NDArray[np.floating] | None = None,
) -> SimulatedPair:
    """Let the dynamic ``name`` happen in the scene that ``seed`` fixes.

    Args:
        name: a name of ``dynamic_names``.
        seed: fixes scene and instruction, together with ``name`` and ``split``.
        split: which phrasings and backdrops to draw from.
        size: height and width in pixels.
        strength: how far the dynamic has gone, the time t in 0..1 of the picture after.
        photos: files that may become backdrops in training.
        luck: [h, w], where it is highest are the stars, flakes, streaks and embers; None puts them anywhere.

    Raises:
        ValueError: ``name`` is unknown or ``strength`` is outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"The strength must lie between 0 and 1, not {strength}.")
    entry = get_dynamic(name)
    rng = _generator(name, seed, split)
    scene = build_scene(entry, rng, size, split, photos, luck)
    happening = scene.happening
    before, after = (np.clip(happening.frame(t), 0, 1) for t in (0.0, strength))
    mask = np.ones(before.shape[:2], bool) if happening.everywhere else touched(before, after)
    source = _to_uint8(before)
    texts = _texts(entry, scene, split, mask, rng)
    caption_before, caption_after = _captions(entry, scene)
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
        caption_before=caption_before,
        caption_after=caption_after,
        keywords=_keywords(entry, scene),
    )


def build_scene(
    entry: Dynamic,
    rng: np.random.Generator,
    size: int,
    split: Split,
    photos: Sequence[Path],
    luck: NDArray[np.floating] | None = None,
) -> Scene:
    """A scene for ``entry``; in a fifth of those of dynamics that are not ``alone``, two of a kind are in it.

    Both are staged by the dynamic itself from the same seed, so they are of one kind. The first stays at time 0 and
    is part of the scenery of the second, to which it happens.
    """
    if entry.alone or rng.random() >= TWINS:
        stage = Stage(rng, size, split, photos, luck=luck)
        return Scene(entry.stage(stage), stage)
    seed = int(rng.integers(2**32))
    side, far_side = SIDES if rng.random() < 0.5 else SIDES[::-1]
    by_size = rng.random() < BY_SIZE
    scales = rng.permutation((1.0, 0.62)) if by_size else rng.uniform(0.85, 1, 2)
    first = Stage(np.random.default_rng(seed), size, split, photos, Half(far_side, float(scales[0])))
    picture = entry.stage(first).frame(0.0)
    empty = first.notes.backdrop
    assert empty is not None, f"{entry.name} stages two of a kind without a backdrop"
    picture.setflags(write=False)
    scenery = replace(empty, picture=picture)
    half = Half(side, float(scales[1]), scenery, first.notes.columns)
    second = Stage(np.random.default_rng(seed), size, split, photos, half)
    bigger = scales[1] > scales[0]
    which = Which(side, ("bigger" if bigger else "smaller") if by_size else None)
    return Scene(entry.stage(second), second, which, first)


def _nouns(entry: Dynamic, words: Mapping[str, str]) -> list[str]:
    """Words for the subject, the usual one first."""
    keywords = [keyword.format(**words) for keyword in entry.keywords]
    return [*dict.fromkeys((words.get("subject", keywords[0]), *keywords))]


def _texts(
    entry: Dynamic, scene: Scene, split: Split, mask: Mask, rng: np.random.Generator
) -> tuple[str, ...]:
    words = scene.happening.words
    templates = entry.phrasings if split == "train" else entry.held_out
    texts = [template.format(**words) for template in templates]
    if scene.which is not None:
        texts = [say_which(text, _nouns(entry, words), scene.which, rng) for text in texts]
    elif (bystander := _unharmed(scene, mask, rng)) is not None:
        texts = [leave_out(text, bystander, split, rng) for text in texts]
    return tuple(texts)


def _unharmed(scene: Scene, mask: Mask, rng: np.random.Generator) -> str | None:
    """A bystander for the instruction to name, in some of the scenes where one stands outside the mask."""
    free = [bystander.name for bystander in scene.stage.notes.bystanders if not mask[bystander.window].any()]
    if not free or rng.random() >= NAMED:
        return None
    return free[int(rng.integers(len(free)))]


def _captions(entry: Dynamic, scene: Scene) -> tuple[str, str]:
    words = scene.happening.words
    before, after = entry.before.format(**words), entry.after.format(**words)
    if scene.which is None:
        return before, after
    other = scene.which.other(_nouns(entry, words)[0])
    return f"{before}, and another {other}", f"{after}, and the other {other} unchanged"


def _keywords(entry: Dynamic, scene: Scene) -> tuple[str, ...]:
    return tuple(keyword.format(**scene.happening.words) for keyword in entry.keywords)
