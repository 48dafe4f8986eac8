"""Many edits in one run, which goes on where it was stopped.

DIR holds a PNG for each edit, ``results.csv`` with a row for each item, and ``batch.jsonl``, a line for each edit that
is done: an item is done when its line is there. The PNG's name and the line carry the item's key, a hash of the
picture's bytes, the instruction, the settings and the mask, so that what is done is known again whatever it is called,
and no name from a table can lead anywhere else. A run that is killed loses at most the item in the making.
"""

import csv
import io
import json
import math
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from editworld_core.batch_items import BatchItem, key_of
from editworld_core.datagen.records import drop_torn_line, locked, write_file, writing
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError, EditWorldError

if TYPE_CHECKING:
    from editworld_core.editor import EditResult, WorldEditor

LOG, RESULTS = "batch.jsonl", "results.csv"
EVERY = 5.0  # seconds between two writings of results.csv
IN_THE_MAKING = re.compile(rf"(\.[0-9a-f]{{32}}|{re.escape(RESULTS)})\.part")  # what a killed run leaves
LONGEST_STEM = 60  # characters of a picture's name that its result keeps
Status = Literal["waiting", "done", "failed"]


@dataclass(frozen=True)
class BatchRow:
    """What became of an item; a line of ``results.csv``.

    Attributes:
        image, instruction, engine: as they were asked for.
        output, mask: names of files in the batch's folder, or empty.
        seed: the one that was used.
        mask_source, mask_share: as ``EditResult`` has them, the share 0..1.
        psnr, shift_x, shift_y: drift outside the mask before the post-edit, in dB (None if nothing changed) and pixels.
        drift: the same in words.
        seconds: that the edit took.
        failure: why there is none, in one sentence.
    """

    image: str
    instruction: str
    engine: str
    status: Status = "waiting"
    output: str = ""
    mask: str = ""
    seed: int | None = None
    mask_source: str = ""
    mask_share: float | None = None
    psnr: float | None = None
    shift_x: float | None = None
    shift_y: float | None = None
    drift: str = ""
    seconds: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class BatchReport:
    """All rows in the order of the items, and how many edits were made now, were there already, and failed."""

    rows: tuple[BatchRow, ...]
    made: int
    kept: int
    failed: int


