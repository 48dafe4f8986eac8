"""What a dynamic is given to play on: a backdrop, a size, and the one source of chance."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation.scatter import Scatter, anywhere, highest
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
class Bystander:
    """A thing that stands in a scene and to which nothing happens: its name, and its window (rows, columns)."""

    name: str
    window: tuple[slice, slice]


@dataclass(frozen=True)
class Half:
    """The half of the picture in which the subject stands when there are two of its kind.

    ``scale`` is its size as a share of the largest that fits. ``scenery`` is the scene in which the other one stands
    already, within the columns ``taken`` (pixels); None if this is the first of the two.
    """

    side: Literal["left", "right"]
    scale: float = 1.0
    scenery: Backdrop | None = None
    taken: tuple[float, float] = (0.0, 0.0)


@dataclass
class Notes:
    """What building the scene wrote down: the empty backdrop, the subject's columns (pixels), who stands beside it."""

    backdrop: Backdrop | None = None
    columns: tuple[float, float] = (0.0, 0.0)
    bystanders: list[Bystander] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """Everything chance decides in a scene is drawn from ``rng``, so a seed fixes the scene.

    ``photos`` are files that may serve as backdrops of the training split; the held-out split has photos of its own
    (scikit-image's) and procedural places that training never shows. ``half`` confines the subject to one half.
    ``luck`` [h, w], if there is one, says where small things are scattered; see ``simulation.scatter``.
    """

    rng: np.random.Generator
    size: int = 256
    split: Split = "train"
    photos: Sequence[Path] = field(default_factory=tuple)
    half: Half | None = None
    notes: Notes = field(default_factory=Notes)
    luck: NDArray[np.floating] | None = None

    @property
    def scatter(self) -> Scatter:
        """Where small things that are many are."""
        return anywhere(self.rng) if self.luck is None else highest(self.luck)

    def backdrop(self, *places: str) -> Backdrop:
        """A place to put objects in; one of the named procedural ``places``, or any place or photo if none is."""
        from editworld_core.simulation.backdrops import make_backdrop

        if self.half is not None and self.half.scenery is not None:
            return self.half.scenery
        self.notes.backdrop = make_backdrop(self, places)
        return self.notes.backdrop

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
