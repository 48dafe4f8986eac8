"""KRIS-Bench: a folder for each of its tasks, with ``annotation.json`` and pictures.

    KRIS_Bench/temporal_prediction/annotation.json, 1-2.jpg, …

Verified in the public repository: the annotations are an object of records by number with ``ori_img`` (a name, or a
list of names), ``gt_img`` (where the true picture is known; empty or absent elsewhere), ``ins_en`` and ``explain_en``,
which the repository's own programs call ``instruction`` and ``explain``. The explanation says why, not what the picture
shows, so it is no caption. Items of several pictures (temporal prediction, composition of several elements) are left
out, since an engine takes one; so are the few whose picture the repository lacks.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.editworld import records
from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file, inside, sentence, text

ANNOTATION = "annotation.json"


def knows(path: Path) -> bool:
    """Whether it is such a folder, or one above it."""
    return any(path.glob(f"*/{ANNOTATION}")) or any(path.glob(f"KRIS_Bench/*/{ANNOTATION}"))


def read(path: Path) -> Listed:
    """Every item with one picture, task by task.

    Raises:
        BadInputError: an annotation is damaged, or a path leads out of its folder.
    """
    files = sorted(path.glob(f"*/{ANNOTATION}")) or sorted(path.glob(f"KRIS_Bench/*/{ANNOTATION}"))
    left_out: Counter[str] = Counter()
    entries = []
    for listing in files:
        try:
            for key, row in records(listing, f"{listing.parent.name}/{ANNOTATION}"):
                if (
                    isinstance(row, dict)
                    and isinstance(row.get("ori_img"), list)
                    and len(row["ori_img"]) != 1
                ):
                    left_out["they need several pictures"] += 1
                else:
                    entries.append(_entry(listing.parent, key, row))
        except BadItem as bad:
            raise BadInputError(sentence(bad)) from bad
    return Listed([entry.item for entry in entries], left_out, skip_missing=True)


def _entry(folder: Path, key: str, row: Any) -> Entry:
    where = f"{folder.name} {key}"
    instruction = text(row, "ins_en", "instruction") if isinstance(row, Mapping) else ""
    if not instruction:
        raise BadItem("text damaged", f"{where} has no instruction")
    image = row["ori_img"][0] if isinstance(row.get("ori_img"), list) else row.get("ori_img")
    truth = text(row, "gt_img")
    return Entry(
        where=where,
        id=f"{folder.name}/{key}",
        instruction=instruction,
        original=file(
            inside(folder, image[0] if isinstance(image, list) else image, where), f"the original of {where}"
        ),
        target=file(inside(folder, truth, where), f"the target of {where}") if truth else None,
        category=folder.name,
        about={"explain": text(row, "explain_en", "explain")},
    )


KIND = Kind("kris-bench", f"KRIS-Bench's folder with */{ANNOTATION}", knows, read)
