"""The UNet that is trained: read from a pipeline, widened to see the picture, and given LoRA weights if asked for."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from editworld_core.engines.hub import is_hub_id, loading, read_index
from editworld_core.engines.stable_diffusion import SD15_CLASSES, SDXL_CLASSES
from editworld_core.errors import BadInputError, EngineUnavailableError
from training.finetune.config import FinetuneConfig

LORA_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
"""All attention, as in diffusers' examples."""


@dataclass(frozen=True)
class Base:
    """A pipeline of which the UNet is trained and all else stays.

    Attributes:
        source: its folder or hub id.
        xl: whether it is of SDXL.
        unet: with twice as many input channels as there are latent channels; weights in fp32.
        scheduler: diffusers' ``DDPMScheduler`` with the noise levels and the prediction type of the training.
        widened: whether the UNet saw no picture before.
        vae: the configuration of its autoencoder.
    """

    source: str
    xl: bool
    unet: Any
    scheduler: Any
    widened: bool
    vae: dict[str, Any]

    def scaled(self, latents: Tensor) -> Tensor:
        """Latents of the autoencoder, as the UNet draws them."""
        mean, std = self.vae.get("latents_mean"), self.vae.get("latents_std")
        if mean is not None and std is not None:
            mean, std = (torch.tensor(each).to(latents).view(1, -1, 1, 1) for each in (mean, std))
            latents = (latents - mean) / std
        return latents * float(self.vae["scaling_factor"])


def load_base(config: FinetuneConfig) -> Base:
    """Read the UNet of ``config.model.base`` and what belongs to it; LoRA weights are added if it asks for them.

    Raises:
        EngineUnavailableError: it is missing, damaged, or no pipeline of Stable Diffusion 1.5 or XL.
        BadInputError: the settings do not suit it.
    """
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

    name = config.model.base
    kind = read_index(name)["_class_name"]
    if kind not in SD15_CLASSES + SDXL_CLASSES:
        raise EngineUnavailableError(
            f"{name} holds a {kind}, which cannot be trained here: name a pipeline of Stable Diffusion 1.5 or XL."
        )
    source = place_of(name)
    with loading(name):
        unet = UNet2DConditionModel.from_pretrained(source, subfolder="unet", dtype=torch.float32)
        scheduler = DDPMScheduler.load_config(source, subfolder="scheduler")
        vae = AutoencoderKL.load_config(source, subfolder="vae")
    if "beta_start" not in scheduler:
        raise EngineUnavailableError(
            f"{name} has noise levels of another kind ({scheduler.get('_class_name')}) than Stable Diffusion: "
            "name a pipeline that has a DDPM-like scheduler."
        )
    if config.objective.prediction != "base":
        scheduler["prediction_type"] = config.objective.prediction
    widened = widen(unet, vae["latent_channels"], name)
    if config.model.lora_rank:
        if widened:
            raise BadInputError(
                f"The UNet of {name} sees no picture yet, and a LoRA cannot give it eyes: set model.lora_rank to 0, "
                "or take an InstructPix2Pix model as model.base."
            )
        add_lora(unet, config.model.lora_rank)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    unet.register_to_config(
        sample_size=config.data.resolution // factor
    )  # the engine edits at what it was trained on
    if config.model.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    unet.train()
    return Base(name, kind in SDXL_CLASSES, unet, DDPMScheduler.from_config(scheduler), widened, vae)


def place_of(name: str) -> str | Path:
    """``name`` as diffusers wants it: a hub id or a path."""
    return name if is_hub_id(name) else Path(name).expanduser()


def widen(unet: Any, latent_channels: int, name: str = "the model") -> bool:
    """Give a text-to-image UNet input channels for the picture, with weights of zero (Brooks et al. 2023, section 3.2).

    Returns:
        Whether it had none before.

    Raises:
        EngineUnavailableError: it has inputs of another kind, such as an inpainting model's.
    """
    channels = unet.config.in_channels
    if channels == 2 * latent_channels:
        return False
    if channels != latent_channels:
        raise EngineUnavailableError(
            f"The UNet of {name} has {channels} input channels, where {latent_channels} or {2 * latent_channels} "
            "would do: name a text-to-image or an InstructPix2Pix model."
        )
    old = unet.conv_in
    new = torch.nn.Conv2d(2 * latent_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :latent_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=2 * latent_channels)
    return True


def add_lora(unet: Any, rank: int) -> None:
    """Freeze ``unet`` and add trainable LoRA weights to its attention; their scale is 1."""
    from peft import LoraConfig

    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(LORA_LAYERS))
    )


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The weights of ``module`` that training moves."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def write_engine(base: Base, weights: dict[str, Tensor], folder: Path, *, whole: bool) -> None:
    """Write a pipeline folder with ``weights`` in half precision as its UNet; a kill leaves the one before, or none.

    Args:
        weights: the UNet's state dictionary.
        whole: write all of it; else the UNet alone, into the folder that is there.
    """
    from safetensors.torch import save_file

    part = folder.with_name(f".{folder.name}.part") / "unet" if whole else folder / "unet"
    if whole:
        shutil.rmtree(part.parent, ignore_errors=True)
        _write_frozen_parts(base, part.parent)
    half = {name: weight.to("cpu", torch.float16).contiguous() for name, weight in weights.items()}
    save_file(half, part / "part", {"format": "pt"})
    os.replace(part / "part", part / "diffusion_pytorch_model.safetensors")
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part.parent, folder)


def _write_frozen_parts(base: Base, folder: Path) -> None:
    """All that the training does not change, and the UNet's configuration."""
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
    from diffusers.utils import logging

    kind = StableDiffusionXLInstructPix2PixPipeline if base.xl else StableDiffusionInstructPix2PixPipeline
    options: dict[str, Any] = {} if base.xl else {"safety_checker": None, "requires_safety_checker": False}
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns that there is no UNet
    with loading(base.source):
        kind.from_pretrained(place_of(base.source), unet=None, **options).save_pretrained(folder)
    logging.set_verbosity(verbosity)
    base.unet.save_config(folder / "unet")
    _change_json(folder / "model_index.json", unet=["diffusers", "UNet2DConditionModel"])
    _change_json(
        folder / "scheduler" / "scheduler_config.json", prediction_type=base.scheduler.config.prediction_type
    )


def _change_json(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_lora(base: Base, weights: dict[str, Tensor], folder: Path) -> None:
    """Write LoRA ``weights``, named as in peft, in diffusers' format: ``pytorch_lora_weights.safetensors``."""
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    kind = StableDiffusionXLInstructPix2PixPipeline if base.xl else StableDiffusionInstructPix2PixPipeline
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(base.unet, weights))
    layers = {name: weight.cpu().contiguous() for name, weight in layers.items()}
    kind.save_lora_weights(folder, unet_lora_layers=layers, weight_name="part.safetensors")
    os.replace(folder / "part.safetensors", folder / "pytorch_lora_weights.safetensors")
