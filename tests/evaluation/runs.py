"""What tests of runs share: items of a few pixels, and a measure whose values are easy to tell."""

from pathlib import Path

import numpy as np

from editworld_core.evaluation.measures.base import Measure
from editworld_core.evaluation.record import Item, Outcome, Pictures, Values
from editworld_core.evaluation.sources.entry import Entry
from tests.evaluation.layouts import drawing, encoded


def items(count: int, instruction: str = "the left half is painted") -> list[Item]:
    """Pictures of 48x40 pixels with targets and no masks."""
    return [
        Entry(
            where=f"item {number}",
            id=f"item-{number}",
            instruction=instruction,
            original=lambda number=number: encoded(drawing(number)),  # type: ignore[misc]
            target=lambda number=number: encoded(drawing(number + 1000)),  # type: ignore[misc]
            category="add" if number % 2 else "change",
        ).item()
        for number in range(count)
    ]


class Brightness:
    """The mean of the edited picture, 0..255, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def measure(self, version: str = "1") -> Measure:
        return Measure("brightness", version, ("brightness", "change"), self._measure)

    def _measure(self, item: Item, pictures: Pictures, outcome: Outcome) -> Values:
        self.asked += 1
        edited = np.asarray(outcome.edited, float)
        return {
            "brightness": float(edited.mean()),
            "change": float(np.abs(edited - np.asarray(pictures.original, float)).mean()),
        }


def files_in(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
