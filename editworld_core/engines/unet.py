"""The engine for every UNet that is told a picture by its channels and an instruction by cross-attention."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from editworld_core.engines.pocket import MiniLMEncoder, PocketUNet, SpaceToDepthCodec, TextConditions
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.sampling import Guidance, Redraw, denoise
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder

WORDS = re.compile(r"[\w'’-]+")
REDRAW_STRENGTH = 0.25
"""Share of the steps that a masked re-denoising runs: enough to close seams, too little to forget the edit."""


@dataclass(frozen=True)
class UNetEngine:
    """A UNet, its scheduler, its codec and its text encoder; see ``engines.protocol.Engine``."""

    info: EngineInfo
    unet: Any
    scheduler: Any
    codec: SpaceToDepthCodec
    encoder: MiniLMEncoder

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: "AttentionRecorder | None" = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The picture after ``instruction``; ``settings`` says how, None in it meaning ``info``'s default."""
        source = self._encode(image)
        return self._decode(
            self._denoise(source, instruction, settings, recorder=recorder, progress=progress)
        )

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
        source = self._encode(image)
        cells = F.adaptive_max_pool2d(torch.from_numpy(mask).float()[None, None], source.shape[2:])
        redraw = Redraw(self._encode(edited), REDRAW_STRENGTH, source, cells)
        # Fewer steps would start from pure noise, which knows nothing of the edit.
        steps = max(settings.steps or self.info.steps, round(1 / REDRAW_STRENGTH))
        settings = replace(settings, steps=steps)
        return self._decode(self._denoise(source, instruction, settings, redraw=redraw, progress=progress))

    def tokens(self, instruction: str) -> list[Token]:
        """The words of ``instruction`` and where each stands in the context."""
        spans = self.encoder.offsets(instruction)
        found = (
            Token(
                word.group(),
                tuple(
                    i
                    for i, (start, end) in enumerate(spans)
                    if start < end and word.start() <= start < word.end()
                ),
            )
            for word in WORDS.finditer(instruction)
        )
        return [token for token in found if token.positions]

    def _denoise(self, source: Tensor, instruction: str, settings: EditSettings, **options: Any) -> Tensor:
        told: TextConditions = self.encoder.encode([instruction])
        text = self.info.text_guidance if settings.text_guidance is None else settings.text_guidance
        image = self.info.image_guidance if settings.image_guidance is None else settings.image_guidance
        return denoise(
            self.unet,
            self.scheduler.from_config(self.scheduler.config),  # its timesteps are state: one each edit
            source,
            told,
            self.encoder.nothing(),
            steps=settings.steps or self.info.steps,
            guidance=Guidance(text, image),
            generator=torch.Generator().manual_seed(settings.seed or 0),
            **options,
        )

    def _encode(self, image: Image.Image) -> Tensor:
        width, height = image.size
        if width % self.info.multiple or height % self.info.multiple:
            raise BadInputError(
                f"{self.info.id} edits multiples of {self.info.multiple} pixels, not {width}x{height}: resize it."
            )
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.codec.encode(pixels)

    def _decode(self, latents: Tensor) -> Image.Image:
        pixels = (self.codec.decode(latents).clamp(-1, 1) + 1) * 127.5
        return Image.fromarray(pixels[0].round().byte().permute(1, 2, 0).numpy())


def load_unet_engine(folder: Path, name: str, title: str, licence: str) -> UNetEngine:
    """Load an engine folder that ``training/train.py`` wrote.

    Raises:
        EngineUnavailableError: a part of it is missing or damaged.
    """
    from diffusers import DDIMScheduler
    from diffusers.utils import logging

    logging.disable_progress_bar()
    index = read_index(folder)
    try:
        unet = PocketUNet.from_pretrained(folder / "unet", variant="fp16", torch_dtype=torch.float32)
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
        codec = SpaceToDepthCodec.from_config(SpaceToDepthCodec.load_config(folder / "vae"))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EngineUnavailableError(
            f"The engine in {folder} is damaged ({type(error).__name__}): get it again from where it came."
        ) from error
    halvings = len(unet.config.block_out_channels) - 1
    defaults = index.get("editworld", {})
    info = EngineInfo(
        id=name,
        title=title,
        licence=licence,
        weights=str(folder),
        native_size=defaults.get("native_size", 256),
        multiple=codec.config.factor * 2**halvings,
        memory_gib=1.0,
        records_attention=True,
        steps=defaults.get("steps", 1),
        text_guidance=defaults.get("text_guidance", 1.0),
        image_guidance=defaults.get("image_guidance", 1.0),
    )
    fast = unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return UNetEngine(info, fast, scheduler, codec, MiniLMEncoder())


def read_index(folder: Path) -> dict[str, Any]:
    """The ``model_index.json`` of ``folder``.

    Raises:
        EngineUnavailableError: it is missing, not JSON, or names a class that this engine is not for.
    """
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise EngineUnavailableError(
            f"{folder} is not an engine folder, since it has no readable model_index.json: name one that has."
        ) from error
    if not isinstance(index, dict) or index.get("_class_name") != "PocketEngine":
        raise EngineUnavailableError(
            f"{folder} holds a model of another kind: name a folder that training wrote."
        )
    return index
