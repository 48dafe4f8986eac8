"""The mask that a visitor draws by hand: strokes, clicks, boxes and files, together one draft.

The canvas shows the picture, scaled down if it is large, with the mask so far as a veil over it, and hands in strokes:
one colour adds, another takes away. The draft keeps the mask on the upload's own pixel grid, so that a mask from a
file stays exact where nobody paints. (Layers that can be erased would be simpler, but Gradio 6.31 loses layers that it
is given together with a picture.)
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.masks import enlarge_mask

Mask = NDArray[np.bool_]
Kind = Literal["add", "not", "corner"]
Select = Callable[[Sequence[tuple[int, int]], Sequence[bool]], Mask]

LONGEST = 1024  # pixels of the canvas; more makes a browser slow, and no hand is that steady
PAINT = (242, 184, 75)  # amber: may change
STAYS = (20, 40, 200)  # blue: must stay; so far from amber that strokes over one another can be told apart
CHOSEN = (37, 160, 150)  # teal, for what a click has selected
VEIL = 0.55  # share of the colour: the picture shows through


@dataclass(frozen=True)
class Strokes:
    """What was painted on a canvas: bool [h, w] of what may change, and of what must stay."""

    change: Mask
    stay: Mask


@dataclass(frozen=True)
class Click:
    """A click on the upload's pixel (x, y): on what belongs to the mask, on what does not, or a corner of a box."""

    kind: Kind
    x: int
    y: int


class Draft:
    """One mask in the making.

    Attributes:
        drawn: bool [H, W], what was painted, loaded or selected before.
        clicks: since the mask was last used, oldest first.
        selected: bool [H, W], what the clicks select.
    """

    def __init__(self, size: tuple[int, int], hand: Mask | None = None) -> None:
        """``size``: height and width of the upload. ``hand``: bool [H, W], the mask to start from."""
        self.drawn: Mask = np.zeros(size, bool) if hand is None else hand
        self.clicks: tuple[Click, ...] = ()
        self.selected: Mask = np.zeros(size, bool)

    @property
    def whole(self) -> Mask:
        """Everything so far, bool [H, W]."""
        return self.drawn | self.selected

    @property
    def on_canvas(self) -> Mask:
        """``drawn`` at the canvas' size."""
        return shrink(self.drawn)

    def take(self, strokes: Strokes | None) -> None:
        """Let ``drawn`` follow what is painted on the canvas, None if nothing is; the same strokes may come again.

        Raises:
            BadInputError: the canvas shows another picture.
        """
        if strokes is None:
            return
        if strokes.change.shape != self.on_canvas.shape:
            raise BadInputError(
                "This drawing belongs to another picture; choose the edit again, and draw anew."
            )
        size = self.drawn.shape
        self.drawn = (self.drawn | enlarge_mask(strokes.change, size)) & ~enlarge_mask(strokes.stay, size)

    def add(self, mask: Mask) -> None:
        """Let ``mask`` [H, W] join what is drawn."""
        self.drawn = self.drawn | mask

    def click(self, click: Click | None, select: Select) -> None:
        """Add ``click``, or take the last one back if it is None, and select anew.

        Args:
            select: the segment at points (x, y) that belong to it, True, or do not, False.

        Raises:
            BadInputError: nothing has been clicked yet that belongs to the mask.
        """
        clicks = (*self.clicks, click) if click else self.clicks[:-1]
        points = [it for it in clicks if it.kind != "corner"]
        selected = boxes(clicks, self.drawn.shape)
        if any(it.kind == "add" for it in points):
            selected |= select([(it.x, it.y) for it in points], [it.kind == "add" for it in points])
        elif points:
            raise BadInputError(
                "Click first on something that may change, then on what does not belong to it."
            )
        self.clicks, self.selected = clicks, selected

    def to_upload(self, x: float, y: float) -> tuple[int, int]:
        """The upload's pixel under the canvas' pixel (x, y)."""
        height, width = self.drawn.shape
        shown_width, shown_height = canvas_size((width, height))
        return (
            min(max(int((x + 0.5) * width / shown_width), 0), width - 1),
            min(max(int((y + 0.5) * height / shown_height), 0), height - 1),
        )

    def unselect(self) -> None:
        """Forget the clicks."""
        self.clicks, self.selected = (), np.zeros_like(self.drawn)

    def clear(self) -> None:
        """Forget everything."""
        self.unselect()
        self.drawn = np.zeros_like(self.drawn)

    def settle(self) -> None:
        """Let what is selected become part of the drawing, where it can be erased."""
        self.drawn = self.whole
        self.unselect()


