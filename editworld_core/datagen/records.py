"""The record format: a data set is a folder that a person can read and a killed run can continue.

    DATASET/
      dataset.json      what it is: format, counts, the settings of the runs that made it, versions
      manifest.jsonl    one triplet a line; a triplet exists as soon as its line does
      shards/3f/3f…_original.png, 3f…_target.png, 3f…_mask.png

Images are written to a temporary name and renamed before their manifest line is appended, and their names
derive from the item's id. So a run that is killed at any moment leaves a readable data set, loses at most the
item in the making, and goes on when it is started again. This withstands a killed process, not a power cut:
nothing is fsynced.
"""

import io
import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any

from PIL import Image

from editworld_core import __version__
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError, EditWorldError

FORMAT = "editworld-dataset"
FORMAT_VERSION = 1
ABOUT = "dataset.json"
MANIFEST = "manifest.jsonl"
LOCK = ".lock"
PART = ".part"  # the ending of a file in the making


def encode_png(image: Image.Image) -> bytes:
    """PNG, made fast: on 256x256 pictures level 1 takes a third of the default's time for 7% more bytes."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def read_triplets(folder: Path) -> Iterator[Triplet]:
    """The triplets of a data set in the order of the manifest, one at a time.

    A last line that a killed run did not finish is left out.

    Raises:
        BadInputError: ``folder`` is not a data set, or a line of its manifest is damaged.
    """
    return _read_manifest(folder, read_about(folder)["counts"]["triplets"])


def _read_manifest(folder: Path, promised: int) -> Iterator[Triplet]:
    manifest = folder / MANIFEST
    if not manifest.exists():
        if promised:
            raise BadInputError(f"{folder} has lost its {MANIFEST}; restore it, or make the data set again.")
        return
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                triplet = Triplet.from_line(line.decode())
            except ValueError as error:
                what = f"Line {number} of {manifest} is damaged ({_reason(error)})"
                raise BadInputError(f"{what}; restore the file or delete the line.") from error
            yield triplet


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def read_about(folder: Path) -> dict[str, Any]:
    """The content of ``dataset.json``.

    Raises:
        BadInputError: ``folder`` is not a data set, or one of a newer format.
    """
    try:
        about = json.loads((folder / ABOUT).read_bytes())
    except FileNotFoundError:
        what = "does not exist" if not folder.exists() else f"is not a data set: it has no {ABOUT}"
        raise BadInputError(f"{folder} {what}; give a folder that training.generate wrote.") from None
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{folder / ABOUT} cannot be read ({type(error).__name__}); restore it, or give another folder."
        ) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise BadInputError(f"{folder / ABOUT} does not describe a data set; give another folder.")
    if about.get("version") != FORMAT_VERSION:
        raise BadInputError(
            f"{folder} has format version {about.get('version')}, not {FORMAT_VERSION}; update this program."
        )
    if not {"counts", "settings"} <= about.keys():
        raise BadInputError(
            f"{folder / ABOUT} lacks its counts or settings; restore it, or give another folder."
        )
    return about


def load_images(folder: Path, triplet: Triplet) -> tuple[Image.Image, Image.Image, Image.Image | None]:
    """The original (RGB), the target (RGB) and the mask (L, 255 where the pair differs; or None).

    Raises:
        BadInputError: a file is missing or unreadable.
    """
    original, target = (
        _load(folder / path, "RGB") for path in (triplet.original_image, triplet.target_image)
    )
    return original, target, _load(folder / triplet.mask, "L") if triplet.mask else None


def _load(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path} is missing or not an image; make the data set again.") from error


class DataSetWriter:
    """Adds triplets to a data set; ``open_data_set`` makes one."""

    def __init__(self, folder: Path, about: dict[str, Any], triplets: Iterator[Triplet]) -> None:
        self.folder = folder
        self.about = about
        self._ids: set[str] = set()
        self._branches: Counter[str] = Counter()
        self._categories: Counter[str] = Counter()
        for triplet in triplets:
            self._count(triplet)
        self._write_about()
        self._manifest = (folder / MANIFEST).open("ab", buffering=0)

    def __contains__(self, item: str) -> bool:
        """Whether the triplet with this id is there already."""
        return item in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, triplet: Triplet, original: bytes, target: bytes, mask: bytes | None = None) -> bool:
        """Write the PNG files and then the line; False, and nothing is written, if its id is there already.

        Raises:
            EditWorldError: the disk is full or not writable. What was added before stays readable.
        """
        if triplet.id in self._ids:
            return False
        with writing(self.folder):
            for path, content in (
                (triplet.original_image, original),
                (triplet.target_image, target),
                (triplet.mask, mask),
            ):
                if path is not None and content is not None:
                    _replace(self.folder / path, content)
            self._append(f"{triplet.to_line()}\n".encode())
        self._count(triplet)
        return True

    def _append(self, line: bytes) -> None:
        end = self._manifest.seek(0, os.SEEK_END)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._manifest.write(rest) :]
        except BaseException:
            self._manifest.truncate(end)
            raise

    def _count(self, triplet: Triplet) -> None:
        self._ids.add(triplet.id)
        self._branches[triplet.branch] += 1
        self._categories[triplet.category.value] += 1

    def counts(self) -> dict[str, Any]:
        """How many triplets there are: in all, by branch and by category."""
        return {
            "triplets": len(self._ids),
            "by_branch": dict(sorted(self._branches.items())),
            "by_category": dict(sorted(self._categories.items())),
        }

    def close(self) -> None:
        """Bring ``dataset.json`` up to date."""
        self._manifest.close()
        with writing(self.folder):
            self._write_about()

    def _write_about(self) -> None:
        about = {**self.about, "counts": self.counts(), "versions": _versions()}
        _replace(self.folder / ABOUT, f"{json.dumps(about, indent=2, ensure_ascii=False)}\n".encode())


@contextmanager
def open_data_set(folder: Path, settings: Mapping[str, Any]) -> Iterator[DataSetWriter]:
    """Create the data set in ``folder``, or open the one that is there to add to it.

    Args:
        folder: new, empty, or a data set.
        settings: what this run was asked for, noted in ``dataset.json`` once, however often it runs.

    Raises:
        BadInputError: the folder holds something else, or its manifest is damaged.
        EditWorldError: another process is adding to it, or it cannot be written.
    """
    _check_place(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        about = read_about(folder) if (folder / ABOUT).exists() else _new_about()
        if settings not in about["settings"]:
            about["settings"].append(dict(settings))
        with writing(folder):
            drop_torn_line(folder / MANIFEST)
            writer = DataSetWriter(folder, about, _read_manifest(folder, about["counts"]["triplets"]))
        try:
            yield writer
        finally:
            writer.close()


def _new_about() -> dict[str, Any]:
    return {"format": FORMAT, "version": FORMAT_VERSION, "counts": {"triplets": 0}, "settings": []}


def _check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than a data set."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the data set.")
    ours = (entry.name == LOCK or entry.name.endswith(PART) for entry in folder.iterdir())
    if not (folder / ABOUT).exists() and not all(ours):
        raise BadInputError(f"{folder} is not a data set and not empty; give a new folder.")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go when the process ends, however it ends."""
    import fcntl

    with writing(folder):
        handle = (folder / LOCK).open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EditWorldError(
                f"Another process is writing to {folder}; wait for it to end, or give another folder."
            ) from None
        yield


def drop_torn_line(manifest: Path) -> None:
    """Cut off what follows the last newline: the line that a killed run was writing."""
    if not manifest.exists():
        return
    content = manifest.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(manifest, whole)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk says into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise EditWorldError(
                f"The disk is full: what {folder} holds is complete; free space and run the command again."
            ) from error
        raise EditWorldError(
            f"{folder} cannot be written ({error.strerror}); give a folder that can."
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file beside or in a data set so that it is there whole or not at all.

    Raises:
        EditWorldError: it cannot be written.
    """
    with writing(path.parent):
        _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    """Write the file so that it is there whole or not at all."""
    part = path.with_name(path.name + PART)
    try:
        try:
            part.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _versions() -> dict[str, str]:
    import cv2
    import numpy as np
    import PIL

    return {
        "editworld": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
    }
