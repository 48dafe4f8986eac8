"""Objects of the simulated world: sprites with alpha, how they are bent, and how they are put into a picture.

A sprite is ``float32 [h, w, 4]`` in 0..1, RGB with *straight* alpha. A picture is ``float32 [H, W, 3]`` in 0..1.
Positions are pixels: ``x`` is the sprite's centre, ``base`` the row on which it stands.
"""

from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

Sprite = NDArray[np.float32]
Picture = NDArray[np.float32]


@lru_cache(maxsize=256)
def _whole_sprite(name: str) -> Sprite:
    data = files("editworld_core").joinpath("assets", "sprites", f"{name}.webp").read_bytes()
    bgra = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    rgba = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA).astype(np.float32) / 255
    rows, columns = np.nonzero(rgba[..., 3] > 0.02)
    return rgba[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def load_sprite(name: str, height: int) -> Sprite:
    """The bundled sprite ``name``, cropped to its visible part and scaled to ``height`` pixels."""
    whole = _whole_sprite(name)
    width = max(1, round(whole.shape[1] * height / whole.shape[0]))
    return resize(whole, width, height)


def _premultiplied(sprite: Sprite) -> Sprite:
    out = sprite.copy()
    out[..., :3] *= out[..., 3:]
    return out


def _straight(sprite: Sprite) -> Sprite:
    out = sprite.copy()
    out[..., :3] /= np.maximum(out[..., 3:], 1e-4)
    return np.clip(out, 0, 1)


def resize(sprite: Sprite, width: int, height: int) -> Sprite:
    """Scale to ``width`` x ``height`` pixels, without fringes from transparent pixels."""
    size = (max(1, width), max(1, height))
    shrinks = size[0] * size[1] < sprite.shape[0] * sprite.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return _straight(cv2.resize(_premultiplied(sprite), size, interpolation=how))


def flip(sprite: Sprite) -> Sprite:
    """Mirror left and right."""
    return np.ascontiguousarray(sprite[:, ::-1])


def rotate(sprite: Sprite, degrees: float) -> Sprite:
    """Turn counter-clockwise about the centre; the result is cropped to what is visible."""
    height, width = sprite.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    out_width, out_height = int(np.ceil(width * cos + height * sin)), int(np.ceil(width * sin + height * cos))
    turn[:, 2] += (out_width - width) / 2, (out_height - height) / 2
    return _straight(
        cv2.warpAffine(_premultiplied(sprite), turn, (out_width, out_height), flags=cv2.INTER_LINEAR)
    )


def tint(sprite: Sprite, colour: tuple[float, float, float], amount: float) -> Sprite:
    """Blend the sprite's colours towards ``colour`` (RGB 0..1) by ``amount``, keeping its shading."""
    out = sprite.copy()
    shade = sprite[..., :3].mean(-1, keepdims=True)
    toned = np.clip(np.asarray(colour, np.float32) * (0.35 + shade), 0, 1)
    out[..., :3] += amount * (toned - out[..., :3])
    return out


def fade(sprite: Sprite, opacity: float) -> Sprite:
    """Multiply the sprite's alpha by ``opacity``."""
    out = sprite.copy()
    out[..., 3] *= opacity
    return out


def crossfade(first: Sprite, second: Sprite, t: float) -> Sprite:
    """Between two sprites standing on the same base and centre: the first at ``t`` = 0, the second at 1."""
    height, width = max(first.shape[0], second.shape[0]), max(first.shape[1], second.shape[1])
    mix = np.zeros((height, width, 4), np.float32)
    for sprite, share in ((first, 1 - t), (second, t)):
        h, w = sprite.shape[:2]
        left = (width - w) // 2
        mix[height - h :, left : left + w] += share * _premultiplied(sprite)
    return _straight(mix)


def paste(picture: Picture, sprite: Sprite, x: float, base: float) -> None:
    """Draw ``sprite`` into ``picture`` in place, centred on column ``x`` and standing on row ``base``.

    What lies outside the picture is cut off.
    """
    height, width = sprite.shape[:2]
    left, top = round(x - width / 2), round(base - height)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
    region = picture[y0:y1, x0:x1]
    region += part[..., 3:] * (part[..., :3] - region)


def shadow(picture: Picture, sprite: Sprite, x: float, base: float, strength: float = 0.45) -> None:
    """Draw the soft contact shadow that ``sprite`` at ``x``, ``base`` throws on its ground, in place."""
    width = sprite.shape[1]
    half_width, half_height = max(3.0, 0.46 * width), max(2.0, 0.09 * width)
    y0, y1 = max(int(base - 2 * half_height), 0), min(int(base + 2 * half_height) + 1, picture.shape[0])
    x0, x1 = max(int(x - 1.5 * half_width), 0), min(int(x + 1.5 * half_width) + 1, picture.shape[1])
    if x1 <= x0 or y1 <= y0:
        return
    rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    distance = ((columns - x) / half_width) ** 2 + ((rows - base) / half_height) ** 2
    picture[y0:y1, x0:x1] *= 1 - strength * np.clip(1 - distance / 1.6, 0, 1)[..., None]


def stand(picture: Picture, sprite: Sprite, x: float, base: float, strength: float = 0.45) -> None:
    """``shadow`` and then ``paste``: an object standing on its ground."""
    shadow(picture, sprite, x, base, strength)
    paste(picture, sprite, x, base)
