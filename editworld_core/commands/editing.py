"""``edit`` and ``post-edit``: a picture, or another editor's result, to a file."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from editworld_core.commands.choosing import add_choice_options, choose, chosen_as_dict, shown_at
from editworld_core.commands.options import add_any_mask_options, add_engine_options, add_mask_options
from editworld_core.commands.shared import (
    Answer,
    known_engine,
    loader,
    mask_image,
    png_target,
    progress_bar,
    settings_of,
    tell_licences,
)
from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from PIL import Image

    from editworld_core.editor import EditResult

BACKENDS = ("offline", "server", "server+image", "local")
"""Of the think step; here once more, since importing it takes a second."""


def add_edit(command: argparse.ArgumentParser) -> None:
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
    add_engine_options(command.add_argument_group("engine"))
    add_mask_options(command.add_argument_group("mask and post-edit"))
    add_choice_options(command.add_argument_group("best of several, and strength"))
    command.set_defaults(run=edit)


def edit(call: argparse.Namespace) -> Answer:
    """Edit a picture; write it, and the mask if asked."""
    from editworld_core.images import check_instruction, read_image, write_png
    from editworld_core.mask_files import read_mask

    output = png_target(call.output)
    mask_output = png_target(call.mask) if call.mask else None
    if mask_output and mask_output.resolve() == output.resolve():
        raise BadInputError("The picture and its mask cannot go to the same file; name two.")
    instruction = check_instruction(call.instruction)
    image = read_image(call.image)
    hand = read_mask(call.hand, image.size) if call.hand else None
    settings = settings_of(call, engine=known_engine(call.engine))
    tell_licences(settings.engine, settings.inpainter)
    from editworld_core.editor import WorldEditor

    editor = WorldEditor(loader(call))
    if call.think:
        settings = _thought_over(instruction, image, call.think, settings)
    with progress_bar("editing") as progress:
        chosen = choose(call, editor, image, instruction, settings, progress, hand)
    result = chosen.best
    if mask_output:
        write_png(mask_output, mask_image(result.mask))
    # a picture of another strength cannot be made again from its settings, so it has none in it
    remembered = (result.instruction, result.settings) if call.strength == 1 else ()
    write_png(output, shown_at(result, call.strength), *remembered)
    found = _edit_as_dict(result) | {"output": str(output), "mask": str(mask_output) if mask_output else None}
    found |= {"strength": call.strength, "best_of": chosen_as_dict(chosen) if call.best_of > 1 else None}
    seconds = sum(result.timings.values())
    return found, f"{output} (seed {result.settings.seed}, {seconds:.1f} s). {result.drift.in_words()}"


def _thought_over(
    instruction: str, image: "Image.Image", backend: str, settings: EditSettings
) -> EditSettings:
    """``settings`` with what the think step says that the picture will show; said on standard error as well.

    Engines that do better with the user's own words keep them.
    """
    from editworld_core.engines.registry import row_for
    from editworld_core.think import think

    thought = think(instruction, image, backend=backend)
    print(f"{thought.category.value}: {thought.outcome} ({', '.join(thought.keywords)})", file=sys.stderr)
    if thought.note:
        print(thought.note, file=sys.stderr)
    wanted = row_for(settings.engine).info.wants_outcome and not settings.outcome
    return dataclasses.replace(settings, outcome=thought.outcome) if wanted else settings


def _edit_as_dict(result: "EditResult") -> dict[str, Any]:
    return {
        "instruction": result.instruction,
        "size": list(result.final.size),
        "seed": result.settings.seed,
        "settings": dataclasses.asdict(result.settings),
        "keywords": list(result.keywords),
        "mask_source": result.mask_source,
        "mask_share": float(result.mask.mean()),
        "drift": dataclasses.asdict(result.drift),
        "timings": dict(result.timings),
    }


def add_post_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("original", metavar="ORIGINAL", help="the picture before")
    command.add_argument("edited", metavar="EDITED", help="what an editor made of it")
    command.add_argument("instruction", metavar="INSTRUCTION", help="what the editor was told")
    command.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the result goes")
    command.add_argument(
        "--mask", metavar="IN.png", help="what may change, in white; else it is found by comparing"
    )
    add_any_mask_options(command, "none")
    command.set_defaults(run=post_edit)


def post_edit(call: argparse.Namespace) -> Answer:
    """Keep in an editor's result what must not change; write the result."""
    from editworld_core.images import check_instruction, read_image, write_png
    from editworld_core.mask_files import read_mask
    from editworld_core.metrics import drift_report
    from editworld_core.post_edit import post_edit_any

    output = png_target(call.output)
    instruction = check_instruction(call.instruction)
    original, edited = read_image(call.original), read_image(call.edited)
    hand = read_mask(call.mask, original.size) if call.mask else None
    settings = settings_of(call, hand_rule="replace")
    tell_licences(None, settings.inpainter)
    with progress_bar("post-edit") as progress:
        kept = post_edit_any(original, edited, instruction, settings, hand, progress=progress)
    write_png(output, kept.final)
    drift = drift_report(original, kept.edited, kept.final, kept.mask, alignment=kept.alignment)
    found = {
        "output": str(output),
        "size": list(kept.final.size),
        "mask_source": "given" if call.mask else "difference",
        "mask_share": float(kept.mask.mean()),
        "drift": dataclasses.asdict(drift),
    }
    return found, f"{output}. {drift.in_words()}"
