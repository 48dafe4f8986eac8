"""Checkpoints of a run: ``RUN/checkpoints/step-00000500``, each a folder that is there whole or not at all."""

import os
import re
import shutil
from pathlib import Path

FOLDER = "checkpoints"
NAME = re.compile(r"step-(\d{8})")


def steps_of(run: Path) -> list[int]:
    """The steps of which ``run`` has checkpoints, the last one last."""
    folder = run / FOLDER
    names = (NAME.fullmatch(entry.name) for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(found[1]) for found in names if found)


def path_of(run: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` is or will be."""
    return run / FOLDER / f"step-{step:08d}"


def begin(run: Path, step: int) -> Path:
    """An empty folder to write the checkpoint of ``step`` into; what a kill left half-written is removed."""
    final = path_of(run, step)
    final.parent.mkdir(parents=True, exist_ok=True)
    for entry in final.parent.glob(".step-*"):
        shutil.rmtree(entry)
    part = final.with_name(f".{final.name}.part")
    part.mkdir()
    return part


def finish(part: Path) -> Path:
    """Give the checkpoint that was written into ``part`` its name, once the disk has all of it."""
    for path in sorted(part.rglob("*"), reverse=True):
        _sync(path)
    _sync(part)
    final = part.with_name(part.name.removeprefix(".").removesuffix(".part"))
    os.replace(part, final)
    _sync(final.parent)
    return final


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prune(run: Path, keep: int, keep_every: int) -> None:
    """Remove all checkpoints but the last ``keep`` and those of every ``keep_every``-th step (0 for none of these)."""
    for step in steps_of(run)[:-keep]:
        if not keep_every or step % keep_every:
            going = path_of(run, step)
            doomed = going.with_name(f".{going.name}.old")  # so that no half of it looks like a checkpoint
            os.replace(going, doomed)
            shutil.rmtree(doomed)
