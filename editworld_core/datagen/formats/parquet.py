"""Parquet with every field of a triplet, for ``datasets.load_dataset``; nothing is lost."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.card import write_card
from editworld_core.datagen.formats.item import BadItem, Found, Item, Shard, in_files
from editworld_core.datagen.formats.tables import Kind, picture, picture_bytes, read_table, write_table
from editworld_core.datagen.triplet import Triplet

TEXTS = ("id", "branch", "category", "instruction", "original_caption", "target_caption", "recheck")
MAPPINGS = ("recipe", "seeds", "models", "scores")  # as JSON: their keys differ from row to row
COLUMNS: dict[str, Kind] = {
    "original_image": "image",
    "target_image": "image",
    "mask": "image",
    **dict.fromkeys(TEXTS, "string"),
    "keywords": "strings",
    **dict.fromkeys(MAPPINGS, "string"),
}
NEEDED = (("original_image",), ("target_image",), ("instruction",))


class ParquetFormat:
    """See the module."""

    holds = frozenset(COLUMNS)

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Files of ``size`` rows."""
        return in_files(triplets, size, "parquet")

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """One Parquet file."""
        write_table(folder / shard.name, COLUMNS, map(_row, items))

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """The card."""
        write_card(folder, "data/*.parquet", "Triplets of world-instructed image editing with every field.")

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """Each row of each file."""
        optional = [name for name in COLUMNS if (name,) not in NEEDED]
        return read_table(source, _from_row, NEEDED, optional)


def _row(item: Item) -> dict[str, Any]:
    triplet = item.triplet
    return {
        "original_image": picture(item.original, f"{triplet.id}_original.png"),
        "target_image": picture(item.target, f"{triplet.id}_target.png"),
        "mask": picture(item.mask, f"{triplet.id}_mask.png"),
        **{name: getattr(triplet, name) for name in TEXTS},
        "keywords": list(triplet.keywords),
        **{name: json.dumps(getattr(triplet, name), ensure_ascii=False) for name in MAPPINGS},
    }


def _from_row(where: str, row: dict[str, Any]) -> Found:
    values = {name: row[name] for name in (*TEXTS, "keywords") if row.get(name) is not None}
    for name in MAPPINGS:
        if row.get(name) is not None:
            try:
                values[name] = json.loads(row[name])
            except (TypeError, ValueError, RecursionError) as error:
                raise BadItem("text damaged", f"the {name} of {where} is not JSON") from error
    return Found(
        where=where,
        values=values,
        original=picture_bytes(row["original_image"], f"the original of {where}"),
        target=picture_bytes(row["target_image"], f"the target of {where}"),
        mask=None if row.get("mask") is None else picture_bytes(row["mask"], f"the mask of {where}"),
    )
