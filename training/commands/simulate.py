"""``training.generate simulate``: simulated worlds."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from training.runners import add_runner, runner_of


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = "Let worlds happen in the simulator: exact pairs with exact masks, no GPU, no language model."
    parser = branches.add_parser("simulate", help="simulated worlds", description=about)
    parser.add_argument(
        "-n", "--count", type=int, required=True, help="triplets, spread evenly over the categories"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the data set to make or continue"
    )
    parser.add_argument("--dynamics", metavar="A,B", help="only these dynamics (default: all)")
    parser.add_argument(
        "--seed", type=int, default=0, help="other seeds give other scenes (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=256, help="side of the images in pixels (default: %(default)s)"
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photographs to use as backdrops")
    add_runner(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the pairs, with a bar on standard error."""
    from tqdm import tqdm

    from editworld_core.datagen.simulate import generate_simulated, list_photos

    runner = runner_of(options)
    photos = list_photos(options.photos) if options.photos else ()
    dynamics = None if options.dynamics is None else [name.strip() for name in options.dynamics.split(",")]
    with tqdm(total=options.count, unit="pair", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        report = generate_simulated(
            options.output,
            options.count,
            dynamics=dynamics,
            seed=options.seed,
            size=options.size,
            photos=photos,
            runner=runner,
            progress=show,
        )
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(f"{report.added} triplets added, {report.total} in {report.folder} now.")
        print(f"Look at {report.contact_sheet}.")
    return 0
