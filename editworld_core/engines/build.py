"""A new pocket engine, and how one is saved: what the trainer needs besides the parts themselves."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from editworld_core.engines.pocket import (
    AFFINE_CHANNELS,
    DETAIL_CHANNELS,
    MiniLMEncoder,
    PocketUNet,
    SpaceToDepthCodec,
)

INDEX: dict[str, Any] = {
    "_class_name": "PocketEngine",
    "unet": ["editworld_core.engines.pocket", "PocketUNet"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "vae": ["editworld_core.engines.pocket", "SpaceToDepthCodec"],
    "text_encoder": ["editworld_core.engines.pocket", "MiniLMEncoder"],
    "editworld": {"native_size": 256, "steps": 1, "text_guidance": 1.0, "image_guidance": 1.0},
}


def build_unet(
    channels: tuple[int, ...], layers_per_block: int, heads: int, codec_factor: int, detail: bool = True
) -> PocketUNet:
    """An untrained UNet that gives back its source. Its first level has no attention, all others have."""
    latents = 3 * codec_factor**2
    attended = len(channels) - 1
    unet = PocketUNet(
        in_channels=2 * latents,
        out_channels=latents + AFFINE_CHANNELS + (DETAIL_CHANNELS if detail else 0),
        block_out_channels=tuple(channels),
        layers_per_block=layers_per_block,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * attended,
        up_block_types=("CrossAttnUpBlock2D",) * attended + ("UpBlock2D",),
        attention_head_dim=heads,  # diffusers calls the number of heads so
        norm_num_groups=min(32, min(channels)),
        cross_attention_dim=MiniLMEncoder.width,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=MiniLMEncoder.width,
    )
    return unet.start_from_source()


def build_scheduler() -> Any:
    """Cosine noise levels that end in pure noise (Lin et al. 2024), for a UNet that predicts the clean picture."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        prediction_type="sample",
        clip_sample=True,
        set_alpha_to_one=True,
    )


def save_pocket(unet: PocketUNet, folder: Path) -> None:
    """Write an engine folder with ``unet`` in half precision; an engine that is there is replaced as a whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    half = PocketUNet.from_config(unet.config)
    half.load_state_dict(unet.state_dict())
    half.to(torch.float16).save_pretrained(temporary / "unet", variant="fp16")
    build_scheduler().save_pretrained(temporary / "scheduler")
    SpaceToDepthCodec(round((unet.config.in_channels / 6) ** 0.5)).save_pretrained(temporary / "vae")
    (temporary / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n", encoding="utf-8")
    temporary.chmod(0o755)
    old = temporary.with_suffix(".old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(temporary, folder)
    shutil.rmtree(old, ignore_errors=True)
