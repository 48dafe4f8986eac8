"""``compare``: one picture and instruction on several engines, seeds and settings, as one picture."""

import argparse
from typing import TYPE_CHECKING, Any

from editworld_core.commands.options import add_engine_options, add_mask_options, number
from editworld_core.commands.shared import (
    Answer,
    known_engine,
    loader,
    png_target,
    progress_bar,
    settings_of,
    tell_licences,
)

if TYPE_CHECKING:
    from editworld_core.comparing import Compared

VARIED = {
    "steps": number(int, 1, 1000),
    "text_guidance": number(float, 0, 50),
    "image_guidance": number(float, 0, 50),
}


def add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMG", help="the picture: PNG, JPEG, WebP, GIF, TIFF …")
    command.add_argument("instruction", metavar="INSTRUCTION", help="what happens")
    command.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the grid goes")
    command.add_argument(
        "--engines", metavar="ID", nargs="+", default=[], help="engines to compare; --engine if not given"
    )
    command.add_argument(
        "--seeds", metavar="N", nargs="+", type=number(int, 0, 2**32 - 1), default=[], help="seeds to compare"
    )
    for name, kind in VARIED.items():
        command.add_argument(
            f"--try-{name.replace('_', '-')}",
            metavar="X",
            nargs="+",
            type=kind,
            default=[],
            help="values to compare",
        )
    command.add_argument(
        "--clip", metavar="NAME", default="", help="score by this CLIP model, with --outcome"
    )
    add_engine_options(command.add_argument_group("engine"))
    add_mask_options(command.add_argument_group("mask and post-edit"))
    command.set_defaults(run=compare)


def compare(call: argparse.Namespace) -> Answer:
    """Edit with every combination; write the grid."""
    from editworld_core import comparing
    from editworld_core.comparing_sheet import comparing_sheet
    from editworld_core.editor import WorldEditor
    from editworld_core.images import check_instruction, read_image, write_png
    from editworld_core.mask_files import read_mask

    output, instruction = png_target(call.output), check_instruction(call.instruction)
    image = read_image(call.image)
    hand = read_mask(call.hand, image.size) if call.hand else None
    settings = settings_of(call, engine=known_engine(call.engine), seed=0 if call.seed is None else call.seed)
    engines = [known_engine(engine) for engine in call.engines]
    tried = {name: getattr(call, f"try_{name}") for name in VARIED}
    setups = comparing.setups(settings, engines, call.seeds, tried)
    for engine in engines or [settings.engine]:
        tell_licences(engine, settings.inpainter)
    clip = None
    if call.clip:
        from editworld_core.datagen.scoring import load_clip

        clip = load_clip(call.clip)
    with progress_bar("comparing") as progress:
        rows = []
        run = comparing.compare(
            image,
            instruction,
            setups,
            WorldEditor(loader(call)).edit,
            hand=hand,
            clip=clip,
            outcome=call.outcome,
        )
        for row in run:
            rows.append(row)
            progress(len(rows), len(setups))
    write_png(output, comparing_sheet(image, instruction, rows))
    found = {"output": str(output), "instruction": instruction, "setups": [*map(_as_dict, rows)]}
    return found, "\n".join([str(output), *map(_in_words, rows)])


def _as_dict(row: "Compared") -> dict[str, Any]:
    used = row.result.settings if row.result else row.setup.settings
    return {
        "label": row.setup.label,
        "engine": used.engine,
        "seed": used.seed,
        "steps": used.steps,
        "text_guidance": used.text_guidance,
        "image_guidance": used.image_guidance,
        "seconds": row.seconds,
        "scores": dict(row.scores),
        "refusal": row.refusal or None,
    }


def _in_words(row: "Compared") -> str:
    from editworld_core.comparing_sheet import in_short

    return f"{row.setup.label}: {in_short(row)}"
