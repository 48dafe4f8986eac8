"""``python -m benchmarks ablations`` and ``data``: their options, and what they print."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import Table, around, write_between
from editworld_core.commands.options import number
from editworld_core.commands.shared import known_engine, progress_bar, report_folder
from editworld_core.errors import BadInputError, EditWorldError


def add_ablations(verb: argparse.ArgumentParser) -> None:
    """The options of ``ablations``."""
    from benchmarks.ablations.names import TABLES

    verb.add_argument("--engine", metavar="ID", default="pocket", help="an id of 'engines', or a folder")
    verb.add_argument(
        "--scenes", type=number(int, 1, 1000), metavar="N", default=2, help="of each dynamic; 2 if not given"
    )
    verb.add_argument("--dynamic", metavar="NAME", action="append", help="only this one; may be repeated")
    verb.add_argument(
        "--table",
        choices=TABLES,
        action="append",
        metavar="NAME",
        help=f"only this one of {', '.join(TABLES)}",
    )
    verb.add_argument("--seed", type=number(int, 0, 2**32 - 1), metavar="N", default=0, help="0 if not given")
    _add_common(verb, "edits and tables that are in it already are not made again")
    verb.set_defaults(run=_ablations, in_words=_ablations_page)


def add_data(verb: argparse.ArgumentParser) -> None:
    """The options of ``data``."""
    verb.add_argument(
        "--pairs", type=number(int, 256, 10**6), metavar="N", default=1600, help="1600 if not given"
    )
    verb.add_argument(
        "--steps", type=number(int, 1, 10**6), metavar="N", default=300, help="300 if not given"
    )
    verb.add_argument(
        "--size", type=number(int, 64, 512), metavar="N", default=128, help="side in pixels; 128"
    )
    verb.add_argument(
        "--scenes",
        type=number(int, 1, 1000),
        metavar="N",
        default=12,
        help="held-out ones of each dynamic; 12",
    )
    verb.add_argument("--arm", metavar="NAME", action="append", help="only this one; may be repeated")
    verb.add_argument("--photos", metavar="FOLDER", help="JPEG photos, for the arm that has such backdrops")
    _add_common(verb, "arms that are in it already are not trained again")
    verb.set_defaults(run=_data, in_words=_data_page)


def _add_common(verb: argparse.ArgumentParser, kept: str) -> None:
    verb.add_argument("-o", "--output", metavar="DIR", required=True, help=f"folder for the results; {kept}")
    verb.add_argument(
        "--write", metavar="PAGE.md", help="also put the tables between the marks of this Markdown page"
    )
    verb.add_argument("--threads", type=number(int, 1, 256), metavar="N", default=2, help="2 if not given")
    verb.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def run(call: argparse.Namespace) -> int:
    """Do what was asked; the exit status of DESIGN section 8."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        folder = Path(call.output)
        report_folder(folder)
        if call.write:
            around(Path(call.write), call.verb)  # refused now rather than after the work
        tables = call.run(call, folder)
        words = call.in_words(tables)
        if call.write:
            write_between(Path(call.write), call.verb, f"Made by `{asked(call)}`.\n\n{words}")
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    except EditWorldError as error:
        print(error, file=sys.stderr)
        return 1
    found = {"folder": str(folder), "tables": [table.as_dict() for table in tables]}
    print(json.dumps(found) if call.json else words)
    return 0


def asked(call: argparse.Namespace) -> str:
    """The command that makes all tables or arms of ``call``, with every option that decides their numbers."""
    words = ["python", "-m", "benchmarks", call.verb]
    for name in DECIDING:
        value = getattr(call, name, None)
        values = value if isinstance(value, list) else [] if value is None else [value]
        words += [part for each in values for part in (f"--{name}", str(each))]
    if getattr(call, "photos", None):
        words += ["--photos", "FOLDER"]
    return shlex.join([*words, "-o", "DIR"])


DECIDING = ("engine", "pairs", "steps", "size", "scenes", "dynamic", "seed")


def _ablations(call: argparse.Namespace, folder: Path) -> Sequence[Table]:
    import torch

    from benchmarks.ablations.command import ablations

    torch.set_num_threads(call.threads)
    with progress_bar("scenes") as progress:
        return ablations(
            folder,
            known_engine(call.engine),
            tables=call.table or (),
            dynamics=call.dynamic,
            scenes=call.scenes,
            seed=call.seed,
            progress=progress,
        )


def _ablations_page(tables: Sequence[Table]) -> str:
    from benchmarks.ablations.command import in_page

    return in_page(tables)


def _data(call: argparse.Namespace, folder: Path) -> Sequence[Table]:
    from benchmarks.data_quality.command import data_benchmark

    with progress_bar("steps") as progress:
        return data_benchmark(
            folder,
            call.arm or (),
            pairs=call.pairs,
            steps=call.steps,
            size=call.size,
            scenes=call.scenes,
            threads=call.threads,
            photos=_photos(call.photos),
            progress=progress,
        )


def _data_page(tables: Sequence[Table]) -> str:
    from benchmarks.data_quality.report import in_page

    return in_page(tables)


def _photos(folder: str | None) -> list[Path]:
    photos = sorted(Path(folder).glob("*.jpg")) if folder else []
    if folder and not photos:
        raise BadInputError(f"{folder} holds no .jpg files: name a folder of photos, or leave --photos out.")
    return photos