def boxes(clicks: Sequence[Click], size: tuple[int, ...]) -> Mask:
    """The boxes, bool [H, W], of which every two corners in ``clicks`` make one; both corners lie inside."""
    mask = np.zeros(size, bool)
    corners = [click for click in clicks if click.kind == "corner"]
    for first, second in zip(corners[::2], corners[1::2], strict=False):
        rows, columns = sorted((first.y, second.y)), sorted((first.x, second.x))
        mask[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
    return mask


def shrink(mask: Mask) -> Mask:
    """``mask`` [H, W] at the canvas' size; the same if it fits."""
    width, height = canvas_size(mask.shape[::-1])
    if (height, width) == mask.shape:
        return mask
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0.5)


def canvas_size(size: tuple[int, ...]) -> tuple[int, int]:
    """Width and height at which a picture of width and height ``size`` is shown to be drawn on."""
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def canvas(picture: Image.Image, drawn: Mask) -> dict[str, Any]:
    """What a ``gr.ImageEditor`` shows: ``picture`` under a veil where the mask ``drawn`` [h, w] is, without strokes."""
    shown = np.asarray(picture.resize(canvas_size(picture.size), Image.Resampling.LANCZOS)).copy()
    _veil(shown, drawn, PAINT)
    return {"background": fresh(Image.fromarray(shown)), "layers": [], "composite": None}


def _veil(shown: NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int]) -> None:
    shown[mask] = np.rint((1 - VEIL) * shown[mask] + VEIL * np.float32(colour)).astype(np.uint8)


def fresh(image: Image.Image) -> Image.Image:
    """``image``, told apart from all others by its metadata, so that Gradio saves it under a name of its own.

    The name is a hash of the content: a canvas that is given a picture of the same name once more keeps the strokes on
    it; and to write a file once more while it is being sent breaks the sending.
    """
    image.info = {"shown": uuid.uuid4().hex}
    return image


def strokes(value: dict[str, Any] | None) -> Strokes | None:
    """The strokes in what a ``gr.ImageEditor`` of type "numpy" hands in; None if there are none."""
    layers = [np.asarray(layer).astype(int) for layer in (value or {}).get("layers") or []]
    if not layers:
        return None
    painted = [layer[..., 3] > 64 for layer in layers]
    warm = [layer[..., 0] > layer[..., 2] for layer in layers]
    change = [there & amber for there, amber in zip(painted, warm, strict=True)]
    stay = [there & ~amber for there, amber in zip(painted, warm, strict=True)]
    return Strokes(np.any(change, axis=0), np.any(stay, axis=0))


def selection_picture(picture: Image.Image, draft: Draft) -> Image.Image:
    """``picture`` to click on: what is drawn under amber, what is selected under teal, and the clicks."""
    size = canvas_size(picture.size)
    shown = np.asarray(picture.resize(size, Image.Resampling.LANCZOS)).copy()
    for mask, colour in ((draft.on_canvas, PAINT), (shrink(draft.selected), CHOSEN)):
        _veil(shown, mask, colour)
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    radius = max(4, round(max(size) / 90))
    for click in draft.clicks:
        _mark(shown, click, size[0] / picture.width, radius)
    return fresh(Image.fromarray(shown))


def _mark(shown: NDArray[np.uint8], click: Click, scale: float, radius: int) -> None:
    """A white-rimmed dot with plus or minus; a small cross for a corner."""
    x, y, arm = round(click.x * scale), round(click.y * scale), max(2, radius // 2)
    fill = {"add": (23, 113, 107), "not": (178, 58, 42), "corner": (35, 41, 43)}[click.kind]
    cv2.circle(shown, (x, y), radius + 2, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(shown, (x, y), radius, fill, -1, cv2.LINE_AA)
    cv2.line(shown, (x - arm, y), (x + arm, y), (255, 255, 255), 1, cv2.LINE_AA)
    if click.kind != "not":
        cv2.line(shown, (x, y - arm), (x, y + arm), (255, 255, 255), 1, cv2.LINE_AA)
