"""The ablations from the command line: table by table, each kept in a file, so that a broken-off run goes on."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ablations import drawing, masking
from benchmarks.ablations.edits import Edits
from benchmarks.ablations.failures import failures
from benchmarks.ablations.findings import findings
from benchmarks.ablations.names import TABLES
from benchmarks.bootstrap import Estimate
from benchmarks.plots import interval_plot
from benchmarks.tables import Table, in_markdown
from editworld_core.datagen.records import write_file
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError

Make = Callable[[Edits, masking.Progress], masking.Made]
OF_ATTENTION = ("threshold", "recorder", "recorder-steps")
MAKERS: dict[str, Make] = {
    "parts": masking.parts,
    "parts-elsewhere": masking.parts_elsewhere,
    "threshold": masking.threshold,
    "recorder": masking.recorder,
    "recorder-steps": masking.recorder_steps,
    "think": drawing.think_step,
    "steps": drawing.steps,
    "guidance": drawing.guidance,
    "wording": drawing.wording,
    "unaffected": drawing.unaffected,
    "failures": failures,
    "helps": masking.helps,
}


def ablations(
    folder: Path,
    engine: str,
    *,
    tables: Sequence[str] = (),
    dynamics: Sequence[str] | None = None,
    scenes: int = 2,
    seed: int = 0,
    progress: Progress,
) -> list[Table]:
    """Make the tables that are not in ``folder`` yet, and write all that are.

    Args:
        folder: gets ``edits/``, ``tables/NAME.json`` with the rows of all scenes, and ``ablations.md``,
            ``ablations.json`` and a plot for each table.
        engine: see ``EditSettings.engine``.
        tables: names of ``TABLES``; none means all.
        dynamics: of the held-out worlds; None means all.
        scenes: of each dynamic.
        seed: of every edit.
        progress: called with the scenes done and in all, over all tables.

    Raises:
        BadInputError: a name is unknown, or a table needs attention and the engine does not record it.
        EditWorldError: the engine failed, or the folder cannot be written.
    """
    from editworld_core.editor import WorldEditor

    edits = Edits(WorldEditor(), folder / "edits", engine, names=dynamics, scenes=scenes, seed=seed)
    names = wanted(tables, edits.engine.info.records_attention)
    missing = [name for name in names if _kept(folder, name, edits.setup) is None]
    total = len(missing) * len(edits.scenes)
    for place, name in enumerate(missing):
        done = place * len(edits.scenes)

        def step() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        made, rows = MAKERS[name](edits, step)
        kept = {"setup": edits.setup, "table": made.as_dict(), "rows": rows}
        write_file(_path(folder, name), f"{json.dumps(kept, indent=1)}\n".encode())
    return _write(folder, edits.setup)


def wanted(tables: Sequence[str], records_attention: bool) -> list[str]:
    """The names of the tables to make, in their order, of those asked for; none asked for means all that can be made.

    Raises:
        BadInputError: one needs attention, and the engine records none.
    """
    if not records_attention:
        for name in tables:
            if name in OF_ATTENTION:
                raise BadInputError(f"This engine does not record attention: leave out the table {name}.")
    known = [name for name in TABLES if records_attention or name not in OF_ATTENTION]
    return [name for name in known if not tables or name in tables]


def _path(folder: Path, name: str) -> Path:
    return folder / "tables" / f"{name}.json"


def _kept(folder: Path, name: str, setup: dict[str, Any]) -> Table | None:
    """The table that is there; None if there is none, or it is of other settings or weights."""
    path = _path(folder, name)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Table.from_dict(found["table"]) if found["setup"] == setup else None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} is damaged: delete it and run the command again.") from error


def _write(folder: Path, setup: dict[str, Any]) -> list[Table]:
    made = [table for name in TABLES if (table := _kept(folder, name, setup)) is not None]
    plots = {table.name: drawn for table in made if (drawn := plot(table))}
    for name, drawn in plots.items():
        write_file(folder / f"{name}.svg", drawn.encode())
    report = {"setup": setup, "findings": findings(made), "tables": [table.as_dict() for table in made]}
    write_file(folder / "ablations.json", f"{json.dumps(report, indent=1)}\n".encode())
    page = in_page(made, {name: f"{name}.svg" for name in plots})
    write_file(folder / "ablations.md", f"{page}\n".encode())
    return made


def in_page(made: Sequence[Table], plots: Mapping[str, str] | None = None) -> str:
    """What the tables say, and the tables, as Markdown."""
    said = "\n".join(f"- {sentence}" for sentence in findings(made))
    return f"### What they say\n\n{said}\n\n{in_markdown(made, plots)}"


def plot(table: Table) -> str:
    """What matters most in ``table``, as SVG; empty if nobody could tell."""
    column = next((column for column in table.columns if column.key in ("after", "change")), None)
    if column is None:
        return ""
    cells = {row.label: row.cells.get(column.key) for row in table.rows}
    found = {label: cell for label, cell in cells.items() if isinstance(cell, Estimate)}
    title = f"{table.title}: {column.title}"
    return interval_plot(title, found, percent=column.kind == "percent") if found else ""
