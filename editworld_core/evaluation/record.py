"""What an evaluation hands from one part to the next: items, setups, outcomes, scores.

``sources`` read items, the run lets every setup edit every item and keeps the outcomes, ``measures`` turn an outcome
into scores, and the report shows them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from editworld_core.masks import Mask
from editworld_core.settings import EditSettings


@dataclass(frozen=True)
class Pictures:
    """RGB pictures of one size, and the true mask, bool [H, W]; None for what a data set does not have."""

    original: Image.Image
    target: Image.Image | None = None
    mask: Mask | None = None


@dataclass(frozen=True)
class Item:
    """One edit that a data set asks for.

    Attributes:
        id: the same on every machine, and unique in its data set.
        category: of the data set: one of the seven of world instructions, or "add", "temporal" …
        branch: ``text_to_image``, ``video`` or ``simulation`` in data sets that have them, else empty.
        instruction: what the editor is told.
        caption_before, caption_after: what the pictures show; empty if nobody says.
        content: hash of everything that decides an edit of it: pictures and instruction.
        read: decodes the pictures, each time.
        about: what else the data set says, such as the dynamic of a simulated world.
    """

    id: str
    category: str
    branch: str
    instruction: str
    caption_before: str
    caption_after: str
    content: str
    read: Callable[[], Pictures] = field(repr=False)
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """An engine with settings, under the label that tables give it."""

    label: str
    settings: EditSettings


@dataclass(frozen=True)
class Outcome:
    """What one setup made of one item; everything a measure may look at.

    Attributes:
        original, edited, final: RGB, of one size: before, as the engine left it, after post-edit.
        attention_mask, mask: bool [H, W], what the post-edit started from and ended with.
        mask_source: see ``editor.MaskSource``.
        shift: pixels right and down by which the engine moved the picture, ``scale`` by how much it zoomed.
        seconds: of the edit with mask and post-edit.
    """

    original: Image.Image
    edited: Image.Image
    final: Image.Image
    attention_mask: Mask
    mask: Mask
    mask_source: str
    shift: tuple[float, float]
    scale: float
    seconds: float


Values = Mapping[str, float | None]
"""Scores by name; None where they make no sense or nobody could say."""


@dataclass(frozen=True)
class Scored:
    """The scores of one outcome. ``failure`` is the sentence of an edit that was refused; it then has no values."""

    item: Item
    setup: Setup
    values: Values
    failure: str = ""
