"""Tables with known columns: MagicBrush, Emu Edit, PICABench and our own Parquet export.

A table is a Parquet file as the ``datasets`` library writes it, or a JSON list or JSON Lines whose pictures are paths
from its folder. The columns of others were verified in public code that reads them:

    MagicBrush   img_id, turn_index, source_img, mask_img, instruction, target_img
    Emu Edit     idx, hash, instruction, task, input_caption, output_caption, image; an ``edited_image`` is what Emu
                 Edit itself made, no truth, and is not read
    PICABench    input_image, edit_instruction or superficial_prompt (of its three prompts the one that a user would
                 type), physics_category, physics_law, edit_operation, edit_area
    ours         original_image, target_image, mask, instruction and the other fields of a triplet

MagicBrush has no categories, so its turns stand for them. Several turns of a session are items of their own, each from
the true picture of the turn before. Of a folder with several splits, named as the hub names files, only the one to test
on is read; a file can be named by itself.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.item import files_of
from editworld_core.datagen.formats.magicbrush import read_mask
from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item
from editworld_core.evaluation.sources.boxes import box_content, box_mask
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, text, white
from editworld_core.evaluation.sources.rows import JsonTable, ParquetTable, Row, Table
from editworld_core.masks import Mask

ENDINGS = (".parquet", ".json", ".jsonl")
SPLITS = ("test", "dev", "validation", "val", "train")  # the first that is there is read


@dataclass(frozen=True)
class Columns:
    """How the columns of one data set are called; ``fields`` makes of a row what an entry says in words."""

    needed: frozenset[str]
    instruction: tuple[str, ...]
    original: str
    fields: Callable[[Row, int], dict[str, Any]]
    target: str | None = None
    mask: str | None = None
    to_mask: Callable[[bytes, bytes, str], Mask] = white

    def fit(self, columns: Sequence[str]) -> bool:
        """Whether a table has what is needed."""
        return self.needed <= set(columns) and any(name in columns for name in self.instruction)

    @property
    def pictures(self) -> list[str]:
        """The columns of pictures."""
        return [name for name in (self.original, self.target, self.mask) if name is not None]


def magicbrush_mask(mask: bytes, original: bytes, where: str) -> Mask:
    """What MagicBrush's mask picture lets change."""
    return white(read_mask(mask, original, where), original, where)


def _magicbrush(row: Row, number: int) -> dict[str, Any]:
    turn = row.get("turn_index") or 1
    return {"id": f"{row.get('img_id') or number}-{turn}", "category": f"turn {turn}"}


def _emu(row: Row, number: int) -> dict[str, Any]:
    return {
        "id": str(row.get("hash") or row.get("idx") or number),
        "category": text(row, "task"),
        "caption_before": text(row, "input_caption"),
        "caption_after": text(row, "output_caption"),
    }


def picabench_fields(row: Row, number: int) -> dict[str, Any]:
    """What a record of PICABench says beside its instruction; the boxes of ``edit_area`` are its mask."""
    boxes = box_content(row.get("edit_area"))
    names = ("physics_category", "edit_operation", "difficulty", "annotated_qa_pairs")
    return {
        "id": str(row.get("index", number)),
        "category": text(row, "physics_law", "physics_category"),
        "mask": None if boxes is None else lambda: boxes,
        "to_mask": box_mask,
        "about": {name: row[name] for name in names if row.get(name)},
    }


def _own(row: Row, number: int) -> dict[str, Any]:
    return {
        "id": str(row.get("id") or number),
        "category": text(row, "category"),
        "branch": text(row, "branch"),
        "caption_before": text(row, "original_caption"),
        "caption_after": text(row, "target_caption"),
        "about": {"keywords": list(row.get("keywords") or ())},
    }


