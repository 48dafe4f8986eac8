"""The layout of the paper's code and data (``datagen.formats.editworld``), and its list of test items.

A test item has an original, an instruction and an output description; its target need not be there. A folder is read by
its ``test.json`` if it has one, which lists records as ``train.json`` does, else by its groups, else by ``train.json``.
The authors' test set is not in their repository, so its file names were not verified; their keys were, misspelt as
they are. A record may say its ``category``, as ours do under ``record``; the branch is that of its folder.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.editworld import (
    ALL,
    GENERATED,
    TEXTS,
    group_files,
    record_values,
    records,
    resolve,
)
from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file, sentence, text

TEST = "test.json"


def knows(path: Path) -> bool:
    """Whether it is such a folder, or such a list of records itself."""
    if path.is_file():
        return path.name in (TEST, ALL)
    return any((path / name).is_file() for name in (TEST, ALL)) or bool(group_files(path))


def read(path: Path) -> Listed:
    """Every record with an original and an instruction.

    Raises:
        BadInputError: a file of records is damaged, or a path leads out of the folder.
    """
    root, files = (path.parent, [path]) if path.is_file() else (path, _files(path))
    left_out: Counter[str] = Counter()
    try:
        entries = list(_entries(root, files, left_out))
    except BadItem as bad:
        raise BadInputError(sentence(bad)) from bad
    return Listed([entry.item for entry in entries], left_out)


def _files(path: Path) -> list[Path]:
    if (path / TEST).is_file():
        return [path / TEST]
    return group_files(path) or [path / ALL]


def _entries(root: Path, files: list[Path], left_out: Counter[str]) -> Iterator[Entry]:
    for path in files:
        name = path.relative_to(root).as_posix()
        for key, record in records(path, name):
            where = f"record {key} in {name}"
            if not isinstance(record, dict):
                raise BadItem("text damaged", f"{where} is no record")
            entry = _entry(root, path, where, record)
            if entry.instruction:
                yield entry
            else:
                left_out["they have no instruction"] += 1


def _entry(root: Path, listing: Path, where: str, record: dict[str, Any]) -> Entry:
    original, target = (
        resolve(root, listing.parent, record[name], where) if text(record, name) else None
        for name in ("original_img_path", "target_img_path")
    )
    if original is None:
        raise BadItem("text damaged", f"{where} names no original_img_path")
    if target is not None and listing.name == TEST and not target.exists():
        target = None
    inner = original.relative_to(root)
    values = record_values(record, inner.parts[0])
    branch = text(values, "branch") or ("text_to_image" if inner.parts[0] == GENERATED else "")
    return Entry(
        where=where,
        id=inner.with_name(inner.stem.removesuffix("_ori")).as_posix(),
        instruction=text(values, "instruction"),
        original=file(original, f"the original of {where}"),
        target=None if target is None else file(target, f"the target of {where}"),
        category=text(values, "category") or text(record, "category"),
        branch=branch,
        caption_before=text(values, "original_caption"),
        caption_after=text(values, "target_caption"),
        about={"keywords": values["keywords"]} if values.get("keywords") else {},
    )


KIND = Kind("editworld-paper", f"the paper's layout, with {TEST}, {ALL} or groups with {TEXTS}", knows, read)
