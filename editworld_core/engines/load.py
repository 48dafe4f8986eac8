"""Loading an engine, whatever class its weights are of."""

from dataclasses import replace
from pathlib import Path

import torch

from editworld_core.engines.hub import is_hub_id, loading, read_index
from editworld_core.engines.place import Place, check_memory
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec, load_pocket_unet
from editworld_core.engines.protocol import Engine, EngineInfo
from editworld_core.engines.stable_diffusion import (
    SD15_CLASSES,
    SDXL_CLASSES,
    load_stable_diffusion,
)
from editworld_core.engines.unet import UNetEngine
from editworld_core.errors import BadInputError, EngineUnavailableError

SINGLE_FILES = (".safetensors", ".ckpt")


def load(source: str, info: EngineInfo, place: Place, lora: str = "", lora_scale: float = 1.0) -> Engine:
    """The engine whose weights ``source`` names.

    Args:
        source: a folder in diffusers format, a single file of Stable Diffusion weights, or a hub id.
        info: what is known of the engine; what the weights say themselves is filled in.
        place: where it computes.
        lora, lora_scale: LoRA weights on top, and how much of them.

    Raises:
        EngineUnavailableError: weights are missing, damaged, or of a kind that does not edit by instruction; or there
            is not enough memory.
    """
    check_memory(info, place, "engine")
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix.lower() not in SINGLE_FILES:
            raise EngineUnavailableError(
                f"{source} is no file of weights: name a {' or '.join(SINGLE_FILES)} file."
            )
        return load_stable_diffusion(source, info, place, lora, lora_scale, xl=_is_xl_file(path))
    kind = read_index(source)["_class_name"]
    if kind == "PocketEngine" and not is_hub_id(source):
        return load_pocket(path, info, place, lora, lora_scale)
    if kind in SD15_CLASSES + SDXL_CLASSES:
        return load_stable_diffusion(source, info, place, lora, lora_scale, xl=kind in SDXL_CLASSES)
    from editworld_core.engines.mmdit import PIPELINE_CLASSES, load_pipeline_engine

    if kind in PIPELINE_CLASSES:
        return load_pipeline_engine(source, info, place, lora, lora_scale)
    raise EngineUnavailableError(
        f"{source} holds a {kind}, which does not edit by instruction: "
        "name an InstructPix2Pix, FLUX Kontext, FLUX.2 klein or Qwen-Image-Edit model, or a folder that training wrote."
    )


def _is_xl_file(path: Path) -> bool:
    """Whether a single file of Stable Diffusion weights is of SDXL, which has two text encoders."""
    with loading(str(path)):
        if path.suffix.lower() == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "pt") as file:
                keys = list(file.keys())
        else:
            weights = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            keys = list(weights.get("state_dict", weights))
    return any(key.startswith("conditioner.embedders.1.") for key in keys)


def load_pocket(
    folder: Path, info: EngineInfo, place: Place, lora: str = "", lora_scale: float = 1.0
) -> UNetEngine:
    """An engine folder that ``training/train.py`` wrote; see ``load``."""
    from diffusers import DDIMScheduler
    from diffusers.utils import logging

    logging.disable_progress_bar()
    index = read_index(str(folder))
    unet = load_pocket_unet(folder, place.dtype)
    try:
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
        codec = SpaceToDepthCodec.from_config(SpaceToDepthCodec.load_config(folder / "vae"))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EngineUnavailableError(
            f"The engine in {folder} is damaged ({type(error).__name__}): get it again from where it came."
        ) from error
    if lora:
        raise BadInputError(
            f"The engine {info.id} takes no LoRA weights: leave lora empty, or choose another engine."
        )
    defaults = index.get("editworld", {})
    info = replace(
        info,
        native_size=defaults.get("native_size", 256),
        multiple=codec.factor * 2 ** (len(unet.config.block_out_channels) - 1),
        records_attention=True,
        steps=defaults.get("steps", 1),
        text_guidance=defaults.get("text_guidance", 1.0),
        image_guidance=defaults.get("image_guidance", 1.0),
        fast_steps=None,
        takes_negative=False,
    )
    unet = unet.to(place.device, memory_format=torch.channels_last)
    return UNetEngine(info, unet, scheduler, codec, MiniLMEncoder(), device=place.device)
