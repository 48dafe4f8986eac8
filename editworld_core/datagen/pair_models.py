"""The models of the text-to-image branch: which, from where, in which revision, and loading them once.

Four of them: one draws the first original, one redraws inside masks and refines (text-to-image pipelines of diffusers,
whose parts its inpainting and image-to-image pipelines share), one follows edges and looks (ControlNet and
IP-Adapter), and CLIP chooses.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.controlnet_inpainting import FAMILIES, LoadedModel, load_model
from editworld_core.datagen.scoring import ClipScorer, load_clip
from editworld_core.engines.hub import is_hub_id, loading, read_index
from editworld_core.errors import EngineUnavailableError

if TYPE_CHECKING:
    from editworld_core.engines.place import Place

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
CLIP = "openai/clip-vit-large-patch14"
SAMPLE = 64 * 1024  # bytes at each end of a large file that tell it from others


@dataclass(frozen=True)
class ModelNames:
    """Folders or hub ids.

    Attributes:
        draw: a text-to-image model for the first original and its keyword masks.
        redraw: one for inpainting and refinement.
        guide: id or folder of ``controlnet_inpainting.load_model``.
        clip: a CLIP model.
        memory_gib: what all of them take in half precision, working; None if that is not known.
        offloaded_gib: the same on the device with the offload preset ``model``.
    """

    draw: str
    redraw: str
    guide: str
    clip: str
    memory_gib: float | None = None
    offloaded_gib: float | None = None


# Counted from the parameters at two bytes each (CLIP at four), with what drawing needs beside them.
PRESETS = {
    "paper": ModelNames(SD15, SDXL, "controlnet-sdxl", CLIP, 26.0, 11.0),
    "sd15": ModelNames(SD15, SD15, "controlnet-sd15", CLIP, 9.0, 4.0),
    "sdxl": ModelNames(SDXL, SDXL, "controlnet-sdxl", CLIP, 24.0, 11.0),
}
"""``paper``: Stable Diffusion 1.5 draws, XL does the rest. The others do everything with one."""


def names_in(folder: Path) -> ModelNames:
    """The models in ``folder``: ``draw``, ``redraw`` (without it ``draw`` does both), ``controlnet`` and ``clip``.

    Raises:
        EngineUnavailableError: one is missing.
    """
    for part in ("draw", "controlnet", "clip"):
        if not (folder / part).is_dir():
            raise EngineUnavailableError(
                f"{folder} has no folder {part}: it needs draw, controlnet and clip, and may have redraw."
            )
    redraw = folder / "redraw"
    draw = str(folder / "draw")
    return ModelNames(
        draw, str(redraw) if redraw.is_dir() else draw, str(folder / "controlnet"), str(folder / "clip")
    )


@dataclass(frozen=True, eq=False)
class PairModels:
    """The models, ready to draw.

    Attributes:
        draw: ``StableDiffusionPipeline`` or ``StableDiffusionXLPipeline``.
        inpaint, refine: the inpainting and the image-to-image pipeline of the redrawing model, which share its parts.
        guide: the ControlNet and IP-Adapter inpainter.
        clip: scores.
        batch: pictures drawn at once; more is faster on a large GPU and changes nothing but rounding.
    """

    draw: Any
    inpaint: Any
    refine: Any
    guide: LoadedModel
    clip: ClipScorer
    place: "Place"
    batch: int = 1

    def ready(self, pipeline: Any) -> Any:
        """``pipeline`` on its device; those that share parts take them from each other when they offload."""
        if self.place.device != "cpu" and self.place.offload != "none":
            self.place.settle(pipeline)
        return pipeline


def load_models(names: ModelNames, place: "Place", batch: int = 1) -> PairModels:
    """Load all of them.

    Raises:
        EngineUnavailableError: weights are missing, damaged or of another kind, or there is not enough memory.
    """
    import diffusers
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    logging.set_verbosity_error()  # sharing parts warns of an empty list
    _check_memory(names, place)
    draw = _text_to_image(names.draw, place)
    redraw = draw if names.redraw == names.draw else _text_to_image(names.redraw, place)
    xl = _is_xl(redraw)
    kind = "StableDiffusionXL" if xl else "StableDiffusion"
    options = {"add_watermarker": False} if xl else {}
    inpaint, refine = (
        getattr(diffusers, f"{kind}{what}Pipeline").from_pipe(redraw, dtype=place.dtype, **options)
        for what in ("Inpaint", "Img2Img")
    )
    for pipeline in (draw, inpaint, refine):
        pipeline.set_progress_bar_config(disable=True)
        place.settle(pipeline)
    return PairModels(
        draw=draw,
        inpaint=inpaint,
        refine=refine,
        guide=load_model(names.guide, place),
        clip=load_clip(names.clip, place.device),
        place=place,
        batch=batch,
    )


def _text_to_image(name: str, place: "Place") -> Any:
    import diffusers

    kind = read_index(name)["_class_name"]
    options: dict[str, dict[str, Any]] = {
        "StableDiffusionPipeline": {"safety_checker": None, "requires_safety_checker": False},
        "StableDiffusionXLPipeline": {"add_watermarker": False},
    }
    if kind not in options:
        raise EngineUnavailableError(
            f"{name} holds a {kind}, which does not draw from text: name a {' or a '.join(options)}."
        )
    with loading(name):
        pipeline = getattr(diffusers, kind).from_pretrained(
            name if is_hub_id(name) else Path(name).expanduser(), dtype=place.dtype, **options[kind]
        )
    channels, latents = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if channels != latents:
        raise EngineUnavailableError(
            f"The UNet of {name} has {channels} input channels, not {latents}, so it does not draw from text alone: "
            "take the model that it was made from."
        )
    return pipeline


def _is_xl(pipeline: Any) -> bool:
    return "text_encoder_2" in pipeline.components


def _check_memory(names: ModelNames, place: "Place") -> None:
    import torch

    from editworld_core.engines.place import free_memory_gib

    need = names.memory_gib if place.device == "cpu" or place.offload == "none" else names.offloaded_gib
    free = free_memory_gib(place.device)
    if need is None or free is None:
        return
    if place.dtype == torch.float32:
        need *= 2
    if need > free:
        raise EngineUnavailableError(
            f"These models need about {need:.0f} GiB of memory and {free:.0f} GiB are free: take a larger GPU, "
            "the offload preset 'model', or the smaller models 'sd15'."
        )


def revisions(names: ModelNames) -> dict[str, str]:
    """The revision of each model: the commit at the hub, or a digest of a folder's files.

    Nothing is loaded; of hub models that are not on this machine small files are downloaded.

    Raises:
        EngineUnavailableError: a folder or the hub's answer is missing.
    """
    guide = next((family for family in FAMILIES if family.info.id == names.guide), None)
    found = {"draw": _revision(names.draw), "redraw": _revision(names.redraw)}
    if guide is None:
        found["guide"] = _revision(names.guide)
    else:
        found["guide"] = _revision(guide.info.weights)
        found["controlnet"] = _revision(guide.controlnet, "config.json")
        found["ip_adapter"] = _revision(guide.adapter, f"{guide.adapter_folder}/{guide.adapter_file}")
    return {**found, "clip": _revision(names.clip, "config.json")}


def _revision(name: str, file: str = "model_index.json") -> str:
    if not is_hub_id(name):
        return _digest(Path(name).expanduser())
    from huggingface_hub import hf_hub_download

    if file == "model_index.json":
        read_index(name)  # without a network this says so at once
    with loading(name):
        path = Path(hf_hub_download(name, file))
    commit = path.parts[path.parts.index("snapshots") + 1]
    return f"{name}@{commit[:12]}"


def _digest(folder: Path) -> str:
    """Names, sizes and both ends of the files: enough to tell two trainings apart without reading gigabytes."""
    if not folder.is_dir():
        raise EngineUnavailableError(
            f"There is no folder {folder}: name one that holds the model, or a hub id."
        )
    seen = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        seen.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with path.open("rb") as content:
            seen.update(content.read(SAMPLE))
            content.seek(max(0, size - SAMPLE))
            seen.update(content.read(SAMPLE))
    return f"{folder.name}@{seen.hexdigest()[:12]}"
