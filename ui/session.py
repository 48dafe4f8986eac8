"""What one visitor has on the page: the results so far and the files made of them. Nobody else ever sees it."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from editworld_core.images import write_png
from editworld_core.settings import EditSettings
from ui.overlay import attention_overlay

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

HISTORY = 12  # results kept; older ones make room
HISTORY_PIXELS = (
    120_000_000  # of originals kept, so that large photographs do not fill the memory: 1 GB or so
)
THUMBNAIL = 320


@dataclass(frozen=True)
class Shown:
    """One variant of an edit with the files that the page shows and saves."""

    result: "EditResult"
    before: Path
    after: Path
    mask: Path
    overlay: Image.Image


@dataclass
class Entry:
    """One edit, and its variants by mask rule, words, feather and post-edit."""

    before: Path
    thumbnail: Image.Image
    shown: Shown
    variants: dict[EditSettings, Shown]


@dataclass
class Session:
    """One visitor's results, oldest first, and which of them is on the page.

    Attributes:
        entries: the edits, oldest first.
        current: index of the one shown; -1 before the first.
        words_of: the instruction that the word picker's words belong to.
    """

    entries: list[Entry] = field(default_factory=list)
    current: int = -1
    words_of: str = ""
    # removed when the session is forgotten, and at the latest when the program ends
    _folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="editworld-"), repr=False
    )
    _files: int = 0

    @property
    def entry(self) -> Entry | None:
        """The edit on the page."""
        return self.entries[self.current] if self.entries else None

    def add(self, result: "EditResult") -> Shown:
        """Put a new edit into the history and on the page."""
        before = self._new_folder() / "original.png"
        write_png(before, result.original)
        shown = self._show(before, result)
        spelled_out = replace(result.settings, keywords=result.keywords)
        self.entries.append(Entry(before, _thumbnail(result), shown, {spelled_out: shown}))
        self._make_room()
        self.current = len(self.entries) - 1
        self.words_of = result.instruction
        return shown

    def show_variant(
        self,
        entry: Entry,
        settings: EditSettings,
        refine: "Callable[[EditResult, EditSettings], EditResult]",
    ) -> None:
        """Show ``entry`` with other ``settings``, its keywords spelled out: remembered, or made by ``refine``."""
        if settings not in entry.variants:
            entry.variants[settings] = self._show(entry.before, refine(entry.shown.result, settings))
        entry.shown = entry.variants[settings]
        entry.thumbnail = _thumbnail(entry.shown.result)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def _show(self, before: Path, result: "EditResult") -> Shown:
        folder = self._new_folder()
        seed = result.settings.seed
        after, mask = folder / f"editworld-{seed}.png", folder / f"editworld-{seed}-mask.png"
        write_png(after, result.final, result.instruction, result.settings)
        write_png(mask, Image.fromarray(result.mask))
        return Shown(result, before, after, mask, attention_overlay(result))

    def _new_folder(self) -> Path:
        self._files += 1
        folder = Path(self._folder.name) / str(self._files)
        folder.mkdir()
        return folder

    def _make_room(self) -> None:
        sizes = [math.prod(entry.shown.result.original.size) for entry in self.entries]
        while len(sizes) > 1 and (len(sizes) > HISTORY or sum(sizes) > HISTORY_PIXELS):
            sizes.pop(0)
            self.entries.pop(0)


def _thumbnail(result: "EditResult") -> Image.Image:
    small = result.final.copy()
    small.info = {}
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
