"""The layout of the paper's public code and data set, with its misspelt keys (PAPER section 5).

    {generated_img,video_img,human_select_img}/group_0/sample0_ori.png, sample0_tar.png, …, img_txt.json
    train.json    the records of every group in one list

A group holds a hundred samples. Their programs look records up by key, so what their keys cannot hold stands
beside them under ``record``; only the mask has no place. Paths in their files start where their scripts ran
(``datasets/editworld/generated_img/…``), so on reading, what stands before the branch's folder is ignored.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from editworld_core.datagen.formats.item import BadItem, Found, Item, Shard, read_bytes
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError

GENERATED, VIDEO, HUMAN = BRANCHES = ("generated_img", "video_img", "human_select_img")
GROUP = 100
TEXTS, ALL = "img_txt.json", "train.json"
BESIDE = ("id", "branch", "category", "recipe", "seeds", "models", "scores", "recheck")


class EditWorldFormat:
    """See the module."""

    holds = frozenset(
        ("instruction", "original_caption", "target_caption", "keywords", "original_image", "target_image")
    ) | frozenset(BESIDE)

    def shards(self, triplets: Sequence[Triplet], size: int) -> list[Shard]:
        """Groups of a hundred in each branch's folder; ``size`` has no say."""
        branches: dict[str, list[Triplet]] = defaultdict(list)
        for triplet in triplets:
            branches[branch_folder(triplet)].append(triplet)
        return [
            Shard(f"{branch}/group_{start // GROUP}", branches[branch][start : start + GROUP])
            for branch in BRANCHES
            for start in range(0, len(branches[branch]), GROUP)
        ]

    def write(self, folder: Path, shard: Shard, items: Iterable[Item]) -> None:
        """A group's folder; a triplet that is missing from ``items`` leaves its number free."""
        group = folder / shard.name
        if group.exists():
            shutil.rmtree(group)
        group.mkdir(parents=True)
        numbers = {triplet.id: number for number, triplet in enumerate(shard.triplets)}
        texts = {}
        for item in items:
            sample = f"sample{numbers[item.triplet.id]}"
            (group / f"{sample}_ori.png").write_bytes(item.original)
            (group / f"{sample}_tar.png").write_bytes(item.target)
            texts[sample] = to_record(item.triplet, f"{shard.name}/{sample}")
        (group / TEXTS).write_text(json.dumps(texts, indent=1, ensure_ascii=False), encoding="utf-8")

    def finish(self, folder: Path, shards: Sequence[Shard]) -> None:
        """``train.json``, a record a line, from what the groups hold."""
        with (folder / ALL).open("w", encoding="utf-8") as out:
            out.write("[")
            before = "\n"
            for shard in shards:
                texts = json.loads((folder / shard.name / TEXTS).read_text(encoding="utf-8"))
                for record in texts.values():
                    out.write(before + json.dumps(record, ensure_ascii=False))
                    before = ",\n"
            out.write("\n]\n")

    def read(self, source: Path) -> Iterator[Found | BadItem]:
        """The groups' records in order; where there are no groups' files, those of ``train.json``.

        Raises:
            BadInputError: there is neither.
        """
        if not source.is_dir():
            raise BadInputError(f"{source} is not a folder; give the one that holds {ALL}.")
        groups = group_files(source)
        if not groups and not (source / ALL).is_file():
            raise BadInputError(
                f"{source} has neither {ALL} nor group folders with {TEXTS}; give another folder or format."
            )
        return self._read(source, groups or [source / ALL])

    def _read(self, source: Path, files: Sequence[Path]) -> Iterator[Found | BadItem]:
        for path in files:
            name = path.relative_to(source).as_posix()
            try:
                found = records(path, name)
            except BadItem as bad:
                yield bad
                continue
            for key, record in found:
                try:
                    yield _found(source, path.parent, f"record {key} in {name}", record)
                except BadItem as bad:
                    yield bad


