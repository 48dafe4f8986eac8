"""``--runner``, ``--workers`` and ``--ray-address`` of the commands that make data sets."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editworld_core.datagen.runner import Runner


def add_runner(parser: argparse.ArgumentParser) -> None:
    """Add the options; the data set does not depend on them."""
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument(
        "--runner",
        choices=("local", "ray"),
        default="local",
        help="where they run: on this machine, or on a Ray cluster (needs the package ray)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="of a running cluster, or auto (default: start Ray on this machine, for this command)",
    )


def runner_of(options: argparse.Namespace, gpus: float = 0) -> "Runner":
    """The runner that ``options`` ask for.

    Args:
        gpus: of each Ray worker.

    Raises:
        BadInputError: there are too few workers, or an address but no Ray.
        EditWorldError: Ray is not installed.
    """
    from editworld_core.datagen.runner import make_runner

    return make_runner(options.runner, options.workers, options.ray_address, gpus)
