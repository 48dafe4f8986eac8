"""Writing a data set in another format: whole or not at all, one picture in memory at a time.

    OUTPUT/.making/    the export while it is made: plan.json, progress.jsonl, the shards
    OUTPUT/            the shards and export.json, moved there at the end, export.json last

So whoever looks into OUTPUT sees nothing, or everything. A killed export goes on after its last whole shard when
the same command runs again; what it makes of another data set, or of one that has changed, is never mixed.
"""

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.item import (
    BadItem,
    Format,
    Item,
    Shard,
    checked_pair,
    read_bytes,
)
from editworld_core.datagen.formats.registry import get_format
from editworld_core.datagen.recheck import read_log
from editworld_core.datagen.records import LOCK, locked, read_triplets, write_file, writing
from editworld_core.datagen.triplet import Triplet
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError

MAKING = ".making"
PLAN, PROGRESS, DONE = "plan.json", "progress.jsonl", "export.json"
SHARD_SIZE = 500  # items; at 512 pixels about half a gigabyte a file


@dataclass(frozen=True)
class ExportReport:
    """What an export holds.

    Attributes:
        folder, format: where and how.
        triplets: how many the data set has.
        exported: how many of them are in the export.
        left_out: why the others are not, with counts.
        fields_lost: which fields the format could not hold, each with the number of triplets that had one.
        shards: files, or groups, of the export.
        pushed: the repository of the hub that it was sent to.
    """

    folder: str
    format: str
    triplets: int
    exported: int
    left_out: Mapping[str, int]
    fields_lost: Mapping[str, int]
    shards: int
    seconds: float
    pushed: str | None = None


