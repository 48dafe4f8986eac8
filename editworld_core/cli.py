"""The command line: ``python -m editworld_core edit|post-edit|engines|evaluate``.

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
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, get_args

from editworld_core import __version__, commands
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.settings import EditSettings, HandRule, MaskRule, Speed

BACKENDS = ("offline", "server", "server+image", "local")
"""Of the think step; here once more, since importing it takes a second."""


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
    return 0


def _refuse(why: Exception | str, status: int) -> int:
    print(why, file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.\n")


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {whole} from {low} to {high}")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m editworld_core", description="Say what happens, see what the world does."
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_edit(verbs.add_parser("edit", help="edit a picture by an instruction"))
    _add_post_edit(verbs.add_parser("post-edit", help="keep in any editor's result what must not change"))
    listing = verbs.add_parser(
        "engines", help="list the engines, their licence, memory and whether they are ready"
    )
    listing.set_defaults(run=commands.engines)
    _add_evaluate(verbs.add_parser("evaluate", help="measure an engine on a data set"))
    for command in verbs.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    return parser


def _add_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMG", help="the picture: PNG, JPEG, WebP, GIF, TIFF …")
    command.add_argument(
        "instruction", metavar="INSTRUCTION", help="what happens, such as 'the sun comes out'"
    )
    command.add_argument(
        "-o", "--output", metavar="OUT.png", required=True, help="where the edited picture goes"
    )
    command.add_argument(
        "--mask", metavar="OUT2.png", help="where the mask goes: white is what may have changed"
    )
    command.add_argument(
        "--think",
        nargs="?",
        const="offline",
        choices=BACKENDS,
        help="tell the engine what the picture will show, as the think step puts it",
    )
    _add_engine_options(command.add_argument_group("engine"))
    _add_mask_options(command.add_argument_group("mask and post-edit"))
    command.set_defaults(run=commands.edit)


def _add_engine_options(group: argparse._ArgumentGroup) -> None:
    default = EditSettings()
    group.add_argument(
        "--engine",
        metavar="ID",
        default=default.engine,
        help="an id of 'engines', a folder, a file of weights or a hub id",
    )
    group.add_argument(
        "--lora", metavar="NAME", default="", help="LoRA weights on top: file, folder or hub id"
    )
    group.add_argument(
        "--lora-scale", type=_number(float, -10, 10), metavar="X", default=1.0, help="1 if not given"
    )
    group.add_argument(
        "--speed",
        choices=get_args(Speed),
        default=default.speed,
        help="'exact' takes no short cut; 'fast' is the default",
    )
    group.add_argument(
        "--seed", type=_number(int, 0, 2**32 - 1), metavar="N", help="the same seed, the same picture"
    )
    group.add_argument("--steps", type=_number(int, 1, 1000), metavar="N", help="denoising steps")
    group.add_argument(
        "--text-guidance",
        type=_number(float, 0, 50),
        metavar="X",
        help="more: changes more, as the words say",
    )
    group.add_argument(
        "--image-guidance",
        type=_number(float, 0, 50),
        metavar="X",
        help="more: changes less, closer to the picture",
    )
    group.add_argument("--outcome", metavar="TEXT", default="", help="what the engine is told instead")
    group.add_argument("--negative", metavar="TEXT", default="", help="what the picture should not show")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, mps …; the best there is if not given")
    group.add_argument(
        "--dtype", choices=("fp32", "bf16", "fp16"), help="number format; the fastest that is safe"
    )
    group.add_argument(
        "--offload",
        choices=("none", "model", "sequential"),
        help="what waits in main memory to spare the GPU's",
    )
    group.add_argument(
        "--offline", action="store_true", help="get nothing from the hub; so does HF_HUB_OFFLINE=1"
    )
    group.add_argument(
        "--compile", action="store_true", help="compile the denoiser; pays on a GPU, after some edits"
    )


def _add_mask_options(group: argparse._ArgumentGroup) -> None:
    default = EditSettings()
    group.add_argument(
        "--no-post-edit", dest="post_edit", action="store_false", help="keep the engine's own picture"
    )
    group.add_argument(
        "--mask-rule",
        choices=get_args(MaskRule),
        default=default.mask_rule,
        help="how attention becomes a mask",
    )
    group.add_argument("--hand", metavar="IN.png", help="a mask drawn by hand: white is what may change")
    group.add_argument(
        "--hand-rule",
        choices=get_args(HandRule),
        default=default.hand_rule,
        help="whether it joins the automatic mask or replaces it",
    )
    _add_any_mask_options(group, default.inpainter)


def _add_any_mask_options(group: argparse._ActionsContainer, inpainter: str) -> None:
    """Options of the post-edit that need no engine."""
    default = EditSettings()
    group.add_argument(
        "--segmenter",
        metavar="NAME",
        default=default.segmenter,
        help="auto, classical, a SAM checkpoint, or a folder or hub id of SAM or SAM 2",
    )
    group.add_argument(
        "--inpainter",
        metavar="NAME",
        default=inpainter,
        help="controlnet-sd15, controlnet-sdxl, a folder, none"
        + (", or engine for the engine's own" if inpainter == "engine" else ""),
    )
    group.add_argument(
        "--grow", type=_number(int, -64, 64), metavar="N", default=0, help="widen the mask by N pixels"
    )
    group.add_argument(
        "--feather",
        type=_number(int, 0, 256),
        metavar="N",
        default=default.feather,
        help="soft edge, pixels inside",
    )
    group.add_argument(
        "--no-align", dest="align", action="store_false", help="leave shift and zoom of the edited picture"
    )
    group.add_argument(
        "--match-colours", action="store_true", help="undo a colour cast of the edited picture"
    )


def _add_post_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("original", metavar="ORIGINAL", help="the picture before")
    command.add_argument("edited", metavar="EDITED", help="what an editor made of it")
    command.add_argument("instruction", metavar="INSTRUCTION", help="what the editor was told")
    command.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the result goes")
    command.add_argument(
        "--mask", metavar="IN.png", help="what may change, in white; else it is found by comparing"
    )
    _add_any_mask_options(command, "none")
    command.set_defaults(run=commands.post_edit)


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    default = EditSettings()
    command.add_argument("dataset", metavar="DATASET", help="'simulated': the held-out worlds")
    command.add_argument(
        "--engine", metavar="ID", default=default.engine, help="an id of 'engines', or a folder"
    )
    command.add_argument(
        "-o", "--output", metavar="REPORT_DIR", help="a folder for the report with all scenes"
    )
    command.add_argument(
        "--seed", type=_number(int, 0, 2**32 - 1), metavar="N", default=0, help="0 if not given"
    )
    command.add_argument("--steps", type=_number(int, 1, 1000), metavar="N", help="denoising steps")
    command.add_argument(
        "--speed", choices=get_args(Speed), default=default.speed, help="preset of short cuts"
    )
    command.add_argument(
        "--scenes",
        type=_number(int, 1, 1000),
        metavar="N",
        default=20,
        help="scenes of each dynamic; 20 is the set",
    )
    command.add_argument("--dynamic", metavar="NAME", action="append", help="only this one; may be repeated")
    command.set_defaults(run=commands.evaluate)


def _plain(value: Any) -> Any:
    """``value`` for JSON, which knows no infinity: an infinite PSNR is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
