"""Pictures of heat, masks and segments, figures of them, and animations."""

import io
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from editworld_core.datagen.contact_sheet import wrap
from editworld_core.laboratory.study import Study, View
from editworld_core.masks import Map, Mask, normalise
from editworld_core.segmentation import Segment

LONGEST = 1024  # pixels; enough for a panel, and quick to draw for any upload
AMBER = np.asarray([1.0, 0.80, 0.30], np.float32)
EMBER = np.asarray([0.92, 0.25, 0.10], np.float32)
DARK, WHITE = (20, 26, 32), (255, 255, 255)
COLOURS = (  # of proposed segments, told apart by people who see few colours too
    (86, 180, 233),
    (230, 159, 0),
    (204, 121, 167),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
PANEL, GAP, LINE, COLUMNS = 256, 12, 19, 4  # pixels, and panels in a row
PAPER, INK = (255, 255, 255), (25, 25, 30)
FRAME = 600  # milliseconds
FRAME_SIDE = 512  # pixels


def heat_overlay(
    picture: Image.Image, heat: Map, mask: Mask | None = None, longest: int = LONGEST
) -> Image.Image:
    """``picture``, paled, with ``heat`` [H, W] in 0..1 from amber to red, and ``mask`` [H, W] outlined in white.

    Args:
        longest: a larger picture is drawn with this longer side.
    """
    small = _at_most(picture, longest)
    warm = np.clip(cv2.resize(heat, small.size, interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
    paled = _paled(small)
    colour = AMBER + warm * (EMBER - AMBER)
    drawn = _bytes(paled + 0.78 * warm**0.8 * (colour - paled))
    if mask is not None:
        _outline(drawn, mask, WHITE)
    return Image.fromarray(drawn)


def segments_overlay(
    picture: Image.Image, proposed: Sequence[Segment], chosen: Mask, longest: int = LONGEST
) -> Image.Image:
    """``picture``, paled, with the outlines of the ``proposed`` segments in colours; the ``chosen`` one [H, W] keeps
    the picture's own colours and is outlined in white."""
    small = _at_most(picture, longest)
    if max(small.size) < longest // 2:  # outlines need pixels
        scale = longest / 2 / max(small.size)
        small = small.resize(
            (round(small.width * scale), round(small.height * scale)), Image.Resampling.LANCZOS
        )
    inside = cv2.resize(chosen.astype(np.uint8), small.size, interpolation=cv2.INTER_NEAREST) > 0
    drawn = _bytes(np.where(inside[..., None], np.asarray(small, np.float32) / 255, _paled(small)))
    for index, segment in enumerate(proposed):
        _outline(drawn, segment.mask, COLOURS[index % len(COLOURS)])
    _outline(drawn, chosen, WHITE)
    return Image.fromarray(drawn)


def map_picture(map: Map, longest: int = LONGEST) -> Image.Image:
    """``map`` [H, W], scaled to its maximum, from black over red and amber to white, as thermal cameras show it."""
    small = _at_most(Image.fromarray(np.rint(normalise(map) * 255).astype(np.uint8)), longest)
    return Image.fromarray(
        cv2.cvtColor(cv2.applyColorMap(np.asarray(small), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    )


def mask_picture(mask: Mask) -> Image.Image:
    """``mask`` [H, W] as a grey picture of that size: 255 inside, 0 outside."""
    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))


def frames(study: Study, view: View, longest: int = FRAME_SIDE) -> list[Image.Image]:
    """One picture a recorded step of the layers of ``view``: heat and mask of that step alone, its number below."""
    steps, last = study.steps(view), study.result.settings.steps
    return [
        captioned(_seen_at(study, view, step, longest), f"Step {step} of {last}: {words_of(study, view)}")
        for step in steps
    ]


def words_of(study: Study, view: View) -> str:
    """The words of ``view`` in one line: "sun + snowman"."""
    return " + ".join(study.checked(view).words)


def gif(pictures: Sequence[Image.Image]) -> bytes:
    """An animation that goes round for ever, as a GIF file."""
    buffer = io.BytesIO()
    first, *others = pictures
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=FRAME, loop=0)
    return buffer.getvalue()


def figure(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """``panels``, each a text and a picture, side by side, on white; pictures with a longer side of 256 pixels."""
    drawn = [captioned(_at_most(picture, PANEL), text) for text, picture in panels]
    columns = min(COLUMNS, len(drawn))
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    width = max(panel.width for panel in drawn) + GAP
    heights = [max(panel.height for panel in row) + GAP for row in rows]
    sheet = Image.new("RGB", (columns * width + GAP, sum(heights) + GAP), PAPER)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (GAP + column * width, top))
        top += height
    return sheet


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """``picture`` with ``text`` below it, on white."""
    font = ImageFont.load_default(14)
    width = max(picture.width, 120)  # a narrow picture still has words
    lines = wrap(text, width, font)
    whole = Image.new("RGB", (width, picture.height + 6 + LINE * len(lines)), PAPER)
    whole.paste(picture.convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((0, picture.height + 3 + LINE * number), line, INK, font)
    return whole


def _seen_at(study: Study, view: View, step: int, longest: int) -> Image.Image:
    at, small = replace(view, steps=(step,)), _at_most(study.result.original, longest)
    size = small.height, small.width  # quick for any upload
    return heat_overlay(small, study.heat(at, size), study.mask(at, size), longest)


def _at_most(picture: Image.Image, longest: int) -> Image.Image:
    scale = min(1.0, longest / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)


def _paled(picture: Image.Image) -> NDArray[np.float32]:
    pixels = np.asarray(picture, np.float32) / 255
    return np.asarray(0.45 * pixels + 0.35 * pixels.mean(-1, keepdims=True) + 0.06, np.float32)


def _bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _outline(picture: NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int]) -> None:
    """Draw the edge of ``mask`` [H, W] into ``picture`` [h, w, 3], in a dark border to show on anything."""
    height, width = picture.shape[:2]
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thin = max(1, round(max(height, width) / 256))
    cv2.drawContours(picture, edges, -1, DARK, 3 * thin, cv2.LINE_AA)
    cv2.drawContours(picture, edges, -1, colour, thin, cv2.LINE_AA)
