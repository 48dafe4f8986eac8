"""``evaluate``: an engine, measured on a data set."""

import argparse
import json
from pathlib import Path
from typing import get_args

from editworld_core.commands.options import number
from editworld_core.commands.shared import Answer, known_engine, progress_bar, report_folder
from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings, Speed, check_settings

DATA_SETS = ("simulated",)


def add_evaluate(command: argparse.ArgumentParser) -> None:
    default = EditSettings()
    command.add_argument("dataset", metavar="DATASET", help="'simulated': the held-out worlds")
    command.add_argument(
        "--engine", metavar="ID", default=default.engine, help="an id of 'engines', or a folder"
    )
    command.add_argument(
        "-o", "--output", metavar="REPORT_DIR", help="a folder for the report with all scenes"
    )
    command.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), metavar="N", default=0, help="0 if not given"
    )
    command.add_argument("--steps", type=number(int, 1, 1000), metavar="N", help="denoising steps")
    command.add_argument(
        "--speed", choices=get_args(Speed), default=default.speed, help="preset of short cuts"
    )
    command.add_argument(
        "--scenes",
        type=number(int, 1, 1000),
        metavar="N",
        default=20,
        help="scenes of each dynamic; 20 is the set",
    )
    command.add_argument("--dynamic", metavar="NAME", action="append", help="only this one; may be repeated")
    command.set_defaults(run=evaluate)


def evaluate(call: argparse.Namespace) -> Answer:
    """Measure an engine on a data set; write the report if a folder is named."""
    if call.dataset not in DATA_SETS:
        raise BadInputError(f"There is no data set {call.dataset!r}; choose {', '.join(DATA_SETS)}.")
    if call.output:
        report_folder(Path(call.output))
    settings = check_settings(
        EditSettings(engine=known_engine(call.engine), seed=call.seed, steps=call.steps, speed=call.speed)
    )
    from editworld_core.editor import WorldEditor
    from editworld_core.evaluation.simulated import evaluate_simulated

    with progress_bar("scenes") as progress:
        report = evaluate_simulated(
            WorldEditor(), settings, names=call.dynamic, scenes=call.scenes, progress=progress
        )
    if call.output:
        report.write(Path(call.output))
    found = report.as_dict()
    return found, json.dumps(found, indent=2)
