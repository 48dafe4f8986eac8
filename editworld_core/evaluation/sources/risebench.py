"""RISEBench and RISEBench++: a JSON list beside, or above, the folders of its pictures.

    datav2_total_w_subtask.json, or data/data_total.json, or overall_data.json
    data/temporal_reasoning_images/1.png, …

Verified in the public repository: a record has index, category, instruction, image, and for its judge ``reference``
(RISEBench) or ``reference_txt`` (RISEBench++) in words, or ``reference_img``; ``subtask`` or ``task_type``. The words
say what the picture should show and become the caption; the picture becomes the target. RISEBench++ names its
pictures in a list; an item of several is left out, since an engine takes one.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file, inside, sentence, text
from editworld_core.evaluation.sources.rows import read_json_rows

KEYS = frozenset({"index", "category", "instruction", "image"})


def knows(path: Path) -> bool:
    """Whether it is such a folder or list."""
    return _find(path) is not None


def read(path: Path) -> Listed:
    """Every item with one picture.

    Raises:
        BadInputError: the list is damaged, or a path leads out of the folder.
    """
    listing = _find(path)
    assert listing is not None  # ``knows`` was asked
    left_out: Counter[str] = Counter()
    entries = []
    for number, row in enumerate(read_json_rows(listing), 1):
        images = row.get("image")
        if isinstance(images, list) and len(images) != 1:
            left_out["they need several pictures"] += 1
            continue
        try:
            entries.append(_entry(listing.parent, f"record {number} in {listing.name}", row))
        except BadItem as bad:
            raise BadInputError(sentence(bad)) from bad
    return Listed([entry.item for entry in entries], left_out, skip_missing=True)


def _find(path: Path) -> Path | None:
    """The list of most records, where there are several."""
    files = [path] if path.suffix == ".json" else sorted([*path.glob("*.json"), *path.glob("data/*.json")])
    lists = [(len(rows), file) for file in files if (rows := _rows(file)) and rows[0].keys() >= KEYS]
    return max(lists, key=lambda found: found[0])[1] if lists else None


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        return read_json_rows(file)
    except BadInputError:  # some other file in the same folder
        return []


def _entry(folder: Path, where: str, row: Mapping[str, Any]) -> Entry:
    image = row["image"][0] if isinstance(row["image"], list) else row["image"]
    target = text(row, "reference_img")
    instruction = text(row, "instruction")
    if not instruction:
        raise BadItem("text damaged", f"{where} has no instruction")
    return Entry(
        where=where,
        id=str(row["index"]),
        instruction=instruction,
        original=file(_picture(folder, image, where), f"the original of {where}"),
        target=file(_picture(folder, target, where), f"the target of {where}") if target else None,
        category=text(row, "category"),
        caption_after=text(row, "reference", "reference_txt"),
        about={"subtask": text(row, "subtask", "task_type")},
    )


def _picture(folder: Path, path: Any, where: str) -> Path:
    """Pictures lie beside the list, or in ``data`` beside it."""
    beside = inside(folder, path, where)
    return beside if beside.exists() else inside(folder / "data", path, where)


KIND = Kind("risebench", "RISEBench's folder with its JSON list", knows, read)
