"""``batch``: an edit of every picture of a folder, or of every row of a table."""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path

from editworld_core.commands.options import add_engine_options, add_mask_options
from editworld_core.commands.shared import (
    Answer,
    known_engine,
    loader,
    progress_bar,
    settings_of,
    tell_licences,
)
from editworld_core.errors import BadInputError, EngineUnavailableError


def add_batch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source",
        metavar="FOLDER|TABLE.csv",
        type=Path,
        help="pictures, or a table with the columns image, instruction, and if wanted mask, seed, engine, steps …",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        required=True,
        help="the results; the same again goes on there",
    )
    command.add_argument(
        "--instruction", metavar="TEXT", default="", help="for all pictures, or rows that have none"
    )
    command.add_argument("--masks", action="store_true", help="write the mask of each edit beside it")
    add_engine_options(command.add_argument_group("engine"))
    add_mask_options(command.add_argument_group("mask and post-edit"), hand=False)
    command.set_defaults(run=batch)


def batch(call: argparse.Namespace) -> Answer:
    """Edit all of it; the exit status is 1 if some could not be edited."""
    from editworld_core.batch import RESULTS, check_batch_folder, run_batch
    from editworld_core.batch_items import items_of, unused_columns
    from editworld_core.editor import WorldEditor

    settings = settings_of(call, engine=known_engine(call.engine))
    items = items_of(call.source, call.instruction, settings)
    check_batch_folder(call.output)
    if call.source.resolve() == call.output.resolve():
        raise BadInputError(
            "The results cannot go among the pictures; name another folder, which may lie in there."
        )
    unused = unused_columns(call.source)
    if unused:
        print(f"These columns mean nothing to a batch: {', '.join(map(repr, unused))}.", file=sys.stderr)
    for engine, inpainter in dict.fromkeys((item.settings.engine, item.settings.inpainter) for item in items):
        with contextlib.suppress(EngineUnavailableError):  # which its row will say
            tell_licences(engine, inpainter)
    with progress_bar("batch") as progress:
        report = run_batch(items, call.output, WorldEditor(loader(call)), masks=call.masks, progress=progress)
    call.status = 1 if report.failed else 0
    counts = {name: getattr(report, name) for name in ("made", "kept", "failed")}
    found = {
        "output": str(call.output),
        **counts,
        "unused_columns": unused,
        "rows": [dataclasses.asdict(row) for row in report.rows],
    }
    words = f"{report.made} edited, {report.kept} were there already, {report.failed} failed: {call.output / RESULTS}."
    failures = [f"{row.image or '?'}: {row.failure}" for row in report.rows if row.failure]
    return found, "\n".join([*failures[:20], *(["…"] if len(failures) > 20 else []), words])
