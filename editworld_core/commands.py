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
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from PIL import Image

    from editworld_core.editor import EditResult
    from editworld_core.masks import Mask

Answer = tuple[dict[str, Any], str]
"""What a command found out: as JSON, and in words."""
DATA_SETS = ("simulated",)


def edit(call: argparse.Namespace) -> Answer:
    """Edit a picture; write it, and the mask if asked."""
    from editworld_core.images import check_instruction, read_image, write_png

    output = _png_target(call.output)
    mask_output = _png_target(call.mask) if call.mask else None
    if mask_output and mask_output.resolve() == output.resolve():
        raise BadInputError("The picture and its mask cannot go to the same file; name two.")
    instruction = check_instruction(call.instruction)
    image = read_image(call.image)
    settings = EditSettings(
        engine=_known_engine(call.engine),
        steps=call.steps,
        text_guidance=call.text_guidance,
        image_guidance=call.image_guidance,
        seed=call.seed,
        post_edit=call.post_edit,
        mask_rule=call.mask_rule,
    )
    from editworld_core.editor import WorldEditor

    with _progress("editing") as progress:
        result = WorldEditor().edit(image, instruction, settings, progress)
    if mask_output:
        write_png(mask_output, _mask_image(result.mask))
    write_png(output, result.final, result.instruction, result.settings)
    found = _edit_as_dict(result) | {"output": str(output), "mask": str(mask_output) if mask_output else None}
    seconds = sum(result.timings.values())
    return found, f"{output} (seed {result.settings.seed}, {seconds:.1f} s). {result.drift.in_words()}"


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
    from editworld_core.images import check_instruction, composite, read_image, write_png
    from editworld_core.metrics import drift_report

    output = _png_target(call.output)
    instruction = check_instruction(call.instruction)
    original = read_image(call.original)
    edited = _at_size_of(original, read_image(call.edited))
    if call.mask:
        mask = _read_mask(call.mask, original.size)
        final = composite(original, edited, mask, EditSettings().feather)
    else:
        final, mask = _found_by_comparing(original, edited, instruction)
    write_png(output, final)
    drift = drift_report(original, edited, final, mask)
    found = {
        "output": str(output),
        "size": list(final.size),
        "mask_source": "given" if call.mask else "difference",
        "mask_share": float(mask.mean()),
        "drift": dataclasses.asdict(drift),
    }
    return found, f"{output}. {drift.in_words()}"


def _found_by_comparing(
    original: "Image.Image", edited: "Image.Image", instruction: str
) -> "tuple[Image.Image, Mask]":
    from editworld_core.inpainting import NoInpainter
    from editworld_core.masks import difference_mask
    from editworld_core.post_edit import post_edit as keep_the_rest
    from editworld_core.segmentation import ClassicalSegmenter

    prompt = difference_mask(original, edited)
    with _progress("post-edit") as progress:
        done = keep_the_rest(
            original,
            edited,
            prompt,
            None,
            instruction,
            segmenter=ClassicalSegmenter(),
            inpainter=NoInpainter(),
            feather=EditSettings().feather,
            progress=progress,
        )
    return done.final, done.mask


def _at_size_of(original: "Image.Image", edited: "Image.Image") -> "Image.Image":
    """``edited`` at the size of ``original``: editors often return a smaller picture, whose change is carried over."""
    if edited.size == original.size:
        return edited
    from PIL import Image

    from editworld_core.images import carry_change

    stretch = (edited.width / original.width) / (edited.height / original.height)
    if not 0.95 < stretch < 1.05:
        raise BadInputError(
            f"The edited picture is {edited.width}x{edited.height} and the original {original.width}x{original.height};"
            " they must have the same proportions."
        )
    return carry_change(original, original.resize(edited.size, Image.Resampling.LANCZOS), edited)


def _read_mask(path: str, size: tuple[int, int]) -> "Mask":
    """White, or painted over transparency, is True."""
    import numpy as np
    from PIL import Image

    from editworld_core.images import read_image

    grey = read_image(path).convert("L")
    with Image.open(path) as file:
        if file.mode in ("RGBA", "LA"):
            alpha = file.getchannel("A")
            if alpha.size == grey.size and alpha.getextrema()[0] == 0:
                grey = alpha
    if grey.size != size:
        raise BadInputError(
            f"The mask is {grey.width}x{grey.height}, the original {size[0]}x{size[1]}: make them equal."
        )
    mask = np.asarray(grey) > 127
    if not mask.any():
        raise BadInputError(
            "The mask has no white pixel, so nothing could change; paint what may change white."
        )
    return mask


def _mask_image(mask: "Mask") -> "Image.Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))


def engines(call: argparse.Namespace) -> Answer:
    """List the engines; nothing is loaded."""
    from editworld_core.engines.registry import engine_rows

    rows = engine_rows()
    found = [dataclasses.asdict(row.info) | {"ready": row.ready, "why": row.why} for row in rows]
    lines = [
        f"{row.info.id}: {row.info.title}\n"
        f"  weights: {row.info.weights}, licence {row.info.licence}; memory: {row.info.memory_gib:g} GiB\n"
        f"  {'ready' if row.ready else 'not ready: ' + row.why}"
        for row in rows
    ]
    return {"engines": found}, "\n".join(lines)


def evaluate(call: argparse.Namespace) -> Answer:
    """Measure an engine on a data set; write the report if a folder is named."""
    if call.dataset not in DATA_SETS:
        raise BadInputError(f"There is no data set {call.dataset!r}; choose {', '.join(DATA_SETS)}.")
    if call.output:
        _report_folder(Path(call.output))
    settings = EditSettings(engine=_known_engine(call.engine), seed=call.seed, steps=call.steps)
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
    from editworld_core.engines.registry import engine_rows

    ids = [row.info.id for row in engine_rows()]
    if engine not in ids and not Path(engine).is_dir():
        raise BadInputError(
            f"There is no engine {engine!r}; choose {', '.join(ids)}, or a folder that holds one."
        )
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