KNOWN: Mapping[str, Columns] = {
    "magicbrush": Columns(
        frozenset({"source_img", "target_img"}),
        ("instruction",),
        "source_img",
        _magicbrush,
        "target_img",
        "mask_img",
        magicbrush_mask,
    ),
    "emu-edit": Columns(frozenset({"image", "task", "output_caption"}), ("instruction",), "image", _emu),
    "picabench": Columns(
        frozenset({"input_image", "physics_law"}),
        ("edit_instruction", "superficial_prompt"),
        "input_image",
        picabench_fields,
    ),
    "editworld-parquet": Columns(
        frozenset({"original_image", "target_image"}),
        ("instruction",),
        "original_image",
        _own,
        "target_image",
        "mask",
    ),
}


def knows(path: Path, columns: Columns) -> bool:
    """Whether the first table in a folder, or the file itself, has these columns."""
    tables = _tables(path)
    return bool(tables) and columns.fit(_open(tables[0]).columns)


def read(path: Path, columns: Columns) -> Listed:
    """The rows of every table.

    Raises:
        BadInputError: a file is damaged or lacks a column.
    """
    makings: list[Callable[[], Item]] = []
    left_out: Counter[str] = Counter()
    tables, others = _to_test_on(_tables(path))
    for file in others:
        split = _split(file)
        left_out[f"they are of the split {split}"] += len(_open(file).texts(columns.pictures))
    for file in tables:
        table = _open(file)
        if not columns.fit(table.columns):
            missing = sorted(columns.needed - set(table.columns)) or columns.instruction
            raise BadInputError(
                f"{table.name} has no column {missing[0]}; take it away, or give another data set."
            )
        for number, row in enumerate(table.texts(columns.pictures)):
            if text(row, *columns.instruction):
                makings.append(partial(_item, table, columns, row, number))
            else:
                left_out["they have no instruction"] += 1
    return Listed(makings, left_out)


def _item(table: Table, columns: Columns, row: Row, number: int) -> Item:
    where = f"row {number + 1} of {table.name}"
    files: dict[str, Any] = {}
    for name, column in (("target", columns.target), ("mask", columns.mask)):
        if column is not None and column in table.columns and table.has(number, column):
            files[name] = table.picture(number, column, f"the {name} of {where}")
    fields = {"to_mask": columns.to_mask} | files | columns.fields(row, number)
    return Entry(
        where=where,
        instruction=text(row, *columns.instruction),
        original=table.picture(number, columns.original, f"the original of {where}"),
        **fields,
    ).item()


def _tables(path: Path) -> list[Path]:
    """The tables of a folder: Parquet anywhere in it, else JSON directly in it."""
    if path.is_file():
        return [path] if path.suffix in ENDINGS else []
    for ending in ENDINGS:
        try:
            found = files_of(path, ending[1:])
        except BadInputError:
            continue
        shallow = found if ending == ".parquet" else [file for file in found if file.parent == path]
        if shallow:
            return shallow
    return []


def _to_test_on(tables: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The tables of the split to test on, and those of the others; all of them where they have no such names."""
    splits = {_split(table) for table in tables}
    chosen = next((split for split in SPLITS if split in splits), None)
    if chosen is None or not splits <= set(SPLITS):
        return list(tables), []
    return [table for table in tables if _split(table) == chosen], [
        table for table in tables if _split(table) != chosen
    ]


def _split(table: Path) -> str:
    return table.stem.split("-")[0]


def _open(path: Path) -> Table:
    return ParquetTable(path) if path.suffix == ".parquet" else JsonTable(path)


def _kind(name: str, title: str) -> Kind:
    columns = KNOWN[name]
    return Kind(name, title, partial(knows, columns=columns), partial(read, columns=columns))


KINDS = (
    _kind("magicbrush", "Parquet or JSON with the columns of MagicBrush"),
    _kind("emu-edit", "Parquet or JSON with the columns of Emu Edit"),
    _kind("picabench", "Parquet with the columns of PICABench"),
    _kind("editworld-parquet", "our own Parquet export"),
)
