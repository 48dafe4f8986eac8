"""One visitor at the recheck of one data set: which triplet is before them, and where each key leads. No components."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from editworld_core.datagen.recheck import Recheck
from editworld_core.datagen.records import ABOUT, load_images
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError
from ui.draft import Draft, Strokes

State = Literal["to do", "no instruction", "accepted", "dropped", "all"]
STATES: tuple[State, ...] = get_args(State)
ANY = "any"


@dataclass(frozen=True)
class Filter:
    """Which triplets a reviewer wants to see; ``ANY`` category or branch lets all pass."""

    state: State = "to do"
    category: str = ANY
    branch: str = ANY

    @property
    def is_queue(self) -> bool:
        """Whether the reviewer works through what is undecided, and does not only look around."""
        return self.state in ("to do", "no instruction")

    def wants(self, triplet: Triplet) -> bool:
        """Whether ``triplet`` belongs to the work."""
        states = {
            "to do": triplet.recheck not in ("accept", "drop"),
            "no instruction": not triplet.instruction.strip(),
            "accepted": triplet.recheck == "accept",
            "dropped": triplet.recheck == "drop",
            "all": True,
        }
        return states[self.state] and self._of_kind(triplet)

    def lists(self, triplet: Triplet) -> bool:
        """Whether the arrow keys lead to ``triplet``; in the queue also to what is decided, for another look."""
        return self._of_kind(triplet) if self.state == "to do" else self.wants(triplet)

    def _of_kind(self, triplet: Triplet) -> bool:
        return self.category in (ANY, triplet.category) and self.branch in (ANY, triplet.branch)


class Seat:
    """A reviewer's place. What happens returns a sentence for them, mostly an empty one.

    Attributes:
        desk: their access to the data set.
        label: what the page calls the data set.
        filter: what they want to see.
        current: the id of the triplet before them; None when nothing is left to do.
        draft: the mask that they are painting.
        lock: to be held while anything happens: a browser may send two keys at once.
    """

    def __init__(self, folder: Path, label: str, reviewer: str) -> None:
        """Sit down, with the first triplet before them.

        Raises:
            BadInputError: the data set cannot be read, or the name cannot be used.
        """
        self.desk = Recheck(folder, reviewer)
        self.label = label
        self.filter = Filter()
        self.current: str | None = None
        self.draft: Draft | None = None
        self.lock = threading.Lock()
        self._go_on()

    @property
    def triplet(self) -> Triplet | None:
        """The triplet before them, as reviewers left it."""
        return None if self.current is None else self.desk.get(self.current)

    def listed(self) -> list[Triplet]:
        """Where the arrow keys lead, in order, with the triplet before them."""
        return [it for it in self.desk.items() if self.filter.lists(it) or it.id == self.current]

    def leave(self) -> None:
        """Put back what is before them."""
        if self.current is not None:
            self.desk.release(self.current)
        self.current = self.draft = None

    # ---- verdicts; ``typed`` is the text in the instruction's field

    def accept(self, typed: str) -> str:
        """Let it into the data set with the instruction as typed."""
        item = self._item()
        self.save(typed)
        self.desk.accept(item)
        return self._go_on()

    def drop(self, typed: str) -> str:
        """Leave it out."""
        self.desk.drop(self._item())
        return self._go_on()

    def skip(self, typed: str) -> str:
        """Pass it on to others."""
        item = self._item()
        if self.desk.is_free(item):
            self.desk.skip(item)
        return self._go_on()

    def regenerate(self, typed: str) -> str:
        """Have it made again, and look at what replaces it."""
        item = self._item()
        self.save(typed)
        new = self.desk.regenerate(item).id
        if new == item:
            return self._go_on() or "Dropped, and noted to be made again."
        self.current = new
        return "Made again in another scene: here it is. The one before is dropped."

    def undo(self, typed: str) -> str:
        """Take back their last verdict."""
        triplet = self.desk.undo()
        if triplet is None:
            return "There is no verdict of yours to take back."
        if triplet.id != self.current:
            self.leave()
        self.current = triplet.id
        return ""

    def save(self, typed: str) -> str:
        """Keep the instruction as typed, and the triplet before them."""
        item = self._item()
        if typed.strip() != self.desk.get(item).instruction:
            self.desk.rewrite(item, typed)
        return ""

    def set_category(self, category: str) -> str:
        """Put it into another category."""
        self.desk.set_category(self._item(), category)
        return ""

    # ---- the mask

    def start_mask(self) -> tuple[Image.Image, Draft]:
        """The target to paint on, and the draft with the mask so far."""
        _, target, mask = load_images(self.desk.folder, self.desk.get(self._item()))
        hand = np.asarray(mask) > 127 if mask is not None else None
        if hand is not None and hand.shape != target.size[::-1]:
            hand = None  # it cannot be right, and is to be painted anew
        self.draft = Draft((target.height, target.width), hand)
        return target, self.draft

    def use_mask(self, strokes: Strokes | None) -> str:
        """Keep the mask as painted; nothing painted takes it away."""
        if self.draft is None:
            raise BadInputError("Nothing is being painted; open the mask first.")
        self.draft.take(strokes)
        whole = self.draft.whole
        self.desk.set_mask(self._item(), whole if whole.any() else None)
        self.draft = None
        return ""

    # ---- looking around

    def step(self, by: int) -> str:
        """Open the next (1) or previous (-1) triplet that nobody else has, without a verdict."""
        items = [triplet.id for triplet in self.listed()]
        start = items.index(self.current) if self.current is not None else (len(items) if by < 0 else -1)
        ahead = items[start + 1 :] if by > 0 else items[:start][::-1]
        free = next((item for item in ahead if self.desk.is_free(item)), None)
        if free is None:
            return "This is the last one here." if by > 0 else "This is the first one here."
        self._open(free)
        return ""

    def jump(self, to: str) -> str:
        """Open the triplet with this number in the list, from 1, or this id."""
        to = to.strip()
        items = [triplet.id for triplet in self.listed()]
        if to.isdecimal() and to.isascii() and len(to) < 10:
            if not 1 <= int(to) <= len(items):
                raise BadInputError(f"There is no number {int(to)} here; give one from 1 to {len(items)}.")
            to = items[int(to) - 1]
        elif to not in {triplet.id for triplet in self.desk.items()}:
            raise BadInputError("There is no such item; give its number in the strip, or its id.")
        self._open(to)
        return ""

    def choose(self, chosen: Filter) -> str:
        """Want other triplets, and look at the first of them."""
        self.filter = chosen
        triplet = self.triplet
        if triplet is not None and chosen.wants(triplet):
            return ""
        self.leave()
        return self._go_on() if chosen.is_queue else self.step(1) and "There is nothing of this kind."

    def _open(self, item: str) -> None:
        if item == self.current:
            return
        self.desk.open(item)
        self.leave()
        self.current = item

    def _go_on(self) -> str:
        """To what comes next: in the queue what is undecided, else what is listed."""
        self.draft = None
        if not self.filter.is_queue:
            return self.step(1)
        triplet = self.desk.next(self.filter.wants)
        self.current = None if triplet is None else triplet.id
        return ""

    def _item(self) -> str:
        if self.current is None:
            raise BadInputError("There is nothing before you; choose other items to see, or go back.")
        return self.current


def data_sets(root: Path | None) -> dict[str, Path]:
    """The data sets that are, or lie in, ``root``, by name; links that lead out of it do not count."""
    if root is None or not root.is_dir():
        return {}
    home = root.resolve()
    places = [home, *sorted(home.iterdir())]
    return {
        place.name: place
        for place in places
        if (place / ABOUT).is_file() and place.resolve().is_relative_to(home)
    }


def choices(served: Mapping[str, Path], own: Mapping[str, Path]) -> dict[str, Path]:
    """What a visitor may open, by the label in the list: what is served to all, and what they made themselves."""
    known = {folder.resolve() for folder in served.values()}
    mine = {f"{name} (yours)": folder for name, folder in own.items() if folder.resolve() not in known}
    return {**served, **mine}
