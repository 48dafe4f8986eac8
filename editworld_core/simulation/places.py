"""The procedural places: soft, brightly lit scenes in the manner of 3D illustrations.

Every place is a painter ``(rng, size, split) -> (picture, horizon)``. Colours come from the palettes of the split:
training never shows a palette of the held-out split, and the held-out palettes are never mixed with training's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from editworld_core.simulation.scenery import (
    Colour,
    ball,
    box,
    cloud,
    fill_below,
    fir,
    glow,
    ground,
    leafy_tree,
    mix,
    noise,
    planks,
    rgb,
    ridge_line,
    sky,
)
from editworld_core.simulation.sprites import Picture
from editworld_core.simulation.stage import Split

Palette = tuple[Colour, ...]


def _palettes(train: str, held_out: str) -> dict[str, list[Palette]]:
    return {
        split: [tuple(rgb(code) for code in row.split()) for row in text.split(",")]
        for split, text in (("train", train), ("held_out", held_out))
    }


SKIES = _palettes(  # zenith, low
    "3f8fe0 cfeafc, 5aa9e6 fdf0d5, 2f7fd1 a9dcf5, 7cb7e8 f5e6f0, 4f9bd9 fde2c8, 6fa8dc eef6fb, 93b9d8 e8eef2",
    "1f9fc4 d4f7ee, 7f8fe0 f7d9ea, 86c5c8 fbf6d9",
)
GRASS = _palettes(  # far, near
    "9ccc65 4f9a3a, a5d070 5ba33f, b8d36b 6a9a35, 86c06c 3f8a45, 9fc46a 58852f",
    "7fd08a 2f8f62, c9d860 8aa02a",
)
SAND = _palettes("f0dcb0 e2bf85, f3e2bd dcb67a, ead2a8 cfa76c", "f4d9c6 dfae90, e6dcc0 c4b083")
SEA = _palettes("9fdcea 2f8fbf, 8fd3e0 2477b0, a8e0e6 3a9fc0", "9fe6d4 1f9f94, b4cdf0 4f74c0")
SNOW = _palettes("f4f9ff dce9f7, fbfdff d5e4f5, eef5fb cfdff0", "fdf4f8 e4d5ea, f0fbf8 c9e2de")
WALLS = _palettes(  # wall, lower wall
    "f2e3cf e6d0b4, cfe3ea b4d2de, e9d5dc dbbac6, dfe7cf c5d3ac, f5ddb8 ecc78f, d9d9e6 bfbfd6",
    "c9ead9 a4d6bd, f3c9b6 e3a88d, c4cdf0 a2aee0",
)
WOOD = _palettes("d9ab78 b97f4c, e0b98c c4935e, c1905f 96643a, cfa27a a8744a", "b8785c 8a4a38, e8d2ae d0ae7c")
CITY = _palettes(
    "e8a48a f0c97f a9c7dd d9b3c7 b8cfa5, d98b73 eed9b0 8fb3c9 c7b3d9 f2b880, c9d6df e6b8a2 9fc2b0 f0d7a1 b5a8c9",
    "8fd0c4 f5a3a3 b9a5e8 e8e08f 9fb4f0",
)
ROADS = _palettes("8b909c 6b707d, 999a9f 777980", "8a8098 66607c")
ROCKS = _palettes("a9bcd6 7f94b5, b5b9cf 8a8fae, 9fb6c9 6f8ca6", "c4a9c6 9377a5, a5c6bf 6f9f96")
LEAVES = _palettes("6fae4a 4f8f45, 5f9e50 3f7a44, 8ab54a 6b9a3c", "4fae8a 2f8072, a8b03c 88902a")
DUNES = _palettes("f0c98c dda35c, eebf80 d08f4f, f4d6a0 e0ad68", "f0b09a d27f68, e2d08c bfa24e")
NIGHTS = _palettes("0f1b45 3f5a9c, 141642 5a4f96, 0a2038 2f6288", "2a1046 7f4a94, 06302f 2f7f74")


@dataclass(frozen=True)
class Painter:
    """What every painter needs: its chance, the size in pixels, the split of its palettes, the ground's first row."""

    rng: np.random.Generator
    size: int
    split: Split
    horizon: float

    def pick(self, palettes: dict[str, list[Palette]]) -> Palette:
        """A palette of the split, its colours moved together by a little."""
        options = palettes[self.split]
        shift = self.rng.uniform(-0.025, 0.025, 3)
        chosen = options[int(self.rng.integers(len(options)))]
        return tuple(
            (
                float(np.clip(r + shift[0], 0, 1)),
                float(np.clip(g + shift[1], 0, 1)),
                float(np.clip(b + shift[2], 0, 1)),
            )
            for r, g, b in chosen
        )

    def uniform(self, low: float, high: float) -> float:
        """A number drawn evenly."""
        return float(self.rng.uniform(low, high))

    def sky(self, clouds: int = 3) -> Picture:
        """A picture of sky down to the horizon, with clouds and sometimes a sun."""
        zenith, low = self.pick(SKIES)
        picture = sky(self.size, zenith, low, self.horizon)
        if self.rng.random() < 0.5:
            x, y = self.uniform(0.1, 0.9) * self.size, self.uniform(0.05, 0.25) * self.size
            glow(picture, x, y, 0.45 * self.size, (1, 0.97, 0.85), 0.7)
        for _ in range(int(self.rng.integers(clouds + 1))):
            x, y = self.uniform(0, 1) * self.size, self.uniform(0.08, 0.55) * self.horizon
            cloud(self.rng, picture, x, y, self.uniform(0.15, 0.36) * self.size, mix((1, 1, 1), low, 0.1))
        return picture

    def hills(self, picture: Picture, colours: Palette, layers: int, height: float) -> None:
        """Layers of hills, the farthest first and palest, rising up to ``height`` of the size."""
        haze = (0.86, 0.92, 0.96)
        for layer in range(layers):
            near = (layer + 1) / layers
            row = self.horizon - height * self.size * (1 - near) * 0.8 - 0.02 * self.size
            line = ridge_line(self.rng, self.size, row, height * self.size * 0.35, self.uniform(2, 4))
            top = mix(haze, colours[0], 0.35 + 0.55 * near)
            fill_below(
                picture,
                line,
                mix(top, (1, 1, 0.9), 0.12),
                mix(top, colours[-1], 0.5),
                0.22 * self.size,
                self.horizon + 1,
            )


