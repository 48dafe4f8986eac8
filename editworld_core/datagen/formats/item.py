"""What passes between a data set and a format, and the checks on pictures that come from elsewhere."""

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from editworld_core.datagen.records import encode_png
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError
from editworld_core.images import FORMATS, read_image

MAX_BYTES = 256 * 2**20  # of one picture or one file of text; what is larger is an attack or a mistake


class BadItem(BadInputError):
    """One item cannot be used. Its text is a clause without a full stop, ``kind`` the reason to count it under."""

    def __init__(self, kind: str, clause: str) -> None:
        super().__init__(clause)
        self.kind = kind


@dataclass(frozen=True)
class Item:
    """A triplet with its pictures as the bytes of PNG files."""

    triplet: Triplet
    original: bytes
    target: bytes
    mask: bytes | None


@dataclass(frozen=True)
class Found:
    """What a format holds of one item, not checked yet.

    Attributes:
        where: how to name the item to the user.
        values: fields of ``Triplet``; those that the format does not hold are absent.
        original, target, mask: the bytes of picture files of any kind.
    """

    where: str
    values: Mapping[str, Any]
    original: bytes
    target: bytes
    mask: bytes | None = None


@dataclass(frozen=True)
class Shard:
    """A file or a folder of an export: ``name`` is its path with ``/``."""

    name: str
    triplets: Sequence[Triplet]


class Format(Protocol):
    """One way to lay out triplets.

    Attributes:
        holds: the fields of ``Triplet`` that come back from it as they were.
    """

    @property
    def holds(self) -> frozenset[str]: ...

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Divide the triplets; ``size`` is the number in a shard where the format leaves that open."""

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """Write a shard under ``folder``, taking one item at a time; ``items`` may lack some of its triplets."""

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """Write what belongs to the whole export, after its shards."""

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """Everything in a file or folder, one at a time; an item that cannot be read comes as a ``BadItem``.

        Raises:
            BadInputError: ``source`` does not have this format.
        """


def in_files(triplets: Sequence[Triplet], size: int, ending: str) -> list[Shard]:
    """Shards of ``size`` triplets, named as the hub names the files of a split."""
    count = max(1, math.ceil(len(triplets) / size))
    return [
        Shard(f"data/train-{index:05d}-of-{count:05d}.{ending}", triplets[index * size : (index + 1) * size])
        for index in range(count)
    ]


def files_of(source: Path, ending: str) -> list[Path]:
    """``source`` if it is a file, else the files in it with this ending, in order.

    Raises:
        BadInputError: there are none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise BadInputError(f"{source} does not exist; give the folder to import.")
    # Folders whose name begins with a dot hold what is in the making.
    files = sorted(
        path
        for path in source.rglob(f"*.{ending}")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not files:
        raise BadInputError(f"{source} holds no .{ending} file; give another folder or another format.")
    return files


def read_bytes(path: Path, where: str) -> bytes:
    """The content of a file.

    Raises:
        BadItem: it is missing, unreadable, or larger than ``MAX_BYTES``.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadItem("file too big", f"{where} is larger than {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadItem("file missing", f"{where} is missing") from None
    except (OSError, ValueError) as error:
        raise BadItem("file unreadable", f"{where} cannot be read") from error


def checked_picture(data: bytes, where: str) -> tuple[bytes, tuple[int, int]]:
    """The picture as the bytes of an RGB PNG, the very same bytes if it is one, and its width and height.

    Raises:
        BadItem: it is damaged, not a picture, or of an absurd size.
    """
    if len(data) > MAX_BYTES:
        raise BadItem("file too big", f"{where} is larger than {MAX_BYTES >> 20} MB")
    try:
        image = read_image(data)
    except BadInputError as error:
        reason = str(error).split(";")[0]
        raise BadItem(
            "picture unusable", f"{where} cannot be used: {reason[:1].lower()}{reason[1:]}"
        ) from error
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        plain = opened.format == "PNG" and opened.mode == "RGB" and not opened.info
    return data if plain else encode_png(image), image.size


def checked_mask(data: bytes, where: str, size: tuple[int, int]) -> bytes:
    """The mask as the bytes of a grey PNG, the very same bytes if it is one; ``size`` is that of its pair.

    Raises:
        BadItem: it is damaged, or has another size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.size != size:
                raise BadItem(
                    "sizes differ",
                    f"{where} is {image.width}x{image.height} pixels and its pair {size[0]}x{size[1]}",
                )
            grey = image.convert("L")
            return data if image.format == "PNG" and image.mode in ("1", "L") else encode_png(grey)
    except BadItem:
        raise
    except Exception as error:  # decoders raise anything from OSError to IndexError on damaged data
        raise BadItem("picture unusable", f"{where} is damaged or not a picture") from error


def checked_pair(
    original: bytes, target: bytes, mask: bytes | None, where: str
) -> tuple[bytes, bytes, bytes | None]:
    """The three as PNG files that fit each other.

    Raises:
        BadItem: they do not, or one is unusable.
    """
    original, size = checked_picture(original, f"the original of {where}")
    target, other = checked_picture(target, f"the target of {where}")
    if size != other:
        raise BadItem(
            "sizes differ",
            f"the pair of {where} is {size[0]}x{size[1]} and {other[0]}x{other[1]} pixels",
        )
    return original, target, checked_mask(mask, f"the mask of {where}", size) if mask is not None else None
