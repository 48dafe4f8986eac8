"""Human recheck (PAPER section 4): a reviewer at work on a data set.

The verdicts go into a log that only grows (``recheck_log``). Any number of reviewers, in as many processes, may work
at once: what is read and what is appended belong together under a lock, so two are never offered the same item, and a
verdict on what another reviewer holds is refused.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.recheck_log import (
    FIELDS,
    LOG,
    Event,
    Log,
    apply,
    parse_events,
    read_events,
    read_log,
)
from editworld_core.datagen.records import (
    MANIFEST,
    encode_png,
    load_images,
    read_triplets,
    write_file,
    writing,
)
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.images import check_instruction

__all__ = ["Event", "Log", "Progress", "Recheck", "apply", "check_reviewer", "read_events", "read_log"]

LOCK = ".recheck.lock"
CLAIM_SECONDS = 900.0  # how long an item waits for a reviewer who does nothing
LONGEST_NAME = 60


@dataclass(frozen=True)
class Progress:
    """How far the recheck is: every triplet is accepted, dropped or left; ``held`` of those left are with reviewers.

    ``mine`` counts the decisions in force of the reviewer who asks; ``changed`` the triplets with a rewritten
    instruction, another category or another mask; ``again`` those dropped to be made again, not yet replaced.
    """

    total: int
    accepted: int
    dropped: int
    left: int
    held: int
    mine: int
    changed: int
    again: int


class Recheck:
    """One reviewer at work on a data set.

    >>> desk = Recheck(folder, "Ada")
    >>> triplet = desk.next()
    >>> desk.rewrite(triplet.id, "The candle has burnt for an hour")
    >>> desk.accept(triplet.id)

    Every method that names an item returns the triplet as it now is, and raises ``BadInputError`` if there is no
    such item, another reviewer has it, or another reviewer decided on it since this one took it; ``EditWorldError``
    if the log cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        reviewer: str,
        *,
        claim_seconds: float = CLAIM_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the data set in ``folder`` for ``reviewer``, whose name goes into the log.

        Raises:
            BadInputError: ``folder`` is no data set, its log is damaged, or the name cannot be used.
        """
        self.folder = folder
        self.reviewer = check_reviewer(reviewer)
        self._claim_time = timedelta(seconds=claim_seconds)
        self._clock = clock
        self._log, self._offset, self._lines = Log(), 0, 0
        self._triplets: dict[str, Triplet] = {}
        self._manifest_size = -1
        self._read_manifest()
        self._catch_up()

    def items(self) -> list[Triplet]:
        """All triplets as their reviewers left them, in the order of work: first those made without an instruction."""
        with self._at_log():
            return [self._log.effective(triplet) for triplet in self._triplets.values()]

    def history(self, item: str) -> list[Event]:
        """The verdicts in force on the triplet, oldest first."""
        return self._log.history(item)

    def is_free(self, item: str) -> bool:
        """Whether no other reviewer has the triplet now."""
        with self._at_log() as now:
            return self._log.holder(item, now) in (None, self.reviewer)

    def next(self, wanted: Callable[[Triplet], bool] = lambda triplet: True) -> Triplet | None:
        """The first undecided triplet that nobody else has, claimed; None when there is none.

        A triplet that this reviewer holds already comes first, then those made without an instruction, and last what
        they skipped.

        Args:
            wanted: only triplets, as their reviewers left them, of which this is true.
        """
        with self._at_log() as now:
            free = [item for item in self._triplets if self._is_free(item, now) and wanted(self.get(item))]
            skipped = self._log.skips.get(self.reviewer, set())
            mine = (item for item in free if self._log.holder(item, now) == self.reviewer)
            fresh = (item for item in free if item not in skipped)
            item = next(mine, None) or next(fresh, None) or next(iter(free), None)
            if item is None:
                return None
            self._append(now, self._claim(item, now))
            return self.get(item)

    def open(self, item: str) -> Triplet:
        """Claim this triplet, decided or not, to look at it again."""
        with self._at_log() as now:
            self._refuse_held(item, now)
            self._append(now, self._claim(item, now))
            return self.get(item)

    def release(self, item: str) -> None:
        """Put the triplet back without a verdict, for others to take; nothing happens if this reviewer has it not."""
        with self._at_log() as now:
            if self._log.holder(item, now) == self.reviewer:
                self._append(now, {**self._claim(item, now), "until": now.isoformat()})

    def get(self, item: str) -> Triplet:
        """The triplet as its reviewers left it, without claiming it."""
        if item not in self._triplets:
            raise BadInputError(f"{self.folder} has no triplet {item!r}; take one that it lists.")
        return self._log.effective(self._triplets[item])

    def skip(self, item: str) -> None:
        """Pass the triplet on to others; this reviewer is offered it again when nothing else is left."""
        with self._at_log() as now:
            self._refuse_held(item, now)
            self._append(now, {"event": "skip", "id": item})

    def accept(self, item: str) -> Triplet:
        """Let it into the data set. Refused while it has no instruction."""
        with self._at_log() as now:
            if not self.get(item).instruction.strip():
                raise BadInputError("The triplet has no instruction; write one before you accept it.")
            return self._give(now, item, "accept", "accept")

    def drop(self, item: str) -> Triplet:
        """Leave it out of the data set; its files stay."""
        with self._at_log() as now:
            return self._give(now, item, "drop", "drop")

    def regenerate(self, item: str) -> Triplet:
        """Leave it out and have it made again.

        A simulated scene is made again at once, with another scene seed: the new triplet is claimed and returned. Any
        other is noted with its instruction, for ``Log.wanted_again`` to list, and returned as dropped.

        Raises:
            EditWorldError: another process is adding to the data set.
        """
        from editworld_core.datagen.recheck_again import add_another_scene  # loads the simulator

        with self._at_log() as now:
            self._refuse_held(item, now)
            self._refuse_overtaken(item)
            triplet = self.get(item)
            new = add_another_scene(self.folder, triplet)
            line = {
                "event": "regenerate",
                "id": item,
                "old": triplet.recheck,
                "new": "drop",
                "instruction": triplet.instruction,
                "replacement": new,
            }
            self._append(now, line, *([self._claim(new, now)] if new else []))
            self._read_manifest()
            return self.get(new or item)

    def rewrite(self, item: str, instruction: str) -> Triplet:
        """Give it another instruction, at most 500 characters on one line."""
        text = check_instruction(instruction)
        with self._at_log() as now:
            return self._give(now, item, "rewrite", text)

    def set_category(self, item: str, category: str) -> Triplet:
        """Give it another of the seven categories."""
        if category not in list(Category):
            raise BadInputError(f"There is no category {category!r}; choose one of {', '.join(Category)}.")
        with self._at_log() as now:
            return self._give(now, item, "category", str(category))

    def set_mask(self, item: str, mask: NDArray[np.bool_] | None) -> Triplet:
        """Give it another mask: bool [H, W] of the size of its pictures, True where they differ; None takes it away.

        The mask becomes a new file under ``shards/``; the one before stays, for an undo.
        """
        new = None
        if mask is not None:
            new = self._store_mask(self.get(item), np.asarray(mask))
        with self._at_log() as now:
            return self._give(now, item, "mask", new)

    def undo(self) -> Triplet | None:
        """Take back this reviewer's last verdict that still is in force, and claim its triplet; None without one.

        A triplet that replaced the regenerated one is dropped, unless somebody has decided on it since.
        """
        with self._at_log() as now:
            mine = [event for event in self._log.lines.values() if event.reviewer == self.reviewer]
            if not mine:
                return None
            last = mine[-1]
            self._refuse_held(last.item, now)
            if last.replacement is not None:
                self._refuse_held(last.replacement, now)
            line = {
                "event": "undo",
                "id": last.item,
                "undoes": last.line,
                "verdict": last.kind,
                "old": last.new,
                "new": last.old,
            }
            self._append(now, line, self._claim(last.item, now))
            return self.get(last.item)

    def progress(self) -> Progress:
        """How far the recheck is, for all reviewers."""
        with self._at_log() as now:
            verdicts = {item: self._log.verdict(triplet) for item, triplet in self._triplets.items()}
            counts = Counter(verdicts.values())
            undecided = [item for item, verdict in verdicts.items() if verdict is None]
            deciders = map(self._log.decider, self._triplets)
            changed = {
                item
                for (item, name), events in self._log.verdicts.items()
                if events and name != "recheck" and item in self._triplets
            }
            return Progress(
                total=len(verdicts),
                accepted=counts["accept"],
                dropped=counts["drop"],
                left=len(undecided),
                held=sum(self._log.holder(item, now) is not None for item in undecided),
                mine=sum(event is not None and event.reviewer == self.reviewer for event in deciders),
                changed=len(changed),
                again=len(self._log.wanted_again().keys() & self._triplets.keys()),
            )

    def _is_free(self, item: str, now: datetime) -> bool:
        undecided = self._log.verdict(self._triplets[item]) is None
        return undecided and self._log.holder(item, now) in (None, self.reviewer)

    def _refuse_held(self, item: str, now: datetime) -> None:
        self.get(item)
        holder = self._log.holder(item, now)
        if holder not in (None, self.reviewer):
            raise BadInputError(f"{holder} is looking at this triplet now; take the next one.")

    def _refuse_overtaken(self, item: str) -> None:
        """A decision ends every claim, so one who still has theirs has seen no other's decision since."""
        decision, claim = self._log.decider(item), self._log.claims.get(item)
        if decision is None or decision.reviewer == self.reviewer:
            return
        if claim is None or claim.reviewer != self.reviewer:
            raise BadInputError(
                f"{decision.reviewer} has decided on this triplet in the meantime; open it again to change that."
            )

    def _give(self, now: datetime, item: str, verdict: str, new: str | None) -> Triplet:
        """Append a verdict; what changes nothing is not noted, and what does not decide keeps the item claimed."""
        self._refuse_held(item, now)
        self._refuse_overtaken(item)
        old = getattr(self.get(item), FIELDS[verdict])
        if old == new:
            return self.get(item)
        lines = [{"event": verdict, "id": item, "old": old, "new": new}]
        if FIELDS[verdict] != "recheck":
            lines.append(self._claim(item, now))
        self._append(now, *lines)
        return self.get(item)

    def _claim(self, item: str, now: datetime) -> dict[str, Any]:
        return {"event": "claim", "id": item, "until": (now + self._claim_time).isoformat()}

    def _store_mask(self, triplet: Triplet, mask: NDArray[np.bool_]) -> str:
        size = load_images(self.folder, triplet)[0].size
        if mask.dtype != np.bool_ or mask.shape != size[::-1]:
            raise BadInputError(
                f"The mask must be of truth values, {size[0]}x{size[1]} like its pictures; paint it again."
            )
        if not mask.any():
            raise BadInputError("The mask is empty; paint where the pictures differ, or take the mask away.")
        content = encode_png(Image.fromarray(mask))
        digest = hashlib.sha256(content).hexdigest()[:12]
        path = f"shards/{triplet.id[:2]}/{triplet.id}_mask-{digest}.png"
        if not (self.folder / path).exists():
            write_file(self.folder / path, content)
        return path

    @contextmanager
    def _at_log(self) -> Iterator[datetime]:
        """Hold the log alone, having read what others appended; gives the time."""
        import fcntl

        with writing(self.folder):
            handle = (self.folder / LOCK).open("a")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._read_manifest()
            self._catch_up()
            yield self._clock()

    def _append(self, now: datetime, *lines: Mapping[str, Any]) -> None:
        path = self.folder / LOG
        signed = [{**line, "reviewer": self.reviewer, "time": now.isoformat()} for line in lines]
        content = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in signed).encode()
        with writing(self.folder), path.open("ab", buffering=0) as log:
            log.truncate(self._offset)  # what a killed process did not finish is no verdict
            try:
                if log.write(content) != len(content):
                    raise EditWorldError(
                        f"The disk is full: the verdict is not in {path}; free space and give it again."
                    )
            except BaseException:
                log.truncate(self._offset)
                raise
        self._catch_up()

    def _catch_up(self) -> None:
        path = self.folder / LOG
        if not path.exists() or path.stat().st_size < self._offset:  # restored from a copy, perhaps
            self._log, self._offset, self._lines = Log(), 0, 0
        if not path.exists():
            return
        with path.open("rb") as log:
            log.seek(self._offset)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        for event in parse_events(self.folder, whole, self._lines):
            self._log.take(event)
            self._lines = event.line
        self._offset += len(whole)

    def _read_manifest(self) -> None:
        path = self.folder / MANIFEST
        size = path.stat().st_size if path.exists() else 0
        if size != self._manifest_size:
            # sorted() is stable: within both groups the manifest's order stays
            triplets = sorted(
                read_triplets(self.folder), key=lambda triplet: bool(triplet.instruction.strip())
            )
            self._triplets = {triplet.id: triplet for triplet in triplets}
            self._manifest_size = size


def check_reviewer(name: str) -> str:
    """The reviewer's name without space around it.

    Raises:
        BadInputError: it is empty, longer than 60 characters, or has control characters.
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > LONGEST_NAME:
        raise BadInputError(f"The reviewer's name must have 1 to {LONGEST_NAME} characters; give another.")
    if any(unicodedata.category(character)[0] == "C" for character in name):
        raise BadInputError("The reviewer's name has control characters; type it as plain text.")
    return name
