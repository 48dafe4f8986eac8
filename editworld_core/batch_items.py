"""What a batch is to edit: the pictures of a folder with one instruction, or the rows of a table."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings, check_settings

PICTURES = set(".png .jpg .jpeg .webp .avif .gif .bmp .tif .tiff .ppm .jp2 .heic .heif".split())
"""Endings of pictures in a folder, also of those that are then refused, so that nobody misses them in silence."""
DELIMITERS = (",", ";", "\t")  # spreadsheets of many countries separate by semicolons
MOST = 100_000  # rows
YES, NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class BatchItem:
    """One edit of a batch.

    Attributes:
        name: the picture as it was named.
        image: its file.
        instruction: what happens in it, not checked yet.
        settings: see ``EditSettings``.
        hand: file of a mask drawn by hand, or None.
        failure: the sentence why it cannot even be tried; empty if it can.
    """

    name: str
    image: Path
    instruction: str
    settings: EditSettings
    hand: Path | None = None
    failure: str = ""


def items_of(source: Path, instruction: str, settings: EditSettings) -> list[BatchItem]:
    """The items of a folder of pictures, or of a table.

    A table is a CSV file in UTF-8 with a line of column names first: ``image``, and if ``instruction`` is empty, also
    ``instruction``. ``mask`` and any field of ``EditSettings`` may be columns as well. Paths are relative to the table;
    an empty cell takes what ``instruction`` and ``settings`` say. A row with a wrong value is an item with a failure.

    Raises:
        BadInputError: there is nothing to edit, or it is no table of this kind.
    """
    if source.is_dir():
        return _items_of_folder(source, instruction, settings)
    if not source.is_file():
        raise BadInputError(f"There is no folder or file {str(source)!r}; check the path.")
    if source.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise BadInputError(f"{str(source)!r} is neither a folder nor a CSV file; give one of these.")
    return _items_of_table(source, instruction, settings)


def unused_columns(source: Path) -> list[str]:
    """The names of the columns of a table that say nothing to a batch; none of a folder."""
    if source.is_dir():
        return []
    return [name for name in _Table(source).columns if name not in _COLUMNS]


def key_of(item: BatchItem) -> str:
    """A hash, in hexadecimal, of all that decides what becomes of ``item``.

    Raises:
        BadInputError: a file cannot be read.
    """
    digest = hashlib.sha256()
    said = json.dumps([item.instruction, asdict(item.settings)], sort_keys=True, ensure_ascii=False)
    for part in (said.encode(), _bytes(item.image), _bytes(item.hand) if item.hand else b""):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(f"There is no file {str(path)!r}; check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be"
        raise BadInputError(f"{str(path)!r} cannot be read ({reason}).") from error


def _items_of_folder(folder: Path, instruction: str, settings: EditSettings) -> list[BatchItem]:
    from editworld_core.images import check_instruction

    if not instruction.strip():
        raise BadInputError("A folder needs an instruction for all its pictures: add --instruction.")
    check_instruction(instruction)
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise BadInputError(
            f"There is no picture in {str(folder)!r}; give a folder with PNG, JPEG or WebP files."
        )
    return [BatchItem(path.name, path, instruction, settings) for path in files]


def _items_of_table(path: Path, instruction: str, settings: EditSettings) -> list[BatchItem]:
    table = _Table(path)
    wanted = ("image",) if instruction.strip() else ("image", "instruction")
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise BadInputError(
            f"{str(path)!r} has no column {' and none '.join(map(repr, missing))}: name the columns in its first line."
        )
    items = [_item(line, row, path.parent, instruction, settings) for line, row in table.rows()]
    if not items:
        raise BadInputError(f"{str(path)!r} has no row below its column names; add one for each edit.")
    return items


class _Table:
    """A CSV file whose first line names its columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInputError(f"{str(path)!r} is not UTF-8; save it as 'CSV UTF-8'.") from None
        except OSError as error:
            raise BadInputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
        self._delimiter = max(DELIMITERS, key=lambda mark: self._text.partition("\n")[0].count(mark))
        self.columns = [name.strip().lower() for name in next(self._lines(), (1, []))[1]]
        twice = {name for name in self.columns if name and self.columns.count(name) > 1}
        if twice:
            raise BadInputError(f"{str(path)!r} has two columns {min(twice)!r}; keep one of them.")

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._text, newline=""), delimiter=self._delimiter, strict=True)
        try:
            for count, cells in enumerate(reader):
                if count > MOST:
                    raise BadInputError(
                        f"{str(self._path)!r} has more than {MOST:,} rows; make several tables of it."
                    )
                yield reader.line_num, cells
        except csv.Error as error:
            raise BadInputError(
                f"Line {reader.line_num} of {str(self._path)!r} is not CSV ({error}); put quotes right."
            ) from error

    def rows(self) -> Iterator[tuple[int, dict[str, str] | None]]:
        """Line numbers with their cells by column, empty ones left out; None for a row with more cells than columns."""
        for line, cells in list(self._lines())[1:]:
            if not any(cell.strip() for cell in cells):
                continue
            named = zip(self.columns, cells, strict=False)
            too_long = any(cell.strip() for cell in cells[len(self.columns) :])
            yield line, None if too_long else {name: cell.strip() for name, cell in named if cell.strip()}


def _item(
    line: int, row: dict[str, str] | None, folder: Path, instruction: str, settings: EditSettings
) -> BatchItem:
    nothing = BatchItem("", folder, "", settings)
    if row is None:
        return replace(
            nothing,
            failure=f"Line {line} has more cells than there are columns: put texts with commas in quotes.",
        )
    item = replace(nothing, name=row.get("image", ""), instruction=row.get("instruction", instruction))
    if not item.name:
        return replace(item, failure=f"Line {line} names no image.")
    try:
        values = {name: _READ[name](name, row[name]) for name in _READ if name in row}
        item = replace(item, settings=check_settings(replace(settings, **values)))
    except BadInputError as error:
        return replace(item, failure=f"Line {line}: {error}")
    return replace(item, image=folder / item.name, hand=folder / row["mask"] if "mask" in row else None)


def _number(kind: type[int] | type[float]) -> Callable[[str, str], float]:
    def read(name: str, cell: str) -> float:
        try:
            return kind(cell)
        except ValueError:
            whole = "a whole number" if kind is int else "a number with a point"
            raise BadInputError(f"{cell!r} is not {whole}, as {name} must be.") from None

    return read


def _switch(name: str, cell: str) -> bool:
    if cell.lower() not in YES + NO:
        raise BadInputError(f"{cell!r} is neither true nor false, as {name} must be.")
    return cell.lower() in YES


def _reader(value: Any) -> Callable[[str, str], Any]:
    if isinstance(value, bool):
        return _switch
    if isinstance(value, int | float):
        return _number(type(value))
    if isinstance(value, tuple):
        return lambda name, cell: tuple(word.strip() for word in cell.split(",") if word.strip())
    return lambda name, cell: cell


# What has no value by itself is a number, too.
_OPEN: dict[str, Callable[[str, str], Any]] = {
    "seed": _number(int),
    "steps": _number(int),
    "text_guidance": _number(float),
    "image_guidance": _number(float),
}
_READ = {field.name: _OPEN.get(field.name) or _reader(field.default) for field in fields(EditSettings)}
_COLUMNS = {"image", "instruction", "mask", *_READ}
