"""InstructPix2Pix on Stable Diffusion 1.5 and XL: their codec, their text encoders, and loading them.

diffusers' own pipelines read the files, add LoRA weights and place the parts; the editing is ours (``engines.unet``).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from editworld_core.engines.hub import is_hub_id, loading
from editworld_core.engines.lora import fuse_lora
from editworld_core.engines.parts import TextConditions
from editworld_core.engines.place import Place
from editworld_core.engines.protocol import EngineInfo
from editworld_core.engines.unet import UNetEngine
from editworld_core.errors import EngineUnavailableError
from editworld_core.sampling import Shortcuts

SD15_CLASSES = ("StableDiffusionInstructPix2PixPipeline", "StableDiffusionPipeline")
SDXL_CLASSES = ("StableDiffusionXLInstructPix2PixPipeline", "StableDiffusionXLPipeline")
FAST = Shortcuts(guided=(0.0, 0.6), deep_every=2)
"""See the table of the speed options in the README for what each saves."""


@dataclass(frozen=True)
class VaeCodec:
    """A latent-diffusion autoencoder; pixels [B, 3, H, W] in -1..1, latents [B, C, H / factor, W / factor] in fp32.

    Attributes:
        vae: diffusers' ``AutoencoderKL``.
        scaled_condition: the picture before is shown scaled like the latents (CosXL), not raw as in InstructPix2Pix.
    """

    vae: Any
    scaled_condition: bool = False

    @property
    def factor(self) -> int:
        """Pixels a side of one latent cell."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @torch.no_grad()
    def condition(self, pixels: Tensor) -> Tensor:
        """The mode of the encoder's distribution."""
        mode: Tensor = self.vae.encode(pixels.to(self.vae.dtype)).latent_dist.mode().float()
        return mode * self.vae.config.scaling_factor if self.scaled_condition else mode

    def encode(self, pixels: Tensor) -> Tensor:
        """The same, scaled as the UNet draws it."""
        mean, std = self._statistics(pixels)
        latents = self.condition(pixels)
        return latents if self.scaled_condition else (latents - mean) * (self.vae.config.scaling_factor / std)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The inverse of ``encode``, as far as the autoencoder has one."""
        mean, std = self._statistics(latents)
        raw = latents * (std / self.vae.config.scaling_factor) + mean
        return self.vae.decode(raw.to(self.vae.dtype)).sample.float()  # type: ignore[no-any-return]

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents by channel, for autoencoders that state them."""
        config = self.vae.config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or std is None:
            return torch.zeros(1, device=like.device), torch.ones(1, device=like.device)
        return tuple(torch.tensor(values, device=like.device).view(1, -1, 1, 1) for values in (mean, std))  # type: ignore[return-value]


@dataclass(frozen=True)
class ClipEncoder:
    """CLIP's text encoder as Stable Diffusion 1.5 uses it; what lies beyond 77 tokens is left out.

    What it said of a text is kept, so that the empty text and an instruction tried again cost nothing.
    """

    tokenizer: Any
    embed: Callable[[str], Tensor]

    def encode(self, texts: list[str], size: tuple[int, int]) -> TextConditions:
        """Embeddings [B, 77, D]."""
        return TextConditions(torch.cat([self.embed(text) for text in texts]), {})

    nothing = encode  # an empty text, or what should not be there, is embedded like any other

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """See ``TextEncoder``."""
        return clip_offsets(self.tokenizer, text)


@dataclass(frozen=True)
class SdxlEncoder:
    """SDXL's two text encoders and its sizes: the picture is told to be whole, not a crop."""

    tokenizer: Any
    embed: Callable[[str, bool], tuple[Tensor, Tensor]]

    def encode(self, texts: list[str], size: tuple[int, int]) -> TextConditions:
        """Embeddings [B, 77, D] of both encoders, the pooled one of the second, and the sizes."""
        return self._conditions([self.embed(text, False) for text in texts], size)

    def nothing(self, texts: list[str], size: tuple[int, int]) -> TextConditions:
        """The same of ``texts`` as what should not be there; zeros for empty ones, where the model was trained so."""
        return self._conditions([self.embed(text, True) for text in texts], size)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """See ``TextEncoder``."""
        return clip_offsets(self.tokenizer, text)

    @staticmethod
    def _conditions(embedded: list[tuple[Tensor, Tensor]], size: tuple[int, int]) -> TextConditions:
        context, pooled = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        sizes = torch.tensor([[*size, 0, 0, *size]], dtype=torch.float32).repeat(len(embedded), 1)
        return TextConditions(context, {"text_embeds": pooled, "time_ids": sizes})


