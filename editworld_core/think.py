"""The think step: from what happens to what the picture then shows.

A world instruction may be a mere cause ("nobody waters the tulip for two weeks"). Reasoning about it before editing is
the largest cheap gain on such edits (RISEBench, 2025): the think step turns it into an explicit outcome, the nouns of
what changes, and a category. It is a proposal that the user sees and may change, and it never stands in the way of
an edit: if a language model fails, the offline backend answers and the thought says so.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from editworld_core.categories import Category
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.images import check_instruction
from editworld_core.language import LanguageModel, Message, clean, picture_part

log = logging.getLogger(__name__)

ThoughtSource = Literal["offline", "server", "local", "user"]
BACKENDS = ("offline", "server", "server+image", "local")
LONGEST_OUTCOME = 300  # characters
MOST_KEYWORDS = 8
LONGEST_KEYWORD = 40

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "outcome": {"type": "string", "minLength": 3, "maxLength": 2 * LONGEST_OUTCOME},
        "keywords": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEYWORD},
            "minItems": 1,
            "maxItems": 2 * MOST_KEYWORDS,
        },
        "category": {"type": "string", "enum": [category.value for category in Category]},
    },
    "required": ["outcome", "keywords", "category"],
    "additionalProperties": False,
}
"""Of a language model's answer. Twice the length that is kept: a little too much is cut, far too much is rejected."""


@dataclass(frozen=True)
class Thought:
    """What an instruction leads to.

    What to tell an engine: one that was trained on captions or commands, the outcome. The pocket engine knows the
    simulator's phrasings themselves and is best told the instruction; the outcome makes its error larger
    (``docs/ablations.md``, the think step).

    Attributes:
        instruction: as given, spaces trimmed.
        outcome: a caption of what the picture shows afterwards; the instruction itself if nothing better is known.
        keywords: the nouns of what changes, at most ``MOST_KEYWORDS``.
        category: one of the seven.
        source: what thought so.
        dynamic: offline only: the dynamic of the simulator that the instruction is taken for; empty if none is near.
        command: that dynamic's plain command with the instruction's own nouns ("melt the ice cube"); empty as above.
        confidence: offline only: nearness to what the simulator knows, 0..1; not a probability.
        note: one sentence for the user if another backend than the chosen one had to answer, else empty.
    """

    instruction: str
    outcome: str
    keywords: tuple[str, ...]
    category: Category
    source: ThoughtSource
    dynamic: str = ""
    command: str = ""
    confidence: float | None = None
    note: str = ""

    def changed(
        self,
        outcome: str | None = None,
        keywords: Sequence[str] | str | None = None,
        category: str | None = None,
    ) -> "Thought":
        """This thought after a user's changes; the same object if there are none.

        Args:
            outcome: another caption; empty for the instruction itself.
            keywords: other nouns, in a list or separated by commas.
            category: another category, in any case.

        Raises:
            BadInputError: ``category`` is none of the seven.
        """
        words = re.split(r"[,;\n]", keywords) if isinstance(keywords, str) else keywords
        new = replace(
            self,
            outcome=self.outcome if outcome is None else tidy_outcome(outcome) or self.instruction,
            keywords=self.keywords if words is None else tidy_keywords(words),
            category=self.category if category is None else to_category(category),
        )
        return self if new == self else replace(new, source="user", dynamic="", command="", confidence=None)


class Thinker(Protocol):
    """A backend of the think step."""

    def think(self, instruction: str, image: Image.Image | None = None) -> Thought:
        """What ``instruction`` leads to in ``image``.

        Raises:
            EditWorldError: it cannot tell.
        """
        ...


@dataclass(frozen=True)
class LanguageThinker:
    """Asks a language model, and shows it the picture if ``shows_picture``."""

    model: LanguageModel
    shows_picture: bool = False

    def think(self, instruction: str, image: Image.Image | None = None) -> Thought:
        """See ``Thinker.think``."""
        answer = self.model.complete(
            prompt(instruction, image if self.shows_picture else None), SCHEMA, _check_answer
        )
        return Thought(
            instruction=instruction,
            outcome=tidy_outcome(answer["outcome"]),
            keywords=tidy_keywords(answer["keywords"]),
            category=Category(answer["category"]),
            source=self.model.source,
        )


