"""A dynamic: one thing that the simulator knows how to let happen, and the registry of all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.categories import Category
from editworld_core.simulation.sprites import Picture
from editworld_core.simulation.stage import Stage

Mask = NDArray[np.bool_]

VISIBLE = 3 / 255  # a change of a channel that counts as touched; below it 8-bit rounding hides the change


@dataclass(frozen=True)
class Happening:
    """One scene in which something happens.

    ``frame(t)`` is the picture at time t in 0..1 and must be deterministic. ``words`` fill the slots of the
    dynamic's texts, such as ``{subject}``. ``everywhere`` says that the whole picture is touched.
    """

    frame: Callable[[float], Picture]
    words: Mapping[str, str] = field(default_factory=dict)
    everywhere: bool = False


@dataclass(frozen=True)
class Dynamic:
    """Texts are templates over ``Happening.words``. ``phrasings`` are for training, ``held_out`` never are; both run
    from the plain command to the pure cause. ``local`` dynamics touch a part of the picture; ``photo`` dynamics work
    on any photograph. Of what is not ``alone`` there may be two in a scene, and the instruction says which."""

    name: str
    category: Category
    keywords: tuple[str, ...]
    before: str
    after: str
    phrasings: tuple[str, ...]
    held_out: tuple[str, ...]
    local: bool
    photo: bool
    alone: bool
    stage: Callable[[Stage], Happening]


REGISTRY: dict[str, Dynamic] = {}


def dynamic(
    *,
    category: Category,
    keywords: tuple[str, ...],
    before: str,
    after: str,
    phrasings: tuple[str, ...],
    held_out: tuple[str, ...],
    local: bool = True,
    photo: bool = False,
    alone: bool = False,
) -> Callable[[Callable[[Stage], Happening]], Callable[[Stage], Happening]]:
    """Register the decorated function as a dynamic under its own name.

    Raises:
        ValueError: the name is taken, fewer than twelve phrasings in all, or fewer than three held out.
    """

    def register(stage: Callable[[Stage], Happening]) -> Callable[[Stage], Happening]:
        name = stage.__name__
        if name in REGISTRY:
            raise ValueError(f"there is a dynamic named {name} already")
        if len(set(phrasings) | set(held_out)) < 12 or len(set(held_out) - set(phrasings)) < 3:
            raise ValueError(f"{name} needs twelve phrasings, three of them held out")
        REGISTRY[name] = Dynamic(
            name,
            category,
            keywords,
            before,
            after,
            phrasings,
            held_out,
            local,
            photo,
            alone or photo or not local,
            stage,
        )
        return stage

    return register


def touched(before: Picture, after: Picture, grow: int = 1) -> Mask:
    """The pixels [H, W] that differ visibly, closed over gaps of a few pixels and grown by ``grow``."""
    differs = (np.abs(after - before).max(-1) > VISIBLE).astype(np.uint8)
    closed = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return cv2.dilate(closed, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)).astype(bool)
