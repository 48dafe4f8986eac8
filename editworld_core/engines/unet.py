"""The engine for every UNet that is told a picture by its channels and an instruction by cross-attention."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from editworld_core.engines.parts import Codec, TextEncoder
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.errors import BadInputError
from editworld_core.sampling import Guidance, Redraw, Shortcuts, denoise
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder

WORDS = re.compile(r"[\w'’-]+")
REDRAW_STRENGTH = 0.25
"""Share of the steps that a masked re-denoising runs: enough to close seams, too little to forget the edit."""


@dataclass(frozen=True)
class UNetEngine:
    """A UNet, its schedulers, its codec and its text encoder; see ``engines.protocol.Engine``.

    Attributes:
        scheduler, fast_scheduler: diffusers schedulers of the presets ``exact`` and ``fast``.
        shortcuts: what the preset ``fast`` leaves out.
        device: where the UNet is.
    """

    info: EngineInfo
    unet: Any
    scheduler: Any
    codec: Codec
    encoder: TextEncoder
    fast_scheduler: Any = None
    shortcuts: Shortcuts = field(default_factory=Shortcuts)
    device: str = "cpu"

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: "AttentionRecorder | None" = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The picture after ``instruction``; ``settings`` says how, None in it meaning ``info``'s default."""
        return self.edit_batch([image], [instruction], settings, recorder, progress)[0]

    def edit_batch(
        self,
        images: Sequence[Image.Image],
        instructions: Sequence[str],
        settings: EditSettings,
        recorder: "AttentionRecorder | None" = None,
        progress: Progress | None = None,
    ) -> list[Image.Image]:
        """Edit several ``images`` of one size at once, each by its own instruction; the recorder sees the first."""
        source = self.codec.condition(self._pixels(images))
        latents = self._denoise(
            source, _size_of(images), instructions, settings, recorder=recorder, progress=progress
        )
        return self._pictures(latents)

    def inpaint(
        self,
        image: Image.Image,
        edited: Image.Image,
        mask: NDArray[np.bool_],
        instruction: str,
        settings: EditSettings,
        progress: Progress | None = None,
    ) -> Image.Image:
        """Denoise ``edited`` once more inside ``mask`` [H, W], held to ``image`` outside (EditWorld, section 3.4)."""
        before = self._pixels([image])
        source = self.codec.condition(before)
        cells = F.adaptive_max_pool2d(torch.from_numpy(mask).float()[None, None], source.shape[2:])
        redraw = Redraw(
            self.codec.encode(self._pixels([edited])),
            REDRAW_STRENGTH,
            self.codec.encode(before),
            cells.to(source),
        )
        # Fewer steps would start from pure noise, which knows nothing of the edit.
        steps = max(self._steps(settings), round(1 / REDRAW_STRENGTH))
        settings = replace(settings, steps=steps)
        latents = self._denoise(
            source, _size_of([image]), [instruction], settings, redraw=redraw, progress=progress
        )
        return self._pictures(latents)[0]

    def tokens(self, instruction: str) -> list[Token]:
        """The words of ``instruction`` and where each stands in the context."""
        return words_at(instruction, self.encoder.offsets(instruction))

    def _steps(self, settings: EditSettings) -> int:
        return settings.steps or self.info.steps_of(settings.speed)

    def _denoise(
        self,
        source: Tensor,
        size: tuple[int, int],
        instructions: Sequence[str],
        settings: EditSettings,
        **options: Any,
    ) -> Tensor:
        fast = settings.speed == "fast"
        scheduler = self.fast_scheduler if fast and self.fast_scheduler else self.scheduler
        text = self.info.text_guidance if settings.text_guidance is None else settings.text_guidance
        image = self.info.image_guidance if settings.image_guidance is None else settings.image_guidance
        return denoise(
            self.unet,
            scheduler.from_config(scheduler.config),  # its timesteps are state: one each edit
            source,
            self.encoder.encode(list(instructions), size),
            self.encoder.nothing([settings.negative] * len(instructions), size),
            steps=self._steps(settings),
            guidance=Guidance(text, image),
            generator=torch.Generator().manual_seed(settings.seed or 0),
            shortcuts=self.shortcuts if fast else None,
            **options,
        )

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        width, height = images[0].size
        if width % self.info.multiple or height % self.info.multiple:
            raise BadInputError(
                f"{self.info.id} edits multiples of {self.info.multiple} pixels, not {width}x{height}: resize it."
            )
        stacked = np.stack([np.asarray(image.convert("RGB")) for image in images])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().to(self.device).float() / 127.5 - 1

    def _pictures(self, latents: Tensor) -> list[Image.Image]:
        pixels = (self.codec.decode(latents).float().clamp(-1, 1) + 1) * 127.5
        return [Image.fromarray(each) for each in pixels.round().byte().permute(0, 2, 3, 1).cpu().numpy()]


def _size_of(images: Sequence[Image.Image]) -> tuple[int, int]:
    return images[0].height, images[0].width


def words_at(text: str, offsets: Sequence[tuple[int, int]]) -> list[Token]:
    """The words of ``text`` with their context positions, from each position's start and end in ``text``."""
    found = (
        Token(
            word.group(),
            tuple(
                i
                for i, (start, end) in enumerate(offsets)
                if start < end and word.start() <= start < word.end()
            ),
        )
        for word in WORDS.finditer(text)
    )
    return [token for token in found if token.positions]
