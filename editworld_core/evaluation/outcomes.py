"""Edits on the disk, each under the hash of everything that decided it.

    ab/ab12…/edited.png, final.png, attention_mask.png, mask.png, outcome.json

A folder gets its name when all of it is written, so whatever ends a run leaves whole outcomes only, and of two
processes that make the same outcome the first one's stays.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from editworld_core.datagen.records import PART, encode_png, writing
from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item, Outcome
from editworld_core.evaluation.sources.entry import content_hash
from editworld_core.masks import Mask

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

ABOUT = "outcome.json"
STALE = 3600.0  # seconds after which a folder in the making is one that a killed run left


def outcome_key(item: Item, identity: Mapping[str, Any]) -> str:
    """The name of the outcome of ``item`` with what ``identity`` stands for (see ``identity.identity_of``)."""
    return content_hash(item.content.encode(), json.dumps(identity, sort_keys=True, default=str).encode())


class OutcomeStore:
    """The outcomes in a folder, which is made when the first one comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in folder.glob(f"*{PART}"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE:
                    shutil.rmtree(part)

    def __contains__(self, key: str) -> bool:
        return (self._place(key) / ABOUT).is_file()

    def read(self, key: str, original: Image.Image) -> Outcome:
        """The outcome called ``key``, of the picture ``original``.

        Raises:
            BadInputError: its files are damaged.
        """
        place = self._place(key)
        try:
            about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
            return Outcome(
                original=original,
                edited=_picture(place / "edited.png"),
                final=_picture(place / "final.png"),
                attention_mask=_mask(place / "attention_mask.png"),
                mask=_mask(place / "mask.png"),
                mask_source=about["mask_source"],
                shift=(float(about["shift"][0]), float(about["shift"][1])),
                scale=float(about["scale"]),
                seconds=float(about["seconds"]),
            )
        except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
            raise BadInputError(
                f"The edit in {place} is damaged ({type(error).__name__}); delete it and run the command again."
            ) from error

    def write(self, key: str, item: Item, result: "EditResult", seconds: float) -> None:
        """Keep what an edit of ``item`` gave; nothing happens if it is there already.

        Raises:
            EditWorldError: the folder cannot be written.
        """
        about = {
            "item": item.id,
            "instruction": result.instruction,
            "settings": asdict(result.settings),
            "mask_source": result.mask_source,
            "shift": result.drift.shift,
            "scale": result.drift.scale,
            "seconds": seconds,
        }
        files = {
            "edited.png": encode_png(result.edited),
            "final.png": encode_png(result.final),
            "attention_mask.png": encode_png(Image.fromarray(result.attention_mask)),
            "mask.png": encode_png(Image.fromarray(result.mask)),
            ABOUT: f"{json.dumps(about, indent=2, ensure_ascii=False)}\n".encode(),
        }
        with writing(self.folder):
            self._place(key).parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(PART, f"{key[:8]}-", self.folder))
            try:
                for name, content in files.items():
                    (part / name).write_bytes(content)
                _take_place(part, self._place(key))
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key


def _take_place(part: Path, place: Path) -> None:
    """Give the folder its name, unless another process was first."""
    try:
        os.replace(part, place)
    except OSError:
        if not (place / ABOUT).is_file():
            raise


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _mask(path: Path) -> Mask:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127
