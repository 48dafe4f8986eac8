"""Make data sets: ``python -m training.generate simulate -n 64 -o DIR``.

Exit status: 0 done, 1 the work failed, 2 the call was wrong.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from editworld_core.errors import BadInputError, EditWorldError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except EditWorldError as error:
        print(f"{error}", file=sys.stderr)
        return 2 if isinstance(error, BadInputError) else 1
    except MemoryError:
        print("There is not enough memory; make smaller images or use fewer workers.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what was made is complete, and the same command goes on from there.", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m training.generate", description="Make data sets of triplets.")
    branches = parser.add_subparsers(title="branches", required=True, metavar="BRANCH", parser_class=_Parser)
    _add_simulate(branches)
    return parser


def _add_simulate(branches: "argparse._SubParsersAction[_Parser]") -> None:
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
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from editworld_core.datagen.simulate import generate_simulated, list_photos

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
            workers=options.workers,
            progress=show,
        )
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(f"{report.added} triplets added, {report.total} in {report.folder} now.")
        print(f"Look at {report.contact_sheet}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
