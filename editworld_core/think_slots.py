"""The nouns of an instruction, put into the texts of a dynamic.

A dynamic's texts have slots: "a {subject} that has melted into a puddle". What fills them in the simulator is known
from staging a few scenes. In a user's instruction it is one of those words, or it is what stands where a phrasing
has the slot, or a noun that the dynamic's own phrasings do not account for; failing all of that a neutral word.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache

import numpy as np
from numpy.typing import NDArray

from editworld_core.masks import STOP_WORDS
from editworld_core.simulation.dynamic import Dynamic
from editworld_core.simulation.stage import Stage
from editworld_core.simulation.world import get_dynamic

Words = Mapping[str, str]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

SCENES, SIZE = 8, 64  # staged to see what a dynamic plays with; small, since nobody looks at them
SLOT = re.compile(r"\{(\w+)\}")
DETERMINERS = frozenset(
    "a an the this that these those my your his her our their its every each some one".split()
)
PEOPLE = frozenset("man woman boy girl person".split())
NEUTRAL = {
    "eater": "animal",
    "drink": "drink",
    "colour": "",
    "side": "side",
    "fabled": "creature",
    "aged": "old person",
    "he": "they",
    "his": "their",
}
NEUTRAL_SUBJECT = {
    "abandon_house": "house",
    "become_robot": "animal",
    "burst_with_spice": "dish",
    "eat_food": "food",
    "enter_fairy_tale": "animal",
    "grow_tree": "young tree",
    "inflate_cheeks": "animal",
    "switch_on_lamp": "lamp",
    "walk_away": "figure",
    "wilt_flower": "flower",
}
LIKE = 0.25  # cosine to what a dynamic plays with, from which on a stray noun is taken for its subject


@cache
def known_words(name: str) -> tuple[Words, ...]:
    """What fills the slots of the dynamic ``name`` in the training scenes of the simulator, without the place."""
    entry = get_dynamic(name)
    if not slots_of(entry):
        return ({},)
    seen: list[Words] = []
    for seed in range(SCENES):
        words = dict(entry.stage(Stage(np.random.default_rng(seed), SIZE, "train")).words)
        kept = {slot: words[slot] for slot in words if slot in slots_of(entry)}
        if kept not in seen:
            seen.append(kept)
    return tuple(seen)


def slots_of(entry: Dynamic) -> tuple[str, ...]:
    """The slots in a dynamic's texts that an instruction can fill."""
    found = SLOT.findall(" ".join((*entry.phrasings, entry.after, *entry.keywords)))
    return tuple(slot for slot in dict.fromkeys(found) if slot not in ("place", "article"))


def read_slots(entry: Dynamic, instruction: str, embed: Embed) -> dict[str, str]:
    """What ``instruction`` says about the slots of ``entry``; slots of which it says nothing are left out.

    Args:
        entry: the dynamic that the instruction is about.
        instruction: in any case and with punctuation.
        embed: texts to unit vectors [n, d], for nouns that no phrasing has in that place.
    """
    told = _words(instruction)
    found = _known(entry, told)
    for slot in slots_of(entry):
        if slot in ("he", "his", "aged", "side") or slot in found:
            continue
        words = _aligned(entry, slot, told, found)
        if not words and slot == "subject":
            words = _stray_noun(entry, told, embed)
        if words:
            found[slot] = words
    agreeing = [words for words in known_words(entry.name) if all(words[s] == v for s, v in found.items())]
    for slot in slots_of(entry) if found else ():
        values = {words[slot] for words in agreeing}
        if slot not in found and len(values) == 1:
            found[slot] = values.pop()
    return found | _pronouns(entry, told)


def fill(entry: Dynamic, template: str, words: Words) -> str:
    """``template`` with ``words`` in its slots, neutral words in the others, and without the place."""
    text = re.sub(r",? in \{place\}", "", template).replace("{place}", "the place")
    neutral = {**NEUTRAL, "subject": neutral_subject(entry), **words}
    text = SLOT.sub(lambda match: neutral.get(match[1], "" if match[1] == "article" else "thing"), text)
    return _with_articles(" ".join(text.split()))


