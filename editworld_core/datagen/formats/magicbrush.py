"""Parquet with the columns of MagicBrush: ``img_id``, ``turn_index``, ``source_img``, ``mask_img``, ``instruction``,
``target_img``.

MagicBrush's mask is "a free-form mask image (white region)": white, or transparent, where the picture may change,
and elsewhere black or the picture itself. We write white on black and read all of these. Our pairs are one turn
each, so ``turn_index`` is 1; on reading, each turn of a MagicBrush session becomes a triplet of its own.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.datagen.formats.card import write_card
from editworld_core.datagen.formats.item import BadItem, Found, Item, Shard, in_files
from editworld_core.datagen.formats.tables import Kind, picture, picture_bytes, read_table, write_table
from editworld_core.datagen.records import encode_png
from editworld_core.datagen.triplet import Triplet
from editworld_core.images import FORMATS

COLUMNS: dict[str, Kind] = {
    "img_id": "string",
    "turn_index": "int32",
    "source_img": "image",
    "mask_img": "image",
    "instruction": "string",
    "target_img": "image",
}
NEEDED = (("source_img",), ("instruction",), ("target_img",))
WHITE, NEAR = 250, 8  # of 255: what counts as white, and as the same in the mask picture and the source


class MagicBrushFormat:
    """See the module."""

    holds = frozenset(("instruction", "original_image", "target_image", "mask"))

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Files of ``size`` rows."""
        return in_files(triplets, size, "parquet")

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """One Parquet file."""
        write_table(folder / shard.name, COLUMNS, map(_row, items))

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """The card."""
        write_card(folder, "data/*.parquet", "Triplets with the column names of MagicBrush.")

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """Each row of each file."""
        return read_table(source, _from_row, NEEDED, ("mask_img",))


def _row(item: Item) -> dict[str, Any]:
    triplet = item.triplet
    return {
        "img_id": triplet.id,
        "turn_index": 1,
        "source_img": picture(item.original, f"{triplet.id}-input.png"),
        "mask_img": picture(item.mask, f"{triplet.id}-mask1.png"),
        "instruction": triplet.instruction,
        "target_img": picture(item.target, f"{triplet.id}-output1.png"),
    }


def _from_row(where: str, cells: dict[str, Any]) -> Found:
    source = picture_bytes(cells["source_img"], f"the original of {where}")
    mask = cells.get("mask_img")
    return Found(
        where=where,
        values={} if cells["instruction"] is None else {"instruction": cells["instruction"]},
        original=source,
        target=picture_bytes(cells["target_img"], f"the target of {where}"),
        mask=None if mask is None else read_mask(picture_bytes(mask, f"the mask of {where}"), source, where),
    )


def read_mask(mask: bytes, source: bytes, where: str) -> bytes:
    """Their mask picture as ours: a grey PNG, white where the picture may change; ours comes back as it is.

    Raises:
        BadItem: it is damaged, or its size is not that of ``source``.
    """
    try:
        with (
            Image.open(io.BytesIO(mask), formats=FORMATS) as image,
            Image.open(io.BytesIO(source), formats=FORMATS) as original,
        ):
            if image.size != original.size:
                raise BadItem("sizes differ", f"the mask of {where} has another size than its picture")
            if image.mode in ("1", "L"):
                return mask
            pixels = np.asarray(image.convert("RGBA"))
            before = np.asarray(original.convert("RGB"))
    except BadItem:
        raise
    except Exception as error:  # decoders raise anything from OSError to IndexError on damaged data
        raise BadItem("picture unusable", f"the mask of {where} is damaged or not a picture") from error
    return encode_png(Image.fromarray(_where_white(pixels, before)))


def _where_white(mask: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool [H, W] from the mask picture, uint8 [H, W, 4], and the source, uint8 [H, W, 3]."""
    clear: NDArray[np.bool_] = mask[..., 3] < 128
    if clear.any():
        return clear
    white = mask[..., :3].min(axis=-1) >= WHITE
    black = mask[..., :3].max(axis=-1) <= 255 - WHITE
    if np.all(white | black):
        return white
    # A copy of the picture with a white region: what was white before is no part of it.
    differs = np.abs(mask[..., :3].astype(int) - before).max(axis=-1) > NEAR
    return white & differs
