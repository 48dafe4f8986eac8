"""A tiny engine behind the real ``WorldEditor``: the real way of an edit, in milliseconds, with a known mask."""

import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.attention import AttentionRecorder
from editworld_core.editor import WorldEditor
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.engines.registry import EngineRow
from editworld_core.settings import EditSettings

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
)
ROW = EngineRow(INFO, True, "")
BROKEN = EngineRow(
    EngineInfo("sleeper", "not there", "MIT", "a hub", 64, 8, 9.0, False, 3, 5.0, 1.5),
    False,
    "its weights are not in this installation: install the package again",
)


class Painter:
    """An engine that paints the left half in a colour drawn by the seed, and counts its edits."""

    def __init__(self) -> None:
        self.edits = 0
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
    return WorldEditor(lambda name: painter)


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture like no other."""
    width, height = size
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8), mode="RGB"
    )
