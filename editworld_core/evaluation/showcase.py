"""A few scenes of an evaluation to look at: the worst, the best, and some that chance chose."""

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image

from editworld_core.datagen.contact_sheet import Panel, thumbnail
from editworld_core.simulation.world import SimulatedPair

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

KEPT = 8  # scenes of each kind


@dataclass(order=True)
class _Seen:
    """A scene with the rank by which a heap keeps it."""

    rank: float
    number: int
    score: float = field(compare=False)
    panel: Panel = field(compare=False)


class Showcase:
    """Sees every scene once and keeps three times ``KEPT`` of them, whatever their number.

    The score is the edit's remaining error as a share of the unedited picture's: 0 is perfect, 1 is no better
    than doing nothing.
    """

    def __init__(self) -> None:
        self._number = 0
        self._chance = random.Random(0)
        self._worst: list[_Seen] = []
        self._best: list[_Seen] = []
        self._random: list[_Seen] = []

    def see(self, score: float, pair: SimulatedPair, result: "EditResult") -> None:
        """Look at one scene."""
        self._number += 1
        for kept, rank in (
            (self._worst, score),
            (self._best, -score),
            (self._random, self._chance.random()),
        ):
            if len(kept) < KEPT or rank > kept[0].rank:
                heapq.heappush(kept, _Seen(rank, self._number, score, _panel(score, pair, result)))
                if len(kept) > KEPT:
                    heapq.heappop(kept)

    def panels(self) -> list[Panel]:
        """The panels, each scene once: worst first, then the random ones, then the best."""
        panels: dict[int, Panel] = {}
        for kind, kept in (("worst", self._worst), ("random", self._random), ("best", self._best)):
            for seen in sorted(kept, key=lambda seen: -seen.score):
                panel = Panel(f"{kind}: {seen.panel.title}", seen.panel.pictures, seen.panel.text)
                panels.setdefault(seen.number, panel)
        return list(panels.values())


def _panel(score: float, pair: SimulatedPair, result: "EditResult") -> Panel:
    pictures = (
        result.original,
        result.edited,
        result.final,
        Image.fromarray(result.mask),
        Image.fromarray(pair.after),
    )
    title = f"{pair.dynamic.replace('_', ' ')} {pair.seed} · {100 * score:.0f}% of the error remains"
    return Panel(title, [thumbnail(picture) for picture in pictures], f"“{pair.instruction}”")
