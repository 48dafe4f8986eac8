"""``attention``: where each word of an instruction acted, in numbers and pictures."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from editworld_core.commands.options import add_any_mask_options, add_engine_options, number
from editworld_core.commands.shared import (
    Answer,
    known_engine,
    loader,
    progress_bar,
    report_folder,
    settings_of,
    tell_licences,
)
from editworld_core.settings import EditSettings, MaskRule

if TYPE_CHECKING:
    from editworld_core.laboratory.study import Study, View
    from editworld_core.masks import Mask

MOST_CELLS = 256


def add_attention(command: argparse.ArgumentParser) -> None:
    default = EditSettings()
    command.add_argument("image", metavar="IMG", help="the picture: PNG, JPEG, WebP, GIF, TIFF …")
    command.add_argument("instruction", metavar="INSTRUCTION", help="what happens")
    command.add_argument("-o", "--output", metavar="DIR", required=True, help="a folder for the files")
    command.add_argument("--truth", metavar="MASK.png", help="where the picture truly changes, in white")
    command.add_argument("--against", metavar="INSTRUCTION", help="another one to compare with, same seed")
    view = command.add_argument_group("what to look at")
    view.add_argument(
        "--word",
        metavar="W",
        action="append",
        default=[],
        help="a word that acts; may be repeated; those that carry the meaning if not given",
    )
    view.add_argument(
        "--layer", metavar="NAME", action="append", default=[], help="a layer; may be repeated; see --json"
    )
    view.add_argument(
        "--cells",
        type=number(int, 1, MOST_CELLS),
        metavar="N",
        default=16,
        help="the layers whose longer side is nearest to N; 16 if not given",
    )
    view.add_argument(
        "--step",
        type=number(int, 1, 1000),
        metavar="N",
        action="append",
        default=[],
        help="a denoising step, from 1; may be repeated; all if not given",
    )
    view.add_argument(
        "--rule", choices=get_args(MaskRule), default=default.mask_rule, help="how attention becomes a mask"
    )
    view.add_argument(
        "--threshold",
        type=number(float, 0, 100),
        metavar="X",
        default=default.mask_threshold,
        help="of the rule 'paper': the share of the map's mean that counts; 0.8125 if not given",
    )
    add_engine_options(command.add_argument_group("engine"))
    add_any_mask_options(command.add_argument_group("post-edit"), default.inpainter)
    command.set_defaults(run=attention)


def attention(call: argparse.Namespace) -> Answer:
    """Edit a picture, and write what the recorder saw."""
    from editworld_core.images import check_instruction, read_image
    from editworld_core.mask_files import read_mask

    output, words = Path(call.output), tuple(call.word)
    report_folder(output)
    image, instruction = read_image(call.image), check_instruction(call.instruction)
    other = check_instruction(call.against) if call.against is not None else None
    truth = read_mask(call.truth, image.size) if call.truth else None
    settings = settings_of(
        call,
        engine=known_engine(call.engine),
        mask_rule=call.rule,
        mask_threshold=call.threshold,
        keywords=words,
    )
    tell_licences(settings.engine, settings.inpainter)
    from editworld_core.editor import WorldEditor
    from editworld_core.laboratory.study import study_edit

    editor = WorldEditor(loader(call))
    with progress_bar("editing") as progress:
        study = study_edit(image, instruction, settings, progress, editor)
    view = study.checked(_view(call, study))
    second = None
    if other is not None:
        again = dataclasses.replace(settings, seed=study.result.settings.seed, keywords=(), outcome="")
        with progress_bar("editing again") as progress:
            second = study_edit(image, other, again, progress, editor)
    return _written(output, study, view, truth, second, call)


def _view(call: argparse.Namespace, study: "Study") -> "View":
    """What was asked to look at; words that ``study`` has not are left out."""
    return dataclasses.replace(
        study.usual,
        words=tuple(word for word in call.word if word in study.words),
        layers=tuple(call.layer),
        cells=call.cells,
        steps=tuple(call.step),
    )


def _written(
    output: Path,
    study: "Study",
    view: "View",
    truth: "Mask | None",
    second: "Study | None",
    call: argparse.Namespace,
) -> Answer:
    from editworld_core.datagen.records import write_file
    from editworld_core.laboratory.comparison import compare
    from editworld_core.laboratory.files import comparison_files, study_files

    found = _about(study, view, truth)
    files = study_files(study, view, truth)
    said = [f"{output}: {_in_words(found)}."]
    if second is not None:
        other = second.checked(_view(call, second))
        both = compare(study, second, view, other)
        files |= comparison_files(study, second, view, other)
        found["against"] = _about(second, other, truth) | {
            "masks_iou": both.iou,
            "mean_difference": float(both.difference.mean()),
        }
        said.append(f"Against “{second.result.instruction}” the masks have an IoU of {both.iou:.2f}.")
    for name, content in files.items():
        write_file(output / name, content)
    return {"output": str(output), "files": sorted(files)} | found, " ".join(said)


def _about(study: "Study", view: "View", truth: "Mask | None") -> dict[str, Any]:
    from editworld_core.masks import mask_iou

    mask = study.mask(view)
    return {
        "instruction": study.result.instruction,
        "seed": study.result.settings.seed,
        "words": list(study.words),
        "layers": {name: list(grid) for name, grid in study.layers.items()},
        "steps": list(study.steps(view)),
        "view": dataclasses.asdict(view),
        "mask_share": float(mask.mean()),
        "iou": None if truth is None else mask_iou(mask, truth),
    }


def _in_words(found: dict[str, Any]) -> str:
    view = found["view"]
    layers, steps = len(view["layers"]), len(view["steps"])
    iou = "" if found["iou"] is None else f"; IoU with the true mask {found['iou']:.2f}"
    return (
        f"{' + '.join(view['words'])}, mean of {layers} layer{'s' * (layers > 1)} and {steps} step{'s' * (steps > 1)}: "
        f"the mask is {found['mask_share']:.0%} of the picture{iou} (seed {found['seed']})"
    )
