"""What the commands share: settings from options, places to write to, licences, a progress bar."""

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings, check_settings

if TYPE_CHECKING:
    from PIL import Image

    from editworld_core.engines.protocol import Engine
    from editworld_core.masks import Mask

Answer = tuple[dict[str, Any], str]
"""What a command found out: as JSON, and in words."""


def settings_of(call: argparse.Namespace, **more: Any) -> EditSettings:
    """Every setting that the command line has an option for, under the same name, and ``more``."""
    names = [field.name for field in dataclasses.fields(EditSettings)]
    return check_settings(
        EditSettings(**{name: getattr(call, name) for name in names if name in call} | more)
    )


def loader(call: argparse.Namespace) -> "Callable[[str, str, float], Engine]":
    from editworld_core.engines.place import best_place
    from editworld_core.engines.registry import load_engine

    place = best_place(call.device, call.dtype, call.offload, compile=call.compile)
    return lambda name, lora, scale: load_engine(name, lora, scale, place)


def tell_licences(engine: str | None, inpainter: str) -> None:
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


def known_engine(engine: str) -> str:
    from editworld_core.engines.registry import row_for
    from editworld_core.errors import EngineUnavailableError

    try:
        row_for(engine)
    except EngineUnavailableError as error:
        raise BadInputError(str(error)) from error
    return engine


def png_target(text: str) -> Path:
    """The path of a PNG to write, checked before the work begins."""
    return target(text, (".png",), "results are written as PNG, which keeps every pixel")


def target(text: str, endings: tuple[str, ...], why: str) -> Path:
    """The path of a file to write, with one of the ``endings``, checked before the work begins."""
    path = Path(text)
    if path.suffix.lower() not in endings:
        raise BadInputError(f"{text!r} does not end in {' or '.join(endings)}; {why}.")
    if path.is_dir():
        raise BadInputError(f"{text!r} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise BadInputError(
            f"There is no folder {str(path.parent)!r}; make it first, or write somewhere else."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadInputError(f"The folder {str(path.parent)!r} may not be written to; write somewhere else.")
    return path


def report_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{str(path)!r} cannot be a folder for the report ({error.strerror}).") from error


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
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


def mask_image(mask: "Mask") -> "Image.Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
