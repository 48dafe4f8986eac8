"""Brushes of the procedural places: gradients, noise, ridges, grounds in perspective, and softly lit solids.

A picture is ``float32 [size, size, 3]`` in 0..1 and is painted in place. Lengths are pixels unless said otherwise;
light falls from the upper left.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation.sprites import Picture

Colour = tuple[float, float, float]
Field = NDArray[np.float32]


def rgb(hexadecimal: str) -> Colour:
    """The colour written as "rrggbb", as three numbers in 0..1."""
    red, green, blue = bytes.fromhex(hexadecimal)
    return red / 255, green / 255, blue / 255


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour ``share`` of the way from ``first`` to ``second``."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def noise(
    rng: np.random.Generator, height: int, width: int, cells: float, octaves: int = 2, stretch: float = 1.0
) -> Field:
    """Smooth noise [height, width] of mean 0 and about +-1, with ``cells`` bumps down the height; ``stretch`` makes
    the bumps that many times wider."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(2, round(cells * 2**octave) + 1)
        columns = max(2, round(rows * width / height / stretch))
        grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


def ridge_line(rng: np.random.Generator, size: int, row: float, height: float, bumps: float) -> Field:
    """The rows [size] of a rolling skyline about ``row``, up to ``height`` above and below."""
    return row + height * noise(rng, 2, size, 1, 1, stretch=size / 2 / bumps)[0]


@lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Field, Field]:
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    return rows, columns


def sky(size: int, zenith: Colour, low: Colour, horizon: float) -> Picture:
    """A new picture filled with a vertical gradient from ``zenith`` at the top to ``low`` at row ``horizon``."""
    share = np.clip(np.arange(size, dtype=np.float32) / max(horizon, 1), 0, 1) ** 0.8
    rows = np.asarray(zenith, np.float32) + share[:, None] * (
        np.asarray(low, np.float32) - np.asarray(zenith, np.float32)
    )
    return np.repeat(rows[:, None], size, axis=1)


def fill_below(
    picture: Picture, line: Field, top: Colour, bottom: Colour, depth: float, floor: float
) -> None:
    """Fill from the skyline ``line`` [size] down to row ``floor``, shaded from ``top`` to ``bottom`` over ``depth``
    rows."""
    start, end = max(int(line.min()) - 1, 0), int(np.ceil(floor))
    rows = _grid(len(picture))[0][start:end]
    below = rows - line[None]
    alpha = np.clip(below + 0.5, 0, 1)[..., None]
    shade = np.clip(below / depth, 0, 1)[..., None]
    colour = np.asarray(top, np.float32) + shade * (
        np.asarray(bottom, np.float32) - np.asarray(top, np.float32)
    )
    picture[start:end] += alpha * (colour - picture[start:end])


@lru_cache(maxsize=32)
def floor_coordinates(size: int, horizon: int) -> tuple[Field, Field, Field]:
    """For the rows below ``horizon``: texture columns and rows in pixels of a floor seen in perspective, and the
    nearness in 0..1 (0 at the horizon, 1 at the bottom) as a column."""
    nearness: Field = (np.arange(size - horizon, dtype=np.float32) + 0.5) / np.float32(size - horizon)
    depth: Field = np.float32(1) / (nearness + np.float32(0.16))
    half = np.float32(size / 2)
    across: Field = (np.arange(size, dtype=np.float32) - half)[None] * depth[:, None] + half
    along: Field = np.repeat((np.float32(size * 1.2) * depth)[:, None], size, axis=1)
    return across, along, nearness[:, None]


