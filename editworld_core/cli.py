"""The command line: ``python -m editworld_core COMMAND``; ``--help`` lists the commands.

With ``--json`` standard output is one JSON object and nothing else; progress and refusals go to standard error.
Exit status: 0 done, 1 the work failed, 2 the call was wrong.
"""

import argparse
import contextlib
import json
import math
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from editworld_core import __version__
from editworld_core.commands.attending import add_attention
from editworld_core.commands.batching import add_batch
from editworld_core.commands.chaining import add_chain
from editworld_core.commands.comparing import add_compare
from editworld_core.commands.editing import add_edit, add_post_edit
from editworld_core.commands.evaluating import add_evaluate
from editworld_core.commands.listing import engines
from editworld_core.errors import BadInputError, EditWorldError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; never a traceback, except under ``python -X dev``."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries warn of is not for who edits a picture
    for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    try:
        call = _parser().parse_args(arguments)
        if getattr(call, "offline", False):
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is first imported, which is later
        with contextlib.redirect_stdout(sys.stderr):
            found, words = call.run(call)
        print(json.dumps(_plain(found), allow_nan=False) if call.json else words)
    except BadInputError as error:
        return _refuse(error, 2)
    except EditWorldError as error:
        return _refuse(error, 1)
    except MemoryError:
        return _refuse("There is not enough memory; take a smaller picture or close other programs.", 1)
    except KeyboardInterrupt:
        return _refuse("Stopped.", 130)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        reason = " ".join(str(error).split())[:300]
        return _refuse(f"This failed unexpectedly ({type(error).__name__}: {reason}); please report it.", 1)
    return int(getattr(call, "status", 0))


def _refuse(why: Exception | str, status: int) -> int:
    print(why, file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m editworld_core", description="Say what happens, see what the world does."
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    add_edit(verbs.add_parser("edit", help="edit a picture by an instruction"))
    add_post_edit(verbs.add_parser("post-edit", help="keep in any editor's result what must not change"))
    add_chain(
        verbs.add_parser("chain", help="let several things happen one after the other; GIF, MP4 or PNG")
    )
    add_compare(verbs.add_parser("compare", help="compare engines, seeds and settings on one edit"))
    add_batch(verbs.add_parser("batch", help="edit a folder of pictures, or the rows of a table"))
    listing = verbs.add_parser(
        "engines", help="list the engines, their licence, memory and whether they are ready"
    )
    listing.set_defaults(run=engines)
    add_evaluate(verbs.add_parser("evaluate", help="measure an engine on a data set"))
    add_attention(verbs.add_parser("attention", help="see where each word of an instruction acts"))
    for command in verbs.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    return parser


def _plain(value: Any) -> Any:
    """``value`` for JSON, which knows no infinity: an infinite PSNR is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
