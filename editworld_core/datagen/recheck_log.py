"""The audit log of the human recheck (PAPER section 4): its events, and the state that they add up to.

``recheck.jsonl`` in the data set's folder has one event a line: who, when, and what was before and after. Nothing
else is changed, so the state is the replay of the log, any verdict can be undone, and the manifest stays what the
machine made. Kinds of event:

    claim      a reviewer has the item until a time; nobody else is offered it before
    skip       a reviewer passes the item on
    accept, drop                 decide an item
    regenerate                   drops an item to be made again; names its replacement where that was made at once
    rewrite, category, mask      change an item without deciding it
    undo       takes back the event on the line that it names, and drops the replacement that came with it
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from editworld_core.categories import Category
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError

LOG = "recheck.jsonl"
# Which field of a triplet each verdict sets.
FIELDS = {
    "accept": "recheck",
    "drop": "recheck",
    "regenerate": "recheck",
    "rewrite": "instruction",
    "category": "category",
    "mask": "mask",
}


@dataclass(frozen=True)
class Event:
    """One line of the log.

    Attributes:
        line: its number from 1.
        kind: ``claim``, ``skip``, ``undo``, or a key of ``FIELDS``.
        item: the id of the triplet.
        old, new: the value of the field before and after; None for a claim or a skip.
        until: when a claim ends.
        undoes: the line that an undo takes back.
        replacement: the id of the triplet that was made in the place of a regenerated one.
        instruction: what a regenerated one was to show.
    """

    line: int
    kind: str
    item: str
    reviewer: str
    time: datetime
    old: str | None = None
    new: str | None = None
    until: datetime | None = None
    undoes: int | None = None
    replacement: str | None = None
    instruction: str | None = None


@dataclass
class Log:
    """The state that the log's events add up to."""

    verdicts: dict[tuple[str, str], list[Event]] = field(default_factory=dict)  # by item and field, in force
    claims: dict[str, Event] = field(default_factory=dict)
    skips: dict[str, set[str]] = field(default_factory=dict)  # items by reviewer
    lines: dict[int, Event] = field(default_factory=dict)  # verdicts in force, by line, oldest first

    def take(self, event: Event) -> None:
        """Let the next event happen."""
        if event.kind == "claim":
            self.claims[event.item] = event
            self.skips.get(event.reviewer, set()).discard(event.item)
        elif event.kind == "skip":
            self.claims.pop(event.item, None)
            self.skips.setdefault(event.reviewer, set()).add(event.item)
        elif event.kind == "undo":
            undone = self.lines.pop(event.undoes or 0, None)
            if undone is not None:
                self.verdicts[undone.item, FIELDS[undone.kind]].remove(undone)
                self._withdraw(undone.replacement, event)
        else:
            self.lines[event.line] = event
            self.verdicts.setdefault((event.item, FIELDS[event.kind]), []).append(event)
            if FIELDS[event.kind] == "recheck":
                self.claims.pop(event.item, None)

    def _withdraw(self, item: str | None, event: Event) -> None:
        """Drop a replacement that is not needed any more, unless somebody has decided on it."""
        if item is None or self.verdicts.get((item, "recheck")):
            return
        drop = replace(event, kind="drop", item=item, old=None, new="drop")
        self.verdicts.setdefault((item, "recheck"), []).append(drop)
        self.claims.pop(item, None)

    def effective(self, triplet: Triplet) -> Triplet:
        """The triplet as its reviewers left it; ``recheck`` is ``accept``, ``drop``, or None while undecided."""
        changes: dict[str, Any] = {}
        for name in ("recheck", "instruction", "category", "mask"):
            events = self.verdicts.get((triplet.id, name))
            if events:
                changes[name] = events[-1].new
        if "category" in changes:
            changes["category"] = Category(changes["category"])
        return replace(triplet, **changes) if changes else triplet

    def verdict(self, triplet: Triplet) -> str | None:
        """``accept``, ``drop``, or None while it is undecided."""
        events = self.verdicts.get((triplet.id, "recheck"))
        verdict = events[-1].new if events else triplet.recheck
        return verdict if verdict in ("accept", "drop") else None

    def decider(self, item: str) -> Event | None:
        """The event that decided the item, if one did."""
        events = self.verdicts.get((item, "recheck"))
        return events[-1] if events else None

    def history(self, item: str) -> list[Event]:
        """The verdicts in force on the item, oldest first."""
        events = (
            event for name in dict.fromkeys(FIELDS.values()) for event in self.verdicts.get((item, name), ())
        )
        return sorted(events, key=lambda event: event.line)

    def wanted_again(self) -> dict[str, str]:
        """The items that are to be made again and have no replacement, each with the instruction that it is to show."""
        last = (events[-1] for (_, name), events in self.verdicts.items() if name == "recheck" and events)
        return {
            event.item: event.instruction or ""
            for event in last
            if event.kind == "regenerate" and event.replacement is None
        }

    def holder(self, item: str, now: datetime) -> str | None:
        """Who has the item now."""
        claim = self.claims.get(item)
        return claim.reviewer if claim is not None and claim.until is not None and claim.until > now else None