def run_batch(
    items: Sequence[BatchItem],
    folder: Path,
    editor: "WorldEditor",
    *,
    masks: bool = False,
    progress: Progress | None = None,
) -> BatchReport:
    """Edit every item into ``folder``, but for those that are done; what fails is tried again by the next run.

    Items of one engine follow one another, so that each is loaded once.

    Args:
        masks: write the mask of each edit beside it.
        progress: called as ``progress(items behind, items)``; what it raises ends the run, and what is done stays.

    Raises:
        BadInputError: ``folder`` cannot be the batch's.
        EditWorldError: it cannot be written, or another process is writing to it.
    """
    check_batch_folder(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        run = _Run(items, folder, editor, masks)
        try:
            for behind, number in enumerate(_by_engine(items)):
                if progress:
                    progress(behind, len(items))
                run.take(number)
            if progress:
                progress(len(items), len(items))
        finally:
            run.write_results()
    return BatchReport(tuple(run.rows), run.made, run.kept, sum(row.status == "failed" for row in run.rows))


def check_batch_folder(folder: Path) -> None:
    """Refuse a folder that is a file, or holds another program's results.

    Raises:
        BadInputError: it is, or does.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{str(folder)!r} is a file; name a folder for the results.")
    if (folder / RESULTS).exists() and not (folder / LOG).exists():
        raise BadInputError(f"{str(folder)!r} has a {RESULTS} that no batch wrote; name another folder.")


class _Run:
    def __init__(self, items: Sequence[BatchItem], folder: Path, editor: "WorldEditor", masks: bool) -> None:
        self.items, self.folder, self.editor, self.masks = items, folder, editor, masks
        self.rows = [BatchRow(item.name, item.instruction, item.settings.engine) for item in items]
        self.made = self.kept = 0
        log = folder / LOG
        with writing(folder):
            for path in folder.iterdir():
                if IN_THE_MAKING.fullmatch(path.name):
                    path.unlink()
            drop_torn_line(log)
            log.touch()
        self._done = _read_log(log)
        self._written = -math.inf
        self.write_results()

    def take(self, number: int) -> None:
        """Bring the row of one item up to date."""
        item = self.items[number]
        try:
            self.rows[number] = self._row(item, self.rows[number])
        except _NotWritten as error:
            raise EditWorldError(str(error)) from error
        except Exception as error:
            self.rows[number] = replace(self.rows[number], status="failed", failure=_sentence(error))
        if time.monotonic() - self._written > EVERY:
            self.write_results()

    def _row(self, item: BatchItem, row: BatchRow) -> BatchRow:
        if item.failure:
            raise BadInputError(item.failure)
        key = key_of(item)
        known = self._done.get(key)
        if known and all((self.folder / name).is_file() for name in self._files(known)):
            self.kept += 1
            return replace(row, status="done", **{name: known[name] for name in _FOUND})
        result = _edit(self.editor, item)
        row = replace(row, status="done", **self._write(item, key, result))
        self.made += 1
        return row

    def _files(self, found: Mapping[str, Any]) -> list[str]:
        """The files that must be there; a mask that was not asked for then has no name, and that is no file."""
        return [found["output"], *([found["mask"]] if self.masks else [])]

    def _write(self, item: BatchItem, key: str, result: "EditResult") -> dict[str, Any]:
        from editworld_core.images import write_png

        stem = f"{_safe(Path(item.name).stem)}-{key[:10]}"
        found = _found(result) | {"output": f"{stem}.png", "mask": f"{stem}-mask.png" if self.masks else ""}
        try:
            if self.masks:
                write_png(self.folder / found["mask"], Image.fromarray(result.mask))
            write_png(self.folder / found["output"], result.final, result.instruction, result.settings)
            with writing(self.folder):
                _append(self.folder / LOG, json.dumps({"key": key, **found}))
        except EditWorldError as error:
            raise _NotWritten(str(error)) from error
        self._done[key] = found
        return found

    def write_results(self) -> None:
        """Bring ``results.csv`` up to date."""
        out = io.StringIO(newline="")
        table = csv.DictWriter(out, list(BatchRow.__dataclass_fields__))
        table.writeheader()
        table.writerows(asdict(row) for row in self.rows)
        write_file(self.folder / RESULTS, out.getvalue().encode("utf-8-sig"))  # which spreadsheets recognise
        self._written = time.monotonic()


class _NotWritten(Exception):
    """The folder cannot be written: no other item can be done either."""


_FOUND = (
    "output",
    "mask",
    "seed",
    "mask_source",
    "mask_share",
    "psnr",
    "shift_x",
    "shift_y",
    "drift",
    "seconds",
)


def _edit(editor: "WorldEditor", item: BatchItem) -> "EditResult":
    from editworld_core.images import read_image
    from editworld_core.mask_files import read_mask

    image = read_image(item.image)
    hand = read_mask(str(item.hand), image.size) if item.hand else None
    return editor.edit(image, item.instruction, item.settings, hand=hand)


def _found(result: "EditResult") -> dict[str, Any]:
    drift = result.drift
    return {
        "seed": result.settings.seed,
        "mask_source": result.mask_source,
        "mask_share": round(float(result.mask.mean()), 4),
        "psnr": round(float(drift.psnr_edited), 2) if math.isfinite(drift.psnr_edited) else None,
        "shift_x": round(float(drift.shift[0]), 2),
        "shift_y": round(float(drift.shift[1]), 2),
        "drift": drift.in_words(),
        "seconds": round(sum(result.timings.values()), 2),
    }


def _by_engine(items: Sequence[BatchItem]) -> Iterable[int]:
    engines = [(item.settings.engine, item.settings.lora, item.settings.lora_scale) for item in items]
    first = {engine: number for number, engine in reversed(list(enumerate(engines)))}
    return sorted(range(len(items)), key=lambda number: first[engines[number]])


def _sentence(error: Exception) -> str:
    if isinstance(error, EditWorldError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory; take a smaller picture."
    return f"This failed unexpectedly ({type(error).__name__}: {' '.join(str(error).split())[:200]})."


def _safe(stem: str) -> str:
    """``stem`` as part of a file's name on any system: letters, digits, dots, hyphens and underscores only."""
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", stem)).strip("._")
    while len(plain.encode()) > 3 * LONGEST_STEM:  # systems count bytes
        plain = plain[:-1]
    return plain[:LONGEST_STEM] or "picture"


def _append(path: Path, line: str) -> None:
    with path.open("ab", buffering=0) as log:
        end = log.seek(0, os.SEEK_END)
        rest = memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[log.write(rest) :]
        except BaseException:
            log.truncate(end)
            raise


def _read_log(path: Path) -> dict[str, dict[str, Any]]:
    done: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = json.loads(line)
            done[found["key"]] = {name: found[name] for name in _FOUND}
        except (ValueError, KeyError, TypeError):
            raise BadInputError(
                f"Line {number} of {str(path)!r} is damaged; delete the line, and its edit is made again."
            ) from None
    return done