def _meadow(p: Painter) -> Picture:
    picture = p.sky()
    grass = p.pick(GRASS)
    p.hills(picture, grass, int(p.rng.integers(1, 3)), p.uniform(0.08, 0.18))
    ground(p.rng, picture, p.horizon, grass, grain=0.12, cells=30)
    _flowers(p, picture)
    return picture


def _flowers(p: Painter, picture: Picture) -> None:
    colours = ((1.0, 0.96, 0.9), (1.0, 0.83, 0.3), (0.95, 0.55, 0.65), (0.75, 0.65, 0.95))
    for _ in range(int(p.rng.integers(0, 26))):
        near = p.uniform(0.08, 1)
        y = p.horizon + near * (p.size - p.horizon)
        colour = colours[int(p.rng.integers(len(colours)))]
        ball(picture, p.uniform(0, p.size), y, p.size * (0.003 + 0.007 * near), colour, 0.8)


def _hills(p: Painter) -> Picture:
    picture = p.sky()
    grass = p.pick(GRASS)
    p.hills(picture, grass, 4, p.uniform(0.25, 0.4))
    ground(p.rng, picture, p.horizon, grass, grain=0.1, cells=20)
    leaves = p.pick(LEAVES)
    for _ in range(int(p.rng.integers(0, 7))):
        x, height = p.uniform(0, p.size), p.uniform(0.05, 0.12) * p.size
        leafy_tree(p.rng, picture, x, p.horizon + 0.2 * height, height, leaves[0])
    return picture


