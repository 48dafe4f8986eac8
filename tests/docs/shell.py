"""The shell commands in a Markdown file: what a reader would copy."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<mark>`{3,})[ \t]*(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=mark)[ \t]*$", re.M | re.S
)
SHELL = ("", "bash", "sh", "shell", "console")


@dataclass(frozen=True)
class Command:
    """One command: the file and line where it stands, and its text with comments, as on the page."""

    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        """Its words, as a shell without expansion would split them; comments and settings of variables left out."""
        words = shlex.split(self.text, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            del words[0]
        return words

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text[:60]}"


def blocks_of(page: Path, *languages: str) -> list[tuple[int, str]]:
    """The fenced blocks of those languages: the line where each begins, and its text."""
    text = page.read_text("utf-8")
    return [
        (text.count("\n", 0, found.start("text")) + 1, found["text"])
        for found in FENCE.finditer(text)
        if found["language"] in languages
    ]


def commands_of(page: Path) -> list[Command]:
    """The commands, one a line; a line that ends with a backslash goes on. A script with variables is one command."""
    found: list[Command] = []
    for start, block in blocks_of(page, *SHELL):
        if re.search(r"^[A-Z_]+=\$\(", block, re.M):
            found.append(Command(page.name, start, block.strip()))
            continue
        begun: list[str] = []
        for number, line in enumerate(block.splitlines(), start):
            begun.append(line.strip().removeprefix("$ ").removesuffix("\\"))
            if line.rstrip().endswith("\\"):
                continue
            text = " ".join(part.strip() for part in begun)
            if text and not text.startswith("#"):
                found.append(Command(page.name, number - len(begun) + 1, text))
            begun = []
    return found