def clip_offsets(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """Start and end in ``text`` of every token of a CLIP tokenizer, (0, 0) for the start, the end and the padding.

    Raises:
        EngineUnavailableError: the tokenizer is of the slow kind, which does not know where its tokens stand.
    """
    if not tokenizer.is_fast:
        raise EngineUnavailableError(
            "The engine's tokenizer has no tokenizer.json: install the package tokenizers."
        )
    found = tokenizer(
        text,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    special = found["special_tokens_mask"]
    return [
        (0, 0) if skip else tuple(span) for span, skip in zip(found["offset_mapping"], special, strict=True)
    ]


def load_stable_diffusion(
    source: str, info: EngineInfo, place: Place, lora: str = "", lora_scale: float = 1.0, *, xl: bool = False
) -> UNetEngine:
    """Load an InstructPix2Pix model of Stable Diffusion 1.5 or XL.

    Args:
        source: a folder in diffusers format, a single ``.safetensors`` or ``.ckpt`` file, or a hub id.
        info: what is known of it; native size and multiple are filled in from the weights.
        lora: LoRA weights to fuse in: a file, a folder or a hub id; empty for none.
        lora_scale: how much of them.
        xl: whether it is an SDXL model.

    Raises:
        EngineUnavailableError: weights are missing, damaged, or of another kind.
    """
    with loading(source):
        pipeline = _read(source, place, xl)
    unet, vae = pipeline.unet, pipeline.vae
    if unet.config.in_channels != 2 * vae.config.latent_channels:
        raise EngineUnavailableError(
            f"The UNet of {source} has {unet.config.in_channels} input channels, so it cannot see the picture; "
            f"an InstructPix2Pix model has {2 * vae.config.latent_channels}: take one of those."
        )
    if lora:
        fuse_lora(pipeline, source, lora, lora_scale)
    if place.dtype == torch.float16 and vae.config.force_upcast:
        vae.to(torch.float32)  # it overflows in half precision
    if (
        place.dtype != torch.float32
    ):  # some per cent faster; sums in another order, which fp32 is there to avoid
        unet.to(memory_format=torch.channels_last)
        vae.to(memory_format=torch.channels_last)
    with loading(source):  # weights that the files lack show themselves here
        place.settle(pipeline)
    if place.compile:
        unet.compile_repeated_blocks()
    codec = VaeCodec(vae, scaled_condition=bool(getattr(pipeline, "is_cosxl_edit", False)))
    info = replace(info, native_size=unet.config.sample_size * codec.factor, multiple=codec.factor)
    return UNetEngine(
        info=info,
        unet=unet,
        scheduler=pipeline.scheduler,
        codec=codec,
        encoder=_sdxl_encoder(pipeline, place) if xl else _clip_encoder(pipeline, place),
        fast_scheduler=_fast_scheduler(pipeline.scheduler),
        shortcuts=FAST,
        device=place.device,
    )


def _read(source: str, place: Place, xl: bool) -> Any:
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
    from diffusers.utils import logging

    logging.disable_progress_bar()
    kind = StableDiffusionXLInstructPix2PixPipeline if xl else StableDiffusionInstructPix2PixPipeline
    options: dict[str, Any] = {"dtype": place.dtype}
    if not xl:
        options |= {"safety_checker": None, "requires_safety_checker": False}
    path = Path(source).expanduser()
    if path.is_file():  # it has weights only: the configuration is that of the model which it was tuned from
        config = "diffusers/sdxl-instructpix2pix-768" if xl else "timbrooks/instruct-pix2pix"
        return kind.from_single_file(path, config=config, **options)
    return kind.from_pretrained(source if is_hub_id(source) else path, **options)


def _fast_scheduler(own: Any) -> Any:
    """DPM-Solver++ of second order (Lu et al. 2022), on the noise levels that the model was trained with."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler.from_config(own.config)


def _clip_encoder(pipeline: Any, place: Place) -> ClipEncoder:
    tokenizer, model = pipeline.tokenizer, pipeline.text_encoder

    @lru_cache(maxsize=64)
    @torch.no_grad()
    def embed(text: str) -> Tensor:
        tokens = tokenizer(
            text,
            padding="max_length",
            truncation=True,
            max_length=tokenizer.model_max_length,
            return_tensors="pt",
        )
        return model(tokens.input_ids.to(place.device))[0]  # type: ignore[no-any-return]

    return ClipEncoder(tokenizer, embed)


def _sdxl_encoder(pipeline: Any, place: Place) -> SdxlEncoder:
    @lru_cache(maxsize=64)
    @torch.no_grad()
    def embed(text: str, negative: bool) -> tuple[Tensor, Tensor]:
        if not negative:
            context, _, pooled, _ = pipeline.encode_prompt(
                text, device=place.device, do_classifier_free_guidance=False
            )
            return context, pooled
        _, context, _, pooled = pipeline.encode_prompt(
            "", device=place.device, do_classifier_free_guidance=True, negative_prompt=text or None
        )
        return context, pooled

    return SdxlEncoder(pipeline.tokenizer, embed)
