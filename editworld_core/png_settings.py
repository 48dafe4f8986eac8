"""The settings of an edit, written into its PNG and read back from it."""

import dataclasses
import json
import os
import uuid
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from editworld_core.errors import EditWorldError
from editworld_core.settings import EditSettings, settings_from

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
        return _instruction(found["instruction"]), settings_from(found["settings"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _instruction(value: object) -> str:
    from editworld_core.images import check_instruction

    if not isinstance(value, str):
        raise ValueError("the instruction is not text")
    return check_instruction(value)
