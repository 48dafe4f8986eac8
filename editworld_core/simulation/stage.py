"""What a dynamic is given to play on: a backdrop, a size, and the one source of chance."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from editworld_core.simulation.sprites import Picture

T = TypeVar("T")
Split = Literal["train", "held_out"]


@dataclass(frozen=True)
class Backdrop:
    """An empty scene: ``picture`` float32 [H, W, 3] in 0..1, never written to; ``horizon`` is the row (pixels)
    where the ground begins; ``place`` completes "… in {place}" ("a meadow")."""

    picture: Picture
    horizon: float
    place: str


@dataclass(frozen=True)
class Stage:
    """Everything chance decides in a scene is drawn from ``rng``, so a seed fixes the scene.

    ``photos`` are files that may serve as backdrops of the training split; the held-out split has photos of its own
    (scikit-image's) and procedural places that training never shows.
    """

    rng: np.random.Generator
    size: int = 256
    split: Split = "train"
    photos: Sequence[Path] = field(default_factory=tuple)

    def backdrop(self, *places: str) -> Backdrop:
        """A place to put objects in; one of the named procedural ``places``, or any place or photo if none is."""
        from editworld_core.simulation.backdrops import make_backdrop

        return make_backdrop(self, places)

    def photograph(self) -> Backdrop:
        """A picture for a photo dynamic: mostly photographs, sometimes a furnished procedural scene."""
        from editworld_core.simulation.backdrops import make_photograph

        return make_photograph(self)

    def chance(self, low: float, high: float) -> float:
        """A number drawn evenly from ``low`` to ``high``."""
        return float(self.rng.uniform(low, high))

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options``, each as likely as the others."""
        return options[int(self.rng.integers(len(options)))]
