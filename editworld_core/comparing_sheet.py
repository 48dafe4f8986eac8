"""A comparison as one picture: the upload, then what each setup made of it, with its scores."""

import math
from collections.abc import Sequence

from PIL import Image

from editworld_core.comparing import Compared
from editworld_core.datagen.contact_sheet import Panel, draw_sheet, thumbnail

SIDE = 256  # pixels of the longer side of a picture in the grid
COLUMNS = 4
GREY = (232, 228, 220)


def comparing_sheet(original: Image.Image, instruction: str, rows: Sequence[Compared]) -> Image.Image:
    """The grid; a setup that was refused has an empty picture and its sentence."""
    return draw_panels(instruction, [before_panel(original), *(panel(original, row) for row in rows)])


def draw_panels(instruction: str, panels: Sequence[Panel]) -> Image.Image:
    """The grid of ``panels``, from ``before_panel`` and ``panel``."""
    return draw_sheet(f"“{instruction}”", panels, min(COLUMNS, len(panels)), SIDE)


def before_panel(original: Image.Image) -> Panel:
    """The upload, small."""
    return Panel("before", [thumbnail(original, SIDE)], "")


def panel(original: Image.Image, row: Compared) -> Panel:
    """What a setup made of ``original``, small."""
    picture = row.result.final if row.result else Image.new("RGB", original.size, GREY)
    return Panel(row.setup.label, [thumbnail(picture, SIDE)], in_short(row))


def in_short(row: Compared) -> str:
    """Seconds and scores in a line: "0.4 s · mask 23% · drift 3.1 levels"."""
    if row.result is None:
        return row.refusal
    scores = row.scores
    parts = [f"{row.seconds:.1f} s"]
    share, decibels, clip = scores.get("mask_share"), scores.get("psnr_outside"), scores.get("clip")
    if share is not None:
        parts.append(f"mask {share:.0%}")
    if decibels is not None:
        parts.append(f"drift {levels(decibels):.1f} levels")
    if clip is not None:
        parts.append(f"CLIP {clip:.3f}")
    return " · ".join(parts)


def levels(decibels: float) -> float:
    """The root mean square difference in levels of 255 that a PSNR stands for; 0 for an infinite one."""
    return 0.0 if math.isinf(decibels) else 255 * 10 ** (-decibels / 20)
