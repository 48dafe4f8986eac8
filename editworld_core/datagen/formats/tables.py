"""Parquet files as the ``datasets`` library writes them: pictures are bytes in the table, with Image features."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from editworld_core.datagen.formats.item import BadItem, Found, files_of
from editworld_core.errors import BadInputError, EditWorldError

Kind = Literal["string", "int32", "strings", "image"]
ROWS = 64  # in a row group: what is in memory at a time, and what a viewer must fetch to show one row
BATCH = 8  # rows in memory while reading
BUFFER = (
    2**20
)  # bytes; without it the reader takes a whole row group, which others write with a thousand rows


def picture(data: bytes | None, name: str) -> dict[str, Any] | None:
    """The cell of a picture; ``name`` is what a reader that writes it to disk would call it."""
    return None if data is None else {"bytes": data, "path": name}


def write_table(path: Path, columns: Mapping[str, Kind], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a Parquet file with ``ROWS`` rows in memory at a time."""
    pa, pq = arrow()
    kinds = {
        "string": pa.string(),
        "int32": pa.int32(),
        "strings": pa.list_(pa.string()),
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    }
    schema = pa.schema(
        [(name, kinds[kind]) for name, kind in columns.items()],
        metadata={"huggingface": json.dumps({"info": {"features": features(columns)}})},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    remaining = iter(rows)
    with pq.ParquetWriter(path, schema, write_page_index=True) as writer:
        while group := list(islice(remaining, ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema))
            del group  # before the next one is made


def features(columns: Mapping[str, Kind]) -> dict[str, Any]:
    """The columns in the words of ``datasets.Features``."""
    text = {"dtype": "string", "_type": "Value"}
    words: dict[Kind, Any] = {
        "string": text,
        "int32": {"dtype": "int32", "_type": "Value"},
        "strings": {"feature": text, "_type": "Sequence"},
        "image": {"_type": "Image"},
    }
    return {name: words[kind] for name, kind in columns.items()}


def read_table(
    source: Path,
    convert: Callable[[str, dict[str, Any]], Found],
    needed: Sequence[Sequence[str]],
    optional: Sequence[str] = (),
) -> Iterator[Found | BadItem]:
    """What ``convert`` makes of each row of every Parquet file in ``source``, few of them in memory at a time.

    Args:
        source: a file, or a folder of them.
        convert: takes a name of the row for the user, and its cells; may raise ``BadItem``.
        needed: columns that must be there, each with its other names; ``convert`` gets it by the first of them.
        optional: columns to read where they are.

    Raises:
        BadInputError: there is no such file, or one lacks a column.
    """
    arrow()
    rows = _rows(files_of(source, "parquet"), needed, optional)
    return (row if isinstance(row, BadItem) else _converted(convert, *row) for row in rows)


def _converted(
    convert: Callable[[str, dict[str, Any]], Found], where: str, cells: dict[str, Any]
) -> Found | BadItem:
    try:
        return convert(where, cells)
    except BadItem as bad:
        return bad


def _rows(
    files: Sequence[Path], needed: Sequence[Sequence[str]], optional: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]] | BadItem]:
    pa, pq = arrow()
    for path in files:
        try:
            with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
                columns = _columns(path, file.schema_arrow.names, needed, optional)
                number = 0
                for batch in file.iter_batches(BATCH, columns=list(columns)):
                    for row in batch.to_pylist():
                        number += 1
                        yield f"row {number} of {path.name}", {columns[name]: row[name] for name in columns}
        except BadInputError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            yield BadItem("file damaged", f"{path.name} is damaged or no Parquet file")


def _columns(
    path: Path, names: Sequence[str], needed: Sequence[Sequence[str]], optional: Sequence[str]
) -> dict[str, str]:
    """Which columns to read, and the first of its names for each."""
    columns = {name: name for name in optional if name in names}
    for choices in needed:
        there = next((name for name in choices if name in names), None)
        if there is None:
            raise BadInputError(
                f"{path.name} has no column {' or '.join(choices)}; give another folder or another format."
            )
        columns[there] = choices[0]
    return columns


def picture_bytes(cell: Any, where: str) -> bytes:
    """The bytes in the cell of a picture.

    Raises:
        BadItem: there are none.
    """
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        # A path instead would lead to whatever the file's author chose.
        raise BadItem("file missing", f"{where} is not in the table")
    return data


def arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise EditWorldError(
            "Parquet files need the package pyarrow; install it with 'pip install pyarrow'."
        ) from None
    return pyarrow, pyarrow.parquet
