"""The models of the text-to-image branch with tiny random weights, saved as the real ones are: never for pictures."""

from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl, tiny_tokenizer, tiny_unet
from tests.test_inpainting import tiny_folder


def save_sd15(folder: Path) -> None:
    """A ``StableDiffusionPipeline`` that draws 32x32 pixels on a grid of 16x16."""
    parts = tiny_sd15(folder / "tokenizer").components
    torch.manual_seed(1)
    pipeline = StableDiffusionPipeline(
        **{
            name: part
            for name, part in parts.items()
            if name in ("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor")
        },
        unet=tiny_unet(sample_size=16, in_channels=4).eval(),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            steps_offset=1,
        ),
        requires_safety_checker=False,
    )
    _with_sure_vae(pipeline).save_pretrained(folder)


def save_sdxl(folder: Path) -> None:
    """A ``StableDiffusionXLPipeline`` of the same size."""
    parts = tiny_sdxl(folder / "tokenizer").components
    torch.manual_seed(2)
    names = ("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
    pipeline = StableDiffusionXLPipeline(
        **{name: parts[name] for name in names},
        unet=tiny_unet(
            sample_size=16,
            in_channels=4,
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=80,
        ).eval(),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        add_watermarker=False,
    )
    _with_sure_vae(pipeline).save_pretrained(folder)


def _with_sure_vae(pipeline):
    """Make its autoencoder nearly deterministic, as trained ones are: their posterior is narrow."""
    with torch.no_grad():
        half = pipeline.vae.config.latent_channels
        pipeline.vae.quant_conv.weight[half:] = 0
        pipeline.vae.quant_conv.bias[half:] = -30
    return pipeline


def save_clip(folder: Path) -> None:
    """A CLIP model with random weights."""
    torch.manual_seed(3)
    tokenizer = tiny_tokenizer(folder / "tokenizer")
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 24,
    }
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **sizes)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    CLIPModel(config).eval().save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size=32, crop_size=32), tokenizer).save_pretrained(folder)


def save_models(folder: Path, kind: str) -> Path:
    """What ``--models FOLDER`` wants: ``sd15`` or ``sdxl`` for everything, ``paper`` for one and then the other."""
    (save_sdxl if kind == "sdxl" else save_sd15)(folder / "draw")
    if kind == "paper":
        save_sdxl(folder / "redraw")
    tiny_folder(folder / "controlnet", kind != "sd15")
    save_clip(folder / "clip")
    return folder
