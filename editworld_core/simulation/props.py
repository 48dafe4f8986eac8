"""Where an object stands, what stands beside it, and what it leaves behind: puddles, glows, slumped shapes.

Lengths that dynamics name are *units*: pixels of a scene 256 high. ``Spot.px`` turns them into pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation.bystanders import put_bystanders
from editworld_core.simulation.sprites import Picture, Sprite, fade, resize
from editworld_core.simulation.stage import Backdrop, Stage

Colour = tuple[float, float, float]

WATER: Colour = (0.62, 0.78, 0.9)

SMALLEST = 0.8  # of the size that a dynamic asks for: subjects stand nearer or farther


@dataclass(frozen=True)
class Spot:
    """A free place in a furnished scene: ``picture`` is never written to, ``x`` and ``base`` are pixels."""

    picture: Picture
    place: str
    x: float
    base: float
    unit: float

    def empty(self) -> Picture:
        """A fresh copy [H, W, 3] of the scene to draw into."""
        return self.picture.copy()

    def px(self, units: float) -> int:
        """``units`` in whole pixels."""
        return round(units * self.unit)


def find_spot(
    stage: Stage, *places: str, left: float, right: float, height: float, subject: str = ""
) -> Spot:
    """A spot whose surroundings of ``left``, ``right`` and ``height`` units lie inside the picture.

    Bystanders other than the ``subject`` may stand outside these surroundings.
    """
    anywhere = stage.chance(0, 1) < 0.35
    backdrop = stage.backdrop() if anywhere else stage.backdrop(*places)
    x, unit = find_columns(stage, left, right)
    lowest = 246 / 256 * stage.size
    margin = 4 / 256 * stage.size
    highest = min(
        max(backdrop.horizon + 4.5 * margin, height * unit + margin, 0.62 * stage.size), lowest - margin
    )
    picture = furnished(stage, backdrop, subject)
    return Spot(picture, backdrop.place, x, stage.chance(highest, lowest), unit)


def find_columns(stage: Stage, left: float, right: float) -> tuple[float, float]:
    """Where the subject stands, and the unit it is measured in, both in pixels.

    Its surroundings of ``left`` and ``right`` units lie inside the picture, or the stage's half of it.
    """
    unit = stage.size / 256
    first, last = 4 * unit, stage.size - 4 * unit
    if stage.half is None:
        unit *= stage.chance(SMALLEST, 1)
    else:
        first, last = (first, stage.size / 2) if stage.half.side == "left" else (stage.size / 2, last)
        unit *= min(1.0, (last - first) / ((left + right) * unit)) * stage.half.scale
    lowest = first + left * unit
    x = stage.chance(lowest, max(lowest, last - right * unit))
    stage.notes.columns = (x - left * unit, x + right * unit)
    return x, unit


def furnished(stage: Stage, backdrop: Backdrop, subject: str) -> Picture:
    """The scene around the subject, [H, W, 3]: the ``backdrop`` and the bystanders.

    Of two subjects of a kind the second brings the bystanders, since it knows where the first stands.
    """
    picture = backdrop.picture.copy()
    if stage.half is None:
        put_bystanders(stage, picture, backdrop.horizon, [stage.notes.columns], subject)
    elif stage.half.scenery is not None:
        taken = [stage.half.taken, stage.notes.columns]
        put_bystanders(stage, picture, backdrop.horizon, taken, subject)
    return picture


def _disc(
    picture: Picture, x: float, y: float, half_width: float, half_height: float
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32]]:
    """The window of ``picture`` around an ellipse, and there its x and y in radii [h, w]."""
    y0, y1 = max(int(y - half_height), 0), min(int(y + half_height) + 2, picture.shape[0])
    x0, x1 = max(int(x - half_width), 0), min(int(x + half_width) + 2, picture.shape[1])
    rows, columns = np.mgrid[y0 : max(y1, y0), x0 : max(x1, x0)].astype(np.float32)
    return (
        (slice(y0, max(y1, y0)), slice(x0, max(x1, x0))),
        (columns - x) / half_width,
        (rows - y) / half_height,
    )


def puddle(
    picture: Picture,
    x: float,
    y: float,
    half_width: float,
    colour: Colour = WATER,
    opacity: float = 0.6,
    flatness: float = 0.26,
) -> None:
    """Pour a puddle centred on ``x``, ``y`` (pixels), in place.

    Its outline is wavy, it mirrors what stands above its far shore, and its rim catches the light. ``flatness`` is
    its height over its width; ``opacity`` lies in 0..1.
    """
    if half_width < 1.5:
        return
    half_height = flatness * half_width
    window, across, down = _disc(picture, x, y, 1.15 * half_width, 1.15 * half_height)
    across, down = 1.15 * across, 1.15 * down
    angle = np.arctan2(down, across)
    outline = 0.95 + 0.06 * np.sin(3 * angle + 1) + 0.04 * np.sin(5 * angle + 2)
    inside = np.clip((outline - np.hypot(across, down)) * half_height / 1.5, 0, 1)[..., None]
    rows, columns = window
    shore = y - 0.5 * half_height
    source = np.clip(2 * shore - np.arange(rows.start, rows.stop), 0, picture.shape[0] - 1).astype(int)
    mirrored = picture[source, columns].mean(1, keepdims=True)
    surface = (0.8 * np.asarray(colour, np.float32) + 0.2 * mirrored) * (0.92 + 0.08 * down[..., None])
    rim = np.clip(1 - np.abs(outline - 0.12 - np.hypot(across, down)) / 0.07, 0, 1) * (down < 0)
    surface = np.clip(surface + 0.25 * rim[..., None], 0, 1)
    region = picture[window]
    region += opacity * inside * (surface - region)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` of the way from the first colour to the second."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def main_colour(sprite: Sprite) -> Colour:
    """The median colour (RGB) of the opaque part of ``sprite``."""
    red, green, blue = np.median(sprite[sprite[..., 3] > 0.9][:, :3], axis=0).tolist()
    return red, green, blue


def glow(picture: Picture, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
    """Add a soft round light of ``radius`` pixels around ``x``, ``y``, in place."""
    if radius < 1:
        return
    window, across, down = _disc(picture, x, y, radius, radius)
    light = strength * np.clip(1 - across**2 - down**2, 0, 1)[..., None] ** 2
    region = picture[window]
    region += light * np.asarray(colour, np.float32) * (1.15 - region)


def slump(sprite: Sprite, t: float, height: float, spread: float) -> Sprite:
    """What melting makes of a sprite.

    It sinks to ``height`` of its height, and its foot spreads to ``spread`` of its width; both shares of the
    original are reached at ``t`` = 1.
    """
    if t <= 0:
        return sprite
    old_height, old_width = sprite.shape[:2]
    new_height = max(2, round(old_height * (1 + t * (height - 1))))
    new_width = max(2, round(old_width * max(1.0, 1 + t * (spread - 1))))
    level = ((np.arange(new_height, dtype=np.float32) + 0.5) / new_height)[:, None]
    widths = old_width * (1 + t * (spread - 1) * (0.25 + 0.75 * level**1.5))
    columns = np.arange(new_width, dtype=np.float32)[None] + 0.5 - new_width / 2
    source_x = columns * old_width / widths + old_width / 2 - 0.5
    source_y = np.broadcast_to(level * old_height - 0.5, source_x.shape)
    premultiplied = np.dstack([sprite[..., :3] * sprite[..., 3:], sprite[..., 3]])
    bent = cv2.remap(
        premultiplied,
        source_x.astype(np.float32),
        source_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderValue=(0, 0, 0, 0),
    ).astype(np.float32)
    bent[..., :3] /= np.maximum(bent[..., 3:], 1e-4)
    return np.clip(bent, 0, 1)


def scaled(sprite: Sprite, share: float) -> Sprite:
    """The sprite at ``share`` of its size, at least two pixels wide and high."""
    return resize(sprite, max(2, round(sprite.shape[1] * share)), max(2, round(sprite.shape[0] * share)))


def _over(top: Sprite, bottom: Sprite) -> Sprite:
    """``top`` composited over ``bottom``, both on the same base and centre."""
    height, width = max(top.shape[0], bottom.shape[0]), max(top.shape[1], bottom.shape[1])
    mix = np.zeros((height, width, 4), np.float32)
    for sprite in (bottom, top):
        h, w = sprite.shape[:2]
        left = (width - w) // 2
        region = mix[height - h :, left : left + w]
        region *= 1 - sprite[..., 3:]
        region += np.dstack([sprite[..., :3] * sprite[..., 3:], sprite[..., 3]])
    mix[..., :3] /= np.maximum(mix[..., 3:], 1e-4)
    return np.clip(mix, 0, 1)


def morph(first: Sprite, second: Sprite, t: float) -> Sprite:
    """Like ``crossfade``, but solid in between: the second appears over the first, then the first goes."""
    if t <= 0 or t >= 1:
        return second if t >= 1 else first
    return _over(fade(second, min(1.0, 2 * t)), fade(first, min(1.0, 2 - 2 * t)))


def torn(sprite: Sprite, tooth: float = 0.09) -> tuple[Sprite, Sprite]:
    """The upper and the lower half of ``sprite``, torn along a zigzag; ``tooth`` is a share of its height."""
    height, width = sprite.shape[:2]
    teeth = np.abs((np.arange(width) * 5 / width) % 1 - 0.5) * 2
    line = height * (0.5 + tooth * (teeth - 0.5))
    above = np.clip(line[None] - np.arange(height)[:, None], 0, 1)[..., None].astype(np.float32)
    upper, lower = sprite.copy(), sprite.copy()
    upper[..., 3:] *= above
    lower[..., 3:] *= 1 - above
    return upper[: round(0.56 * height)], lower[round(0.44 * height) :]


def smooth(t: float, start: float = 0.0, end: float = 1.0) -> float:
    """A smooth step from 0 at ``start`` to 1 at ``end``."""
    share = min(max((t - start) / (end - start), 0.0), 1.0)
    return share * share * (3 - 2 * share)


def glass(height: int, colour: Colour, level: float) -> Sprite:
    """A drinking glass ``height`` pixels high, filled to ``level`` in 0..1 with a drink of ``colour``."""
    fine = 2 * max(height, 12)
    width = round(0.66 * fine)
    out = np.zeros((fine, width, 4), np.float32)
    rim, foot, lip = width / 2 - 4, width * 0.36, 0.055 * fine
    top, bottom = 4 + lip, fine - 4 - 0.6 * lip

    def half(y: float) -> float:
        return foot + (rim - foot) * (bottom - y) / (bottom - top)

    def body(y0: float, y1: float, inset: float) -> NDArray[np.uint8]:
        layer = np.zeros((fine, width), np.uint8)
        a, b = half(y0) - inset, half(y1) - inset
        corners = [(width / 2 - a, y0), (width / 2 + a, y0), (width / 2 + b, y1), (width / 2 - b, y1)]
        cv2.fillConvexPoly(layer, np.rint(corners).astype(np.int32), 255)
        for y, wide in ((y0, a), (y1, b)):
            cv2.ellipse(
                layer, (width // 2, round(y)), (max(0, round(wide)), round(lip * 0.7)), 0, 0, 360, 255, -1
            )
        return layer

    def lay(layer: NDArray[np.uint8], paint: Colour, alpha: float) -> None:
        share = layer[..., None].astype(np.float32) / 255 * alpha
        total = share + out[..., 3:] * (1 - share)
        mixed = share * np.asarray(paint, np.float32) + out[..., :3] * out[..., 3:] * (1 - share)
        out[..., :3] = mixed / np.maximum(total, 1e-4)
        out[..., 3:] = total

    lay(body(top, bottom, 0), (0.86, 0.94, 0.98), 0.46)
    if level > 0.02:
        surface = bottom - 0.05 * fine - level * (0.86 * fine - lip)
        lay(body(surface, bottom - 0.05 * fine, 0.035 * fine), colour, 0.97)
        skin = np.zeros((fine, width), np.uint8)
        axes = (max(0, round(half(surface) - 0.035 * fine)), round(lip * 0.7))
        cv2.ellipse(skin, (width // 2, round(surface)), axes, 0, 0, 360, 255, -1)
        lay(skin, blend(colour, (1.0, 1.0, 1.0), 0.25), 1.0)
    edge = np.zeros((fine, width), np.uint8)
    thick = max(2, round(0.022 * fine))
    for side in (-1, 1):
        start, stop = (width / 2 + side * half(top), top), (width / 2 + side * half(bottom), bottom)
        cv2.line(edge, tuple(map(round, start)), tuple(map(round, stop)), 255, thick, cv2.LINE_AA)
    cv2.ellipse(
        edge, (width // 2, round(top)), (round(rim), round(lip * 0.7)), 0, 0, 360, 255, thick, cv2.LINE_AA
    )
    cv2.ellipse(
        edge, (width // 2, round(bottom)), (round(foot), round(lip * 0.7)), 0, 0, 180, 255, thick, cv2.LINE_AA
    )
    lay(edge, (0.66, 0.8, 0.9), 0.95)
    shine = np.zeros((fine, width), np.uint8)
    x = round(width / 2 - 0.62 * foot)
    cv2.line(
        shine,
        (x - round(0.04 * fine), round(top + 0.12 * fine)),
        (x, round(bottom - 0.15 * fine)),
        255,
        2 * thick,
    )
    lay(shine, (1, 1, 1), 0.5)
    return resize(out, round(width * height / fine), height)


DRINKS: dict[str, Colour] = {
    "milk": (0.97, 0.96, 0.92),
    "orange juice": (1.0, 0.62, 0.08),
    "tomato juice": (0.83, 0.15, 0.1),
    "grape juice": (0.42, 0.12, 0.5),
    "cola": (0.22, 0.1, 0.06),
}
