"""What each command of the command line does, from its parsed arguments to its answer; see ``cli``."""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings, check_settings

if TYPE_CHECKING:
    from PIL import Image

    from editworld_core.editor import EditResult
    from editworld_core.engines.protocol import Engine
    from editworld_core.engines.registry import EngineRow
    from editworld_core.masks import Mask

Answer = tuple[dict[str, Any], str]
"""What a command found out: as JSON, and in words."""
DATA_SETS = ("simulated",)


def edit(call: argparse.Namespace) -> Answer:
    """Edit a picture; write it, and the mask if asked."""
    from editworld_core.images import check_instruction, read_image, write_png
    from editworld_core.mask_files import read_mask

    output = _png_target(call.output)
    mask_output = _png_target(call.mask) if call.mask else None
    if mask_output and mask_output.resolve() == output.resolve():
        raise BadInputError("The picture and its mask cannot go to the same file; name two.")
    instruction = check_instruction(call.instruction)
    image = read_image(call.image)
    hand = read_mask(call.hand, image.size) if call.hand else None
    settings = _settings_of(call, engine=_known_engine(call.engine))
    _tell_licences(settings.engine, settings.inpainter)
    from editworld_core.editor import WorldEditor

    editor = WorldEditor(_loader(call))
    if call.think:
        settings = _thought_over(instruction, image, call.think, settings)
    with _progress("editing") as progress:
        result = editor.edit(image, instruction, settings, progress, hand)
    if mask_output:
        write_png(mask_output, _mask_image(result.mask))
    write_png(output, result.final, result.instruction, result.settings)
    found = _edit_as_dict(result) | {"output": str(output), "mask": str(mask_output) if mask_output else None}
    seconds = sum(result.timings.values())
    return found, f"{output} (seed {result.settings.seed}, {seconds:.1f} s). {result.drift.in_words()}"


def _settings_of(call: argparse.Namespace, **more: Any) -> EditSettings:
    """Every setting that the command line has an option for, under the same name, and ``more``."""
    names = [field.name for field in dataclasses.fields(EditSettings)]
    return check_settings(
        EditSettings(**{name: getattr(call, name) for name in names if name in call} | more)
    )


def _loader(call: argparse.Namespace) -> "Callable[[str, str, float], Engine]":
    from editworld_core.engines.place import best_place
    from editworld_core.engines.registry import load_engine

    place = best_place(call.device, call.dtype, call.offload, compile=call.compile)
    return lambda name, lora, scale: load_engine(name, lora, scale, place)


def _tell_licences(engine: str | None, inpainter: str) -> None:
    """Say under which licence weights from the hub are, before they are used."""
    from editworld_core.controlnet_inpainting import controlnet_rows
    from editworld_core.engines.registry import row_for

    used = [row.info for row in controlnet_rows() if row.info.id == inpainter]
    if engine is not None:
        used.insert(0, row_for(engine).info)
    for info in used:
        if info.weights != "in this package" and not Path(info.weights).expanduser().exists():
            terms = "" if info.commercial else "; not for commercial use"
            print(f"{info.id}: weights {info.weights}, licence: {info.licence}{terms}.", file=sys.stderr)


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


def post_edit(call: argparse.Namespace) -> Answer:
    """Keep in an editor's result what must not change; write the result."""
    from editworld_core.images import check_instruction, read_image, write_png
    from editworld_core.mask_files import read_mask
    from editworld_core.metrics import drift_report
    from editworld_core.post_edit import post_edit_any

    output = _png_target(call.output)
    instruction = check_instruction(call.instruction)
    original, edited = read_image(call.original), read_image(call.edited)
    hand = read_mask(call.mask, original.size) if call.mask else None
    settings = _settings_of(call, hand_rule="replace")
    _tell_licences(None, settings.inpainter)
    with _progress("post-edit") as progress:
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


def _mask_image(mask: "Mask") -> "Image.Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))


def engines(call: argparse.Namespace) -> Answer:
    """List the engines, and the inpainters that any of them can be followed by; nothing is loaded."""
    from editworld_core.controlnet_inpainting import controlnet_rows
    from editworld_core.engines.registry import engine_rows

    def listed(rows: "list[EngineRow]") -> list[dict[str, Any]]:
        return [dataclasses.asdict(row.info) | {"ready": row.ready, "why": row.why} for row in rows]

    rows, inpainters = engine_rows(), controlnet_rows()
    words = [_engine_in_words(row) for row in rows]
    words += ["", "For --inpainter:", *(_engine_in_words(row) for row in inpainters)]
    return {"engines": listed(rows), "inpainters": listed(inpainters)}, "\n".join(words)


def _engine_in_words(row: "EngineRow") -> str:
    info = row.info
    terms = info.licence if info.commercial else f"{info.licence} (non-commercial)"
    offloaded = [
        f"{gib:g} GiB with --offload {preset}"
        for preset, gib in (("model", info.memory_model_gib), ("sequential", info.memory_sequential_gib))
        if gib
    ]
    memory = ", ".join([f"{info.memory_gib:g} GiB", *offloaded])
    state = "ready" if row.ready else f"not ready: {row.why}"
    return (
        f"{info.id}: {info.title}\n  weights: {info.weights}, licence: {terms}\n  memory: {memory}\n  {state}"
    )


def evaluate(call: argparse.Namespace) -> Answer:
    """Measure an engine on a data set; write the report if a folder is named."""
    if call.dataset not in DATA_SETS:
        raise BadInputError(f"There is no data set {call.dataset!r}; choose {', '.join(DATA_SETS)}.")
    if call.output:
        _report_folder(Path(call.output))
    settings = check_settings(
        EditSettings(engine=_known_engine(call.engine), seed=call.seed, steps=call.steps, speed=call.speed)
    )
    from editworld_core.editor import WorldEditor
    from editworld_core.evaluation.simulated import evaluate_simulated

    with _progress("scenes") as progress:
        report = evaluate_simulated(
            WorldEditor(), settings, names=call.dynamic, scenes=call.scenes, progress=progress
        )
    if call.output:
        report.write(Path(call.output))
    found = report.as_dict()
    return found, json.dumps(found, indent=2)


def _known_engine(engine: str) -> str:
    from editworld_core.engines.registry import row_for
    from editworld_core.errors import EngineUnavailableError

    try:
        row_for(engine)
    except EngineUnavailableError as error:
        raise BadInputError(str(error)) from error
    return engine


def _png_target(text: str) -> Path:
    """The path of a PNG to write, checked before the work begins."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise BadInputError(
            f"{text!r} does not end in .png; results are written as PNG, which keeps every pixel."
        )
    if path.is_dir():
        raise BadInputError(f"{text!r} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise BadInputError(
            f"There is no folder {str(path.parent)!r}; make it first, or write somewhere else."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadInputError(f"The folder {str(path.parent)!r} may not be written to; write somewhere else.")
    return path


def _report_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{str(path)!r} cannot be a folder for the report ({error.strerror}).") from error


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, drawn from the first step on, so that a refusal before it stands alone."""
    from tqdm import tqdm

    with contextlib.ExitStack() as stack:
        bars: list[tqdm] = []

        def advance(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(tqdm(desc=what, file=sys.stderr, leave=False)))
            bars[0].total = total
            bars[0].update(done - bars[0].n)

        yield advance
