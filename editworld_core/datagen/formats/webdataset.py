"""WebDataset: tar files in which an item is ``ID.original.png``, ``ID.target.png``, ``ID.mask.png``, ``ID.json``.

The JSON has every field of the triplet, so nothing is lost. Equal items give equal bytes: the archive has no times
and no owners.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.card import write_card
from editworld_core.datagen.formats.item import MAX_BYTES, BadItem, Found, Item, Shard, files_of, in_files
from editworld_core.datagen.triplet import Triplet

PICTURES = ("original", "target", "mask")
PATHS = ("original_image", "target_image", "mask")
ENDINGS = ("png", "jpg", "jpeg", "webp")
# Said to ``datasets.load_dataset``, which else demands that every item has a mask and the same recipe.
COLUMNS = {
    "__key__": "string",
    "__url__": "string",
    **{f"{name}.png": "image" for name in PICTURES},
    "json": "json",
}
FIELDS = frozenset(Triplet.__dataclass_fields__)


class WebDatasetFormat:
    """See the module."""

    holds = FIELDS

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Archives of ``size`` items."""
        return in_files(triplets, size, "tar")

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """One archive."""
        path = folder / shard.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for item in items:
                for ending, content in _members(item):
                    member = tarfile.TarInfo(f"{item.triplet.id}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """The card."""
        about = "Triplets of world-instructed image editing as WebDataset shards."
        write_card(folder, "data/*.tar", about, COLUMNS)

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """Each item of each archive, in their order; nothing is unpacked to disk."""
        return _read(files_of(source, "tar"))


def _members(item: Item) -> Iterator[tuple[str, bytes]]:
    for name, content in zip(PICTURES, (item.original, item.target, item.mask), strict=True):
        if content is not None:
            yield f"{name}.png", content
    values = {name: value for name, value in json.loads(item.triplet.to_line()).items() if name not in PATHS}
    yield "json", json.dumps(values, ensure_ascii=False).encode()


def _read(files: Sequence[Path]) -> Iterator[Found | BadItem]:
    for path in files:
        key, parts = None, dict[str, bytes]()
        try:
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    if not member.isfile():
                        continue
                    before, _, ending = member.name.rpartition("/")[2].partition(".")
                    if before != key:
                        if parts:
                            yield _try(f"item {key} in {path.name}", parts)
                        key, parts = before, {}
                    parts[ending.lower()] = _content(archive, member)
        except (tarfile.TarError, OSError, EOFError, ValueError):
            yield BadItem("file damaged", f"{path.name} is damaged or no tar file")
            continue
        if parts:
            yield _try(f"item {key} in {path.name}", parts)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The member's bytes; nothing where it is too large, which then is no picture."""
    file = archive.extractfile(member) if member.size <= MAX_BYTES else None
    content = b"" if file is None else file.read()
    if file is not None and len(content) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    return content


def _try(where: str, parts: dict[str, bytes]) -> Found | BadItem:
    try:
        return _found(where, parts)
    except BadItem as bad:
        return bad


def _found(where: str, parts: dict[str, bytes]) -> Found:
    pictures = {
        name: next((parts[f"{name}.{ending}"] for ending in ENDINGS if f"{name}.{ending}" in parts), None)
        for name in PICTURES
    }
    original, target = pictures["original"], pictures["target"]
    if original is None or target is None:
        what = "original" if original is None else "target"
        raise BadItem("file missing", f"the {what} of {where} is missing")
    return Found(where, _values(where, parts.get("json")), original, target, pictures["mask"])


def _values(where: str, text: bytes | None) -> dict[str, Any]:
    if text is None:
        raise BadItem("file missing", f"the JSON of {where} is missing")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadItem("text damaged", f"the JSON of {where} is damaged") from error
    if not isinstance(values, dict):
        raise BadItem("text damaged", f"the JSON of {where} is no object")
    return {name: value for name, value in values.items() if name in FIELDS and name not in PATHS}