def _sea(p: Painter, picture: Picture, top: float, bottom: float) -> None:
    far, near = p.pick(SEA)
    first, last = round(top), round(bottom)
    share = np.linspace(0, 1, last - first, dtype=np.float32)[:, None, None]
    colour = np.asarray(far, np.float32) + share * (
        np.asarray(near, np.float32) - np.asarray(far, np.float32)
    )
    waves = noise(p.rng, last - first, p.size, max(6, (last - first) / 5), 2, stretch=7)
    picture[first:last] = colour * (1 + (0.05 + 0.06 * share) * waves[..., None])


def _beach(p: Painter) -> Picture:
    picture = p.sky()
    shore = p.horizon + 0.02 * p.size
    _sea(p, picture, p.horizon - p.uniform(0.1, 0.18) * p.size, p.horizon + 0.06 * p.size)
    sand = p.pick(SAND)
    beach = picture.copy()
    ground(p.rng, beach, p.horizon - 0.02 * p.size, sand, grain=0.07, cells=40)
    line = ridge_line(p.rng, p.size, shore, 0.02 * p.size, 3)
    below = np.arange(p.size, dtype=np.float32)[:, None] - line[None]
    foam = np.exp(-((below / (0.012 * p.size)) ** 2))[..., None]
    wet = np.clip(1 - below / (0.07 * p.size), 0, 1)[..., None] * 0.22
    alpha = np.clip(below + 0.5, 0, 1)[..., None]
    picture += alpha * (beach * (1 - wet) - picture)
    picture += 0.9 * foam * (1 - picture)
    return picture


def _snowfield(p: Painter) -> Picture:
    picture = p.sky(2)
    snow = p.pick(SNOW)
    p.hills(picture, snow, 2, p.uniform(0.12, 0.25))
    for x in p.rng.uniform(0, p.size, int(p.rng.integers(0, 8))):
        fir(
            picture,
            float(x),
            p.horizon + 2,
            p.uniform(0.1, 0.22) * p.size,
            mix((0.35, 0.55, 0.5), snow[0], 0.3),
        )
    ground(p.rng, picture, p.horizon, snow, grain=0.04, cells=12)
    return picture


def _desert(p: Painter) -> Picture:
    picture = p.sky(1)
    dune = p.pick(DUNES)
    p.hills(picture, dune, 3, p.uniform(0.15, 0.25))
    ground(p.rng, picture, p.horizon, dune, grain=0.08, cells=26, stretch=4)
    return picture


def _street(p: Painter) -> Picture:
    picture = p.sky(2)
    walls, x = p.pick(CITY), -p.uniform(0, 0.1) * p.size
    while x < p.size:
        width, height = p.uniform(0.16, 0.28) * p.size, p.uniform(0.25, 0.5) * p.size
        colour = walls[int(p.rng.integers(len(walls)))]
        _house_front(p, picture, x, width, p.horizon - height, colour)
        x += width
    road = p.pick(ROADS)
    pavement = p.horizon + 0.07 * p.size
    ground(p.rng, picture, p.horizon, (mix(road[0], (1, 1, 1), 0.5), mix(road[0], (1, 1, 1), 0.4)), 0.03)
    ground(p.rng, picture, pavement, road, grain=0.05, cells=60)
    box(picture, 0, pavement - 2, p.size, pavement, mix(road[0], (1, 1, 1), 0.75))
    return picture


def _house_front(p: Painter, picture: Picture, x: float, width: float, top: float, colour: Colour) -> None:
    box(picture, x, top, x + width, p.horizon, colour, 0.2)
    box(picture, x, top, x + width, top + 0.02 * p.size, mix(colour, (1, 1, 1), 0.4))
    glass = mix((0.45, 0.6, 0.75), (0.85, 0.95, 1.0), p.uniform(0, 1))
    columns, step = 3, 0.11 * p.size
    for row in range(int((p.horizon - top - 0.05 * p.size) / step)):
        for column in range(columns):
            left = x + width * (0.12 + 0.3 * column)
            upper = top + 0.05 * p.size + row * step
            box(
                picture,
                left - 1,
                upper - 1,
                left + 0.18 * width + 1,
                upper + 0.6 * step + 1,
                mix(colour, (1, 1, 1), 0.6),
            )
            box(picture, left, upper, left + 0.18 * width, upper + 0.6 * step, glass, -0.3)


