"""The two models of the benchmarks, as our engine and as the unmodified pipeline of diffusers, on the same weights.

``pocket`` is real. ``sd15`` has the architecture and size of Stable Diffusion 1.5 as InstructPix2Pix uses it and random
weights: good for time and memory, and for nothing else.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from editworld_core.engines.place import Place
from editworld_core.engines.registry import CATALOGUE, load_engine
from editworld_core.engines.unet import UNetEngine

PIPELINE_STEPS, PIPELINE_TEXT, PIPELINE_IMAGE = 100, 7.5, 1.5
"""The defaults of ``StableDiffusionInstructPix2PixPipeline``."""


def pocket_engine(place: Place) -> UNetEngine:
    """The bundled engine."""
    engine = load_engine("pocket", place=place)
    assert isinstance(engine, UNetEngine)
    return engine


class PocketPipeline:
    """The bundled engine's weights in diffusers' pipeline, which is left as it is.

    The pipeline knows nothing of a codec without weights, nor of a pooled sentence: two adapters stand between.
    """

    def __init__(self) -> None:
        from diffusers import StableDiffusionInstructPix2PixPipeline

        self.engine = pocket_engine(Place())
        self.unet = _WithPooledText(self.engine.unet)
        self.pipeline = StableDiffusionInstructPix2PixPipeline(
            vae=_CodecAsVae(self.engine.codec),
            text_encoder=None,
            tokenizer=None,
            unet=self.unet,
            scheduler=self.engine.scheduler.from_config(self.engine.scheduler.config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipeline.set_progress_bar_config(disable=True)

    def __call__(
        self, instruction: str, image: Any, steps: int, text: float, image_guidance: float, seed: int
    ) -> Any:
        """The edited picture."""
        told = self.engine.encoder.encode([instruction], (0, 0))
        nothing = self.engine.encoder.nothing([""], (0, 0))
        pooled = [told.added["class_labels"], *[nothing.added["class_labels"]] * 2]
        self.unet.pooled = torch.cat(pooled if text > 1 else pooled[:1])
        return self.pipeline(
            prompt_embeds=told.context,
            negative_prompt_embeds=nothing.context,
            image=image,
            num_inference_steps=steps,
            guidance_scale=text,
            image_guidance_scale=image_guidance,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]


class _WithPooledText(torch.nn.Module):
    """Gives the UNet the pooled sentence that the pipeline does not know of."""

    device = torch.device("cpu")

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.inside, self.config, self.dtype = unet, unet.config, unet.dtype
        self.pooled: torch.Tensor | None = None

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, **told: Any) -> Any:
        return self.inside(sample, timestep, class_labels=self.pooled, **told)


class _CodecAsVae(torch.nn.Module):
    """The lossless codec, called as an autoencoder is."""

    device = torch.device("cpu")

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec, self.dtype = codec, torch.float32
        self.config = SimpleNamespace(
            block_out_channels=(0, 0, 0, 0), latent_channels=3 * codec.factor**2, scaling_factor=1.0
        )

    def encode(self, pixels: torch.Tensor) -> Any:
        latents = self.codec.encode(pixels)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        return (self.codec.decode(latents),)


def sd15_pipeline(dtype: torch.dtype) -> Any:
    """``StableDiffusionInstructPix2PixPipeline`` at full size with random weights and no text encoder.

    Its text conditions are random too, of the right shape: see ``sd15_conditions``.
    """
    from diffusers import (
        AutoencoderKL,
        EulerAncestralDiscreteScheduler,
        StableDiffusionInstructPix2PixPipeline,
        UNet2DConditionModel,
    )

    unet = _random(
        UNet2DConditionModel,
        dtype,
        sample_size=64,
        in_channels=8,
        out_channels=4,
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae = _random(
        AutoencoderKL,
        dtype,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    pipeline = StableDiffusionInstructPix2PixPipeline(
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=EulerAncestralDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _random(kind: Any, dtype: torch.dtype, **config: Any) -> Any:
    """A model of ``kind`` with small random weights, the same every time; made without the slow default ones."""
    with torch.device("meta"):
        model = kind(**config)
    model = model.to(dtype).to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator).mul_(0.02))
    return model


def sd15_conditions() -> tuple[torch.Tensor, torch.Tensor]:
    """Random embeddings [1, 77, 768] of an instruction and of the empty text."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 77, 768, generator=generator), torch.randn(1, 77, 768, generator=generator)


def sd15_engine(place: Place) -> UNetEngine:
    """Our engine on the same random weights."""
    from diffusers import DPMSolverMultistepScheduler

    from editworld_core.engines.parts import TextConditions
    from editworld_core.engines.stable_diffusion import FAST, VaeCodec

    pipeline = sd15_pipeline(place.dtype)
    told, nothing = sd15_conditions()
    if place.dtype != torch.float32:
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    encoder = SimpleNamespace(
        encode=lambda texts, size: TextConditions(told, {}),
        nothing=lambda texts, size: TextConditions(nothing, {}),
    )
    info = next(info for info in CATALOGUE if info.id == "instruct-pix2pix")
    return UNetEngine(
        info=replace(info, weights="random"),
        unet=pipeline.unet,
        scheduler=pipeline.scheduler,
        codec=VaeCodec(pipeline.vae),
        encoder=encoder,  # type: ignore[arg-type]
        fast_scheduler=DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config),
        shortcuts=FAST,
    )
