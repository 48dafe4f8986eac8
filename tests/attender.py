"""A tiny engine whose attention is known: each word looks at a place of its own, at other strengths each step."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from editworld_core.attention import AttentionRecorder
from editworld_core.editor import WorldEditor
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.settings import EditSettings

INFO = EngineInfo(
    id="pocket",
    title="looks where it is told",
    licence="MIT",
    weights="none",
    native_size=64,
    multiple=8,
    memory_gib=0.1,
    records_attention=True,
    steps=3,
    text_guidance=5.0,
    image_guidance=1.5,
)
GRIDS = {"down_blocks.0": 16, "mid_block": 8, "up_blocks.0": 16, "up_blocks.1": 32}
"""The recorded layers and the longer side of their grids."""


def looks(layer: str, step: int, positions: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """What the engine records, [positions, h, w]: a spot a position, which moves with the step."""
    side = GRIDS[layer]
    height, width = (max(1, round(side * each / max(size))) for each in size)
    y, x = np.mgrid[:height, :width] / side
    spots = [
        np.exp(-(((x - 0.15 * (position + 1)) ** 2 + (y - 0.1 * step - 0.2) ** 2) / 0.01))
        for position in range(positions)
    ]
    return (np.stack(spots) * 0.9 + 0.01).astype(np.float32)


class Attender:
    """Brightens the picture by the instruction's length and the seed, and tells the recorder what it looked at."""

    def __init__(self, info: EngineInfo = INFO) -> None:
        self.info = info
        self.edits = 0

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: AttentionRecorder | None = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        self.edits += 1
        steps = settings.steps or self.info.steps
        positions = len(instruction.split()) + 1
        for step in range(1, steps + 1):
            for layer in GRIDS if recorder else ():
                seen = looks(layer, step, positions, (image.height, image.width))
                recorder.keep(layer, torch.from_numpy(seen))  # type: ignore[union-attr]
            if progress:
                progress(step, steps)
        after = np.asarray(image, np.float32)
        third = image.width // 3
        after[:, :third] = 255 - after[:, :third] * len(instruction) / 40 - (settings.seed or 0) % 50
        return Image.fromarray(np.clip(after, 0, 255).astype(np.uint8))

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


def attending_editor(engine: Attender | None = None) -> WorldEditor:
    """The real editor with that engine."""
    attender = engine or Attender()
    return WorldEditor(lambda *_: attender)