def _garden(p: Painter) -> Picture:
    picture = p.sky()
    leaves, grass = p.pick(LEAVES), p.pick(GRASS)
    for x in p.rng.uniform(0, p.size, int(p.rng.integers(1, 4))):
        leafy_tree(p.rng, picture, float(x), p.horizon, p.uniform(0.35, 0.5) * p.size, leaves[0])
    for x in np.arange(0, p.size + 1, 0.06 * p.size):
        radius = p.uniform(0.05, 0.08) * p.size
        ball(picture, float(x), p.horizon - 0.07 * p.size, radius, mix(leaves[1], leaves[0], p.uniform(0, 1)))
    fence = mix((0.98, 0.96, 0.92), p.pick(WOOD)[0], 0.9 if p.rng.random() < 0.4 else 0.0)
    for rail in (0.1, 0.045):
        box(
            picture, 0, p.horizon - (rail + 0.012) * p.size, p.size, p.horizon - (rail - 0.01) * p.size, fence
        )
    for x in np.arange(0, p.size, 0.062 * p.size):
        box(picture, x, p.horizon - 0.14 * p.size, x + 0.03 * p.size, p.horizon, fence, 0.18)
    ground(p.rng, picture, p.horizon, grass, grain=0.12, cells=34)
    _flowers(p, picture)
    return picture


