"""What a data set says of one edit, and how that becomes an item.

An ``Entry`` names its files and reads none of them. ``Entry.item`` reads them once, for the hash that the edits are
kept under; the pictures are decoded when they are wanted.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from editworld_core.datagen.formats.item import BadItem, read_bytes
from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item, Pictures
from editworld_core.images import FORMATS, read_image
from editworld_core.masks import Mask

Content = Callable[[], bytes]
"""The bytes of a picture file. Raises ``BadItem`` if they cannot be had."""


def white(mask: bytes, original: bytes, where: str) -> Mask:
    """What is white in a grey mask picture, which has the size of its original.

    Raises:
        BadItem: it is damaged or has another size.
    """
    try:
        with (
            Image.open(io.BytesIO(mask), formats=FORMATS) as image,
            Image.open(io.BytesIO(original), formats=FORMATS) as picture,
        ):
            if image.size != picture.size:
                raise BadItem("sizes differ", f"the mask of {where} has another size than its picture")
            return np.asarray(image.convert("L")) > 127
    except BadItem:
        raise
    except Exception as error:  # decoders raise anything from OSError to IndexError on damaged data
        raise BadItem("picture unusable", f"the mask of {where} is damaged or not a picture") from error


@dataclass(frozen=True)
class Entry:
    """One edit as a data set notes it; see ``record.Item``.

    Attributes:
        where: how to name it to the user.
        original, target, mask: files of any kind of picture, or of none for a ``mask`` that ``to_mask`` understands.
        to_mask: makes bool [H, W] of the bytes of ``mask`` and ``original``, and what to call them.
    """

    where: str
    id: str
    instruction: str
    original: Content
    target: Content | None = None
    mask: Content | None = None
    to_mask: Callable[[bytes, bytes, str], Mask] = white
    category: str = ""
    branch: str = ""
    caption_before: str = ""
    caption_after: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def item(self) -> Item:
        """The item; its files are read and hashed, not decoded.

        Raises:
            BadItem: a file is missing or cannot be read.
        """
        files = [b"" if file is None else file() for file in (self.original, self.target, self.mask)]
        return Item(
            id=self.id,
            category=self.category,
            branch=self.branch,
            instruction=self.instruction,
            caption_before=self.caption_before,
            caption_after=self.caption_after,
            content=content_hash(*files, self.instruction.encode()),
            read=self._read,
            about=dict(self.about),
        )

    def _read(self) -> Pictures:
        try:
            data = self.original()
            original = _decoded(data, f"the original of {self.where}")
            target = None if self.target is None else _decoded(self.target(), f"the target of {self.where}")
            mask = None if self.mask is None else self.to_mask(self.mask(), data, self.where)
        except BadItem as bad:
            raise BadInputError(sentence(bad)) from bad
        if target is not None and target.size != original.size:
            target = target.resize(original.size, Image.Resampling.LANCZOS)
        return Pictures(original, target, mask)


def content_hash(*parts: bytes) -> str:
    """32 hexadecimal digits that stand for ``parts``, each by itself."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def file(path: Path, where: str) -> Content:
    """The file at ``path``, when it is wanted."""
    return lambda: read_bytes(path, where)


def inside(root: Path, path: Any, where: str) -> Path:
    """The file that a benchmark names by ``path``, in ``root``.

    Raises:
        BadItem: it is no path, or leads out of ``root``.
    """
    if not isinstance(path, str) or not path or "\0" in path:
        raise BadItem("text damaged", f"{where} names no picture")
    found = root / path.replace("\\", "/")
    if not found.resolve().is_relative_to(root.resolve()):
        raise BadItem("path leads out", f"a path of {where} leads out of the folder")
    return found


def text(values: Mapping[str, Any], *names: str) -> str:
    """The first of the fields ``names`` that holds a text, on one line; else an empty text."""
    for name in names:
        if isinstance(values.get(name), str) and values[name].strip():
            return " ".join(values[name].split())
    return ""


def sentence(bad: BadItem) -> str:
    """A ``BadItem`` as a sentence for the user, which may begin with the name of a file."""
    words = " ".join(str(bad).split())
    first = words.split(" ")[0]
    start = words if first.endswith((".json", ".jsonl", ".parquet")) else f"{words[:1].upper()}{words[1:]}"
    return f"{start}; mend the data set, or give another one."


def _decoded(data: bytes, where: str) -> Image.Image:
    try:
        return read_image(data)
    except BadInputError as error:
        reason = str(error).split(";")[0]
        raise BadItem(
            "picture unusable", f"{where} cannot be used: {reason[:1].lower()}{reason[1:]}"
        ) from error
