"""The text stage: quadruples of every category, checked, without near-duplicates, in a folder to resume.

A run goes round the categories and sources, one turn each, until there are as many as asked for. What a source
gives is judged one by one; what is rejected is counted with its reason. The turn is then written down as a whole.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from editworld_core.categories import Category
from editworld_core.datagen.quadruple import (
    Quadruple,
    QuadrupleWriter,
    Turn,
    fault,
    make_quadruple,
    occurs,
    open_quadruples,
)
from editworld_core.datagen.text_prompt import EXAMPLES, Example
from editworld_core.datagen.text_sources import TextSource
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError
from editworld_core.language import clean
from editworld_core.think import tidy_keywords

if TYPE_CHECKING:
    from editworld_core.think_offline import MiniLMTexts

log = logging.getLogger(__name__)

SIMILAR = 0.8
BARREN_TURNS = 10  # in a row without a new quadruple, after which a source has no more to give for a category


@dataclass(frozen=True)
class SourceReport:
    """What one model took and gave, over all runs in the folder.

    Attributes:
        source, model: which.
        turns, requests: how often it was asked, by us and, with retries, over the line.
        kept: quadruples.
        rejected: candidates and unreadable answers, by reason.
        keywords_left_out: those of kept quadruples that occur in no caption.
        prompt_tokens, completion_tokens: None if it does not tell.
        cost: in the currency of the prices; None without tokens or prices.
    """

    source: str
    model: str
    turns: int
    requests: int
    kept: int
    rejected: dict[str, int]
    keywords_left_out: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None


@dataclass(frozen=True)
class TextReport:
    """What a run did: it was ``asked`` for so many, ``added`` were new, and the folder now holds ``total``.

    ``present`` of those asked for are there; if they are fewer, ``notes`` says for each category why.
    ``rejected`` are this run's, by reason; ``sources`` tells of all runs in the folder.
    """

    folder: str
    asked: int
    present: int
    added: int
    total: int
    by_category: dict[str, int]
    rejected: dict[str, int]
    sources: list[SourceReport]
    seconds: float
    notes: list[str]


def generate_text(
    folder: Path,
    count: int,
    sources: Sequence[TextSource],
    *,
    categories: Sequence[Category] = tuple(Category),
    seed: int = 0,
    similar: float = SIMILAR,
    prices: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> TextReport:
    """Write ``count`` quadruples, spread evenly over ``categories`` and ``sources``, into a folder.

    The same call goes on where a killed one stopped, and then ends with the same files as an unkilled one if the
    sources answer the same. A larger count continues a smaller one.

    Args:
        folder: new, empty, or filled by an earlier run.
        count: quadruples of this seed.
        sources: of different kinds.
        categories: those to write for.
        seed: at least 0; other seeds give others.
        similar: likeness, 0..1, from which on a quadruple is a near-duplicate of another and is left out.
        prices: of a million tokens read and written, for the cost in the report.
        progress: called at the start and after each turn with the number that is there and ``count``.

    Raises:
        BadInputError: the folder or a number cannot be used.
        EditWorldError: a source cannot be reached, the disk is full, or another process writes to the folder.
    """
    start = time.perf_counter()
    _check(count, sources, categories, seed, similar, prices)
    with open_quadruples(folder) as writer:
        before, turns_before = len(writer), len(writer.turns)
        shares = [_Share(source, category, seed) for category in categories for source in sources]
        for place, share in enumerate(shares):
            share.resume(writer, count // len(shares) + (place < count % len(shares)))
        if progress is not None:
            progress(count - sum(share.missing for share in shares), count)
        known = Likeness(similar, writer.quadruples) if any(share.missing for share in shares) else None
        while known and (open_shares := [share for share in shares if share.missing and not share.barren]):
            # Round and round; by the turns written down, so that a resumed run keeps the order of an unkilled one.
            writer.add(min(open_shares, key=lambda share: share.turns).take_turn(known, writer))
            if progress is not None:
                progress(count - sum(share.missing for share in shares), count)
        return TextReport(
            folder=str(folder),
            asked=count,
            present=count - sum(share.missing for share in shares),
            added=len(writer) - before,
            total=len(writer),
            by_category=dict(sorted(Counter(q.category.value for q in writer.quadruples).items())),
            rejected=_rejects(writer.turns[turns_before:]),
            sources=_by_source(writer.turns, prices),
            seconds=round(time.perf_counter() - start, 2),
            notes=[share.shortfall() for share in shares if share.missing],
        )


class _Share:
    """What one source is to write for one category."""

    def __init__(self, source: TextSource, category: Category, seed: int) -> None:
        self._source, self._category, self._seed = source, category, seed
        self._asked = self.missing = self.turns = self._seen = self._empty_turns = 0

    def resume(self, writer: QuadrupleWriter, asked: int) -> None:
        """Find out what earlier runs did of the ``asked`` quadruples."""
        ours = (self._source.source, self._category, self._seed)
        turns = [turn for turn in writer.turns if (turn.source, turn.category, turn.seed) == ours]
        kept = sum((q.source, q.category, q.seed) == ours for q in writer.quadruples)
        self._asked, self.missing = asked, max(0, asked - kept)
        self.turns, self._seen = len(turns), sum(turn.seen for turn in turns)

    @property
    def barren(self) -> bool:
        """Whether the source has no more to give."""
        return self._empty_turns >= BARREN_TURNS

    def shortfall(self) -> str:
        """One sentence on what is missing."""
        return (
            f"{self._source.name} wrote only {self._asked - self.missing} of {self._asked} for "
            f"{self._category.value}, and nothing new in its last {BARREN_TURNS} turns: take another source or seed."
        )

    def take_turn(self, known: "Likeness", writer: QuadrupleWriter) -> Turn:
        """Ask the source once and judge what it gives."""
        source = self._source
        drawn = source.draw(self._category, self._seen, min(source.batch, self.missing), self._seed)
        judged = self._judge(drawn.candidates, known, writer)
        kept = tuple(quadruple for quadruple, _, reason in judged if not reason)
        # A turn counts as having seen something even if it gave nothing, so that the next one asks anew.
        seen = max(len(judged), 1)
        self.turns += 1
        self._seen += seen
        self.missing -= len(kept)
        self._empty_turns = 0 if kept else self._empty_turns + 1
        return Turn(
            source=source.source,
            model=source.name,
            category=self._category,
            seed=self._seed,
            seen=seen,
            quadruples=kept,
            rejected=dict(Counter(reason for _, _, reason in judged if reason)),
            failed=dict(drawn.failed),
            keywords_left_out=sum(left_out for _, left_out, reason in judged if not reason),
            requests=drawn.requests,
            prompt_tokens=drawn.prompt_tokens,
            completion_tokens=drawn.completion_tokens,
        )

    def _judge(
        self, candidates: Sequence[Example], known: "Likeness", writer: QuadrupleWriter
    ) -> list[tuple[Quadruple, int, str]]:
        """Quadruples until there are enough, how many keywords each lost, and why it is rejected or "" if it is not."""
        made = [self._finish(candidate) for candidate in candidates]
        faults = [fault(quadruple) for quadruple, _ in made]
        sound = [quadruple for (quadruple, _), reason in zip(made, faults, strict=True) if not reason]
        vectors = iter(embed(sound))
        judged, missing, taken = [], self.missing, set[str]()
        for (quadruple, left_out), reason in zip(made, faults, strict=True):
            if not missing:
                break
            if not reason:
                vector = next(vectors)
                there = quadruple.id in writer or quadruple.id in taken
                reason = "it is there already" if there else known.refuse(vector)
            if not reason:
                known.add(vector)
                taken.add(quadruple.id)
                missing -= 1
            judged.append((quadruple, left_out, reason))
        return judged

    def _finish(self, candidate: Example) -> tuple[Quadruple, int]:
        """The candidate as a quadruple, keywords that occur in no caption left out, and how many those are."""
        before, told, after = (
            clean(text)
            for text in (candidate.original_caption, candidate.instruction, candidate.target_caption)
        )
        nouns = tidy_keywords(candidate.keywords)
        used = [noun for noun in nouns if occurs(noun, f"{before}\n{after}")]
        used.sort(key=lambda noun: not occurs(noun, before))
        source = self._source
        made = make_quadruple(
            self._category, before, told, after, used, source.source, source.name, self._seed
        )
        return made, len(nouns) - len(used)


class Likeness:
    """How like a quadruple is to those that are there, and to the worked examples, which models like to copy."""

    def __init__(self, similar: float, known: Sequence[Quadruple] = ()) -> None:
        self._similar = similar
        self._vectors = np.concatenate([_worked_examples(), embed(known)])
        self._count = len(self._vectors)

    def nearest(self, vector: NDArray[np.float32]) -> float:
        """The greatest likeness of one quadruple [3, d] to any that is there."""
        return float(likeness(vector, self._vectors[: self._count]).max())

    def refuse(self, vector: NDArray[np.float32]) -> str:
        """The reason to leave a quadruple out; empty if there is none."""
        return "it is nearly the same as another" if self.nearest(vector) >= self._similar else ""

    def add(self, vector: NDArray[np.float32]) -> None:
        """Remember a quadruple [3, d]."""
        if self._count == len(self._vectors):  # doubled, so that adding n costs n
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[self._count] = vector
        self._count += 1


def embed(quadruples: Sequence[Quadruple | Example]) -> NDArray[np.float32]:
    """Unit vectors [n, 3, d] of original captions, instructions and target captions, by MiniLM."""
    texts = [text for q in quadruples for text in (q.original_caption, q.instruction, q.target_caption)]
    different = list(dict.fromkeys(texts))  # the simulator repeats itself
    vectors = _encoder()(different)
    places = {text: place for place, text in enumerate(different)}
    return vectors[[places[text] for text in texts]].reshape(len(quadruples), 3, vectors.shape[1])


@lru_cache(maxsize=1)
def _encoder() -> "MiniLMTexts":
    from editworld_core.think_offline import MiniLMTexts

    return MiniLMTexts()


@lru_cache(maxsize=1)
def _worked_examples() -> NDArray[np.float32]:
    return embed([example for examples in EXAMPLES.values() for example in examples])


def likeness(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a quadruple [3, d] to others [n, 3, d]: the least cosine of the three texts, so that all must be alike."""
    return np.einsum("td,ntd->nt", one, others).min(1)


