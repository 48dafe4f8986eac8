"""Scores of what a run made, each taken once: values are kept by measure, with its version, and by outcome."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from editworld_core.datagen.quality.cache import Cache, open_cache
from editworld_core.engines.protocol import Progress
from editworld_core.errors import EditCancelledError, EditWorldError
from editworld_core.evaluation.record import Outcome, Pictures, Scored, Values
from editworld_core.evaluation.run import Made, Run
from editworld_core.evaluation.sources.entry import content_hash

if TYPE_CHECKING:
    from editworld_core.evaluation.measures import Measure

log = logging.getLogger(__name__)

PATIENCE = (
    3  # failures of a measure in a row, such as a server that is gone, after which it is not asked again
)


def score(
    run: Run, measures: "Sequence[Measure]", folder: Path, progress: Progress | None = None
) -> tuple[list[Scored], dict[str, str]]:
    """Take ``measures`` of everything that ``run`` made.

    A measure that fails on an outcome has no values there.

    Args:
        folder: where values are kept from one run to the next.
        progress: called after each outcome with the numbers done and in all; what it raises stops it.

    Returns:
        The scores in the order of the run, and why a measure has none for some outcomes, by its name.

    Raises:
        EditWorldError: ``folder`` cannot be written, or a kept edit is damaged.
    """
    scored: list[Scored] = []
    troubles = _Troubles()
    folder.mkdir(parents=True, exist_ok=True)
    with open_cache(folder) as cache:
        for made in run.made:
            values = {} if made.failure else _values(run, made, measures, cache, troubles)
            scored.append(Scored(made.item, made.setup, values, made.failure))
            if progress is not None:
                progress(len(scored), len(run.made))
    return scored, troubles.sentences()


class _Troubles:
    """Which measures failed, how often, and how often in a row."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}
        self._count: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def given_up(self, name: str) -> bool:
        return self._in_a_row.get(name, 0) >= PATIENCE

    def note(self, name: str, error: EditWorldError) -> None:
        log.warning("%s: %s", name, error)
        self._in_a_row[name] = self._in_a_row.get(name, 0) + 1
        self._count[name] = self._count.get(name, 0) + 1
        self._first.setdefault(name, str(error))

    def forget(self, name: str) -> None:
        self._in_a_row[name] = 0

    def sentences(self) -> dict[str, str]:
        return {
            name: f"It failed {count} times, and was given up. {self._first[name]}"
            if self.given_up(name)
            else f"It failed {count} times. {self._first[name]}"
            for name, count in self._count.items()
        }


def _values(run: Run, made: Made, measures: "Sequence[Measure]", cache: Cache, troubles: _Troubles) -> Values:
    values: dict[str, float | None] = {}
    content = _content(made)
    loaded: tuple[Pictures, Outcome] | None = None
    for measure in measures:
        title = f"evaluation {measure.name} {measure.version}"
        kept = cache.get(title, [content])
        if content not in kept:
            if troubles.given_up(measure.name):
                continue
            loaded = loaded or run.load(made)
            assert loaded is not None  # only failures have none
            try:
                found = measure.measure(made.item, *loaded)
            except EditCancelledError:
                raise
            except EditWorldError as error:
                troubles.note(measure.name, error)
                continue
            troubles.forget(measure.name)
            kept = {content: json.dumps(dict(found))}
            cache.put(title, kept)
        values |= json.loads(kept[content])
    return values


def _content(made: Made) -> str:
    """The hash of everything that a measure looks at."""
    item = made.item
    texts = [item.instruction, item.caption_before, item.caption_after, item.category, dict(item.about)]
    return content_hash(made.key.encode(), json.dumps(texts, sort_keys=True, default=str).encode())
