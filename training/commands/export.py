"""``training.generate export``: a data set in the format of another program."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

# Their registry imports the readers, which `--help` need not wait for.
FORMATS = ("editworld", "parquet", "webdataset", "instructpix2pix", "magicbrush")


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = "Write a data set, with its reviewers' verdicts, in the format of another program."
    parser = branches.add_parser("export", help="a data set in another format", description=about)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a folder that training.generate wrote")
    parser.add_argument("--format", required=True, choices=FORMATS, help="the layout to write")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--accepted-only", action="store_true", help="only what a reviewer accepted")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out items with damaged pictures and count them"
    )
    parser.add_argument(
        "--shard-size", type=int, default=500, metavar="N", help="items in a file (default: %(default)s)"
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="then send it to this data set of the hub")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, with a bar on standard error."""
    from tqdm import tqdm

    from editworld_core.datagen.formats.exporting import export_data_set
    from editworld_core.datagen.formats.hub import check_push, push

    if options.push is not None:
        check_push(options.push)
    with tqdm(unit="triplet", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = export_data_set(
            options.dataset,
            options.output,
            options.format,
            accepted_only=options.accepted_only,
            skip_bad=options.skip_bad,
            shard_size=options.shard_size,
            progress=show,
        )
    if options.push is not None:
        report = replace(report, pushed=push(options.output, options.push))
    if options.json:
        print(json.dumps(asdict(report)))
        return 0
    print(f"{report.exported} of {report.triplets} triplets are in {report.folder} ({report.format}).")
    for reason, count in report.left_out.items():
        print(f"Left out, {reason}: {count}.")
    for name, count in report.fields_lost.items():
        print(f"The format cannot hold {name}, which {count} of them had.")
    if report.pushed is not None:
        print(f"Sent to {report.pushed}.")
    return 0
