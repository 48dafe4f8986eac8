"""A tiny engine behind the real ``WorldEditor``: the real way of an edit, in milliseconds, with a known mask."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.attention import AttentionRecorder
from editworld_core.categories import Category
from editworld_core.editor import WorldEditor
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.engines.registry import EngineRow
from editworld_core.settings import EditSettings
from editworld_core.think import Thought

INFO = EngineInfo(
    id="pocket",
    title="paints the left half",
    licence="MIT",
    weights="none",
    native_size=64,
    multiple=8,
    memory_gib=0.1,
    records_attention=False,
    steps=3,
    text_guidance=5.0,
    image_guidance=1.5,
    takes_negative=True,
)
ROW = EngineRow(INFO, True, "")
BROKEN = EngineRow(
    EngineInfo("sleeper", "not there", "MIT", "a hub", 64, 8, 9.0, False, 3, 5.0, 1.5),
    False,
    "its weights are not in this installation: install the package again",
)

COMING = EngineRow(
    EngineInfo(
        id="traveller",
        title="comes when it is called",
        licence="Nobody's Non-Commercial License",
        weights="nobody/traveller",
        native_size=64,
        multiple=8,
        memory_gib=9.0,
        records_attention=False,
        steps=40,
        text_guidance=4.0,
        image_guidance=1.0,
        fast_steps=8,
        commercial=False,
        memory_model_gib=6.0,
        memory_sequential_gib=2.0,
    ),
    False,
    "its weights are not on this machine",
    downloadable=True,
)


class Painter:
    """An engine that paints the left half in a colour drawn by the seed, and counts its edits."""

    def __init__(self) -> None:
        self.edits = 0
        self.told: tuple[str, EditSettings] | None = None
        self.at_work = 0
        self.most_at_work = 0
        self._lock = threading.Lock()

    @property
    def info(self) -> EngineInfo:
        return INFO

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: AttentionRecorder | None = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        with self._lock:
            self.edits += 1
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            steps = settings.steps or INFO.steps
            for step in range(steps):
                if progress:
                    progress(step + 1, steps)
        finally:
            with self._lock:
                self.at_work -= 1
        self.told = instruction, settings
        after = np.array(image)
        after[:, : image.width // 2] = np.random.default_rng(settings.seed).integers(0, 256, 3)
        return Image.fromarray(after)

    def inpaint(
        self,
        image: Image.Image,
        edited: Image.Image,
        mask: NDArray[np.bool_],
        instruction: str,
        settings: EditSettings,
        progress: Progress | None = None,
    ) -> Image.Image:
        return edited

    def tokens(self, instruction: str) -> list[Token]:
        return [Token(word, (place,)) for place, word in enumerate(instruction.split(), 1)]


def editor(engine: Painter | None = None) -> WorldEditor:
    """The real editor with the stand-in engine."""
    painter = engine or Painter()
    return WorldEditor(lambda *_: painter)


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture like no other."""
    width, height = size
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8), mode="RGB"
    )


class Squares:
    """A segmenter that takes a square of 11 pixels around each click that belongs, less one of 5 around the others."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> "Squares":
        self.names.append(name)
        return self

    def at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> NDArray[np.bool_]:
        mask = np.zeros((image.height, image.width), bool)
        for belongs in (True, False):
            for (x, y), label in zip(points, labels, strict=True):
                if label == belongs:
                    reach = 5 if belongs else 2
                    mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = belongs
        return mask


def thought(instruction: str, **more: Any) -> Thought:
    """What a think step could say."""
    about = {
        "outcome": f"the picture after {instruction}",
        "keywords": ("left", "Paint"),
        "category": Category.PHYSICAL_TRANS,
        "source": "offline",
    }
    return Thought(instruction=instruction, **(about | more))
