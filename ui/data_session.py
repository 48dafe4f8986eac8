"""What one visitor has made in the Sample data tab, in a folder of their own."""

import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from PIL import Image

from editworld_core.datagen.records import ABOUT, LOCK, PART, load_images, read_triplets
from editworld_core.datagen.triplet import Triplet

STRIP = 256  # pixels of a picture's height in the gallery
GAP = 6
SHOWN = 48  # newest pairs in the gallery


@dataclass
class DataSession:
    """One visitor's data sets.

    Attributes:
        made: their folders by name, oldest first.
        stop: set when the visitor wants the run to end.
    """

    made: dict[str, Path] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    # removed when the session is forgotten, and at the latest when the program ends
    _folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="editworld-data-"), repr=False
    )

    @property
    def root(self) -> Path:
        """Where this visitor's files are."""
        return Path(self._folder.name)

    def close(self) -> None:
        """Stop what runs and remove the files."""
        self.stop.set()
        self._folder.cleanup()

    def strip(self, folder: Path, triplet: Triplet) -> Path:
        """A picture of the pair, before on the left, made once."""
        path = self.root / "gallery" / folder.name / f"{triplet.id}.webp"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_strip(*load_images(folder, triplet)[:2]).save(path, quality=90)
        return path


def data_sets(session: DataSession | None) -> dict[str, Path]:
    """The folders of the data sets that this visitor has made, by name."""
    return {} if session is None else dict(session.made)


def draw_strip(before: Image.Image, after: Image.Image) -> Image.Image:
    """Both pictures side by side."""
    width = round(before.width * min(1, STRIP / before.height))
    height = min(STRIP, before.height)
    strip = Image.new("RGB", (2 * width + GAP, height), (250, 248, 244))
    for place, image in enumerate((before, after)):
        strip.paste(image.resize((width, height), Image.Resampling.LANCZOS), (place * (width + GAP), 0))
    return strip


def triplets_in(folder: Path, start: int = 0) -> list[Triplet]:
    """The triplets that are in ``folder`` by now, from the one numbered ``start``."""
    return list(islice(read_triplets(folder), start, None)) if (folder / ABOUT).exists() else []


def pack(folder: Path, file: Path, tell: Callable[[int, int], None]) -> Path:
    """Write what ``folder`` holds into the zip ``file``, in a folder of its name; PNG files are not squeezed again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + PART)
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != LOCK]
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for path in found:
                tell(0, 0)
                archive.write(path, Path(folder.name) / path.relative_to(folder))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file