def export_data_set(
    folder: Path,
    output: Path,
    format: str,
    *,
    accepted_only: bool = False,
    skip_bad: bool = False,
    shard_size: int = SHARD_SIZE,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the data set in ``folder``, with its reviewers' verdicts, in another format.

    What a reviewer dropped is left out, and so is what has no instruction. The same call again adds nothing; after a
    kill it goes on.

    Args:
        folder: a data set.
        output: new, empty, or an export of the same triplets that was killed.
        format: a name of ``registry.FORMATS``.
        accepted_only: leave out what no reviewer has accepted.
        skip_bad: leave out items with damaged pictures instead of refusing.
        shard_size: items in a file, where the format does not say.
        progress: called at the start and after each item with the number done and the number of all.

    Raises:
        BadInputError: the data set cannot be read, or ``output`` holds something else.
        EditWorldError: the disk is full, or another process exports to ``output``.
    """
    start = time.perf_counter()
    layout = get_format(format)
    if shard_size < 1:
        raise BadInputError(f"The number of items in a shard must be at least 1, not {shard_size}.")
    triplets, left_out = choose(folder, accepted_only)
    if not triplets:
        raise BadInputError(f"{folder} has nothing to export{_why(left_out)}; give another data set.")
    shards = layout.shards(triplets, shard_size)
    plan = {"format": format, "plan": _digest(format, shards)}
    report = _finished(output, plan)
    if report is None:
        with _making(output, plan) as making:
            if not any((place / DONE).exists() for place in (making, output)):
                done = _Job(folder, making, layout, skip_bad, progress, len(triplets)).write(shards)
                report = ExportReport(
                    folder=str(output),
                    format=format,
                    triplets=len(triplets) + sum(left_out.values()),
                    exported=done.exported,
                    left_out=dict(left_out + done.left_out),
                    fields_lost=dict(done.fields_lost),
                    shards=len(shards),
                    seconds=round(time.perf_counter() - start, 2),
                )
                # Not where it lies: the file may be pushed for all to read.
                noted = {**asdict(report), "folder": "."}
                about = {"about": "editworld-export", **plan, "report": noted}
                write_file(making / DONE, f"{json.dumps(about, indent=2)}\n".encode())
            _publish(making, output)
        report = _finished(output, plan)
    assert report is not None
    return report


def choose(folder: Path, accepted_only: bool = False) -> tuple[list[Triplet], Counter[str]]:
    """The triplets to export, as their reviewers left them, and why how many others are not among them."""
    log = read_log(folder)
    chosen: dict[str, Triplet] = {}
    left_out: Counter[str] = Counter()
    for triplet in map(log.effective, read_triplets(folder)):
        if triplet.id in chosen:
            left_out["listed twice"] += 1
        elif triplet.recheck == "drop":
            left_out["dropped by a reviewer"] += 1
        elif accepted_only and triplet.recheck != "accept":
            left_out["not accepted by a reviewer"] += 1
        elif not triplet.instruction.strip():
            left_out["no instruction"] += 1
        else:
            chosen[triplet.id] = triplet
    return list(chosen.values()), left_out


def _why(left_out: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason}: {count}' for reason, count in left_out.items())})" if left_out else ""


def _digest(format: str, shards: Sequence[Shard]) -> str:
    lines = hashlib.sha256(format.encode())
    for shard in shards:
        lines.update(f"\n{shard.name}\n".encode())
        for triplet in shard.triplets:
            lines.update(triplet.to_line().encode())
    return lines.hexdigest()[:16]


@dataclass
class _Tally:
    exported: int
    left_out: Counter[str]
    fields_lost: Counter[str]

    def add(self, entry: Mapping[str, Any]) -> None:
        self.exported += entry["exported"]
        self.left_out.update(entry["left_out"])
        self.fields_lost.update(entry["fields_lost"])


def _tally() -> _Tally:
    return _Tally(0, Counter(), Counter())


class _Job:
    """The making of one export."""

    def __init__(
        self,
        source: Path,
        making: Path,
        layout: Format,
        skip_bad: bool,
        progress: Progress | None,
        total: int,
    ) -> None:
        self.source, self.making, self.layout, self.skip_bad = source, making, layout, skip_bad
        self.progress, self.total, self.done = progress, total, 0

    def write(self, shards: Sequence[Shard]) -> _Tally:
        """Write the shards that are not there yet, and what belongs to all of them."""
        whole = _tally()
        before = _progress_of(self.making)
        self._step(0)
        with writing(self.making), (self.making / PROGRESS).open("a", encoding="utf-8") as log:
            for shard in shards:
                entry = before.get(shard.name)
                if entry is None:
                    entry = self._write(shard)
                    log.write(f"{json.dumps(entry)}\n")
                    log.flush()
                else:
                    self._step(len(shard.triplets))
                whole.add(entry)
            self.layout.finish(self.making, shards)
        return whole

    def _write(self, shard: Shard) -> dict[str, Any]:
        tally = _tally()
        self.layout.write(self.making, shard, self._items(shard, tally))
        return {
            "shard": shard.name,
            "exported": tally.exported,
            "left_out": tally.left_out,
            "fields_lost": tally.fields_lost,
        }

    def _items(self, shard: Shard, tally: _Tally) -> Iterator[Item]:
        for triplet in shard.triplets:
            try:
                item = load_item(self.source, triplet)
            except BadItem as bad:
                if not self.skip_bad:
                    raise BadInputError(
                        f"{str(bad)[:1].upper()}{str(bad)[1:]}; mend it, or leave such items out with --skip-bad."
                    ) from bad
                tally.left_out[bad.kind] += 1
            else:
                tally.exported += 1
                tally.fields_lost.update(lost_fields(triplet, self.layout.holds))
                yield item
            self._step(1)

    def _step(self, more: int) -> None:
        self.done += more
        if self.progress is not None:
            self.progress(self.done, self.total)


def load_item(folder: Path, triplet: Triplet) -> Item:
    """A triplet of the data set in ``folder`` with its pictures.

    Raises:
        BadItem: one of them is missing or damaged.
    """
    original, target, mask = (
        None if path is None else read_bytes(folder / path, str(folder / path))
        for path in (triplet.original_image, triplet.target_image, triplet.mask)
    )
    assert original is not None
    assert target is not None
    return Item(triplet, *checked_pair(original, target, mask, triplet.id))


def lost_fields(triplet: Triplet, holds: frozenset[str]) -> list[str]:
    """The fields of ``triplet`` that say something and are not among those that a format ``holds``."""
    return [
        name
        for name in Triplet.__dataclass_fields__
        if name not in holds and getattr(triplet, name) not in (None, "", (), {})
    ]


def _finished(output: Path, plan: Mapping[str, Any]) -> ExportReport | None:
    """The report of the export in ``output`` if it is there and is this one.

    Raises:
        BadInputError: ``output`` holds something else.
    """
    if not output.exists():
        return None
    if not output.is_dir():
        raise BadInputError(f"{output} is a file; give a folder for the export.")
    making = output / MAKING
    if (output / DONE).exists():
        about = _read_json(output / DONE)
        if about.get("plan") != plan["plan"] or "report" not in about:
            raise BadInputError(f"{output} holds an export of other triplets; give a new folder.")
        return ExportReport(**{**about["report"], "folder": str(output)})
    if (making / PLAN).exists() and _read_json(making / PLAN) != plan:
        raise BadInputError(
            f"{output} holds an unfinished export of other triplets; delete it, or give a new folder."
        )
    if not (making / DONE).exists() and any(entry.name != MAKING for entry in output.iterdir()):
        raise BadInputError(f"{output} is not empty; give a new folder.")
    return None


@contextmanager
def _making(output: Path, plan: Mapping[str, Any]) -> Iterator[Path]:
    making = output / MAKING
    with writing(output):
        making.mkdir(parents=True, exist_ok=True)
    with locked(making):
        _finished(output, plan)  # again, now that nobody else can change it
        if not (making / PLAN).exists():
            write_file(making / PLAN, json.dumps(plan).encode())
        yield making


def _progress_of(making: Path) -> dict[str, dict[str, Any]]:
    """The shards that are whole, by name; a line that a killed run did not finish is cut off."""
    path = making / PROGRESS
    if not path.exists():
        return {}
    lines = path.read_bytes()
    whole = lines[: lines.rfind(b"\n") + 1]
    if whole != lines:
        write_file(path, whole)
    entries = [json.loads(line) for line in whole.splitlines()]
    return {entry["shard"]: entry for entry in entries}


def _publish(making: Path, output: Path) -> None:
    """Move what was made to where it is looked for, the note that it is whole last; goes on after a kill."""
    with writing(output):
        if (making / DONE).exists():
            for entry in sorted(making.iterdir()):
                if entry.name not in (LOCK, PLAN, PROGRESS, DONE):
                    os.replace(entry, output / entry.name)
            os.replace(making / DONE, output / DONE)
        shutil.rmtree(making)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{path} cannot be read; delete it and its folder, or give a new folder."
        ) from error
    return content if isinstance(content, dict) else {}
