"""``chain``: several things happen one after the other, as pictures and as a film."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.commands.options import add_engine_options, add_mask_options, number
from editworld_core.commands.shared import (
    Answer,
    known_engine,
    loader,
    progress_bar,
    report_folder,
    settings_of,
    target,
    tell_licences,
)
from editworld_core.errors import BadInputError

if TYPE_CHECKING:
    from editworld_core.chain import Chain, ChainStep

ENDINGS = (".gif", ".mp4", ".png")


def add_chain(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMG", help="the picture: PNG, JPEG, WebP, GIF, TIFF …")
    command.add_argument(
        "instructions",
        metavar="INSTRUCTION",
        nargs="+",
        help="what happens, in order, such as 'the sun comes out' 'then it snows'",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="a film, OUT.gif or OUT.mp4, or the last picture, OUT.png",
    )
    command.add_argument(
        "--frames", metavar="DIR", help="a folder for the picture after every step, as PNG at full size"
    )
    film = command.add_argument_group("film")
    film.add_argument(
        "--hold", type=number(float, 0.1, 30), metavar="S", default=1.6, help="seconds a picture stays"
    )
    film.add_argument(
        "--fade",
        type=number(float, 0, 10),
        metavar="S",
        default=0.8,
        help="seconds of a cross-fade, 0 for none",
    )
    film.add_argument(
        "--no-captions", dest="captions", action="store_false", help="no text under the pictures"
    )
    add_engine_options(command.add_argument_group("engine"))
    add_mask_options(command.add_argument_group("mask and post-edit"))
    command.set_defaults(run=chain)


def chain(call: argparse.Namespace) -> Answer:
    """Edit step by step; write the film or the last picture, and every picture if asked."""
    from editworld_core.chain import run_chain
    from editworld_core.editor import WorldEditor
    from editworld_core.film import FilmSettings, write_film
    from editworld_core.images import read_image, write_png

    output = target(call.output, ENDINGS, "a chain is written as GIF, MP4, or as PNG of its last picture")
    if call.hand or call.outcome:
        raise BadInputError("A chain takes neither --hand nor --outcome: they would hold for every step.")
    image = read_image(call.image)
    film = FilmSettings(call.hold, call.fade, call.captions)
    settings = settings_of(call, engine=known_engine(call.engine))
    if call.frames:
        report_folder(Path(call.frames))
    tell_licences(settings.engine, settings.inpainter)
    with progress_bar("editing") as progress:
        made = run_chain(image, call.instructions, settings, WorldEditor(loader(call)).edit, progress)
    frames = _write_frames(Path(call.frames), made) if call.frames else []
    if output.suffix.lower() == ".png":
        last = made.steps[-1]
        write_png(output, made.picture, last.instruction, last.settings)
    else:
        write_film(output, made.pictures, made.captions, film)
    kept = float((~made.touched).mean())
    found = {
        "output": str(output),
        "frames": frames,
        "untouched": kept,
        "steps": [*map(_as_dict, made.steps)],
    }
    return found, f"{output}: {len(made.steps)} steps; {kept:.0%} of the pixels are the upload's own."


def _write_frames(folder: Path, made: "Chain") -> list[str]:
    from editworld_core.images import write_png

    paths = []
    for place, picture in enumerate(made.pictures):
        paths.append(str(folder / f"{place:02d}.png"))
        step = made.steps[place - 1] if place else None
        if step is None:
            write_png(paths[-1], picture)
        else:
            write_png(paths[-1], picture, step.instruction, step.settings)
    return paths


def _as_dict(step: "ChainStep") -> dict[str, Any]:
    return {
        "instruction": step.instruction,
        "told": step.told,
        "seed": step.settings.seed,
        "mask_share": float(step.mask.mean()),
        "mask_source": step.mask_source,
        "psnr_outside": step.drift.psnr_edited,
        "timings": dict(step.timings),
    }