def ground(
    rng: np.random.Generator,
    picture: Picture,
    horizon: float,
    colours: Sequence[Colour],
    grain: float,
    cells: float = 24,
    stretch: float = 1.0,
) -> None:
    """Paint the floor below row ``horizon`` with a texture of strength ``grain``; the first of the two ``colours`` is
    far away, the second near by."""
    size, top = len(picture), round(horizon)
    across, along, nearness = floor_coordinates(size, top)
    texture = noise(rng, size, size, cells, 3, stretch)
    lumps = cv2.remap(texture, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    far, near = colours
    colour = np.asarray(far, np.float32) + nearness[..., None] ** 0.7 * (
        np.asarray(near, np.float32) - np.asarray(far, np.float32)
    )
    picture[top:] = colour * (1 + grain * (0.3 + 0.7 * nearness) * lumps)[..., None]


def planks(
    rng: np.random.Generator,
    picture: Picture,
    horizon: float,
    colours: Sequence[Colour],
    width: float = 60,
    sideways: bool = False,
) -> None:
    """Paint wood below ``horizon`` whose boards of ``width`` pixels run towards the viewer, or ``sideways``."""
    size, top = len(picture), round(horizon)
    across, along, nearness = floor_coordinates(size, top)
    board = ((along if sideways else across) + 1000 * width) / width
    tone = rng.uniform(-1, 1, 64).astype(np.float32)[board.astype(np.int32) % 64]
    streaks = cv2.remap(
        noise(rng, size, size, 8, 3, stretch=8 if sideways else 0.12),
        across,
        along,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    edge = np.abs(board - np.floor(board) - 0.5) * 2
    gap = np.clip((edge - 1 + 4.5 / width / (nearness + 0.1)) * 8, 0, 1) * (0.14 if sideways else 0.28)
    far, near = colours
    colour = np.asarray(far, np.float32) + nearness[..., None] ** 0.7 * (
        np.asarray(near, np.float32) - np.asarray(far, np.float32)
    )
    picture[top:] = colour * ((1 + 0.05 * tone + 0.05 * streaks) * (1 - gap))[..., None]


def _window(picture: Picture, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice] | None:
    rows = slice(max(int(y0), 0), min(int(np.ceil(y1)), picture.shape[0]))
    columns = slice(max(int(x0), 0), min(int(np.ceil(x1)), picture.shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


@lru_cache(maxsize=1)
def _unit_ball() -> Field:
    """Alpha and light of a ball that fills 160 x 160 pixels, [160, 160, 2]."""
    v, u = (np.mgrid[0:160, 0:160].astype(np.float32) - 79.5) / 79
    square = u * u + v * v
    alpha = np.clip((1 - np.sqrt(square)) * 40, 0, 1)
    return np.dstack([alpha, 0.86 - 0.14 * u - 0.3 * v + 0.12 * np.sqrt(np.clip(1 - square, 0, 1))])


def ball(picture: Picture, x: float, y: float, radius: float, colour: Colour, flat: float = 1.0) -> None:
    """A softly lit ball of height ``flat`` times its width, centred on (x, y)."""
    left, top = round(x - radius), round(y - radius * flat)
    width, height = max(2, round(2 * radius)), max(2, round(2 * radius * flat))
    where = _window(picture, left, top, left + width, top + height)
    if where is None:
        return
    drawn = cv2.resize(_unit_ball(), (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = where
    drawn = drawn[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    part = picture[where]
    part += drawn[..., :1] * (np.minimum(np.asarray(colour, np.float32) * drawn[..., 1:], 1) - part)


def glow(picture: Picture, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
    """Add light of ``colour`` that falls off from (x, y) and is gone at ``radius``."""
    where = _window(picture, x - radius, y - radius, x + radius, y + radius)
    if where is None:
        return
    rows, columns = (axis[where] for axis in _grid(len(picture)))
    fall = np.clip(1 - np.hypot(columns - x, rows - y) / radius, 0, 1) ** 2 * strength
    part = picture[where]
    part += fall[..., None] * (np.asarray(colour, np.float32) - part)


def box(
    picture: Picture, x0: float, y0: float, x1: float, y1: float, colour: Colour, shade: float = 0.12
) -> None:
    """A front face from (x0, y0) to (x1, y1), ``shade`` darker at its lower right than at its upper left."""
    where = _window(picture, round(x0), round(y0), round(x1), round(y1))
    if where is None:
        return
    rows, columns = (axis[where] for axis in _grid(len(picture)))
    fall = 0.4 * (columns - x0) / max(x1 - x0, 1) + 0.6 * (rows - y0) / max(y1 - y0, 1)
    picture[where] = np.asarray(colour, np.float32) * (1 + shade / 2 - shade * fall)[..., None]


def cone(picture: Picture, x: float, base: float, width: float, height: float, colour: Colour) -> None:
    """An upright softly lit cone standing on row ``base``: one tier of a fir."""
    where = _window(picture, x - width / 2 - 1, base - height - 1, x + width / 2 + 2, base + 2)
    if where is None:
        return
    rows, columns = (axis[where] for axis in _grid(len(picture)))
    half = np.clip((rows - base + height) / height, 0, 1) * width / 2 + 0.01
    u = (columns - x) / half
    alpha = np.clip((half - np.abs(columns - x)) + 0.5, 0, 1) * np.clip(base - rows + 0.5, 0, 1)
    light = 0.95 - 0.25 * np.clip(u, -1, 1) - 0.15 * (rows - base + height) / height
    part = picture[where]
    part += alpha[..., None] * (np.asarray(colour, np.float32) * light[..., None] - part)


def cloud(
    rng: np.random.Generator, picture: Picture, x: float, y: float, width: float, colour: Colour
) -> None:
    """A puffy cloud of about ``width`` pixels made of balls, half see-through."""
    top = max(int(y - 0.6 * width), 0)
    strip = picture[top : int(y + 0.4 * width)]
    layer = strip.copy()
    for share in rng.permutation(5):
        away = share / 4 - 0.5
        radius = width * (0.24 - 0.22 * abs(away)) * rng.uniform(0.85, 1.15)
        drop = y - top - 0.3 * radius + rng.uniform(-1, 1)
        ball(layer, x + 0.8 * away * width, drop, radius, colour, 0.8)
    strip += 0.8 * (layer - strip)


def fir(picture: Picture, x: float, base: float, height: float, colour: Colour) -> None:
    """A fir of three tiers."""
    box(picture, x - 0.03 * height, base - 0.12 * height, x + 0.03 * height, base, (0.36, 0.25, 0.18))
    for tier, share in enumerate((0.0, 0.25, 0.48)):
        width = height * (0.46 - 0.1 * tier)
        cone(
            picture,
            x,
            base - height * (0.1 + share),
            width,
            height * 0.45,
            mix(colour, (1, 1, 1), 0.05 * tier),
        )


def leafy_tree(
    rng: np.random.Generator, picture: Picture, x: float, base: float, height: float, colour: Colour
) -> None:
    """A round tree: a trunk under five balls of leaves."""
    box(picture, x - 0.05 * height, base - 0.5 * height, x + 0.05 * height, base, (0.43, 0.3, 0.21), 0.3)
    for dx, dy, radius in (
        (-0.2, 0.52, 0.2),
        (0.2, 0.54, 0.19),
        (0, 0.58, 0.23),
        (-0.1, 0.76, 0.2),
        (0.1, 0.78, 0.19),
    ):
        tone = mix(colour, (1, 1, 0.8), rng.uniform(0, 0.12))
        ball(picture, x + dx * height, base - dy * height, radius * height, tone)
