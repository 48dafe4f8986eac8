"""What a judge answered, all of it kept: lines of JSON to read, and not to be asked for again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from editworld_core.datagen.records import drop_torn_line, writing

FILE = "answers.jsonl"


@dataclass(frozen=True)
class Answer:
    """What ``model`` said to one question.

    Attributes:
        question: its name and version, such as ``mllm-1``.
        model: who was asked.
        shown: hash of the pictures and texts that it saw, see ``shown``.
        item: for readers; equal pictures of several setups are asked about once.
        answer: as it fitted the schema; empty if it never did.
        failure: the sentence that says so, else empty.
    """

    question: str
    model: str
    shown: str
    item: str
    answer: Mapping[str, Any]
    failure: str = ""


class AnswerBook:
    """The answers of judges, in a file if ``path`` names one, else in memory; one process at a time writes it."""

    def __init__(self, path: Path | None = None) -> None:
        """
        Raises:
            EditWorldError: ``path`` cannot be read or repaired.
        """
        self._path = path
        self._answers: dict[tuple[str, str, str], Answer] = {}
        if path is not None and path.exists():
            with writing(path.parent):
                drop_torn_line(path)
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for answer in filter(None, map(_read, lines)):
                self._answers[answer.question, answer.model, answer.shown] = answer

    def find(self, question: str, model: str, shown: str) -> Answer | None:
        """What ``model`` said to ``question`` when it saw ``shown``; None if it was not asked."""
        return self._answers.get((question, model, shown))

    def about(self, shown: str) -> list[Answer]:
        """What all models said to all questions when they saw ``shown``."""
        return [answer for key, answer in self._answers.items() if key[2] == shown]

    def keep(self, answer: Answer) -> None:
        """Write ``answer`` down at once.

        Raises:
            EditWorldError: the file cannot be written.
        """
        self._answers[answer.question, answer.model, answer.shown] = answer
        if self._path is not None:
            line = json.dumps(asdict(answer), ensure_ascii=False) + "\n"
            with writing(self._path.parent):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)

    def counts(self, question: str) -> list[tuple[str, int, int]]:
        """By model how many pictures it was asked about, and how often no answer was usable."""
        own = [answer for answer in self._answers.values() if answer.question == question]
        return [
            (
                model,
                sum(answer.model == model for answer in own),
                sum(answer.model == model and bool(answer.failure) for answer in own),
            )
            for model in dict.fromkeys(answer.model for answer in own)
        ]

    def __len__(self) -> int:
        return len(self._answers)


def _read(line: str) -> Answer | None:
    """The answer in ``line``; None if it holds none, which then is asked for again."""
    try:
        return Answer(**json.loads(line))
    except (ValueError, TypeError):
        return None


def shown(pictures: Sequence[Image.Image], texts: Mapping[str, str]) -> str:
    """The hash of what a judge is shown."""
    digest = sha256(json.dumps(dict(texts), sort_keys=True).encode())
    for picture in pictures:
        digest.update(f"{picture.size}".encode() + picture.convert("RGB").tobytes())
    return digest.hexdigest()[:32]
