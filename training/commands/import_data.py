"""``training.generate import``: triplets in the format of another program, added to a data set."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from editworld_core.categories import Category
from training.commands.export import FORMATS


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = "Add what another program's files hold to a data set. Nothing in it twice, nothing unchecked."
    parser = branches.add_parser("import", help="triplets from another format", description=about)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder, or a file, of that format")
    parser.add_argument("--format", required=True, choices=FORMATS, help="the layout to read")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DATASET", help="the data set to make or add to"
    )
    parser.add_argument(
        "--category", choices=list(Category), help="of items whose category the files do not give"
    )
    parser.add_argument(
        "--branch",
        choices=("text_to_image", "video"),
        default="text_to_image",
        help="of items whose branch the files do not give (default: %(default)s)",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out what cannot be used and count it")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, with a count on standard error."""
    from tqdm import tqdm

    from editworld_core.datagen.formats.importing import import_data_set

    with tqdm(unit="item", file=sys.stderr) as bar:
        report = import_data_set(
            options.source,
            options.output,
            options.format,
            category=options.category,
            branch=options.branch,
            skip_bad=options.skip_bad,
            progress=lambda read: bar.update(read - bar.n) and None,
        )
    if options.json:
        print(json.dumps(asdict(report)))
        return 0
    print(f"{report.added} of {report.read} items added, {report.total} triplets in {report.folder} now.")
    if report.present:
        print(f"{report.present} were there already.")
    for reason, count in report.skipped.items():
        print(f"Skipped, {reason}: {count}.")
    for name, count in report.filled.items():
        print(f"The files did not give {name}, which was filled in for {count}.")
    return 0