def think(instruction: str, image: Image.Image | None = None, backend: str | Thinker = "offline") -> Thought:
    """What ``instruction`` leads to, by ``backend``, or by the offline one if that fails.

    Args:
        instruction: a command or a cause.
        image: the picture before the change; only a backend that sees pictures looks at it.
        backend: a name that ``load_thinker`` knows, or a thinker.

    Raises:
        BadInputError: the instruction cannot be used. Nothing else is raised but what ends a program.
    """
    instruction = check_instruction(instruction)
    note = ""
    if backend != "offline":
        try:
            thinker = load_thinker(backend) if isinstance(backend, str) else backend
            return thinker.think(instruction, image)
        except EditWorldError as error:
            note = f"{str(error).rstrip('.')}; the offline backend answered instead."
        except Exception as error:  # a backend is foreign code, and must not stand in the way of an edit
            log.warning("the think step failed", exc_info=True)
            note = (
                f"The language model failed ({type(error).__name__}); the offline backend answered instead."
            )
    from editworld_core.think_offline import OfflineThinker

    thought = OfflineThinker().think(instruction, image)
    return replace(thought, note=" ".join(filter(None, (note, thought.note))))


def load_thinker(name: str) -> Thinker:
    """The backend called ``name``.

    Args:
        name: ``offline``; ``server`` or ``server+image``, by the EDITWORLD_LLM_… variables of the environment;
            ``local`` for SmolLM2; or the folder, the hub id or the GGUF file of a local model.

    Raises:
        BadInputError: there is no such backend, or the server's address is missing.
        EngineUnavailableError: the local model is missing.
    """
    if name == "offline":
        from editworld_core.think_offline import OfflineThinker

        return OfflineThinker()
    if name in ("server", "server+image"):
        from editworld_core.language_server import ServerModel

        return LanguageThinker(ServerModel(), shows_picture=name == "server+image")
    return LanguageThinker(_local_model(name))


def _local_model(name: str) -> LanguageModel:
    from editworld_core.engines.hub import is_hub_id

    path = Path(name).expanduser()
    if name != "local" and not path.exists() and not is_hub_id(name):
        raise BadInputError(
            f"There is no think backend {clean(name)[:80]!r}: choose {', '.join(BACKENDS)}, "
            "or name the folder of a language model."
        )
    from editworld_core.language_local import load_local, smollm2

    if name == "local":
        return load_local(*smollm2())
    return load_local(str(path.parent), path.name) if path.is_file() else load_local(name)


def prompt(instruction: str, image: Image.Image | None = None) -> list[Message]:
    """The messages that ask a language model to think about ``instruction``."""
    from editworld_core.think_prompt import EXAMPLES, SEES_PICTURE, TASK

    talk: list[Message] = [{"role": "system", "content": TASK}]
    for told, outcome, keywords, category in EXAMPLES:
        answer = {"outcome": outcome, "keywords": list(keywords), "category": category.value}
        talk.append({"role": "user", "content": _question(told)})
        talk.append({"role": "assistant", "content": json.dumps(answer)})
    if image is None:
        return [*talk, {"role": "user", "content": _question(instruction)}]
    words = {"type": "text", "text": f"{_question(instruction)}\n{SEES_PICTURE}"}
    return [*talk, {"role": "user", "content": [words, picture_part(image)]}]


def _question(instruction: str) -> str:
    return f"Instruction: {json.dumps(instruction, ensure_ascii=False)}"


def _check_answer(answer: dict[str, Any]) -> None:
    if not any(c.isalpha() for c in tidy_outcome(answer["outcome"])):
        raise ValueError("outcome must describe the picture in words")
    if not tidy_keywords(answer["keywords"]):
        raise ValueError("keywords must be short nouns")


def tidy_outcome(text: str) -> str:
    """``text`` on one line, cut between words to ``LONGEST_OUTCOME`` characters."""
    line = clean(text)
    if len(line) <= LONGEST_OUTCOME:
        return line
    return line[:LONGEST_OUTCOME].rpartition(" ")[0] or line[:LONGEST_OUTCOME]


def tidy_keywords(words: Sequence[str]) -> tuple[str, ...]:
    """The first ``MOST_KEYWORDS`` different ones of ``words`` that may be nouns: one to three words of letters."""
    bare = (clean(word).strip(" .,;:!?\"'“”‘’()[]").lower() for word in words)
    return tuple(dict.fromkeys(word for word in bare if _is_noun(word)))[:MOST_KEYWORDS]


def _is_noun(word: str) -> bool:
    spelled = all(c.isalnum() or unicodedata.category(c)[0] == "M" or c in " -'’" for c in word)
    return (
        spelled and any(c.isalpha() for c in word) and len(word) <= LONGEST_KEYWORD and len(word.split()) <= 3
    )


def to_category(name: str) -> Category:
    """The category that ``name`` means, whatever its case and punctuation.

    Raises:
        BadInputError: it means none.
    """

    def letters(text: str) -> str:
        return "".join(c for c in text.casefold() if c.isalpha())

    for category in Category:
        if letters(name) == letters(category):
            return category
    raise BadInputError(f"There is no category {clean(name)[:40]!r}: choose {', '.join(Category)}.")
