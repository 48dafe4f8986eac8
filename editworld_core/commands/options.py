"""Options that several commands have, and what their values may be."""

import argparse
import math
from collections.abc import Callable
from typing import get_args

from editworld_core.settings import EditSettings, HandRule, MaskRule, Speed


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
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


def add_engine_options(group: argparse._ArgumentGroup) -> None:
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
        "--lora-scale", type=number(float, -10, 10), metavar="X", default=1.0, help="1 if not given"
    )
    group.add_argument(
        "--speed",
        choices=get_args(Speed),
        default=default.speed,
        help="'exact' takes no short cut; 'fast' is the default",
    )
    group.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), metavar="N", help="the same seed, the same picture"
    )
    group.add_argument("--steps", type=number(int, 1, 1000), metavar="N", help="denoising steps")
    group.add_argument(
        "--text-guidance",
        type=number(float, 0, 50),
        metavar="X",
        help="more: changes more, as the words say",
    )
    group.add_argument(
        "--image-guidance",
        type=number(float, 0, 50),
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


def add_mask_options(group: argparse._ArgumentGroup, *, hand: bool = True) -> None:
    """Options of mask and post-edit; ``hand``: with the file of a mask drawn by hand."""
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
    if hand:
        group.add_argument("--hand", metavar="IN.png", help="a mask drawn by hand: white is what may change")
    group.add_argument(
        "--hand-rule",
        choices=get_args(HandRule),
        default=default.hand_rule,
        help="whether it joins the automatic mask or replaces it",
    )
    add_any_mask_options(group, default.inpainter)


def add_any_mask_options(group: argparse._ActionsContainer, inpainter: str) -> None:
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
        + (", engine for the engine's own, or auto for that if it helps" if inpainter == "auto" else ""),
    )
    group.add_argument(
        "--grow", type=number(int, -64, 64), metavar="N", default=0, help="widen the mask by N pixels"
    )
    group.add_argument(
        "--feather",
        type=number(int, 0, 256),
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
