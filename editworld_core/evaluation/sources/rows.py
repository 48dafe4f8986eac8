"""Rows of tables in files, some of whose cells are pictures: Parquet, JSON and JSON Lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from editworld_core.datagen.formats.item import BadItem, read_bytes
from editworld_core.datagen.formats.tables import BATCH, BUFFER, arrow, picture_bytes
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.dataset import rows_of
from editworld_core.evaluation.sources.entry import Content, inside

Row = Mapping[str, Any]


class Table(Protocol):
    """One file of rows, whose numbers count from 0."""

    @property
    def name(self) -> str:
        """Of the file."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Their names."""
        ...

    def texts(self, pictures: Sequence[str]) -> list[Row]:
        """Every row; the columns ``pictures`` may be missing, and are those that the other methods take."""
        ...

    def has(self, number: int, column: str) -> bool:
        """Whether the cell of a picture holds anything."""
        ...

    def picture(self, number: int, column: str, where: str) -> Content:
        """The picture in a cell."""
        ...


class ParquetTable:
    """A Parquet file, whose pictures are read a few rows at a time, going forwards.

    Raises:
        BadInputError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        pa, pq = arrow()
        self._path = path
        self.name = path.name
        self._wanted: list[str] = []
        self._rows: Iterator[Row] = iter(())
        self._next = 0
        self._current: tuple[int, Row] = (-1, {})
        try:
            self.columns: Sequence[str] = pq.read_schema(path).names
        except (pa.ArrowException, OSError) as error:
            raise BadInputError(
                f"{path.name} is damaged or no Parquet file; get it again, or give another data set."
            ) from error

    def texts(self, pictures: Sequence[str]) -> list[Row]:
        """See ``Table``; the pictures stay in the file."""
        pa, pq = arrow()
        self._wanted = [name for name in pictures if name in self.columns]
        names = [name for name in self.columns if name not in pictures]
        try:
            with pq.ParquetFile(self._path) as file:
                if not names:
                    return [{}] * file.metadata.num_rows
                rows: list[Row] = file.read(columns=names).to_pylist()
                return rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{self.name} is damaged; get it again, or give another data set.") from error

    def picture(self, number: int, column: str, where: str) -> Content:
        """See ``Table``."""
        return lambda: picture_bytes(self._row(number)[column], where)

    def has(self, number: int, column: str) -> bool:
        """See ``Table``."""
        return self._row(number)[column] is not None

    def _row(self, number: int) -> Row:
        if self._current[0] == number:
            return self._current[1]
        if number < self._next:
            self._next, self._rows = 0, self._pictures()
        elif self._next == 0:
            self._rows = self._pictures()
        pa, _ = arrow()
        try:
            while self._next <= number:
                self._current = (self._next, next(self._rows))
                self._next += 1
        except (pa.ArrowException, OSError, StopIteration) as error:
            raise BadItem("file damaged", f"{self.name} is damaged") from error
        return self._current[1]

    def _pictures(self) -> Iterator[Row]:
        _, pq = arrow()
        with pq.ParquetFile(self._path, pre_buffer=False, buffer_size=BUFFER) as file:
            for batch in file.iter_batches(BATCH, columns=self._wanted):
                yield from batch.to_pylist()


class JsonTable:
    """A JSON list, or JSON Lines, whose pictures are files that it names by paths from its own folder."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self.name = path.name
        self._rows = read_json_rows(path)
        self.columns: Sequence[str] = list(self._rows[0]) if self._rows else []

    def texts(self, pictures: Sequence[str]) -> list[Row]:
        """See ``Table``."""
        return list(self._rows)

    def picture(self, number: int, column: str, where: str) -> Content:
        """See ``Table``."""
        path = inside(self._folder, self._rows[number].get(column), where)
        return lambda: read_bytes(path, where)

    def has(self, number: int, column: str) -> bool:
        """See ``Table``."""
        return bool(self._rows[number].get(column))


def read_json_rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON or JSON Lines file; an empty list if it holds something else.

    Raises:
        BadInputError: it is damaged.
    """
    try:
        content = read_bytes(path, path.name).decode("utf-8-sig")
        if path.suffix != ".jsonl":
            return rows_of(_parsed(content, path.name))
        lines = enumerate(content.split("\n"), 1)
        return rows_of(
            [_parsed(line, f"Line {number} of {path.name}") for number, line in lines if line.strip()]
        )
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path.name} is not UTF-8; restore it, or give another data set.") from error


def _parsed(content: str, where: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{where} is not JSON; restore the file, or give another data set.") from error
