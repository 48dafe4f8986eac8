"""Backdrops of the simulated world: procedural places, and photographs where there are some.

The splits share no look: training paints with the training palettes of ``places`` and crops the photos that the
stage was given; the held-out split paints with palettes of its own (other hues: turquoise skies, violet dusk, mint
walls) and crops the colour photos that the scikit-image wheel carries, which training never sees.
"""

from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation import places as painted
from editworld_core.simulation.sprites import Picture, flip, load_sprite, stand
from editworld_core.simulation.stage import Backdrop, Stage

PLACES = tuple(painted.PLACES)
OUTDOORS = ("meadow", "hills", "beach", "snowfield", "desert", "street", "garden", "lake", "forest")
GROUNDED = tuple(
    name for name in PLACES if name not in ("sky", "night_sky")
)  # places any object may stand in
HELD_OUT_PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)


@lru_cache(maxsize=128)  # 128 photos of 427x320 are 52 MB
def _decode(path: Path) -> NDArray[np.uint8]:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError(f"The photo {path.name} cannot be read.")
    small = 512 / max(bgr.shape[:2])
    if small < 1:
        bgr = cv2.resize(bgr, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=1)
def _held_out_photos() -> tuple[Path, ...]:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent / "data"
    return tuple(folder / name for name in HELD_OUT_PHOTOS if (folder / name).is_file())


@lru_cache(maxsize=1)
def _furniture() -> tuple[str, ...]:
    folder = files("editworld_core").joinpath("assets", "sprites")
    if not folder.is_dir():
        return ()
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".webp")))


def _photos(stage: Stage) -> tuple[Path, ...]:
    return tuple(stage.photos) if stage.split == "train" else _held_out_photos()


def _frozen(picture: Picture) -> Picture:
    picture.setflags(write=False)
    return picture


def _photo_backdrop(stage: Stage) -> Backdrop:
    """A random square crop, 60% to 100% of the shorter side, half of them mirrored."""
    photo = _decode(stage.choose(_photos(stage)))
    height, width = photo.shape[:2]
    side = int(min(height, width) * stage.chance(0.6, 1.0))
    top, left = (int(stage.rng.integers(extent - side + 1)) for extent in (height, width))
    crop = photo[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > stage.size else cv2.INTER_LINEAR
    crop = cv2.resize(crop, (stage.size, stage.size), interpolation=how)
    if stage.rng.random() < 0.5:
        crop = crop[:, ::-1]
    picture = np.ascontiguousarray(crop, np.float32) / np.float32(255)
    return Backdrop(_frozen(picture), float(round(0.6 * stage.size)), "a photograph")


def _painted_backdrop(stage: Stage, name: str) -> Backdrop:
    picture, horizon, phrase = painted.paint_place(name, stage.rng, stage.size, stage.split)
    return Backdrop(_frozen(picture), horizon, phrase)


def make_backdrop(stage: Stage, places: tuple[str, ...]) -> Backdrop:
    """One of the procedural ``places``; if none is named, a photo crop in 40% of cases where there are photos, else
    any place that has a ground.

    Raises:
        ValueError: a name is not in ``PLACES``.
    """
    if unknown := set(places) - set(PLACES):
        raise ValueError(f"There is no place named {sorted(unknown)[0]!r}; choose from {', '.join(PLACES)}.")
    if not places and _photos(stage) and stage.rng.random() < 0.4:
        return _photo_backdrop(stage)
    return _painted_backdrop(stage, stage.choose(places or GROUNDED))


def make_photograph(stage: Stage) -> Backdrop:
    """A picture for a photo dynamic: a photo crop in 80% of cases where there are photos, else a procedural
    outdoor place with up to four things in it."""
    if _photos(stage) and stage.rng.random() < 0.8:
        return _photo_backdrop(stage)
    place = _painted_backdrop(stage, stage.choose(OUTDOORS))
    return Backdrop(_frozen(_furnished(stage, place)), place.horizon, place.place)


def _furnished(stage: Stage, place: Backdrop) -> Picture:
    picture, names = place.picture.copy(), _furniture()
    count = int(stage.rng.integers(1, 5)) if names else 0
    for base in sorted(stage.chance(0.15, 0.9) for _ in range(count)):
        row = place.horizon + base * (stage.size - place.horizon)
        sprite = load_sprite(
            stage.choose(names), round(stage.size * (0.16 + 0.3 * base) * stage.chance(0.8, 1.2))
        )
        if stage.rng.random() < 0.5:
            sprite = flip(sprite)
        stand(picture, sprite, stage.chance(0.1, 0.9) * stage.size, row)
    return picture
