"""``training.generate report``: how good a data set is, and filters by what was found."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = (
        "Measure every triplet of a data set, find near-duplicates and imbalance, and write a page to look at. What "
        "was measured is kept, so the next report takes seconds. Scores whose weights are missing are absent."
    )
    parser = branches.add_parser("report", help="the quality of a data set, and filters", description=about)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a folder that training.generate wrote")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder of the report (default: DATASET/report)"
    )
    parser.add_argument(
        "--clip", metavar="NAME", help="folder or hub id of a CLIP model, for the CLIP scores"
    )
    parser.add_argument(
        "--judge",
        action="store_true",
        help="ask the vision-language server at EDITWORLD_LLM_URL (EDITWORLD_LLM_MODEL, EDITWORLD_LLM_KEY)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out ST-LPIPS, which takes half a second a pair on one core",
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="such as 'sharpness>=50'; list the triplets that fail it in failing.txt; may be given again",
    )
    parser.add_argument(
        "--drop", action="store_true", help="also drop them in the recheck log; export then leaves them out"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the report, with a bar on standard error."""
    from tqdm import tqdm

    from editworld_core.datagen.quality.report import write_report
    from editworld_core.language_server import ServerModel

    judge = ServerModel(timeout=300) if options.judge else None
    with tqdm(unit="triplet", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = write_report(
            options.dataset,
            options.output,
            clip=options.clip,
            judge=judge,
            quick=options.quick,
            filters=options.filter,
            drop=options.drop,
            progress=show,
        )
    if options.json:
        print(json.dumps(asdict(report)))
        return 0
    print(f"{report.triplets} triplets: {report.measured} values measured, {report.known} known before.")
    for sentence in report.findings:
        print(sentence)
    if report.absent:
        print(f"Absent scores, and why is on the page: {', '.join(report.absent)}.")
    if report.filters is not None:
        print(f"{len(report.filters.failing)} triplets fail a filter; they are listed in {report.failing}.")
        if options.drop:
            print(f"{report.filters.dropped} were dropped, {report.filters.left} left to their reviewers.")
    print(f"Look at {report.page}.")
    return 0
