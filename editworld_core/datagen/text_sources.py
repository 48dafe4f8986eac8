"""Where quadruples come from: a language model, on a server or on this machine, or the simulator's grammar."""

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np

from editworld_core.categories import Category
from editworld_core.datagen.quadruple import Source, occurs
from editworld_core.datagen.text_prompt import SCENES, Example, prompt, schema
from editworld_core.errors import EditWorldError
from editworld_core.language import LanguageModel
from editworld_core.language_server import ServerModel

TEMPERATURE = 1.0
BATCH = 10  # quadruples a request: one talk of worked examples is then paid for ten times less often
PATIENCE = 600.0  # seconds that a request may take, waiting for a busy server included
TRIES = 6  # with pauses of 0.5, 1, 2, 4 and 8 seconds between them, or what a busy server asks for


@dataclass(frozen=True)
class Drawn:
    """What a source gave: ``candidates`` nobody has checked yet; the rest is as in ``Turn``."""

    candidates: tuple[Example, ...]
    failed: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class TextSource(Protocol):
    """Something that writes quadruples."""

    @property
    def source(self) -> Source:
        """Which kind it is."""
        ...

    @property
    def name(self) -> str:
        """The model, for the records."""
        ...

    @property
    def batch(self) -> int:
        """How many it writes at a time."""
        ...

    def draw(self, category: Category, start: int, count: int, seed: int) -> Drawn:
        """About ``count`` candidates of ``category``, the ones after the first ``start`` of the run ``seed``.

        Raises:
            EditWorldError: it cannot be reached.
        """
        ...


class MeteredServer(ServerModel):
    """A server whose answers say what they took; the tokens are None until one does."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def _exchange(self, payload: dict[str, Any], deadline: float) -> bytes:
        body = super()._exchange(payload, deadline)
        try:
            usage = json.loads(body)["usage"]
            self.prompt_tokens = (self.prompt_tokens or 0) + int(usage["prompt_tokens"])
            self.completion_tokens = (self.completion_tokens or 0) + int(usage["completion_tokens"])
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # it does not tell
        return body


class ModelSource:
    """A language model, asked anew every turn."""

    def __init__(self, model: LanguageModel, batch: int = BATCH, temperature: float = TEMPERATURE) -> None:
        self.source: Source = model.source
        self.name, self.batch = model.name, batch
        self._model, self._temperature = model, temperature

    def draw(self, category: Category, start: int, count: int, seed: int) -> Drawn:
        """See ``TextSource.draw``; no candidates if the model's answers cannot be read."""
        rng = np.random.default_rng([seed, list(Category).index(category), start])
        counts = self._model.counts
        asked, failed, reasons = counts.asked, counts.failed, counts.reasons.copy()
        tokens = self._tokens()
        messages = prompt(category, count, rng)
        try:
            answer = self._model.complete(
                messages, schema(count), temperature=self._temperature, seed=int(rng.integers(2**31))
            )
        except EditWorldError:
            if counts.asked == asked or counts.failed > failed:
                raise  # it was not reached, or is not there; otherwise it answered, but nothing that can be read
            answer = {"quadruples": []}
        entries = [answer] if count == 1 and "quadruples" not in answer else answer["quadruples"]
        spent = [
            None if after is None else after - (before or 0)
            for before, after in zip(tokens, self._tokens(), strict=True)
        ]
        return Drawn(
            candidates=tuple(Example(**{**entry, "keywords": tuple(entry["keywords"])}) for entry in entries),
            failed=dict(Counter(counts.reasons) - reasons),
            requests=counts.asked - asked,
            prompt_tokens=spent[0],
            completion_tokens=spent[1],
        )

    def _tokens(self) -> tuple[int | None, int | None]:
        return (
            getattr(self._model, "prompt_tokens", None),
            getattr(self._model, "completion_tokens", None),
        )


class GrammarSource:
    """The texts of the simulator's dynamics, in scenes that are staged but not drawn.

    Dynamics take turns, and each goes through its training phrasings; the held-out ones are left to measuring.
    """

    source: Source = "simulator"
    batch = 50

    def __init__(self) -> None:
        from editworld_core import __version__

        self.name = f"simulator {__version__}"

    def draw(self, category: Category, start: int, count: int, seed: int) -> Drawn:
        """See ``TextSource.draw``."""
        names = _dynamics(category)
        places = (divmod(place, len(names)) for place in range(start, start + count))
        return Drawn(tuple(stage_texts(names[which], turn, seed) for turn, which in places))


@cache
def _dynamics(category: Category) -> tuple[str, ...]:
    from editworld_core.simulation.world import dynamic_names, get_dynamic

    return tuple(name for name in dynamic_names() if get_dynamic(name).category == category)


SIZE = 32  # pixels of a staged scene, which nobody looks at


def stage_texts(name: str, turn: int, seed: int) -> Example:
    """The texts of the dynamic ``name`` in the scene of its ``turn`` in the run ``seed``.

    Photo dynamics work on any picture ("a photograph"); a text-to-image model needs to be told of which place.
    """
    from editworld_core.simulation.stage import Stage
    from editworld_core.simulation.world import get_dynamic

    entry = get_dynamic(name)
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed, turn])
    words = dict(entry.stage(Stage(rng, SIZE)).words)
    scene = SCENES[int(rng.integers(len(SCENES)))]
    phrasing = entry.phrasings[(seed + turn) % len(entry.phrasings)]
    before, told, after = (text.format(**words) for text in (entry.before, phrasing, entry.after))
    before, after = _of_scene(before, scene), _of_scene(after, scene)
    nouns = [keyword.format(**words) for keyword in entry.keywords]
    if entry.photo:  # the caption before may only deny them: "a picture without snow"
        nouns = [noun for noun in nouns if occurs(noun, after)]
    if entry.photo or not any(occurs(noun, before) for noun in nouns):
        nouns = [_bare(noun) for noun in (words.get("subject"), words.get("place"), scene) if noun] + nouns
    return Example(before, told, after, tuple(nouns))


def _of_scene(caption: str, scene: str) -> str:
    """A photo dynamic's caption, about ``scene``.

    >>> _of_scene("a picture taken by day", "a beach"), _of_scene("the same place at night", "a beach")
    ('a picture of a beach taken by day', 'a beach at night')
    """
    caption = re.sub(r"\ba ([\w ]*)(picture|photograph)\b( of a dry place)?", rf"a \1\2 of {scene}", caption)
    caption = re.sub(r"\bthe same photograph\b", f"a photograph of {scene}", caption)
    return re.sub(r"\bthe same (?:place|scene)\b", scene, caption)


def _bare(noun: str) -> str:
    """``noun`` without its article and what follows it.

    >>> _bare("a windmill on a dyke")
    'windmill'
    """
    return re.sub(r"^(?:an?|the) | (?:on|with) .*", "", noun)