def _wall(p: Painter, bottom: float) -> Picture:
    wall, lower = p.pick(WALLS)
    picture = sky(p.size, mix(wall, lower, 0.25), wall, bottom)
    if p.rng.random() < 0.35:
        stripes = (np.arange(p.size) * 16 // p.size) % 2 == 0
        picture[:, stripes] *= 0.965
    x, y = p.uniform(0.1, 0.9) * p.size, p.uniform(0.1, 0.4) * p.size
    glow(picture, x, y, 0.6 * p.size, mix(wall, (1, 1, 1), 0.7), 0.6)
    return picture


def _room(p: Painter) -> Picture:
    picture = _wall(p, p.horizon)
    white = (0.97, 0.96, 0.94)
    if p.rng.random() < 0.55:
        _room_window(p, picture, p.uniform(0.08, 0.6) * p.size, 0.1 * p.size)
    box(picture, 0, p.horizon - 0.035 * p.size, p.size, p.horizon, white, 0.05)
    planks(p.rng, picture, p.horizon, p.pick(WOOD), width=p.uniform(44, 70) * p.size / 256)
    if p.rng.random() < 0.5:
        colour = p.pick(CITY)[0]
        middle = p.horizon + 0.55 * (p.size - p.horizon)
        for share, tone in ((1.0, mix(colour, (1, 1, 1), 0.5)), (0.88, colour)):
            _disc(picture, 0.5 * p.size, middle, 0.42 * share * p.size, 0.13 * share * p.size, tone)
    return picture


def _disc(picture: Picture, x: float, y: float, across: float, down: float, colour: Colour) -> None:
    """A flat ellipse lying on the floor."""
    size = len(picture)
    rows = ((np.arange(size, dtype=np.float32) - y) / down)[:, None]
    columns = ((np.arange(size, dtype=np.float32) - x) / across)[None]
    alpha = np.clip((1 - np.sqrt(rows**2 + columns**2)) * down + 0.5, 0, 1)[..., None]
    picture += alpha * (np.asarray(colour, np.float32) - picture)


def _room_window(p: Painter, picture: Picture, x: float, y: float) -> None:
    width, height, frame = 0.28 * p.size, 0.32 * p.size, max(2, 0.014 * p.size)
    zenith, low = p.pick(SKIES)
    box(picture, x - frame, y - frame, x + width + frame, y + height + frame, (0.97, 0.96, 0.93), 0.1)
    rows, columns = slice(int(y), int(y + height)), slice(int(x), int(x + width))
    picture[rows, columns] = sky(p.size, zenith, low, height)[: rows.stop - rows.start, columns]
    box(picture, x + width / 2 - frame / 2, y, x + width / 2 + frame / 2, y + height, (0.97, 0.96, 0.93), 0.1)
    box(
        picture, x, y + height / 2 - frame / 2, x + width, y + height / 2 + frame / 2, (0.97, 0.96, 0.93), 0.1
    )


def _table(p: Painter) -> Picture:
    picture = _wall(p, p.horizon)
    for _ in range(4):
        x, y = p.uniform(0, 1) * p.size, p.uniform(0.1, 0.45) * p.size
        glow(picture, x, y, p.uniform(0.12, 0.25) * p.size, p.pick(SKIES)[1], 0.45)
    planks(p.rng, picture, p.horizon, p.pick(WOOD), width=p.uniform(90, 150) * p.size / 256, sideways=True)
    box(picture, 0, p.horizon - 1, p.size, p.horizon + 1, (0.55, 0.4, 0.3))
    return picture


def _kitchen(p: Painter) -> Picture:
    wall, lower = p.pick(WALLS)
    picture = sky(p.size, wall, mix(wall, (1, 1, 1), 0.3), p.horizon)
    tile, offset = p.uniform(0.1, 0.15) * p.size, p.uniform(0, 20)
    rows, columns = (np.arange(p.size, dtype=np.float32)[:, None], np.arange(p.size, dtype=np.float32)[None])
    shift = np.where((rows // (tile / 2)) % 2 == 0, 0, tile / 2) + offset
    grout = np.minimum((columns + shift) % tile, rows % (tile / 2)) < 1.5 * p.size / 256
    picture += np.where(grout, 0.06, 0)[..., None].astype(np.float32)
    tones = p.rng.uniform(-0.02, 0.02, 97).astype(np.float32)
    index = ((columns + shift) // tile + 13 * (rows // (tile / 2))).astype(np.int32) % 97
    picture += tones[index][..., None]
    if p.rng.random() < 0.5:
        box(picture, 0, 0, p.size, 0.16 * p.size, mix(lower, (1, 1, 1), 0.2), 0.2)
        for x in np.arange(0.25, 1, 0.25) * p.size:
            box(picture, x - 1, 0, x + 1, 0.16 * p.size, lower)
    stone = mix(p.pick(ROADS)[0], (1, 1, 1), 0.6) if p.rng.random() < 0.4 else p.pick(WOOD)[0]
    ground(p.rng, picture, p.horizon, (stone, mix(stone, (0, 0, 0), 0.12)), 0.04, cells=90)
    box(picture, 0, p.horizon - 2, p.size, p.horizon, mix(stone, (0, 0, 0), 0.3))
    return picture


def _lake(p: Painter) -> Picture:
    picture = p.sky()
    p.hills(picture, p.pick(ROCKS), 2, p.uniform(0.2, 0.35))
    leaves = p.pick(LEAVES)
    line = ridge_line(p.rng, p.size, p.horizon - 0.03 * p.size, 0.015 * p.size, 4)
    fill_below(picture, line, leaves[0], leaves[1], depth=0.05 * p.size, floor=p.horizon + 1)
    for x in p.rng.uniform(0, p.size, int(p.rng.integers(2, 10))):
        fir(picture, float(x), p.horizon, p.uniform(0.08, 0.16) * p.size, leaves[1])
    top = round(p.horizon)
    mirrored = picture[:top][::-1][: p.size - top]
    _sea(p, picture, p.horizon, p.size)
    depth = len(mirrored)
    fade = np.linspace(0.75, 0.25, depth, dtype=np.float32)[:, None, None]
    picture[top : top + depth] += fade * (mirrored - picture[top : top + depth])
    return picture


def _sky(p: Painter) -> Picture:
    picture = p.sky(6)
    p.hills(picture, p.pick(GRASS), 2, 0.06)
    ground(p.rng, picture, p.horizon, p.pick(GRASS), grain=0.08)
    return picture


def _forest(p: Painter) -> Picture:
    picture = p.sky(0)
    leaves, grass = p.pick(LEAVES), p.pick(GRASS)
    firs = p.rng.random() < 0.5
    depths = mix(leaves[1], (0.1, 0.2, 0.2), 0.5)
    line = ridge_line(p.rng, p.size, p.horizon - 0.16 * p.size, 0.03 * p.size, 6)
    fill_below(picture, line, mix(depths, (0.8, 0.9, 0.85), 0.25), depths, 0.2 * p.size, p.horizon + 1)
    for layer in range(2):
        tone = mix((0.8, 0.9, 0.88), leaves[layer], 0.5 + 0.45 * layer)
        for x in np.arange(0, 1.1, 0.16) * p.size + p.uniform(-20, 0):
            height, base = (
                (0.46 + 0.12 * layer) * p.size * p.uniform(0.85, 1.1),
                p.horizon + 0.03 * layer * p.size,
            )
            if firs:
                fir(picture, x + p.uniform(-8, 8), base, height, tone)
            else:
                leafy_tree(p.rng, picture, x + p.uniform(-8, 8), base, height, tone)
    ground(p.rng, picture, p.horizon, [mix(tone, leaves[1], 0.35) for tone in grass], grain=0.16, cells=30)
    return picture


def _night_sky(p: Painter) -> Picture:
    zenith, low = p.pick(NIGHTS)
    picture = sky(p.size, zenith, low, p.horizon)
    for _ in range(int(p.rng.integers(40, 90))):
        column, row = int(p.uniform(0, p.size)), int(p.horizon * p.uniform(0, 0.95))
        picture[row, column] += p.uniform(0.2, 0.9) * (1 - picture[row, column])
    if p.rng.random() < 0.6:
        x, y, radius = (
            p.uniform(0.1, 0.9) * p.size,
            p.uniform(0.1, 0.3) * p.size,
            p.uniform(0.04, 0.08) * p.size,
        )
        glow(picture, x, y, 5 * radius, (0.9, 0.92, 1.0), 0.5)
        ball(picture, x, y, radius, (1.0, 0.98, 0.88))
    dark = mix(zenith, (0.2, 0.35, 0.3), 0.4)
    p.hills(picture, (mix(dark, low, 0.2), dark), 1, 0.12)
    ground(p.rng, picture, p.horizon, (mix(dark, low, 0.25), dark), grain=0.12)
    return picture


@dataclass(frozen=True)
class Place:
    """``horizon`` is the range, as shares of the height, in which the ground may begin; ``phrase`` completes
    "… in {place}"."""

    paint: Callable[[Painter], Picture]
    horizon: tuple[float, float]
    phrase: str


PLACES = {
    "meadow": Place(_meadow, (0.5, 0.64), "a meadow"),
    "hills": Place(_hills, (0.58, 0.68), "rolling green hills"),
    "beach": Place(_beach, (0.55, 0.64), "a beach scene"),
    "snowfield": Place(_snowfield, (0.52, 0.64), "a snowy field"),
    "desert": Place(_desert, (0.55, 0.66), "a desert"),
    "street": Place(_street, (0.55, 0.62), "a street"),
    "garden": Place(_garden, (0.52, 0.6), "a garden"),
    "room": Place(_room, (0.56, 0.66), "a room"),
    "table": Place(_table, (0.52, 0.62), "a dining table scene"),
    "kitchen": Place(_kitchen, (0.55, 0.64), "a kitchen"),
    "lake": Place(_lake, (0.5, 0.58), "a lake landscape"),
    "sky": Place(_sky, (0.86, 0.92), "the sky"),
    "forest": Place(_forest, (0.6, 0.68), "a forest"),
    "night_sky": Place(_night_sky, (0.7, 0.8), "a starry night"),
}


def paint_place(name: str, rng: np.random.Generator, size: int, split: Split) -> tuple[Picture, float, str]:
    """The place ``name``: its picture, the row where the ground begins, and its phrase."""
    place = PLACES[name]
    painter = Painter(rng, size, split, float(round(size * rng.uniform(*place.horizon))))
    return np.clip(place.paint(painter), 0, 1).astype(np.float32, copy=False), painter.horizon, place.phrase
