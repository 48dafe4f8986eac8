"""Every setup edits every item, once: what was edited before, by anyone, is taken from the cache."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError, EditCancelledError, EditWorldError, EngineUnavailableError
from editworld_core.evaluation.identity import identity_of
from editworld_core.evaluation.outcomes import OutcomeStore, outcome_key
from editworld_core.evaluation.record import Item, Outcome, Pictures, Scored, Setup
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

Identify = Callable[[EditSettings], Mapping[str, Any]]


class Editor(Protocol):
    """What is measured: ``WorldEditor``, or anything that edits like it."""

    def edit(self, image: Image.Image, instruction: str, settings: EditSettings) -> "EditResult":
        """Edit ``image``; the result has its size."""
        ...


@dataclass(frozen=True)
class Made:
    """What a setup made of an item: an outcome called ``key``, or a ``failure`` in a sentence.

    ``unavailable`` says that it failed because the engine cannot be had, which no other item will change.
    """

    item: Item
    setup: Setup
    key: str = ""
    failure: str = ""
    unavailable: bool = False


@dataclass(frozen=True)
class Run:
    """What a run left.

    Attributes:
        made: setup by setup, one an item.
        weights: by label, the identity of the engine's weights (see ``identity``).
        edited, known: how many edits were new, and how many were there before.
    """

    made: tuple[Made, ...]
    store: OutcomeStore
    weights: Mapping[str, str]
    edited: int
    known: int

    def load(self, made: Made) -> tuple[Pictures, Outcome] | None:
        """The pictures of the item and of its outcome; None if it failed.

        Raises:
            BadInputError: a file is damaged, or is not there any more.
        """
        if made.failure:
            return None
        pictures = made.item.read()
        return pictures, self.store.read(made.key, pictures.original)

    def outcome_of(self, scored: Scored) -> Outcome | None:
        """The outcome that was scored; None if the edit failed. Raises as ``load`` does."""
        made = self._by_name.get((scored.item.id, scored.setup.label))
        loaded = None if made is None else self.load(made)
        return None if loaded is None else loaded[1]

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Made]:
        return {(made.item.id, made.setup.label): made for made in self.made}

    def notes(self) -> list[str]:
        """A sentence for each setup of which edits failed, with the first reason."""
        failed: dict[str, list[str]] = {}
        for made in self.made:
            if made.failure:
                failed.setdefault(made.setup.label, []).append(made.failure)
        return [
            f"{label}: {len(failures)} edits failed; the first one: {failures[0]}"
            for label, failures in failed.items()
        ]


def run(
    items: Sequence[Item],
    setups: Sequence[Setup],
    folder: Path,
    editor: Editor,
    progress: Progress | None = None,
    identify: Identify = identity_of,
) -> Run:
    """Let every setup edit every item.

    What an editor refuses is noted and the run goes on; an engine that cannot be had fails all of its items at once.

    Args:
        items, setups: what to edit, and how. A setup that leaves the seed open takes one of each item's own.
        folder: where the outcomes are kept (see ``outcomes``); it may hold those of other runs.
        editor: what edits.
        progress: called after each edit with the numbers done and in all; what it raises stops the run.
        identify: says what an edit with such settings depends on.

    Raises:
        BadInputError: two setups have one label.
        EditWorldError: not one edit succeeded, or ``folder`` cannot be written.
    """
    labels = [setup.label for setup in setups]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise BadInputError(f"Two setups are called {twice!r}; give each a label of its own.")
    runner = _Runner(OutcomeStore(folder), editor, identify)
    made = []
    for one in runner.all(items, setups):
        made.append(one)
        if progress is not None:
            progress(len(made), len(items) * len(setups))
    if made and all(one.failure for one in made):
        raise EditWorldError(
            f"Not one of {len(made)} edits succeeded; the first one failed so: {made[0].failure}"
        )
    return Run(tuple(made), runner.store, runner.weights, runner.edited, runner.known)


class _Runner:
    """One run, with its counts."""

    def __init__(self, store: OutcomeStore, editor: Editor, identify: Identify) -> None:
        self.store = store
        self.weights: dict[str, str] = {}
        self.edited = self.known = 0
        self._editor, self._identify = editor, identify

    def all(self, items: Sequence[Item], setups: Sequence[Setup]) -> Iterator[Made]:
        """Setup by setup, since two large engines may not fit into memory."""
        for setup in setups:
            try:
                identity = self._identify(setup.settings)
            except EngineUnavailableError as error:
                yield from (Made(item, setup, failure=str(error)) for item in items)
                continue
            self.weights[setup.label] = str(identity.get("engine", ""))
            last: Made | None = None
            for item in items:
                if last is not None and last.unavailable:
                    last = replace(last, item=item)
                else:
                    last = self._one(item, setup, identity)
                yield last

    def _one(self, item: Item, setup: Setup, identity: Mapping[str, Any]) -> Made:
        settings = setup.settings
        if settings.seed is None:
            settings = replace(settings, seed=_own_seed(item))
        key = outcome_key(item, {**identity, "seed": settings.seed})
        if key in self.store:
            self.known += 1
            return Made(item, setup, key)
        try:
            original = item.read().original
            start = time.perf_counter()
            result = self._editor.edit(original, item.instruction, settings)
            seconds = time.perf_counter() - start - result.timings.get("load", 0.0)
        except EditCancelledError:
            raise
        except EditWorldError as error:
            return Made(
                item, setup, failure=str(error), unavailable=isinstance(error, EngineUnavailableError)
            )
        self.store.write(key, item, result, seconds)
        self.edited += 1
        return Made(item, setup, key)


def _own_seed(item: Item) -> int:
    """The seed of a simulated world, else one that its content decides."""
    seed = item.about.get("seed")
    return seed if isinstance(seed, int) and seed >= 0 else int(item.content[:8], 16)
