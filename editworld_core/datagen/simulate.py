"""The simulation branch: exact triplets from the world simulator, written as a data set."""

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.contact_sheet import data_set_sheet
from editworld_core.datagen.records import encode_png, open_data_set, write_file
from editworld_core.datagen.runner import LocalRunner, Runner
from editworld_core.datagen.triplet import Triplet, image_path, item_id
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.simulation.world import dynamic_names, get_dynamic, simulate

logger = logging.getLogger(__name__)

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
SHEET = "contact-sheet.png"
SCENES_A_SEED = 1_000_000  # runs of different seeds share no scene below so many scenes a dynamic
SMALLEST, LARGEST = 64, 1024


@dataclass(frozen=True)
class GenerateReport:
    """What a run did: ``added`` of the ``asked`` triplets were new; the data set now holds ``total``."""

    folder: str
    asked: int
    added: int
    total: int
    by_category: dict[str, int]
    seconds: float
    contact_sheet: str


@dataclass(frozen=True)
class Scene:
    """The order for one triplet, small enough to be sent to a worker."""

    dynamic: str
    seed: int
    size: int
    photos: tuple[Path, ...]
    photos_digest: str | None

    def recipe(self) -> dict[str, Any]:
        """What the triplet's record says it was made by."""
        return {
            "dynamic": self.dynamic,
            "split": "train",
            "size": self.size,
            "strength": 1.0,
            "photos": self.photos_digest,
        }

    def id(self) -> str:
        """The id of the triplet."""
        return item_id("simulation", self.recipe(), self.seeds(), models())

    def seeds(self) -> dict[str, int]:
        """The triplet's seeds."""
        return {"scene": self.seed}


@dataclass(frozen=True)
class Made:
    """A triplet and its pictures as PNG."""

    triplet: Triplet
    original: bytes
    target: bytes
    mask: bytes


def generate_simulated(
    folder: Path,
    count: int,
    *,
    dynamics: Sequence[str] | None = None,
    seed: int = 0,
    size: int = 256,
    photos: Sequence[Path] = (),
    runner: Runner | None = None,
    progress: Progress | None = None,
) -> GenerateReport:
    """Let ``count`` scenes happen, spread evenly over the categories, and add them to a data set.

    Scenes that are there already are not made again, so the same call goes on where a killed one stopped. The
    result does not depend on ``runner``.

    Args:
        folder: new, empty, or a data set.
        count: triplets; a larger count continues a smaller one.
        dynamics: names to choose from; None takes all.
        seed: at least 0; other seeds give other scenes.
        size: height and width of the images in pixels, 64 to 1024.
        photos: files that may become backdrops.
        runner: who makes them; None is this process.
        progress: called at the start and after each triplet with the number that is there and ``count``.

    Raises:
        BadInputError: the folder, a dynamic or a number cannot be used.
        EditWorldError: the disk is full, another process writes to the folder, or a worker died.
    """
    start = time.perf_counter()
    names = _check(count, dynamics, seed, size)
    digest = _photos_digest(photos) if photos else None
    settings = {
        "branch": "simulation",
        "count": count,
        "dynamics": names,
        "seed": seed,
        "size": size,
        "photos": digest,
    }
    scenes = [Scene(name, scene, size, tuple(photos), digest) for name, scene in plan(count, names, seed)]
    with open_data_set(folder, settings) as writer:
        before = len(writer)
        missing = [scene for scene in scenes if scene.id() not in writer]
        if progress is not None:
            progress(count - len(missing), count)
        with closing((runner or LocalRunner()).map(make, missing)) as items:
            for done, (scene, item) in enumerate(zip(missing, items, strict=True), count - len(missing) + 1):
                _check_version(scene, item)
                writer.add(item.triplet, item.original, item.target, item.mask)
                if progress is not None:
                    progress(done, count)
        counts = writer.counts()
    write_file(folder / SHEET, encode_png(data_set_sheet(folder)))
    return GenerateReport(
        folder=str(folder),
        asked=count,
        added=counts["triplets"] - before,
        total=counts["triplets"],
        by_category=counts["by_category"],
        seconds=round(time.perf_counter() - start, 2),
        contact_sheet=str(folder / SHEET),
    )


def list_photos(folder: Path) -> list[Path]:
    """The photographs in ``folder`` by name; files that are no readable image are left out with a warning.

    Raises:
        BadInputError: it is no folder, or has no photograph.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give one that holds photographs.")
    photos = [
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in PHOTO_ENDINGS and _opens(path)
    ]
    if not photos:
        raise BadInputError(f"{folder} holds no photograph ({', '.join(PHOTO_ENDINGS)}); give another.")
    return photos


def _opens(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, Image.DecompressionBombError):
        logger.warning("%s is not a readable image and is left out.", path)
        return False


def plan(count: int, names: Sequence[str], seed: int) -> Iterator[tuple[str, int]]:
    """The first ``count`` scenes (dynamic, scene seed): categories take turns, and in each its dynamics."""
    groups: dict[Category, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(get_dynamic(name).category, []).append(name)
    turns = [groups[category] for category in Category if category in groups]
    for index in range(count):
        turn, which = divmod(index, len(turns))
        group = turns[which]
        yield group[turn % len(group)], seed * SCENES_A_SEED + turn // len(group)


def _check(count: int, dynamics: Sequence[str] | None, seed: int, size: int) -> list[str]:
    """The names of the dynamics to use; refuses what cannot be done."""
    if count < 1:
        raise BadInputError(f"The number of triplets must be at least 1, not {count}.")
    if seed < 0:
        raise BadInputError(f"The seed must be 0 or more, not {seed}.")
    if not SMALLEST <= size <= LARGEST:
        raise BadInputError(f"The size must lie between {SMALLEST} and {LARGEST} pixels, not be {size}.")
    try:
        return sorted(
            {get_dynamic(name).name for name in (dynamic_names() if dynamics is None else dynamics)}
        )
    except ValueError as error:
        raise BadInputError(str(error)) from error


def _photos_digest(photos: Sequence[Path]) -> str:
    """Names and sizes of the photos in their order, hashed: other photos give other backdrops."""
    listing = "\n".join(f"{photo.name} {photo.stat().st_size}" for photo in photos)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def models() -> dict[str, str]:
    """The simulator's revision: a hash of its source, since other code draws other pictures from a seed."""
    source = hashlib.sha256()
    root = Path(str(files("editworld_core.simulation")))
    for path in sorted(root.rglob("*.py")):
        source.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return {"simulator": source.hexdigest()[:12]}


def make(scene: Scene) -> Made:
    """Let ``scene`` happen."""
    pair = simulate(scene.dynamic, scene.seed, size=scene.size, photos=scene.photos)
    item = scene.id()
    triplet = Triplet(
        id=item,
        branch="simulation",
        category=pair.category,
        instruction=pair.instruction,
        original_caption=pair.caption_before,
        target_caption=pair.caption_after,
        keywords=pair.keywords,
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=image_path(item, "mask"),
        recipe=scene.recipe(),
        seeds=scene.seeds(),
        models=models(),
    )
    before, after, mask = (Image.fromarray(array) for array in (pair.before, pair.after, pair.mask))
    return Made(triplet, encode_png(before), encode_png(after), encode_png(mask))


def _check_version(scene: Scene, made: Made) -> None:
    """Refuse what another machine made with another revision of the simulator."""
    if made.triplet.id != scene.id():
        raise EditWorldError(
            "A worker has another version of the simulator; install the same one on all machines of the cluster."
        )
