"""What one visitor has in the Compare tab, in a folder of their own."""

import math
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from editworld_core.comparing import Compared
from editworld_core.comparing_sheet import before_panel, draw_panels, in_short, panel
from editworld_core.datagen.contact_sheet import Panel
from editworld_core.images import write_png


@dataclass(frozen=True)
class Shown:
    """One setup's result: its file, None if it was refused, and what there is to say of it."""

    label: str
    file: Path | None
    small: Image.Image
    short: str
    drift: str
    row: tuple[str, ...]


@dataclass
class CompareSession:
    """One visitor's comparison.

    Attributes:
        before: the upload as PNG; None before the first comparison.
        shown: what there is so far.
        stop: set when the visitor wants it to end.
    """

    instruction: str = ""
    before: Path | None = None
    shown: list[Shown] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    # removed when the session is forgotten, and at the latest when the program ends
    _folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="editworld-compare-"), repr=False
    )
    _runs: int = 0

    def close(self) -> None:
        """Stop what runs and remove the files."""
        self.stop.set()
        self._folder.cleanup()

    def begin(self, picture: Image.Image, instruction: str) -> None:
        """Forget the last comparison, whose files go, and begin another one."""
        if self.before is not None:
            for file in self.before.parent.iterdir():
                file.unlink()
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)
        folder.mkdir()
        self.instruction, self.before = instruction, folder / "original.png"
        write_png(self.before, picture)
        self.shown, self.panels = [], [before_panel(picture)]
        self.stop.clear()

    def add(self, picture: Image.Image, row: Compared) -> None:
        """Take the result of one more setup; only small pictures and the file are kept."""
        assert self.before is not None
        file, result = None, row.result
        if result is not None:
            file = self.before.with_name(f"editworld-{len(self.shown) + 1:02d}.png")
            write_png(file, result.final, result.instruction, result.settings)
        self.panels.append(panel(picture, row))
        drift = result.drift.in_words() if result else ""
        small = self.panels[-1].pictures[0]
        self.shown.append(Shown(row.setup.label, file, small, in_short(row), drift, table_row(row)))

    def sheet(self) -> Path:
        """The grid as a PNG file."""
        assert self.before is not None
        path = self.before.with_name(f"editworld-comparison-{len(self.shown)}.png")
        write_png(path, draw_panels(self.instruction, self.panels))
        return path


COLUMNS = {  # what each is called, its score, by what it is multiplied, and its digits
    "mask, %": ("mask_share", 100, 0),
    "change inside": ("change", 255, 1),
    "drift, dB": ("psnr_outside", 1, 1),
    "ST-LPIPS outside": ("st_lpips_outside", 1, 3),
    "shift, pixels": ("shift", 1, 1),
    "sharpness": ("sharpness", 1, 2),
}


def scores_table(rows: Sequence[tuple[str, ...]]) -> str:
    """The scores of all setups; a refusal takes the row of its scores."""
    head = "".join(f"<th>{name}</th>" for name in ("", "seconds", *COLUMNS))
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        if len(row) > 2
        else f'<tr><td>{escape(row[0])}</td><td colspan="{len(COLUMNS) + 1}">{escape(row[1])}</td></tr>'
        for row in rows
    )
    return (
        f'<div class="scores"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="scores">Change is in levels of 255. Drift, ST-LPIPS and shift are the engine\'s own, outside the '
        "mask and before post-edit; sharpness is that of the result as a multiple of the upload's.</p>"
    )


def table_row(row: Compared) -> tuple[str, ...]:
    """The setup, its seconds, and its scores in the order of ``COLUMNS``; or the setup and its refusal."""
    if row.result is None:
        return row.setup.label, row.refusal

    def said(name: str, times: float, digits: int) -> str:
        value = row.scores.get(name)
        return "–" if value is None else "∞" if math.isinf(value) else f"{times * value:.{digits}f}"

    return row.setup.label, f"{row.seconds:.1f}", *(said(*column) for column in COLUMNS.values())
