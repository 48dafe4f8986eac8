"""Make data sets: ``python -m training.generate simulate -n 64 -o DIR``. Each command is a module of ``commands``.

Exit status: 0 done, 1 the work failed, 2 the call was wrong.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from editworld_core.errors import BadInputError, EditWorldError

COMMANDS = ("simulate", "pairs", "text", "export", "import_data", "report", "video")


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
    branches = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    for name in COMMANDS:
        import_module(f"training.commands.{name}").add(branches)
    return parser


if __name__ == "__main__":
    sys.exit(main())
