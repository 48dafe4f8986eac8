"""Saying which: the one of two that is meant, and the bystander to which nothing happens.

Templates of dynamics speak of one subject. Where two of a kind stand in a scene, every phrasing is made to say which
one is meant: at its noun or its pronoun if it has one ("melt the snowman on the left"), else at its end ("the sun
comes out, but only for the snowman on the left").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from editworld_core.simulation.stage import Split

PRONOUNS = ("he", "she")
# article, adjective that is no superlative, noun, and what binds the noun to the next word
ADDRESS = r"\b([Tt]he|this) ((?!\w+est |newborn )\w+ )?{}\b( of\b|'s?\b| king\b| tree\b| shell\b)?"
UNTOUCHED = {  # the clause about a bystander, of which the first also fits into a question
    "train": (
        ", but nothing happens to the {}",
        ", but not the {}",
        ", and the {} stays as it is",
        " without touching the {}",
    ),
    "held_out": (", but the {} remains the same", ", while nothing about the {} changes"),
}


@dataclass(frozen=True)
class Which:
    """The one of two that is meant: by its ``side``, or by its ``size`` beside the other one, if that is given."""

    side: Literal["left", "right"]
    size: Literal["bigger", "smaller"] | None = None

    def names(self, noun: str) -> tuple[str, ...]:
        """What to call it after an article; the last of them also goes before a genitive or in a compound."""
        if self.size is not None:
            return (f"{self.size} {noun}",)
        beside = f"{noun} on the {self.side}"
        return beside, beside, f"{self.side}-hand {noun}", f"{self.side} {noun}"

    def other(self, noun: str) -> str:
        """The other one, for captions."""
        if self.size is not None:
            return f"{'smaller' if self.size == 'bigger' else 'bigger'} {noun}"
        return f"{noun} on the {'left' if self.side == 'right' else 'right'}"


def say_which(text: str, nouns: Sequence[str], which: Which, rng: np.random.Generator) -> str:
    """The phrasing ``text`` with the one that is meant named; ``nouns`` are words for it, the usual one first."""
    names = which.names(nouns[0])
    for noun in nouns:
        found = re.search(ADDRESS.format(re.escape(noun)), text)
        if found is None:
            continue
        article, adjective, after = found.groups(default="")
        names = which.names(adjective + noun)
        name = names[-1] if after else _draw(names, rng)
        return f"{text[: found.start()]}{article} {name}{after}{text[found.end() :]}"
    pronoun = re.search(rf"\b({'|'.join(PRONOUNS)})\b", text)
    if pronoun is not None and nouns[0] in ("man", "woman"):
        return f"{text[: pronoun.start()]}the {_draw(names, rng)}{text[pronoun.end() :]}"
    return append(text, f", but only for the {_draw(names, rng)}")


def leave_out(text: str, bystander: str, split: Split, rng: np.random.Generator) -> str:
    """The phrasing ``text`` with the remark that nothing happens to the ``bystander``."""
    clauses = UNTOUCHED[split]
    clause = clauses[0] if text.endswith("?") else _draw(clauses, rng)
    return append(text, clause.format(bystander))


def append(text: str, clause: str) -> str:
    """``text`` with ``clause`` before its question mark, if it has one."""
    return f"{text[:-1]}{clause}?" if text.endswith("?") else text + clause


def _draw(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
