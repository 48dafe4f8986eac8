"""Tiny InstructPix2Pix models with random weights, saved as the real ones are: for equality, never for pictures."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WORDS = ("the", "sun", "comes", "out", "snowman", "melts", "rain", "blurred")


def tiny_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer that knows the letters and ``WORDS``."""
    letters = [chr(code) for code in range(33, 127)]
    merges, known = [], {*letters, *(letter + "</w>" for letter in letters)}
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            if f"{parts[0]} {parts[1]}" not in merges:
                merges.append(f"{parts[0]} {parts[1]}")
            parts = [parts[0] + parts[1], *parts[2:]]
            known.add(parts[0])
    vocabulary = {
        token: index for index, token in enumerate([*sorted(known), "<|startoftext|>", "<|endoftext|>"])
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        hidden_act="gelu",
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )


def tiny_unet(**more: Any) -> UNet2DConditionModel:
    options: dict[str, Any] = {
        "sample_size": 32,
        "in_channels": 8,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
    }
    return UNet2DConditionModel(**options | more)


def tiny_sd15(folder: Path, **unet: Any) -> StableDiffusionInstructPix2PixPipeline:
    """A pipeline of the class of Stable Diffusion 1.5; ``unet`` are further arguments of its UNet."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(folder)
    return StableDiffusionInstructPix2PixPipeline(
        vae=_vae().eval(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        unet=tiny_unet(**unet).eval(),
        scheduler=EulerAncestralDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tiny_sdxl(folder: Path) -> StableDiffusionXLInstructPix2PixPipeline:
    """A pipeline of the class of Stable Diffusion XL."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(folder)
    config = _text_config(tokenizer)
    return StableDiffusionXLInstructPix2PixPipeline(
        vae=_vae().eval(),
        text_encoder=CLIPTextModel(config).eval(),
        text_encoder_2=CLIPTextModelWithProjection(config).eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=tiny_unet(
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=80,
        ).eval(),
        scheduler=EulerAncestralDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
        add_watermarker=False,
    )
