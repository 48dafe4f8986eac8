"""Parquet with the columns of InstructPix2Pix's data set, for programs that train on that.

Written: ``original_prompt``, ``original_image``, ``edit_prompt``, ``edited_prompt``, ``edited_image``, as in the
authors' filtered data set. The training script of diffusers calls the first picture ``input_image`` unless told
``--original_image_column original_image``; both names are read.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.card import write_card
from editworld_core.datagen.formats.item import BadItem, Found, Item, Shard, in_files
from editworld_core.datagen.formats.tables import Kind, picture, picture_bytes, read_table, write_table
from editworld_core.datagen.triplet import Triplet

COLUMNS: dict[str, Kind] = {
    "original_prompt": "string",
    "original_image": "image",
    "edit_prompt": "string",
    "edited_prompt": "string",
    "edited_image": "image",
}
FIELDS = {
    "edit_prompt": "instruction",
    "original_prompt": "original_caption",
    "edited_prompt": "target_caption",
}
NEEDED = (("original_image", "input_image"), ("edit_prompt",), ("edited_image",))


class InstructPix2PixFormat:
    """See the module."""

    holds = frozenset(("instruction", "original_caption", "target_caption", "original_image", "target_image"))

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Files of ``size`` rows."""
        return in_files(triplets, size, "parquet")

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """One Parquet file."""
        write_table(folder / shard.name, COLUMNS, map(_row, items))

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """The card."""
        write_card(folder, "data/*.parquet", "Triplets with the column names of InstructPix2Pix.")

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """Each row of each file."""
        return read_table(source, _from_row, NEEDED, ("original_prompt", "edited_prompt"))


def _row(item: Item) -> dict[str, Any]:
    triplet = item.triplet
    return {
        "original_prompt": triplet.original_caption,
        "original_image": picture(item.original, f"{triplet.id}_original.png"),
        "edit_prompt": triplet.instruction,
        "edited_prompt": triplet.target_caption,
        "edited_image": picture(item.target, f"{triplet.id}_target.png"),
    }


def _from_row(where: str, cells: dict[str, Any]) -> Found:
    return Found(
        where=where,
        values={field: cells[name] for name, field in FIELDS.items() if cells.get(name) is not None},
        original=picture_bytes(cells["original_image"], f"the original of {where}"),
        target=picture_bytes(cells["edited_image"], f"the target of {where}"),
    )
