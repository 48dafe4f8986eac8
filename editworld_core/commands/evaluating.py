"""``evaluate``: engines and settings, measured on a data set."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

from editworld_core import __version__
from editworld_core.commands.options import number
from editworld_core.commands.shared import Answer, known_engine, progress_bar, report_folder, tell_licences
from editworld_core.commands.table import aligned
from editworld_core.errors import EditWorldError
from editworld_core.settings import EditSettings, Speed

if TYPE_CHECKING:
    from editworld_core.evaluation.measures import Measure
    from editworld_core.evaluation.record import Scored, Setup
    from editworld_core.evaluation.run import Run
    from editworld_core.evaluation.sources.dataset import DataSet
    from editworld_core.language import LanguageModel

ABOUT = (
    "Let engines edit a data set and measure what they made. Edits are kept by their content, so a run that was ended "
    "goes on where it stopped, and another measure needs no new edit."
)


def add_evaluate(command: argparse.ArgumentParser) -> None:
    default = EditSettings()
    command.description = ABOUT
    command.add_argument(
        "dataset",
        metavar="DATASET",
        help="'simulated', the held-out worlds; or a folder: ours, the paper's layout, MagicBrush, Emu Edit, "
        "RISEBench, KRIS-Bench, PICABench",
    )
    command.add_argument(
        "--engine",
        metavar="ID",
        action="append",
        help=f"an id of 'engines', a folder or a hub id; may be repeated; {default.engine} if not given",
    )
    command.add_argument(
        "--setting",
        metavar="'LABEL: NAME=VALUE, …'",
        action="append",
        default=[],
        help="a further setup: the first engine with other settings; may be repeated",
    )
    _add_edit_options(command, default)
    _add_data_options(command)
    _add_measure_options(command)
    command.set_defaults(run=evaluate)


def _add_edit_options(command: argparse.ArgumentParser, default: EditSettings) -> None:
    command.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), metavar="N", default=0, help="0 if not given"
    )
    command.add_argument("--steps", type=number(int, 1, 1000), metavar="N", help="denoising steps")
    command.add_argument(
        "--speed", choices=get_args(Speed), default=default.speed, help="preset of short cuts"
    )
    command.add_argument(
        "-o", "--output", metavar="REPORT_DIR", help="a folder for report.html, .json, .csv and .tex"
    )
    command.add_argument(
        "--cache", metavar="DIR", help="where edits are kept; 'edits' in REPORT_DIR if not given"
    )


def _add_data_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit",
        type=number(int, 1, 10**9),
        metavar="N",
        help="only so many items, evenly spread over the data set",
    )
    command.add_argument(
        "--scenes",
        type=number(int, 1, 1000),
        metavar="N",
        default=20,
        help="of 'simulated': scenes of each dynamic; 20 is the set",
    )
    command.add_argument(
        "--dynamic", metavar="NAME", action="append", help="of 'simulated': only this one; may be repeated"
    )


def _add_measure_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--clip", metavar="ID", help="CLIP, a folder or hub id, for the CLIP scores")
    command.add_argument("--dino", metavar="ID", help="DINO, a folder or hub id, for the DINO scores")
    judge = command.add_mutually_exclusive_group()
    judge.add_argument(
        "--judge",
        action="store_true",
        help="ask the vision-language server at EDITWORLD_LLM_URL (EDITWORLD_LLM_MODEL, EDITWORLD_LLM_KEY)",
    )
    judge.add_argument(
        "--judge-model",
        metavar="FOLDER",
        help="ask a vision-language model on this machine, a folder or hub id",
    )
    command.add_argument(
        "--quick", action="store_true", help="leave LPIPS and ST-LPIPS out, which take most of the measuring"
    )


def evaluate(call: argparse.Namespace) -> Answer:
    """Measure the setups on the data set; write the report if a folder is named."""
    from editworld_core.evaluation.measures import models_of
    from editworld_core.evaluation.sources.dataset import gather
    from editworld_core.evaluation.sources.registry import list_data_set

    setups = _setups(call)
    listed = list_data_set(call.dataset, call.dynamic, call.scenes)
    for folder in filter(None, (call.output, call.cache)):
        report_folder(Path(folder))
    with ExitStack() as stack:
        cache = call.cache or (f"{call.output}/edits" if call.output else None)
        folder = Path(cache or stack.enter_context(TemporaryDirectory()))
        measures, absent = _measures(call)
        with progress_bar("reading") as progress:
            data = gather(listed, call.limit, progress)
        for setup in setups:
            tell_licences(setup.settings.engine, setup.settings.inpainter)
        done, scored, failed = _measured(data, setups, measures, folder)
        for note in (*data.notes, *done.notes()):
            print(note, file=sys.stderr)
        about = _about(data, done) | {"models": models_of(measures)}
        if call.output:
            _write(Path(call.output), done, scored, about, absent | failed)
    return _answer(data, setups, done, scored)


def _setups(call: argparse.Namespace) -> "list[Setup]":
    from editworld_core.evaluation.setups import make_setups

    base = EditSettings(seed=call.seed, steps=call.steps, speed=call.speed)
    setups = make_setups(base, call.engine or [base.engine], call.setting)
    for setup in setups:
        known_engine(setup.settings.engine)
    return setups


def _measures(call: argparse.Namespace) -> "tuple[list[Measure], dict[str, str]]":
    """The measures, and why others are absent, which none may be that was asked for."""
    from editworld_core.evaluation.measures import choose_measures

    measures, absent = choose_measures(
        clip=call.clip,
        dino=call.dino,
        judge=_judge(call),
        quick=call.quick,
        answers=Path(call.output) / "answers.jsonl" if call.output else None,
    )
    for family in ("clip", "dino"):
        if getattr(call, family) and family in absent:
            raise EditWorldError(absent[family])
    return measures, absent


def _judge(call: argparse.Namespace) -> "LanguageModel | None":
    if call.judge_model:
        from editworld_core.language_vision import LocalVisionModel

        return LocalVisionModel(call.judge_model)
    if call.judge:
        from editworld_core.language_server import ServerModel

        return ServerModel(timeout=300)
    return None


def _measured(
    data: "DataSet", setups: "list[Setup]", measures: "list[Measure]", folder: Path
) -> "tuple[Run, list[Scored], dict[str, str]]":
    from editworld_core.editor import WorldEditor
    from editworld_core.evaluation.run import run
    from editworld_core.evaluation.scoring_run import score

    with progress_bar("edits") as progress:
        done = run(data.items, setups, folder, WorldEditor(), progress)
    with progress_bar("scores") as progress:
        scored, failed = score(done, measures, folder, progress)
    return done, scored, failed


def _about(data: "DataSet", done: "Run") -> dict[str, Any]:
    """What the report says of the run, ready for JSON."""
    return {
        "data_set": data.name,
        "kind": data.kind,
        "items_of_data_set": data.total,
        "version": __version__,
        "weights": done.weights,
        "notes": [*data.notes, *done.notes()],
    }


def _write(
    folder: Path, done: "Run", scored: "list[Scored]", about: dict[str, Any], absent: dict[str, str]
) -> None:
    from editworld_core.datagen.records import encode_png, write_file
    from editworld_core.evaluation.report import write_report
    from editworld_core.evaluation.sheet import draw_worst_and_best

    write_report(folder, scored, about, done.outcome_of, absent)
    first = scored[0].setup
    own = [one for one in scored if one.setup is first]
    sheet = draw_worst_and_best(first.label, own, done.outcome_of)
    if sheet is not None:
        write_file(folder / "sheet.png", encode_png(sheet))


def _answer(data: "DataSet", setups: "list[Setup]", done: "Run", scored: "list[Scored]") -> Answer:
    """The numbers of the first setup, and where there are more, of each under ``setups``; and a table of them."""
    from editworld_core.evaluation.report import summary

    of_setup = {
        setup.label: summary([one for one in scored if one.setup.label == setup.label]) for setup in setups
    }
    found = dict(of_setup[setups[0].label])
    found["edits"] = {"new": done.edited, "known": done.known}
    if len(setups) > 1:
        found["setups"] = of_setup
    return found, _table(data, done, of_setup)


def _table(data: "DataSet", done: "Run", of_setup: dict[str, dict[str, Any]]) -> str:
    """Every score that some setup has, with the ends of its 95% interval."""
    from editworld_core.evaluation.measures import VALUES

    names = [name for name in VALUES if any(name in found["scores"] for found in of_setup.values())]
    rows = [["", *of_setup]]
    for name in names:
        cells = (_cell(found["scores"].get(name)) for found in of_setup.values())
        rows.append([VALUES[name].title, *cells])
    if any(found["failures"] for found in of_setup.values()):
        rows.append(["Failed edits", *(str(found["failures"]) for found in of_setup.values())])
    edits = f"{done.edited} new edits, {done.known} known before"
    return f"{data.name}: {len(data.items)} items, {edits}\n\n{aligned(rows)}"


def _cell(score: dict[str, Any] | None) -> str:
    if score is None or score["mean"] is None:
        return "–"
    mean = f"{score['mean']:.4g}"
    return mean if score["low"] is None else f"{mean} [{score['low']:.4g}, {score['high']:.4g}]"
