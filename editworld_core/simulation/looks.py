"""What light, weather, time and style do to any photograph.

A look is ``(photo, rng, scatter) -> develop``: it studies the photo ``float32 [H, W, 3]`` once, draws its few random
details, and ``develop(t)`` returns a new picture at time t in (0, 1]. Nearly all of a change follows from the photo and
from where a pixel is in the frame, and little from chance, so that a small network can learn it. ``scatter`` says where
small things lie that are many.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation.scatter import PICTURE, Scatter
from editworld_core.simulation.scenery import Colour, Field, noise
from editworld_core.simulation.sprites import Picture

Develop = Callable[[float], Picture]
Look = Callable[[Picture, np.random.Generator, Scatter], Develop]

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(picture: Picture) -> Field:
    """Brightness [H, W] in 0..1 (Rec. 601 luma)."""
    return picture @ _GREY


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur with ``sigma`` in pixels."""
    return cv2.GaussianBlur(field, (0, 0), sigma)


def smoothstep(low: float, high: float, field: Field) -> Field:
    """0 where ``field`` is at most ``low``, 1 from ``high`` on, smooth between."""
    share = np.clip((field - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def blend(first: Picture, second: Picture | Colour, share: Field | float) -> Picture:
    """From ``first`` to ``second`` (a picture or one colour) by ``share`` (a number, or a field [H, W])."""
    other = np.asarray(second, np.float32)
    weight = share[..., None] if isinstance(share, np.ndarray) else np.float32(share)
    return first + weight * (other - first)


def rows_of(picture: Picture) -> Field:
    """The height in the frame of every row, [H, 1]: 0 at the top, 1 at the bottom."""
    return np.linspace(0, 1, len(picture), dtype=np.float32)[:, None]


def columns_of(picture: Picture) -> Field:
    """The place in the frame of every column, [1, W]: 0 at the left, 1 at the right."""
    return np.linspace(0, 1, picture.shape[1], dtype=np.float32)[None]


def fall_off(picture: Picture, x: float, y: float, radius: float) -> Field:
    """Light that falls off from (x, y), all as shares of the size: 1 there, 0 from ``radius`` on, [H, W]."""
    distance = np.hypot(columns_of(picture) - x, rows_of(picture) - y)
    return np.clip(1 - distance / radius, 0, 1) ** 2


def vignette(picture: Picture) -> Field:
    """0 in the middle of the frame, 1 in its corners, [H, W]."""
    away = np.hypot(columns_of(picture) - 0.5, rows_of(picture) - 0.5)
    return smoothstep(0.32, 0.75, away)


def open_sky(photo: Picture) -> Field:
    """How much each pixel looks like open sky, [H, W] in 0..1.

    Sky is bright or blue, neither green nor warm, hangs together with the top of the frame (clouds belong to it)
    without crossing strong edges, and ends by three quarters of the height; where little is left, there is none.
    """
    grey = blur(luminance(photo), 1.0)
    slope = np.hypot(cv2.Scharr(grey, cv2.CV_32F, 0, 1), cv2.Scharr(grey, cv2.CV_32F, 1, 0)) / 16
    blue = photo[..., 2] - 0.5 * (photo[..., 0] + photo[..., 1])
    green = photo[..., 1] - np.maximum(photo[..., 0], photo[..., 2])
    warm = photo[..., 0] - np.maximum(
        photo[..., 1], photo[..., 2] - 0.1
    )  # skin, wood and brick, but no cream sky
    airy = (grey + 1.2 * blue > 0.52) & (green < 0.06) & (warm < 0.09)
    labels = cv2.connectedComponents((airy & (slope < 0.06)).astype(np.uint8), connectivity=4)[1]
    hanging = np.isin(labels, np.setdiff1d(labels[: max(2, len(photo) // 32)], 0))
    side = round(0.05 * len(photo)) | 1
    around = cv2.dilate(hanging.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    hanging = _with_clouds(hanging | (around & airy), (grey > 0.5) & (np.abs(blue) < 0.12))
    likely = blur(hanging.astype(np.float32), 1.2) * (1 - smoothstep(0.55, 0.78, rows_of(photo)))
    return likely * np.float32(np.clip((likely.mean() - 0.05) / 0.08, 0, 1))


def _with_clouds(sky: NDArray[np.bool_], pale: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``sky`` [H, W] and the mostly ``pale`` islands in it that end above six tenths of the height."""
    labels, boxes = cv2.connectedComponentsWithStats((~sky).astype(np.uint8), connectivity=4)[1:3]
    share = np.bincount(labels[pale], minlength=len(boxes)) / np.maximum(boxes[:, cv2.CC_STAT_AREA], 1)
    ends = boxes[:, cv2.CC_STAT_TOP] + boxes[:, cv2.CC_STAT_HEIGHT]
    cloud = (ends < 0.6 * len(sky)) & ((share > 0.6) | (boxes[:, cv2.CC_STAT_AREA] < 12))
    return sky | cloud[labels]


def specks(scatter: Scatter, size: int, count: int, radii: tuple[float, float], soft: float = 0.7) -> Field:
    """``count`` round specks of ``radii`` (smallest, largest; thousandths of the size), [H, W]."""
    field = np.zeros((size, size), np.uint8)
    for x, y, share in scatter(count, PICTURE):
        radius = (radii[0] + (radii[1] - radii[0]) * share**2) * size / 1000
        centre = (int(x * size * 16), int(y * size * 16))
        cv2.circle(field, centre, max(8, int(radius * 16)), int(120 + 135 * share), -1, cv2.LINE_AA, 4)
    return blur(field.astype(np.float32) / np.float32(255), soft * size / 256)


def night(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Moonlight: dark and blue, lamps where the photo has small highlights, a moon and stars in open sky."""
    size = len(photo)
    grey, sky = luminance(photo), open_sky(photo)
    shade = blend(np.repeat(grey[..., None], 3, 2), photo, 0.45) ** np.float32(1.25)
    dark = shade * np.array([0.2, 0.28, 0.5], np.float32) + np.array([0.005, 0.012, 0.05], np.float32)
    heaven = np.array([0.02, 0.035, 0.12], np.float32) + rows_of(photo)[..., None] * np.array(
        [0.05, 0.09, 0.2], np.float32
    )
    dark = blend(dark, heaven + 0.05 * shade, 0.92 * sky)
    dark += (sky * specks(scatter, size, 70, (1.2, 3.4), 0.45) * (1 - rows_of(photo)))[..., None] * 1.2
    moon = smoothstep(0.03, 0.045, 0.085 - np.hypot(columns_of(photo) - 0.8, rows_of(photo) - 0.15))
    dark = blend(dark, (0.97, 0.96, 0.86), sky * moon)
    dark += (0.3 * fall_off(photo, 0.8, 0.15, 0.6) * (0.25 + 0.75 * sky))[..., None] * np.array(
        [0.5, 0.6, 0.9], np.float32
    )
    side = round(0.055 * size) | 1
    small = cv2.morphologyEx(
        grey, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    )
    lamps = smoothstep(0.22, 0.5, small) * smoothstep(0.65, 0.92, grey) * (1 - sky)
    halo = np.clip(0.6 * lamps + 0.7 * blur(lamps, 0.018 * size), 0, 1)
    dark += halo[..., None] * np.array([0.75, 0.5, 0.18], np.float32)
    return lambda t: blend(photo, dark, t)


def snow(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Snow lies on the ground and on what faces up, the air is white, flakes fall, a drift rises in front."""
    size = len(photo)
    grey, sky, rows = luminance(photo), open_sky(photo), rows_of(photo)
    top = np.clip(-6 * cv2.Scharr(blur(grey, 1.6), cv2.CV_32F, 0, 1) / 16, 0, 1)  # brighter above than below
    cover = 0.42 + 0.4 * smoothstep(0.3, 0.9, rows) + 0.45 * blur(top, 0.8)
    cold = blend(np.repeat(grey[..., None], 3, 2), photo, 0.35) * np.array([0.9, 0.97, 1.06], np.float32)
    white = (0.72 + 0.3 * grey)[..., None] * np.array([0.95, 0.98, 1.02], np.float32)
    scene = blend(cold, white, np.clip(cover, 0, 0.93))
    scene = blend(scene, (0.84, 0.88, 0.93), 0.85 * sky)
    crest = 0.9 - 0.05 * np.sin(5.2 * columns_of(photo) + 0.6) - 0.02 * np.sin(11 * columns_of(photo))
    depth = rows - crest
    flakes = specks(scatter, size, 50, (2.5, 9.5))

    def develop(t: float) -> Picture:
        lain = blend(photo, scene, t)
        below = depth - 0.2 * (1 - t)
        shade = np.clip(2.2 * below, 0, 0.3)[..., None] * np.array([0.6, 0.4, 0.22], np.float32)
        lain = blend(lain, np.float32(1) - shade, smoothstep(-0.006, 0.006, below))
        return blend(lain, (1, 1, 1), 0.92 * min(1.0, 2 * t) * flakes)

    return develop


def fog(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Fog hides what is high in the frame, and so far away, more than what is near; drifts of it lie across."""
    size = len(photo)
    drift = noise(rng, size, size, 2, 2, stretch=3)
    thick = 0.92 - 0.42 * smoothstep(0.4, 1.05, rows_of(photo)) + 0.05 * drift
    soft = blur(photo, 1.3 * size / 256)
    air = np.array([0.82, 0.84, 0.86], np.float32) - 0.05 * rows_of(photo)[..., None]
    return lambda t: blend(blend(photo, soft, t), air, np.clip(thick, 0, 0.97) * t**0.8)


def rain(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """A downpour: leaden light, grey sky, wet ground that mirrors what stands above it, streaks of rain."""
    size = len(photo)
    grey, sky = luminance(photo), open_sky(photo)
    dull = blend(np.repeat(grey[..., None], 3, 2), photo, 0.4) * np.array([0.56, 0.62, 0.7], np.float32)
    clouds = (0.5 - 0.13 * (1 - rows_of(photo)) + 0.05 * noise(rng, size, size, 4, 2, stretch=3))[..., None]
    dull = blend(dull, clouds * np.array([0.86, 0.95, 1.06], np.float32), 0.85 * sky)
    line = round(0.66 * size)
    mirror = dull[2 * line - size : line][::-1]
    mirror = cv2.GaussianBlur(mirror, (0, 0), sigmaX=1.2 * size / 256, sigmaY=7 * size / 256)
    wet = smoothstep(0, 0.45, rows_of(photo)[line:] - line / size)
    dull[line:] = blend(dull[line:], mirror * 0.9 + 0.1, 0.75 * np.repeat(wet, size, 1))
    streaks = _streaks(scatter, size)
    return lambda t: blend(blend(photo, dull, t), (0.85, 0.9, 0.97), 0.35 * t * streaks)


def _streaks(scatter: Scatter, size: int) -> Field:
    field = np.zeros((size, size), np.uint8)
    for x, y, share in scatter(90, ((0, 1.2), (-0.1, 1.1))):
        length = (0.04 + 0.07 * share) * size
        end = (int(16 * (x * size - 0.16 * length)), int(16 * (y * size + length)))
        cv2.line(
            field, (int(16 * x * size), int(16 * y * size)), end, int(90 + 150 * share), 1, cv2.LINE_AA, 4
        )
    return field.astype(np.float32) / np.float32(255)


def flood(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Murky water rises over the lower part of the picture and mirrors what is above it; nothing else changes."""
    size = len(photo)
    level = 0.6 * size
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    scale = np.float32(256 / size)

    def develop(t: float) -> Picture:
        surface = size - t * (size - level) + 1.2 / scale * np.sin(columns * 0.07 * scale)
        depth = np.maximum(rows - surface, 0)
        near = depth / max(size - level, 1)
        ripple = (1 + 5 * near) * np.sin(
            depth * scale * (0.9 - 0.55 * near) + 2 * np.sin(columns * 0.03 * scale)
        )
        mirror = cv2.remap(
            photo,
            columns + ripple / scale,
            surface - depth * 0.95,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        water = np.array([0.3, 0.4, 0.38], np.float32) - 0.14 * near[..., None]
        water = blend(water * np.ones_like(photo), mirror, 0.52 - 0.2 * near)
        water += (0.05 * np.clip(ripple / (1 + 5 * near), 0, 1) * smoothstep(0, 0.1, near))[..., None]
        water += 0.35 * np.exp(-((depth * scale / 1.3) ** 2))[..., None]
        return blend(photo, water, np.clip(rows - surface + 0.5, 0, 1))

    return develop


def sunset(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Golden hour: the light turns orange, the sky runs from violet to gold, a low sun glows on the right."""
    grey, sky, rows = luminance(photo), open_sky(photo), rows_of(photo)
    warm = blend(np.repeat(grey[..., None], 3, 2), photo, 0.7) ** np.float32(1.15)
    warm *= np.array([1.08, 0.68, 0.42], np.float32) * (1 - 0.22 * rows[..., None])
    warm += np.array([0.09, 0.02, 0.03], np.float32)
    violet, gold = np.array([0.36, 0.22, 0.48], np.float32), np.array([1.0, 0.62, 0.28], np.float32)
    heaven = violet + smoothstep(0, 0.55, rows)[..., None] * (gold - violet)
    warm = blend(warm, heaven * (0.75 + 0.35 * grey)[..., None], 0.85 * sky)
    sun = fall_off(photo, 0.7, 0.4, 0.75)
    warm += (0.75 * sun)[..., None] * np.array([1.0, 0.58, 0.16], np.float32)
    disc = smoothstep(0.0, 0.008, 0.062 - np.hypot(columns_of(photo) - 0.7, rows - 0.4))
    warm = blend(warm, (1, 0.95, 0.72), disc * sky)
    return lambda t: blend(photo, warm, t)


def autumn(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Green turns to red and gold, the light is mellow, leaves fall and lie on the ground."""
    red, green, blue = (photo[..., channel] for channel in range(3))
    grey = luminance(photo)[..., None]
    leafy = blur(smoothstep(-0.015, 0.035, green - red) * smoothstep(0.02, 0.09, green - blue), 0.8)
    ember = (0.1 + 1.35 * grey) * np.concatenate([1.1 + 0 * grey, 0.34 + 0.5 * grey, 0.1 + 0 * grey], 2)
    mellow = photo * np.array([1.08, 0.88, 0.6], np.float32) + np.array([0.05, 0.02, 0.0], np.float32)
    turned = blend(mellow, ember, 0.92 * leafy)
    leaves = _leaves(scatter, len(photo))

    def develop(t: float) -> Picture:
        shown = np.float32(min(1.0, 1.4 * t)) * leaves
        return blend(photo, turned, t) * (1 - shown[..., 3:]) + shown[..., :3]

    return develop


def _leaves(scatter: Scatter, size: int) -> Picture:
    """Falling leaves, the more and larger the lower, [size, size, 4] with the colours multiplied by the last."""
    layer = np.zeros((size, size, 4), np.uint8)
    for x, y, share in scatter(90, PICTURE):
        if share > 0.75 * (1 - y):
            _leaf(layer, x * size, y * size, (0.028 + 0.014 * y + 0.01 * share) * size, share)
    return layer.astype(np.float32) / np.float32(255)


def _leaf(layer: NDArray[np.uint8], x: float, y: float, length: float, share: float) -> None:
    """One pointed leaf with a vein, drawn into the RGBA ``layer``; ``share`` in 0..1 turns and colours it."""
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    shape = np.stack([np.cos(around), 0.5 * np.sin(around)], 1)
    shape[:, 1] *= 1 - 0.5 * np.abs(shape[:, 0]) ** 3
    turn = np.pi * (0.1 + 0.8 * share)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = shape @ rotation.T * (length / 2) + np.array([x, y])
    gold, red = np.array([242, 173, 36]), np.array([199, 51, 26])
    colour = gold + share * (red - gold)
    outline = np.rint(points * 16).astype(np.int32)
    cv2.fillPoly(layer, [outline], (*colour, 255), cv2.LINE_AA, 4)
    cv2.line(layer, tuple(outline[0]), tuple(outline[8]), (*(0.72 * colour), 255), 1, cv2.LINE_AA, 4)


def underwater(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """The place on the sea floor: red light is gone, distance is blue, shafts and nets of light, bubbles rise."""
    size = len(photo)
    grey, rows, columns = luminance(photo), rows_of(photo), columns_of(photo)
    body = blend(np.repeat(grey[..., None], 3, 2), photo, 0.5) * np.array([0.22, 0.66, 0.74], np.float32)
    deep = np.array([0.08, 0.58, 0.72], np.float32) - smoothstep(0, 1, rows)[..., None] * np.array(
        [0.07, 0.36, 0.3], np.float32
    )
    scene = blend(body, deep, 0.62 - 0.25 * smoothstep(0.4, 1, rows))
    angle = (columns - 0.35) / (rows + 0.35)
    shafts = np.clip(np.sin(9 * angle) + 0.6 * np.sin(23 * angle + 1), 0, 2) * np.clip(1 - 1.15 * rows, 0, 1)
    net = np.abs(noise(rng, size, size, 9, 2, stretch=1.6))
    caustic = np.clip(1 - 5 * net, 0, 1) ** 2 * smoothstep(0.5, 1, rows)
    scene += (0.16 * shafts + 0.14 * caustic)[..., None] * np.array([0.7, 1.0, 0.95], np.float32)
    bubbles = _bubbles(rng, size)
    return lambda t: blend(blend(photo, scene, t), (0.85, 1, 1), 0.75 * t * bubbles)


def _bubbles(rng: np.random.Generator, size: int) -> Field:
    field = np.zeros((size, size), np.uint8)
    for x, y, share in rng.random((14, 3)):
        radius = (0.006 + 0.02 * share**2) * size
        centre = np.array([0.15 + 0.1 * (x - 0.5) + 0.7 * (x > 0.5), y]) * size
        cv2.circle(field, tuple(np.rint(centre * 16).astype(int)), int(16 * radius), 90, -1, cv2.LINE_AA, 4)
        cv2.circle(field, tuple(np.rint(centre * 16).astype(int)), int(16 * radius), 190, 1, cv2.LINE_AA, 4)
        shine = tuple(np.rint((centre - 0.4 * radius) * 16).astype(int))
        cv2.circle(field, shine, int(4 * radius) + 6, 255, -1, cv2.LINE_AA, 4)
    return field.astype(np.float32) / np.float32(255)


def apocalypse(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """The sky burns red over a dark, scorched land; smoke hangs at the top, embers and ash fly."""
    size = len(photo)
    grey, sky, rows = luminance(photo), open_sky(photo), rows_of(photo)
    hard = np.clip(0.5 + 1.25 * (grey - 0.5), 0, 1)[..., None]
    scorched = hard * np.array([0.62, 0.2, 0.1], np.float32) + 0.12 * photo
    scorched += np.array([0.07, 0.01, 0.0], np.float32)
    smoke = 0.5 + 0.22 * noise(rng, size, size, 4, 3, stretch=2)
    crimson = np.array([0.42, 0.03, 0.03], np.float32) + smoothstep(0.1, 0.65, rows)[..., None] * np.array(
        [0.58, 0.36, 0.05], np.float32
    )
    scorched = blend(scorched, crimson * (0.6 + 0.8 * smoke)[..., None], 0.9 * sky)
    fire = np.exp(-(((rows - 0.5) / 0.16) ** 2))
    scorched += (0.22 * fire)[..., None] * np.array([1.0, 0.42, 0.05], np.float32)
    scorched = blend(scorched, (0.1, 0.03, 0.04), np.clip((1 - rows / 0.4) * smoke, 0, 0.7))
    embers, ash = specks(scatter, size, 35, (1.5, 6), 0.5), specks(scatter, size, 20, (2, 6), 0.6)

    def develop(t: float) -> Picture:
        scene = blend(blend(photo, scorched, t), (0.3, 0.27, 0.27), 0.5 * t * ash)
        return blend(scene, (1.0, 0.66, 0.2), t * embers)

    return develop
