"""Filling a folder of precomputed samples: what it must hold, what of that is missing, and making it."""

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from training.data.order import names_a_side
from training.data.parts import NOTHING, FrozenParts
from training.data.pictures import read_bytes, read_mask, read_pixels
from training.data.precomputed import Keys, Precomputed, picture_name, text_names
from training.data.rows import Row, Size
from training.data.store import Shards, ShardWriter

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PictureJob:
    """A picture to encode for the mean and, of a target, the standard deviation of its posterior."""

    path: Path
    size: Size
    flip: bool
    key: str
    parts: tuple[str, ...]

    def names(self) -> list[str]:
        """Of the tensors that it makes."""
        return [picture_name(self.key, part, self.flip) for part in self.parts]


@dataclass(frozen=True)
class Work:
    """What there is to do: pictures to encode; masks to read, by key; texts to embed, by key."""

    pictures: list[PictureJob]
    masks: dict[str, tuple[Path, Size]]
    texts: dict[str, str | None]


def plan(
    dataset: Path, rows: list[Row], about: dict[str, Any], shards: Shards, pool: ThreadPoolExecutor
) -> Precomputed:
    """What the folder of ``shards`` must hold for ``rows``; every file of the data set is read once for its hash."""
    files = sorted(
        {name for row in rows for name in (row.original, row.target, row.mask) if name is not None}
    )
    hashes = dict(zip(files, pool.map(lambda name: _hash(read_bytes(dataset / name)), files), strict=True))
    vae, text = (f"{about[part]} {about['dtype']}" for part in ("vae_revision", "text_revision"))

    def picture(name: str, size: Size) -> str:
        return _hash(f"{vae} {size} {hashes[name]}".encode())

    def keys(row: Row) -> Keys:
        return Keys(
            picture(row.original, row.size),
            picture(row.target, row.size),
            None if row.mask is None else picture(row.mask, row.size),
            _hash(f"{text} {row.instruction}".encode()),
        )

    return Precomputed(shards, about, rows, [keys(row) for row in rows], _hash(text.encode()))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def work_for(planned: Precomputed, dataset: Path, present: Container[str] = ()) -> Work:
    """What makes all that ``planned`` names and that is not ``present``, each thing once."""
    pictures: dict[tuple[str, bool], PictureJob] = {}
    masks: dict[str, tuple[Path, Size]] = {}
    texts: dict[str, str | None] = {planned.nothing: NOTHING}
    for row, keys in zip(planned.rows, planned.keys, strict=True):
        texts[keys.text] = row.instruction
        if row.mask is not None and keys.mask is not None and f"{keys.mask}.mask" not in present:
            masks[keys.mask] = dataset / row.mask, row.size
        for flip in (
            (False, True) if planned.about["flips"] and not names_a_side(row.instruction) else (False,)
        ):
            for name, key, parts in (
                (row.original, keys.original, ("mean",)),
                (row.target, keys.target, ("mean", "std")),
            ):
                job = PictureJob(dataset / name, row.size, flip, key, parts)
                before = pictures.get((key, flip))
                if before is None or len(before.parts) < len(parts):
                    pictures[key, flip] = job
    return Work(
        [job for job in pictures.values() if not _all_in(job.names(), present)],
        masks,
        {
            key: text
            for key, text in texts.items()
            if not _all_in(text_names(key, planned.about["xl"]), present)
        },
    )


def _all_in(names: Iterable[str], present: Container[str]) -> bool:
    return all(name in present for name in names)


def encode(
    work: Work,
    planned: Precomputed,
    load: Callable[[], FrozenParts],
    factor: int,
    *,
    batch: int,
    pool: ThreadPoolExecutor,
    progress: bool,
) -> None:
    """Do the ``work``; what was done when it is stopped is kept.

    Args:
        load: reads the model's parts; called only if they are needed.
        factor: pixels a side of one latent cell.
        batch: pictures, or texts, at once.
        progress: show bars on standard error.
    """
    with ShardWriter(planned.shards) as writer:
        for (key, _), mask in _ahead(
            pool, lambda item: read_mask(*item[1], factor), list(work.masks.items()), 64
        ):
            writer.put({f"{key}.mask": mask})
        if not work.texts and not work.pictures:
            return
        parts = load()
        with _bar(len(work.texts), "text", progress) as bar:
            for some in _cut(list(work.texts.items()), batch):
                for (key, _), words in zip(some, parts.embed([text for _, text in some]), strict=True):
                    names = text_names(key, planned.about["xl"])
                    writer.put(dict(zip(names, words, strict=True)))
                bar.update(len(some))
        with _bar(len(work.pictures), "picture", progress) as bar:
            for jobs, pixels in _ahead(pool, _read, list(_batches(work.pictures, batch)), 2):
                mean, std = parts.moments(pixels)
                for job, *found in zip(jobs, mean, std, strict=True):
                    tensors = dict(zip(("mean", "std"), found, strict=True))
                    writer.put(
                        {name: tensors[part] for name, part in zip(job.names(), job.parts, strict=True)}
                    )
                bar.update(len(jobs))


def _read(jobs: Sequence[PictureJob]) -> torch.Tensor:
    return torch.stack([read_pixels(job.path, job.size, job.flip) for job in jobs])


def _batches(jobs: Sequence[PictureJob], count: int) -> Iterator[Sequence[PictureJob]]:
    """Jobs of one size together."""
    by_size: dict[Size, list[PictureJob]] = {}
    for job in jobs:
        by_size.setdefault(job.size, []).append(job)
    for group in by_size.values():
        yield from _cut(group, count)


def _cut(items: Sequence[Item], count: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + count] for start in range(0, len(items), count))


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with ``function`` of it, which is computed ``depth`` items ahead."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) > depth:
            first, result = waiting.popleft()
            yield first, result.result()
    for first, result in waiting:
        yield first, result.result()


def _bar(total: int, unit: str, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, file=sys.stderr, disable=not shown)
