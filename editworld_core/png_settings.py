"""The settings of an edit, written into its PNG and read back from it."""

import dataclasses
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.settings import EditSettings, MaskRule

SETTINGS_KEY = "editworld"
"""The key of the PNG text chunk, and of ``Image.info``."""
LONGEST = 20_000


def with_settings(image: Image.Image, instruction: str, settings: EditSettings) -> Image.Image:
    """A copy of ``image`` that carries how it was made; saved as PNG, by whomever, it keeps that."""
    text = json.dumps({"instruction": instruction, "settings": dataclasses.asdict(settings)})
    copy = image.copy()
    copy.info = {**image.info, SETTINGS_KEY: text}
    return copy


def write_png(
    path: str | Path, image: Image.Image, instruction: str | None = None, settings: EditSettings | None = None
) -> None:
    """Write ``image`` as PNG, with instruction and settings in it if both are given; whole or not at all.

    Raises:
        EditWorldError: the folder is missing or full, or may not be written to.
    """
    path = Path(path)
    info = PngInfo()
    if instruction is not None and settings is not None:
        info.add_text(SETTINGS_KEY, with_settings(image, instruction, settings).info[SETTINGS_KEY])
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        image.save(part, format="PNG", pnginfo=info, icc_profile=None)
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or "the disk may be full"
        raise EditWorldError(f"{str(path)!r} cannot be written ({reason}); choose another place.") from error
    finally:
        part.unlink(missing_ok=True)


def read_settings(image: Image.Image) -> tuple[str, EditSettings] | None:
    """Instruction and settings that ``image`` was made with; None if it carries none, or anything else."""
    text = image.info.get(SETTINGS_KEY)
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        found = json.loads(text)
        return _instruction(found["instruction"]), _settings(found["settings"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _instruction(value: object) -> str:
    from editworld_core.images import check_instruction

    if not isinstance(value, str):
        raise ValueError("the instruction is not text")
    return check_instruction(value)


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(low: float, high: float) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    )


def _maybe(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


def _words(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 100 and all(isinstance(word, str) for word in value)


_CHECKS: dict[str, Callable[[object], bool]] = {
    "engine": lambda value: isinstance(value, str) and 0 < len(value) <= 500,
    "steps": _maybe(_whole(1, 1000)),
    "text_guidance": _maybe(_number(0, 50)),
    "image_guidance": _maybe(_number(0, 50)),
    "seed": _maybe(_whole(0, 2**32 - 1)),
    "post_edit": lambda value: isinstance(value, bool),
    "mask_rule": lambda value: value in get_args(MaskRule),
    "mask_threshold": _number(0, 100),
    "keywords": _words,
    "feather": _whole(0, 256),
}


def _settings(found: object) -> EditSettings:
    """``EditSettings`` from JSON: fields of other versions are left out, values that cannot be are refused."""
    if not isinstance(found, dict):
        raise ValueError("the settings are not an object")
    known = {name: value for name, value in found.items() if name in _CHECKS}
    for name, value in known.items():
        if not _CHECKS[name](value):
            raise BadInputError(f"{name} cannot be {value!r}.")
    if "keywords" in known:
        known["keywords"] = tuple(known["keywords"])
    return EditSettings(**known)
