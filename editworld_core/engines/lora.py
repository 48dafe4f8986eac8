"""LoRA weights (Hu et al. 2022), added to those of a pipeline."""

from pathlib import Path
from typing import Any

from editworld_core.engines.hub import is_hub_id, loading
from editworld_core.errors import EngineUnavailableError


def fuse_lora(pipeline: Any, name: str, lora: str, scale: float) -> None:
    """Add ``scale`` times the weights called ``lora`` to those of ``pipeline``, a pipeline of diffusers.

    Args:
        name: what the pipeline is called, for refusals.
        lora: a file, a folder or a hub id.

    Raises:
        EngineUnavailableError: they are missing, damaged, or made for another model.
    """
    path = Path(lora).expanduser()
    if not path.exists() and not is_hub_id(lora):
        raise EngineUnavailableError(
            f"There are no LoRA weights {lora!r}: name a file, a folder or a hub id."
        )
    source = lora if is_hub_id(lora) else str(path)
    with loading(lora):
        fits = _fits(pipeline, source)
    if not fits:
        raise _misfit(lora, name)
    try:
        with loading(lora):
            pipeline.load_lora_weights(source)
    except EngineUnavailableError as error:
        if "size mismatch" in str(error.__cause__):
            raise _misfit(lora, name) from error
        raise
    pipeline.fuse_lora(lora_scale=scale)
    pipeline.unload_lora_weights()


def _fits(pipeline: Any, source: str) -> bool:
    """Whether every layer that the weights change is there, and there is one.

    diffusers takes what fits of the LoRA of another model and only logs the rest.
    """
    part = "unet" if hasattr(pipeline, "unet") else "transformer"
    model = getattr(pipeline, part)
    options = {"unet_config": model.config} if part == "unet" else {}
    read = pipeline.lora_state_dict(source, **options)
    weights = read[0] if isinstance(read, tuple) else read
    layers = {f"{part}.{layer}" for layer, _ in model.named_modules()}
    changed = {
        key.split(".lora")[0].removesuffix(".processor") for key in weights if key.startswith(f"{part}.")
    }
    return bool(weights) and not changed - layers


def _misfit(lora: str, name: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The LoRA {lora} was not made for {name}, since its layers do not fit: take one that was trained on it."
    )
