"""Contact sheets: many small pictures with their texts on one page, for a person to look at."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from editworld_core.datagen.recheck_log import apply, read_log
from editworld_core.datagen.records import load_images, read_triplets
from editworld_core.datagen.triplet import Triplet

SIDE = 160  # pixels of a small picture's longer side
GAP = 6
LINE = 18  # pixels between lines of text
MOST_LINES = 2
PAPER, INK, GREY = (250, 250, 248), (25, 25, 30), (110, 110, 118)


@dataclass(frozen=True)
class Panel:
    """One entry of a sheet: a title, its pictures side by side, and a text under them."""

    title: str
    pictures: Sequence[Image.Image]
    text: str


def thumbnail(image: Image.Image, side: int = SIDE) -> Image.Image:
    """An RGB copy that fits into a square of ``side`` pixels."""
    small = image.convert("RGB")
    scale = side / max(small.size)
    size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
    return small.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def draw_sheet(heading: str, panels: Sequence[Panel], columns: int = 4, side: int = SIDE) -> Image.Image:
    """Lay out ``panels`` in rows of ``columns`` under a heading; all have equally many pictures, of ``side`` pixels."""
    pictures = len(panels[0].pictures) if panels else 1
    width = pictures * (side + GAP) + 2 * GAP
    height = side + (1 + MOST_LINES) * LINE + 3 * GAP
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, 3 * LINE + rows * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((2 * GAP, LINE // 2), heading, INK, ImageFont.load_default(20))
    for index, panel in enumerate(panels):
        left, top = index % columns * width + 2 * GAP, 3 * LINE + index // columns * height
        _draw_panel(sheet, panel, left, top, side)
    return sheet


def _draw_panel(sheet: Image.Image, panel: Panel, left: int, top: int, side: int) -> None:
    draw = ImageDraw.Draw(sheet)
    width = len(panel.pictures) * (side + GAP) - GAP
    title, text = ImageFont.load_default(15), ImageFont.load_default(14)
    draw.text((left, top), wrap(panel.title, width, title)[0], GREY, title)
    for index, picture in enumerate(panel.pictures):
        small, x, y = thumbnail(picture, side), left + index * (side + GAP), top + LINE + 4
        sheet.paste(small, (x, y))
        draw.rectangle((x - 1, y - 1, x + small.width, y + small.height), outline=GREY)
    lines = wrap(panel.text, width, text)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1]} …"]
    for number, line in enumerate(lines):
        draw.text((left, top + LINE + side + 8 + number * LINE), line, INK, text)


def wrap(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Break ``text`` between words into lines of at most ``width`` pixels; at least one line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def data_set_sheet(folder: Path, most: int = 96) -> Image.Image:
    """Before, after and mask of up to ``most`` triplets of a data set, evenly from everything that was not dropped.

    Raises:
        BadInputError: ``folder`` is not a readable data set.
    """
    groups: dict[tuple[str, str], list[Triplet]] = defaultdict(list)
    total = 0
    for triplet in apply(read_triplets(folder), read_log(folder)):
        total += 1
        group = groups[triplet.category.value, _subject(triplet)]
        if len(group) < most:
            group.append(triplet)
    rounds = (triplet for turn in zip_longest(*groups.values()) for triplet in turn if triplet is not None)
    shown = sorted(
        (triplet for triplet, _ in zip(rounds, range(most), strict=False)),
        key=lambda triplet: (triplet.category, _subject(triplet)),
    )
    count = f"{total} triplets" if len(shown) == total else f"{len(shown)} of {total} triplets"
    return draw_sheet(f"{count}: before, after, mask", [_panel(folder, triplet) for triplet in shown])


def _subject(triplet: Triplet) -> str:
    return str(triplet.recipe.get("dynamic", triplet.branch)).replace("_", " ")


def _panel(folder: Path, triplet: Triplet) -> Panel:
    original, target, mask = load_images(folder, triplet)
    pictures = [thumbnail(image) for image in (original, target, mask or Image.new("L", original.size, 200))]
    return Panel(f"{_subject(triplet)} · {triplet.category}", pictures, f"“{triplet.instruction}”")
