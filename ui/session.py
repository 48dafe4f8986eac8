"""What one visitor has on the page: the results so far and the files made of them. Nobody else ever sees it."""

import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from editworld_core.images import write_png
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings
from ui.draft import Draft
from ui.overlay import attention_overlay

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

HISTORY = 12  # results kept; older ones make room
HISTORY_PIXELS = (
    120_000_000  # of originals kept, so that large photographs do not fill the memory: 1 GB or so
)
VARIANTS = 8  # of one edit; the one used longest ago makes room
THUMBNAIL = 320
Variant = tuple[EditSettings, str]
"""Settings, keywords spelled out, and a digest of the mask drawn by hand."""


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
    """One edit, its variants by mask, feather and post-edit, and the mask that the visitor is drawing on it."""

    before: Path
    thumbnail: Image.Image
    shown: Shown
    variants: dict[Variant, Shown]
    draft: Draft

    @property
    def hand(self) -> Mask | None:
        """The mask drawn by hand, bool [H, W], that was used for what is shown."""
        return self.shown.result.hand


@dataclass
class Session:
    """One visitor's results, oldest first, and which of them is on the page.

    Attributes:
        entries: the edits, oldest first.
        current: index of the one shown; -1 before the first.
        words_of: what the engine was told when it was told the word picker's words.
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
        draft = Draft((result.original.height, result.original.width), result.hand)
        variants = {_variant(spelled_out, result.hand): shown}
        self.entries.append(Entry(before, _thumbnail(result), shown, variants, draft))
        self._make_room()
        self.current = len(self.entries) - 1
        self.words_of = told(result)
        return shown

    def show_variant(
        self,
        entry: Entry,
        settings: EditSettings,
        hand: Mask | None,
        refine: "Callable[[EditResult, EditSettings, Mask | None], EditResult]",
    ) -> None:
        """Show ``entry`` with other ``settings``, its keywords spelled out, and the mask ``hand`` [H, W] or none:
        remembered, or made by ``refine``."""
        key = _variant(settings, hand)
        shown = entry.variants.pop(key, None)
        if shown is None:
            shown = self._show(entry.before, refine(entry.shown.result, settings, hand))
        entry.variants[key] = entry.shown = shown
        entry.thumbnail = _thumbnail(shown.result)
        while len(entry.variants) > VARIANTS:
            oldest = entry.variants.pop(next(iter(entry.variants)))
            shutil.rmtree(oldest.after.parent, ignore_errors=True)

    def hand_for(self, picture: Image.Image) -> Mask | None:
        """The mask drawn by hand on the edit on the page, if ``picture`` is that edit's original or its result."""
        if self.entry is None:
            return None
        result = self.entry.shown.result
        same = any(same_picture(picture, known) for known in (result.original, result.final))
        return result.hand if same else None

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


def told(result: "EditResult") -> str:
    """What the engine was told for ``result``: the outcome that was thought of, else the instruction."""
    return result.settings.outcome or result.instruction


def _variant(settings: EditSettings, hand: Mask | None) -> Variant:
    return settings, "" if hand is None else hashlib.sha256(np.packbits(hand).tobytes()).hexdigest()


def same_picture(first: Image.Image, second: Image.Image) -> bool:
    """Whether two pictures are equal, pixel by pixel."""
    return first.size == second.size and np.array_equal(np.asarray(first), np.asarray(second))


def _thumbnail(result: "EditResult") -> Image.Image:
    small = result.final.copy()
    small.info = {}
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
