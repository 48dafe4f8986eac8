"""Tables of a benchmark: rows of estimates, as JSON, as Markdown, and inside a page between two marks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.bootstrap import Estimate
from editworld_core.datagen.records import write_file
from editworld_core.errors import BadInputError

Kind = Literal[
    "text", "count", "percent", "points", "number", "levels", "share", "difference", "decibels", "seconds"
]
Cell = Estimate | float | int | str | None
DIGITS = {"number": 1, "levels": 1, "decibels": 1, "share": 2, "difference": 2, "seconds": 2}
SIGNED = ("points", "difference", "levels")


@dataclass(frozen=True)
class Column:
    """``kind`` says how a cell is written; shares that are written as percent or points are 0..1 in it."""

    key: str
    title: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Row:
    """One line of a table: a cell for each column that makes sense for it."""

    label: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """What one question gave.

    Attributes:
        name: how the command line calls it.
        title, note: what it shows, and how to read it.
        head: the title of the rows.
    """

    name: str
    title: str
    note: str
    head: str
    columns: Sequence[Column]
    rows: Sequence[Row] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``from_dict`` reads it."""
        return asdict(self)

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> "Table":
        """The table that ``as_dict`` wrote."""
        rows = [
            Row(row["label"], {key: _cell(value) for key, value in row["cells"].items()})
            for row in found["rows"]
        ]
        columns = [Column(**column) for column in found["columns"]]
        return Table(found["name"], found["title"], found["note"], found["head"], columns, rows)

    def markdown(self) -> str:
        """The table as Markdown, with 95% intervals in brackets."""
        lines = [
            "| " + " | ".join([self.head, *(column.title for column in self.columns)]) + " |",
            "|---|" + "---|" * len(self.columns),
        ]
        for row in self.rows:
            cells = [in_words(row.cells.get(column.key), column.kind) for column in self.columns]
            lines.append("| " + " | ".join([row.label, *cells]) + " |")
        return "\n".join(lines)


def _cell(value: Any) -> Cell:
    return Estimate(**value) if isinstance(value, dict) else value


def in_words(cell: Cell, kind: Kind) -> str:
    """A cell as people read it.

    >>> in_words(Estimate(0.714, 0.6, 0.8, 98), "percent"), in_words(0.25, "points"), in_words(None, "number")
    ('71% (60–80)', '+25', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    if not isinstance(cell, Estimate):
        return _written(float(cell), kind) + ("%" if kind == "percent" else "")
    if cell.count == 1:  # of which an interval says nothing
        return in_words(cell.value, kind)
    value, *ends = (_written(each, kind) for each in (cell.value, cell.low, cell.high))
    between = " … " if kind in SIGNED else "–"
    return f"{value}{'%' if kind == 'percent' else ''} ({between.join(ends)})"


def _written(value: float, kind: Kind) -> str:
    if kind in ("percent", "points"):
        value *= 100
    digits = DIGITS.get(kind, 0)
    written = f"{value:+.{digits}f}" if kind in SIGNED else f"{value:.{digits}f}"
    zero = f"{0:.{digits}f}"
    return zero if written.lstrip("+-") == zero else written.replace("-", "−")


def write_between(page: Path, name: str, content: str) -> None:
    """Replace what stands in ``page`` between the lines ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.

    Raises:
        BadInputError: the page cannot be read, or the two marks are not in it.
        EditWorldError: it cannot be written.
    """
    head, tail = around(page, name)
    write_file(page, f"{head}\n\n{content.strip()}\n\n{tail}".encode())


def around(page: Path, name: str) -> tuple[str, str]:
    """What stands in ``page`` up to the first of the marks and from the second on; raises as ``write_between``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"{page} cannot be read: name a Markdown file with the marks {begin} and {end}."
        ) from error
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise BadInputError(
            f"{page} lacks the marks {begin} and {end}: put them where the tables shall stand."
        )
    return head + begin, end + tail


def in_markdown(tables: Sequence[Table], plots: Mapping[str, str] | None = None) -> str:
    """All tables with their titles and notes; ``plots`` are files to show, by the name of the table."""
    shown = {name: f"\n\n![{name}]({file})" for name, file in (plots or {}).items()}
    return "\n\n".join(
        f"### {table.title}\n\n{table.note}\n\n{table.markdown()}{shown.get(table.name, '')}"
        for table in tables
    )
