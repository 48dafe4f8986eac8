"""A data set to evaluate on, and what a kind of data set must be able to do."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item
from editworld_core.evaluation.sources.entry import sentence

Making = Callable[[], Item]
"""Makes an item, reading its files. Raises ``BadItem`` if it cannot."""


@dataclass(frozen=True)
class Listed:
    """What a data set holds, before any picture is read.

    Attributes:
        makings: one an item, in the order of the data set.
        left_out: why others are not among them, with how many.
        skip_missing: whether an item whose picture is missing is left out too, instead of refused: public benchmarks
            are not as whole as one's own data.
        name, kind: of the data set, see ``DataSet``.
    """

    makings: Sequence[Making]
    left_out: Counter[str]
    skip_missing: bool = False
    name: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of data set.

    Attributes:
        name: short, for reports.
        title: how to describe it to who looks for the right one.
        knows: whether a file or folder is of this kind; reads little of it.
        read: lists what is in it. Raises BadInputError if it is damaged.
    """

    name: str
    title: str
    knows: Callable[[Path], bool]
    read: Callable[[Path], Listed]


@dataclass(frozen=True)
class DataSet:
    """Items to edit.

    Attributes:
        name: of the folder, or ``simulated``.
        kind: see ``Kind.name``.
        items: with ids that are unique.
        total: how many there would be without a limit.
        notes: sentences about what was left out.
    """

    name: str
    kind: str
    items: tuple[Item, ...]
    total: int
    notes: tuple[str, ...] = ()


def gather(
    listed: Listed,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DataSet:
    """Make the items of ``listed``; with a ``limit`` only so many, evenly spread over the data set.

    Raises:
        BadInputError: there are none, one is damaged, or ``limit`` is not positive.
    """
    if limit is not None and limit < 1:
        raise BadInputError(f"The number of items must be at least 1, not {limit}.")
    left_out = Counter(listed.left_out)
    items = list(_made(_spread(listed.makings, limit), listed.skip_missing, left_out, progress))
    if not items:
        raise BadInputError(f"{listed.name} holds no item that an editor could be given{_because(left_out)}.")
    notes = tuple(f"{count} left out: {reason}." for reason, count in left_out.items())
    return DataSet(listed.name, listed.kind, tuple(_unique(items)), len(listed.makings), notes)


def _made(
    makings: Sequence[Making],
    skip_missing: bool,
    left_out: Counter[str],
    progress: Callable[[int, int], None] | None,
) -> Iterator[Item]:
    for done, make in enumerate(makings, 1):
        try:
            yield make()
        except BadItem as bad:
            if not (skip_missing and bad.kind == "file missing"):
                raise BadInputError(sentence(bad)) from bad
            left_out["their picture is missing"] += 1
        if progress is not None:
            progress(done, len(makings))


def _spread(makings: Sequence[Making], limit: int | None) -> Sequence[Making]:
    if limit is None or limit >= len(makings):
        return makings
    return [makings[index * len(makings) // limit] for index in range(limit)]


def _because(left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} because {reason}" for reason, count in left_out.items())
    return f" ({reasons})" if reasons else ""


def _unique(items: Sequence[Item]) -> Iterator[Item]:
    seen: Counter[str] = Counter()
    for item in items:
        seen[item.id] += 1
        yield item if seen[item.id] == 1 else replace(item, id=f"{item.id}#{seen[item.id]}")


def rows_of(content: Any) -> list[dict[str, Any]]:
    """The records in a list of records, or in an object of them; an empty list if ``content`` is neither."""
    rows = list(content.values()) if isinstance(content, dict) else content
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else []