def _check(
    count: int,
    sources: Sequence[TextSource],
    categories: Sequence[Category],
    seed: int,
    similar: float,
    prices: tuple[float, float] | None,
) -> None:
    if count < 1:
        raise BadInputError(f"The number of quadruples must be at least 1, not {count}.")
    if seed < 0:
        raise BadInputError(f"The seed must be 0 or more, not {seed}.")
    if not 0 < similar <= 1:
        raise BadInputError(f"The likeness of near-duplicates must lie between 0 and 1, not be {similar:g}.")
    if not categories or not sources:
        raise BadInputError("There must be at least one source and one category to write for.")
    if len({source.source for source in sources}) < len(sources):
        raise BadInputError("Every source can be given only once.")
    if prices is not None and min(prices) < 0:
        raise BadInputError("Prices must not be negative.")


def _rejects(turns: Sequence[Turn]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for turn in turns:
        total.update(turn.rejected)
        total.update({f"unreadable answer: {reason}": number for reason, number in turn.failed.items()})
    return dict(total.most_common())


def _by_source(turns: Sequence[Turn], prices: tuple[float, float] | None) -> list[SourceReport]:
    groups: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        groups.setdefault((turn.source, turn.model), []).append(turn)
    return [_source_report(group, prices) for group in groups.values()]


def _source_report(turns: Sequence[Turn], prices: tuple[float, float] | None) -> SourceReport:
    read, written = _told(turns, "prompt_tokens"), _told(turns, "completion_tokens")
    cost = None
    if prices is not None and read is not None and written is not None:
        cost = (read * prices[0] + written * prices[1]) / 1e6
    return SourceReport(
        source=turns[0].source,
        model=turns[0].model,
        turns=len(turns),
        requests=sum(turn.requests for turn in turns),
        kept=sum(len(turn.quadruples) for turn in turns),
        rejected=_rejects(turns),
        keywords_left_out=sum(turn.keywords_left_out for turn in turns),
        prompt_tokens=read,
        completion_tokens=written,
        cost=cost,
    )


def _told(turns: Sequence[Turn], what: str) -> int | None:
    told: list[Any] = [getattr(turn, what) for turn in turns]
    return sum(filter(None, told)) if any(tokens is not None for tokens in told) else None
