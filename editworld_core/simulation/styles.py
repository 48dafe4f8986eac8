"""The looks that redraw a photograph: an old print, pixel art, a sketch, a comic, a hologram (see ``looks``)."""

import cv2
import numpy as np

from editworld_core.simulation.looks import (
    Develop,
    blend,
    blur,
    columns_of,
    luminance,
    rows_of,
    smoothstep,
    specks,
    vignette,
)
from editworld_core.simulation.scatter import Scatter
from editworld_core.simulation.scenery import noise
from editworld_core.simulation.sprites import Picture


def century(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """The photo as a print a hundred years old: sepia, faded, dark at the edges, scratched and stained."""
    size = len(photo)
    grey = blur(luminance(photo), 0.9 * size / 256)
    sepia = np.clip(0.2 + 0.68 * grey, 0, 1)[..., None] ** np.array([0.78, 1.0, 1.45], np.float32)
    burnt = vignette(photo) + 0.12 * noise(rng, size, size, 3, 3)
    sepia = blend(sepia, (0.3, 0.2, 0.11), smoothstep(0, 1, burnt) * np.float32(0.72))
    damage = np.zeros((size, size), np.uint8)
    for x, y, length, lean in rng.random((4, 4)):
        start = (int(16 * x * size), int(16 * y * size))
        end = (
            int(start[0] + 16 * (lean - 0.5) * 0.1 * size),
            int(start[1] + 16 * (0.1 + 0.5 * length) * size),
        )
        cv2.line(damage, start, end, 190, 1, cv2.LINE_AA, 4)
    marks = np.maximum(
        damage.astype(np.float32) / np.float32(255), 0.8 * specks(scatter, size, 35, (1.5, 6), 0.4)
    )
    crease = np.exp(-(((columns_of(photo) - 0.62 + 0.08 * rows_of(photo)) * size / 1.1) ** 2))
    marks = np.maximum(marks, 0.75 * crease)
    return lambda t: blend(blend(photo, sepia, t), (0.93, 0.87, 0.74), 0.55 * t * marks)


def pixel_art(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Thirty-two by thirty-two square pixels of few, vivid colours."""
    size = len(photo)

    def develop(t: float) -> Picture:
        cells = 128 if t < 0.34 else 64 if t < 0.67 else 32
        small = cv2.resize(photo, (cells, cells), interpolation=cv2.INTER_AREA)
        grey = luminance(small)[..., None]
        vivid = np.clip(0.5 + 1.25 * (grey + 1.5 * (small - grey) - 0.5), 0, 1)
        few = np.rint(vivid * 5) / 5
        large = cv2.resize(few, (size, size), interpolation=cv2.INTER_NEAREST)
        return blend(photo, large, min(1.0, 0.4 + t))

    return develop


def sketch(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Pencil on paper: brightness divided by its surroundings (the colour-dodge sketch), with soft hatching."""
    size = len(photo)
    grey = luminance(photo)
    lines = np.clip((grey + 0.03) / (blur(grey, 0.022 * size) + 0.03), 0, 1) ** 2.6
    tone = 0.8 + 0.2 * smoothstep(0.05, 0.55, blur(grey, 1.5))
    across = np.add.outer(np.arange(size), np.arange(size)) * 256 // size
    hatch = 1 - 0.13 * (1 - smoothstep(0.1, 0.5, grey)) * (across % 4 < 2)
    graphite = (0.1 + 0.88 * lines * tone * hatch)[..., None]
    paper = np.array([1.0, 0.985, 0.955], np.float32) * (1 + 0.012 * noise(rng, size, size, 60, 2))[..., None]
    drawn = graphite * paper
    return lambda t: blend(photo, drawn, t)


def comic(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """A cartoon: flat vivid colours in few steps of brightness, with dark ink lines."""
    size = len(photo)
    flat = cv2.bilateralFilter(cv2.bilateralFilter(photo, 7, 0.16, 4), 7, 0.16, 4)
    grey = luminance(flat)[..., None]
    steps = 4.5 * np.clip(grey, 0, 1)
    stepped = (np.floor(steps) + smoothstep(0.35, 0.65, steps - np.floor(steps))) / 4.5
    vivid = np.clip(0.12 + 0.88 * stepped + 1.9 * (flat - grey), 0, 1)
    soft = blur(luminance(flat), 1.2 * size / 256)
    ink = smoothstep(0.014, 0.04, blur(soft, 2.6 * size / 256) - soft)
    drawn = blend(vivid, (0.06, 0.04, 0.1), 0.92 * ink)
    return lambda t: blend(photo, drawn, t)


def hologram(photo: Picture, rng: np.random.Generator, scatter: Scatter) -> Develop:
    """Cyan light in the dark: bright contours, scan lines, a violet fringe."""
    size = len(photo)
    grey = luminance(photo)
    slope = np.hypot(cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)) / 16
    edge = smoothstep(0.02, 0.2, slope)
    light = 0.08 + 0.5 * grey + 0.6 * edge
    lines = 1 - 0.28 * (np.arange(size) * 256 // size % 4 < 2)[:, None].astype(np.float32)
    glow = (light * lines)[..., None] * np.array([0.18, 0.9, 1.0], np.float32)
    glow += (0.25 * blur(edge, 0.012 * size))[..., None] * np.array([0.55, 0.15, 1.0], np.float32)
    glow += np.array([0.0, 0.02, 0.08], np.float32)
    return lambda t: blend(photo, glow, t)