def neutral_subject(entry: Dynamic) -> str:
    """A word for whatever ``entry`` happens to."""
    seen = {words.get("subject", "") for words in known_words(entry.name)}
    return NEUTRAL_SUBJECT.get(entry.name, "person" if seen & PEOPLE else "thing")


def _with_articles(text: str) -> str:
    """The right one of "a" and "an" before every word, as far as letters tell; "their" takes "are"."""
    text = re.sub(r"\b([Aa])n?(?= [^aeiouAEIOU\W])", r"\1", text)
    return re.sub(r"\b([Aa])(?= (?!one\b|uni|use|eu)[aeiouAEIOU])", r"\1n", text)


def _words(text: str) -> list[str]:
    """Lower-case words and slots; the "'s" of a genitive is a word of its own."""
    return re.findall(r"\{\w+\}|'s\b|[^\W_]+(?:-[^\W_]+)*", text.lower().replace("’", "'"))


def _known(entry: Dynamic, told: Sequence[str]) -> dict[str, str]:
    """The slots whose words the instruction contains, the longest words first."""
    line = f" {' '.join(told)} "
    found: dict[str, str] = {}
    pairs = {(slot, value) for words in known_words(entry.name) for slot, value in words.items()}
    for slot, value in sorted(pairs, key=lambda pair: (-len(pair[1]), pair)):
        spoken = " ".join(_words(value))
        if slot not in ("he", "his") and f" {spoken} " in line:
            found.setdefault(slot, value)
            line = line.replace(f" {spoken} ", "  ")
    return found


def _aligned(entry: Dynamic, slot: str, told: Sequence[str], found: Words) -> str:
    """What stands in the instruction where the phrasing that is most like it has ``slot``."""
    best, taken = 0.5, ""
    for phrasing in entry.phrasings:
        if f"{{{slot}}}" not in phrasing:
            continue
        words = _words(SLOT.sub(lambda match: found.get(match[1], match[0]), phrasing))
        matcher = SequenceMatcher(None, words, told, autojunk=False)
        if matcher.ratio() <= best:
            continue
        for tag, start, end, first, last in matcher.get_opcodes():
            replaced = [word for word in words[start:end] if word not in DETERMINERS]
            noun = _noun(told[first:last]) if tag == "replace" and replaced == [f"{{{slot}}}"] else ""
            if noun:
                best, taken = matcher.ratio(), noun
    return taken


def _noun(words: Sequence[str]) -> str:
    """``words`` without determiners at their start, if what is left may be a noun: up to three words, none small."""
    kept = list(words)
    while kept and kept[0] in DETERMINERS:
        kept.pop(0)
    fits = 1 <= len(kept) <= 3 and not any(word in STOP_WORDS or word == "'s" for word in kept)
    return " ".join(kept) if fits else ""


def _stray_noun(entry: Dynamic, told: Sequence[str], embed: Embed) -> str:
    """The words after a determiner that are not the dynamic's own, and most like what it plays with."""
    own = {_stem(word) for text in entry.phrasings for word in _words(text)}
    nouns: list[str] = []
    for place, word in enumerate(told):
        run: list[str] = []
        for following in told[place + 1 : place + 4] if word in DETERMINERS else ():
            if following in STOP_WORDS or following == "'s" or _stem(following) in own:
                break
            run.append(following)
        if run:
            nouns.append(" ".join(run))
    played_with = sorted({words["subject"] for words in known_words(entry.name)})
    if not nouns:
        return ""
    vectors = embed([*nouns, *played_with])
    likeness = (vectors[: len(nouns)] @ vectors[len(nouns) :].T).max(1)
    return nouns[int(likeness.argmax())] if likeness.max() >= LIKE else ""


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s|e)$", "", word)


def _pronouns(entry: Dynamic, told: Sequence[str]) -> dict[str, str]:
    if "he" not in slots_of(entry):
        return {}
    if {"she", "her", "woman", "girl"} & set(told):
        return {"he": "she", "his": "her"}
    return {"he": "he", "his": "his"} if {"he", "him", "his", "man", "boy"} & set(told) else {}
