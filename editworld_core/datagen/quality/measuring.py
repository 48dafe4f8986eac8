"""Measure a whole data set, a few triplets at a time: numbers stay in memory, pictures and descriptors do not."""

import hashlib
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from editworld_core.datagen.quality.cache import Cache
from editworld_core.datagen.quality.gauges import (
    Gauge,
    Stored,
    coherence,
    pair_descriptor,
    read_values,
    text_descriptor,
)
from editworld_core.datagen.quality.items import Item
from editworld_core.datagen.quality.near_duplicates import (
    DESCRIPTOR,
    Alike,
    alike_pictures,
    alike_texts,
    heads,
)
from editworld_core.datagen.quality.wording import kind_of, words_of
from editworld_core.datagen.triplet import Triplet
from editworld_core.engines.protocol import Progress

AT_ONCE = 16  # triplets whose pictures are in memory
SIMILAR = 0.8  # cosine of texts that say the same, as in the text stage


@dataclass(frozen=True)
class Row:
    """What the report keeps of a triplet; ``dynamic`` is empty but in the simulation branch."""

    id: str
    branch: str
    category: str
    dynamic: str
    values: dict[str, float | None]


@dataclass
class Measured:
    """A data set in numbers.

    Attributes:
        rows: one a triplet, in the order of the data set.
        tallies: how often categories, branches, dynamics, keywords, kinds of sentence, and verdicts occur.
        vocabulary: how often each word occurs in the instructions.
        instructions: how many different ones there are.
        stored: the scores in the records by stage and name, such as ``draw_target/clip``, of all draws.
        heads: by ``pictures`` and ``texts``, of every row the place of the first row that it repeats, or its own.
        new, known: how many values were measured now, and how many before.
    """

    rows: list[Row] = field(default_factory=list)
    tallies: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    vocabulary: Counter[str] = field(default_factory=Counter)
    instructions: int = 0
    stored: dict[str, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    heads: dict[str, NDArray[np.intp]] = field(default_factory=dict)
    new: int = 0
    known: int = 0

    @property
    def empty(self) -> int:
        """How many triplets have no instruction yet."""
        return self.tallies["kind"]["none"]


class _Descriptors:
    """Descriptors of some rows in a file; those of equal content are kept once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, int] = {}
        self._of_row: list[int] = []

    def add(self, content: str, descriptor: Stored | None) -> None:
        """The next row's descriptor; None if it takes no part."""
        if not descriptor:
            self._of_row.append(-1)
            return
        if content not in self._places:
            self._places[content] = len(self._places)
            assert isinstance(descriptor, bytes)
            self._file.write(descriptor)
        self._of_row.append(self._places[content])

    def read(self, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """All of them, [n, *shape], without loading them."""
        self._file.flush()
        count = len(self._places)
        return (
            np.memmap(self._file, dtype, "r", shape=(count, *shape))
            if count
            else np.empty((0, *shape), dtype)
        )

    def heads(self, alike: Alike) -> NDArray[np.intp]:
        """Of every row the place of the first row that it repeats, or its own."""
        head = heads(len(self._places), alike)
        first: dict[int, int] = {}
        return np.array(
            [
                row if place < 0 else first.setdefault(int(head[place]), row)
                for row, place in enumerate(self._of_row)
            ],
            np.intp,
        )


def measure_data_set(
    folder: Path,
    triplets: Iterable[Triplet],
    total: int,
    gauges: Sequence[Gauge],
    cache: Cache,
    progress: Progress | None = None,
) -> Measured:
    """Take all measures of ``triplets``, from ``cache`` where they are known.

    Args:
        folder: the data set.
        triplets: as their reviewers left them.
        total: about how many, for ``progress``.
        gauges: of numbers; those that find near-duplicates are added.
        cache: what was measured before; what is new goes there.
        progress: called with the number that is done and ``total``.

    Raises:
        EditWorldError: the cache cannot be written, or the judge cannot be asked.
    """
    measured, seen = Measured(), set[bytes]()
    with TemporaryFile() as pairs, TemporaryFile() as texts:
        pair_file, text_file = _Descriptors(pairs), _Descriptors(texts)
        for items in _chunks(Item(folder, triplet) for triplet in triplets):
            cells = _take(measured, pair_descriptor(), items, cache)
            vectors = _take(measured, text_descriptor(), items, cache)
            numbers = [_take(measured, gauge, items, cache) for gauge in gauges]
            for place, item in enumerate(items):
                one = item.triplet
                told = bool(one.instruction.strip())
                values: dict[str, float | None] = {}
                for column in numbers:
                    values |= read_values(column[place])
                values["coherence"] = coherence(one, _vectors(vectors[place]))
                pair_file.add(item.picture_content, cells[place])
                text_file.add(item.text_content, vectors[place] if told else None)
                measured.rows.append(Row(one.id, one.branch, one.category.value, dynamic_of(one), values))
                _tally(measured, one, seen)
            if progress is not None:
                progress(len(measured.rows), max(total, len(measured.rows)))
        measured.instructions = len(seen)
        measured.heads["pictures"] = pair_file.heads(alike_pictures(pair_file.read(np.uint8, (DESCRIPTOR,))))
        width = len(_vectors(vectors[0])[0]) if measured.rows else 1
        measured.heads["texts"] = text_file.heads(
            alike_texts(text_file.read(np.float16, (3, width)), SIMILAR)
        )
    for kind, head in measured.heads.items():
        takes_part = "readable" if kind == "pictures" else "words"
        for place, row in enumerate(measured.rows):
            row.values[f"repeats_{kind}"] = (
                float(head[place] != place) if row.values.get(takes_part) else None
            )
    return measured


def dynamic_of(triplet: Triplet) -> str:
    """The dynamic of a simulated triplet."""
    return str(triplet.recipe.get("dynamic", "")) if triplet.branch == "simulation" else ""


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(islice(items, AT_ONCE)):
        yield chunk


def _take(measured: Measured, gauge: Gauge, items: Sequence[Item], cache: Cache) -> list[Stored]:
    values, new = gauge.take(items, cache)
    measured.new += new
    measured.known += len(items) - new
    return values


def _vectors(stored: Stored) -> NDArray[np.float16]:
    assert isinstance(stored, bytes)
    return np.frombuffer(stored, np.float16).reshape(3, -1)


def _tally(measured: Measured, one: Triplet, seen: set[bytes]) -> None:
    tallies, words = measured.tallies, words_of(one.instruction)
    tallies["category"][one.category.value] += 1
    tallies["branch"][one.branch] += 1
    if dynamic_of(one):
        tallies["dynamic"][dynamic_of(one)] += 1
    tallies["keyword"].update({word.lower() for word in one.keywords})
    tallies["kind"][kind_of(one.instruction) if one.instruction.strip() else "none"] += 1
    tallies["verdict"][one.recheck or "undecided"] += 1
    measured.vocabulary.update(map(sys.intern, words))
    if words:
        seen.add(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest())
    for name, value in one.scores.items():
        measured.stored[stage_of(name)].append(float(value))


def stage_of(score: str) -> str:
    """The name of a stored score without the number of its draw.

    >>> stage_of("draws/draw_target.3/clip"), stage_of("identity")
    ('draw_target/clip', 'identity')
    """
    parts = score.split("/")
    if len(parts) != 3 or parts[0] != "draws":
        return score
    stage, _, number = parts[1].rpartition(".")
    return f"{stage}/{parts[2]}" if number.isdigit() else score