def read_log(folder: Path) -> Log:
    """The state of the recheck of a data set; empty where there was none. A torn last line is left out.

    Raises:
        BadInputError: a line is damaged.
    """
    log = Log()
    for event in read_events(folder):
        log.take(event)
    return log


def read_events(folder: Path) -> Iterator[Event]:
    """The audit log, oldest first.

    Raises:
        BadInputError: a line is damaged.
    """
    try:
        lines = (folder / LOG).read_bytes()
    except FileNotFoundError:
        return
    yield from parse_events(folder, lines, 0)


def apply(triplets: Iterable[Triplet], log: Log, *, accepted_only: bool = False) -> Iterator[Triplet]:
    """The triplets that count after the recheck, with what reviewers changed in them.

    Args:
        triplets: of the manifest.
        log: of ``read_log``.
        accepted_only: leave out what is undecided, not only what is dropped.
    """
    for triplet in map(log.effective, triplets):
        if triplet.recheck == "accept" or (triplet.recheck != "drop" and not accepted_only):
            yield triplet


def parse_events(folder: Path, lines: bytes, before: int) -> Iterator[Event]:
    """The events in whole lines of the log of ``folder``; ``before`` is the number of lines before the first.

    Raises:
        BadInputError: a line is damaged.
    """
    for number, line in enumerate(lines.split(b"\n")[:-1], before + 1):
        try:
            yield _event(number, json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadInputError(
                f"Line {number} of {folder / LOG} is damaged; restore the file or mend the line."
            ) from error


def _event(number: int, values: Mapping[str, Any]) -> Event:
    kind, old, new = values["event"], values.get("old"), values.get("new")
    names: Sequence[Any] = (kind, values["id"], values["reviewer"])
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name is no text")
    if kind not in FIELDS and kind not in ("claim", "skip", "undo"):
        raise ValueError("no such event")
    _check_value(kind, new)
    replacement, instruction = values.get("replacement"), values.get("instruction")
    if not all(text is None or isinstance(text, str) for text in (replacement, instruction)):
        raise ValueError("a text is no text")
    return Event(
        line=number,
        kind=kind,
        item=values["id"],
        reviewer=values["reviewer"],
        time=datetime.fromisoformat(values["time"]),
        old=old,
        new=new,
        until=datetime.fromisoformat(values["until"]) if kind == "claim" else None,
        undoes=int(values["undoes"]) if kind == "undo" else None,
        replacement=replacement,
        instruction=instruction,
    )


def _check_value(kind: str, new: Any) -> None:
    """Refuse what would make a triplet that ``Triplet.from_line`` refuses."""
    if kind == "category":
        Category(new)
    elif FIELDS.get(kind) == "recheck" and new != ("accept" if kind == "accept" else "drop"):
        raise ValueError("a verdict says another thing than its event")
    elif kind == "rewrite" and not isinstance(new, str):
        raise ValueError("the instruction is no text")
    elif kind == "mask" and new is not None:
        path = PurePosixPath(new)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("the mask leads out of the folder")