def branch_folder(triplet: Triplet) -> str:
    """Which folder of the layout a triplet belongs to; what a person has accepted has its own."""
    if triplet.recheck == "accept":
        return HUMAN
    return VIDEO if triplet.branch == "video" else GENERATED


def to_record(triplet: Triplet, sample: str) -> dict[str, Any]:
    """A triplet under their keys; ``sample`` is the path of its pictures without ``_ori.png``."""
    return {
        "instuction": triplet.instruction,
        "original_img_path": f"{sample}_ori.png",
        "target_img_path": f"{sample}_tar.png",
        "original_caption": triplet.original_caption,
        "target_cation": triplet.target_caption,
        "key_words": list(triplet.keywords),
        "record": {name: getattr(triplet, name) for name in BESIDE},
    }


def _order(path: Path) -> tuple[str, int, str]:
    number = path.parent.name.removeprefix("group_")
    return path.parent.parent.name, int(number) if number.isdecimal() else -1, number


def group_files(source: Path) -> list[Path]:
    """The files of records in the groups of a folder, in order."""
    return sorted(source.glob(f"*/group_*/{TEXTS}"), key=_order)


def records(path: Path, name: str) -> list[tuple[str, Any]]:
    """What a file of records holds, each with its key; in a list, with its number.

    Raises:
        BadItem: it is damaged; ``name`` is what to call it.
    """
    try:
        content = json.loads(read_bytes(path, name))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadItem):
            raise
        raise BadItem("text damaged", f"{name} is not JSON") from error
    if isinstance(content, dict):
        return list(content.items())
    if isinstance(content, list):
        return [(str(number), record) for number, record in enumerate(content, 1)]
    raise BadItem("text damaged", f"{name} holds no records")


def _found(root: Path, beside: Path, where: str, record: Any) -> Found:
    if not isinstance(record, dict):
        raise BadItem("text damaged", f"{where} is no record")
    paths = [record.get("original_img_path"), record.get("target_img_path")]
    if not all(isinstance(path, str) and path for path in paths):
        raise BadItem("text damaged", f"{where} names no original_img_path or target_img_path")
    original, target = (resolve(root, beside, str(path), where) for path in paths)
    return Found(
        where=where,
        values=record_values(record, original.relative_to(root).parts[0]),
        original=read_bytes(original, f"the original of {where}"),
        target=read_bytes(target, f"the target of {where}"),
    )


def record_values(record: Mapping[str, Any], branch: str) -> dict[str, Any]:
    """The fields of ``Triplet`` that a record in the folder ``branch`` gives, not checked."""
    values: dict[str, Any] = {}
    if branch == VIDEO:
        values["branch"] = "video"
    if branch == HUMAN:
        values["recheck"] = "accept"
    for field, keys in (
        ("instruction", ("instuction", "instruction")),
        ("original_caption", ("original_caption",)),
        ("target_caption", ("target_cation", "target_caption")),
        ("keywords", ("key_words", "keywords")),
    ):
        for key in keys:
            if key in record:
                values.setdefault(field, record[key])
    if isinstance(values.get("keywords"), str):
        values["keywords"] = [word.strip() for word in values["keywords"].split(",") if word.strip()]
    beside = record.get("record")
    if isinstance(beside, dict):
        values.update({name: beside[name] for name in BESIDE if name in beside})
    return values


def resolve(root: Path, beside: Path, path: str, where: str) -> Path:
    """The file that ``path`` names inside ``root``.

    Raises:
        BadItem: it leads out of ``root``.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    start = next((index for index, part in enumerate(parts) if part in BRANCHES), None)
    inside = PurePosixPath(*parts[start:])
    if inside.is_absolute() or ".." in inside.parts or "\0" in path:
        raise BadItem("path leads out", f"a path of {where} leads out of the folder")
    file = root / inside
    if start is None and len(inside.parts) == 1:
        file = beside / inside
    if not file.resolve().is_relative_to(root.resolve()):
        raise BadItem("path leads out", f"a path of {where} leads out of the folder")
    return file
