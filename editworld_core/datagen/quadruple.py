"""A quadruple, what the text-to-image branch makes a pair from, and the folder that a writing run fills.

    FOLDER/
      quadruples.jsonl    one quadruple a line, only ever appended to
      turns.jsonl         what every turn of a language model brought: its quadruples, its rejects, its tokens

A turn's line in ``turns.jsonl`` is its commit: quadruples of the last turn that a killed run did not get to write
are appended when the folder is opened again. So nothing is paid for twice, lost or doubled.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from editworld_core.categories import Category
from editworld_core.datagen.records import LOCK, PART, drop_torn_line, locked, writing
from editworld_core.errors import BadInputError
from editworld_core.language import clean

QUADRUPLES = "quadruples.jsonl"
TURNS = "turns.jsonl"
Source = Literal["server", "local", "simulator"]
SHORTEST, LONGEST = 3, 300  # characters of a text; CLIP reads 77 tokens, about as many
T = TypeVar("T", "Quadruple", "Turn")

MARKUP = re.compile(
    r"[<>{}\[\]|\\`]|https?:|www\.|##|^\s*#|\b(?:system|assistant|user|human|ai)\s*:", re.IGNORECASE
)
"""What no caption needs: the signs of chat control tokens (``<|im_end|>``, ``[INST]``, ``</s>``, ``### System``),
of markup and templates, addresses, and the names of speakers."""


@dataclass(frozen=True)
class Quadruple:
    """Original caption, instruction, target caption and keywords (EditWorld, section 3.1), with the category.

    Attributes:
        id: 16 hexadecimal digits, the hash of the texts, the keywords and the category.
        category: one of the seven kinds of world instruction.
        original_caption, target_caption: what the picture shows before and afterwards.
        instruction: what happens.
        keywords: nouns of what changes; each occurs in a caption, the first in the original caption.
        source: what wrote it: a server, a local model, or the simulator's grammar.
        model: the name of the language model, or of the simulator with its version.
        seed: of the run.
    """

    id: str
    category: Category
    original_caption: str
    instruction: str
    target_caption: str
    keywords: tuple[str, ...]
    source: Source
    model: str
    seed: int

    def texts(self) -> tuple[str, str, str]:
        """Original caption, instruction, target caption."""
        return self.original_caption, self.instruction, self.target_caption

    def keywords_in(self, caption: str) -> tuple[str, ...]:
        """The keywords that occur in ``caption``."""
        return tuple(word for word in self.keywords if occurs(word, caption))

    def to_line(self) -> str:
        """The line of ``quadruples.jsonl``, without its newline."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_line(line: str) -> "Quadruple":
        """Read what ``to_line`` wrote.

        Raises:
            ValueError: it is no such line; the text says what is wrong with it.
        """
        return _to_quadruple(json.loads(line))


def make_quadruple(
    category: Category,
    original_caption: str,
    instruction: str,
    target_caption: str,
    keywords: Sequence[str],
    source: Source,
    model: str,
    seed: int,
) -> Quadruple:
    """A quadruple with its id."""
    made_of = json.dumps([category.value, original_caption, instruction, target_caption, list(keywords)])
    return Quadruple(
        hashlib.sha256(made_of.encode()).hexdigest()[:16],
        category,
        original_caption,
        instruction,
        target_caption,
        tuple(keywords),
        source,
        model,
        seed,
    )


def occurs(keyword: str, caption: str) -> bool:
    """Whether ``keyword`` stands in ``caption`` as whole words, whatever their case.

    >>> occurs("ice cube", "An ice cube on a table"), occurs("ice", "a mouse with dice")
    (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", caption, re.IGNORECASE) is not None


def fault(quadruple: Quadruple) -> str:
    """Why ``quadruple`` is of no use; empty if it is sound. The reasons are few, so that they can be counted."""
    texts = quadruple.texts()
    if not all(SHORTEST <= len(text) <= LONGEST for text in texts):
        return f"a text has fewer than {SHORTEST} or more than {LONGEST} characters"
    if any(text != clean(text) or MARKUP.search(text) for text in (*texts, *quadruple.keywords)):
        return "a text has control tokens or markup"
    before, told, after = ("".join(filter(str.isalnum, text.casefold())) for text in texts)
    if not (before and told and after):
        return "a text has no words"
    if before == after:
        return "the captions do not differ"
    if told == after:
        return "the instruction is the outcome"
    if told == before:
        return "the instruction is the original caption"
    if not quadruple.keywords or not occurs(quadruple.keywords[0], quadruple.original_caption):
        return "no keyword occurs in the original caption"
    if not all(occurs(word, before_or_after(quadruple)) for word in quadruple.keywords):
        return "a keyword occurs in no caption"
    return ""


def before_or_after(quadruple: Quadruple) -> str:
    """Both captions as one text to look for words in."""
    return f"{quadruple.original_caption}\n{quadruple.target_caption}"


@dataclass(frozen=True)
class Turn:
    """What one request for new quadruples brought.

    Attributes:
        source, model, category, seed: what was asked, and by which run.
        seen: how many candidates it gave.
        quadruples: those that were kept.
        rejected: how many were not, by reason.
        failed: answers of the language model that could not be read at all, by reason.
        keywords_left_out: keywords of kept quadruples that occur in no caption.
        requests, prompt_tokens, completion_tokens: what it took; tokens are None if the source does not tell.
    """

    source: Source
    model: str
    category: Category
    seed: int
    seen: int
    quadruples: tuple[Quadruple, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    keywords_left_out: int = 0
    requests: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def to_line(self) -> str:
        """The line of ``turns.jsonl``, without its newline."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_line(line: str) -> "Turn":
        """Read what ``to_line`` wrote.

        Raises:
            ValueError: it is no such line.
        """
        values = json.loads(line)
        if not isinstance(values, dict) or values.keys() != {entry.name for entry in fields(Turn)}:
            raise ValueError("its fields are not those of a turn")
        values["category"] = Category(values["category"])
        values["quadruples"] = tuple(map(_to_quadruple, values["quadruples"]))
        return Turn(**values)


def _to_quadruple(values: Any) -> Quadruple:
    if not isinstance(values, dict) or values.keys() != {entry.name for entry in fields(Quadruple)}:
        raise ValueError("its fields are not those of a quadruple")
    kinds = {"keywords": list, "seed": int}
    for name, value in values.items():
        if not isinstance(value, kinds.get(name, str)) or isinstance(value, bool):
            raise ValueError(f"its {name} has the wrong type")
    if not all(isinstance(word, str) for word in values["keywords"]):
        raise ValueError("its keywords have the wrong type")
    if values["source"] not in get_args(Source):
        raise ValueError(f"there is no source {values['source']!r}")
    category = Category(values["category"])
    return Quadruple(**{**values, "category": category, "keywords": tuple(values["keywords"])})


def read_quadruples(path: Path) -> Iterator[Quadruple]:
    """The quadruples in their order, one at a time; a last line that a killed run did not finish is left out.

    Args:
        path: a folder that ``training.generate text`` wrote, or the file in it.

    Raises:
        BadInputError: there is no such file, or one of its lines is damaged.
    """
    file = path / QUADRUPLES if path.is_dir() else path
    if not file.is_file():
        raise BadInputError(
            f"{path} holds no quadruples: give a folder that training.generate text wrote, or its {QUADRUPLES}."
        )
    return _read_lines(file, Quadruple)


def read_turns(folder: Path) -> Iterator[Turn]:
    """The turns that filled ``folder``; none if nothing was written there yet.

    Raises:
        BadInputError: a line is damaged.
    """
    return _read_lines(folder / TURNS, Turn) if (folder / TURNS).exists() else iter(())


def _read_lines(file: Path, kind: type[T]) -> Iterator[T]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    item = kind.from_line(line.decode())
                except (ValueError, TypeError, RecursionError) as error:
                    what = f"Line {number} of {file} is damaged ({_reason(error)})"
                    raise BadInputError(f"{what}; restore the file or delete the line.") from error
                yield item
    except OSError as error:
        raise BadInputError(f"{file} cannot be read ({error.strerror}); give another.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else clean(str(error))[:100]


class QuadrupleWriter:
    """Adds turns to a folder; ``open_quadruples`` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.turns = list(read_turns(folder))
        (folder / QUADRUPLES).touch()
        self.quadruples = list(read_quadruples(folder))
        self._ids = {quadruple.id for quadruple in self.quadruples}
        if self.turns:
            self._append_quadruples(self.turns[-1].quadruples)

    def __contains__(self, quadruple: str) -> bool:
        """Whether the quadruple with this id is there already."""
        return quadruple in self._ids

    def __len__(self) -> int:
        return len(self.quadruples)

    def add(self, turn: Turn) -> None:
        """Write down what ``turn`` brought.

        Raises:
            EditWorldError: the disk is full or not writable. What was added before stays readable.
        """
        _append(self.folder / TURNS, [turn.to_line()])
        self.turns.append(turn)
        self._append_quadruples(turn.quadruples)

    def _append_quadruples(self, quadruples: Sequence[Quadruple]) -> None:
        new = [quadruple for quadruple in quadruples if quadruple.id not in self._ids]
        _append(self.folder / QUADRUPLES, [quadruple.to_line() for quadruple in new])
        self.quadruples += new
        self._ids.update(quadruple.id for quadruple in new)


def _append(file: Path, lines: Sequence[str]) -> None:
    """Append ``lines`` whole or not at all."""
    rest = memoryview("".join(f"{line}\n" for line in lines).encode())
    if not rest:
        return
    with writing(file.parent), file.open("ab", buffering=0) as out:
        end = out.tell()
        try:
            while rest:
                rest = rest[out.write(rest) :]
        except BaseException:
            out.truncate(end)
            raise


@contextmanager
def open_quadruples(folder: Path) -> Iterator[QuadrupleWriter]:
    """Create the folder, or open the one that is there to add to it.

    Args:
        folder: new, empty, or filled by an earlier run.

    Raises:
        BadInputError: the folder holds something else, or a line is damaged.
        EditWorldError: another process is adding to it, or it cannot be written.
    """
    _check_place(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        with writing(folder):
            for name in (TURNS, QUADRUPLES):
                drop_torn_line(folder / name)
            writer = QuadrupleWriter(folder)
        yield writer


def _check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than quadruples."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the quadruples.")
    names = {entry.name for entry in folder.iterdir() if not entry.name.endswith(PART)}
    if names - {LOCK} and not names & {QUADRUPLES, TURNS}:
        raise BadInputError(f"{folder} is not empty and holds no quadruples; give a new folder.")
