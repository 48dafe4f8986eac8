"""Redrawing the inside of a mask as the paper does: the edges of the edit, the looks of the original.

A Stable Diffusion inpainting model draws inside the mask; a ControlNet holds it to the Canny edges of the edited
picture, an IP-Adapter shows it the original (EditWorld, sections 3.2 and 3.4), all in one call of diffusers' pipeline.
It works on any editor's result. The first part lists the weights, the second loads them, the third draws.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from editworld_core.engines.hub import loading, read_index
from editworld_core.engines.protocol import EngineInfo, Progress
from editworld_core.engines.registry import EngineRow
from editworld_core.errors import EngineUnavailableError
from editworld_core.images import carry_change, composite, native_size
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.engines.place import Place

CANNY = (100, 200)
NEGATIVE = "monochrome, lowres, bad anatomy, worst quality, low quality"
STEPS = 50
"""These three are the paper's."""
LEAST_STRENGTH = 0.002
"""Of a thousand noise levels, at least two: what redraws less than that redraws nothing."""
ADAPTER_FOLDER = "ip_adapter"


@dataclass(frozen=True)
class Family:
    """A base model with the ControlNet and the IP-Adapter that were made for it.

    Attributes:
        info: what a user wants to know; ``info.weights`` is the hub id of the base model.
        pipeline: the class of diffusers that runs them together.
        controlnet: hub id of a ControlNet for Canny edges.
        adapter: hub id of an IP-Adapter, whose file is ``adapter_file`` in ``adapter_folder``, with the image encoder
            beside it.
        options: arguments for loading the pipeline.
    """

    info: EngineInfo
    pipeline: str
    controlnet: str
    adapter: str
    adapter_folder: str
    adapter_file: str
    options: dict[str, Any]


# What is stated of memory is counted from the parameters at two bytes each, with what drawing needs beside them.
FAMILIES = (
    Family(
        EngineInfo(
            id="controlnet-sd15",
            title="Stable Diffusion 1.5 inpainting with ControlNet and IP-Adapter, 512x512",
            licence="CreativeML OpenRAIL-M (base and ControlNet), Apache-2.0 (IP-Adapter)",
            weights="stable-diffusion-v1-5/stable-diffusion-inpainting",
            native_size=512,
            multiple=8,
            memory_gib=5.0,
            records_attention=False,
            steps=STEPS,
            text_guidance=7.5,
            image_guidance=1.0,
            takes_negative=True,
            memory_model_gib=3.5,
            memory_sequential_gib=1.5,
        ),
        pipeline="StableDiffusionControlNetInpaintPipeline",
        controlnet="lllyasviel/sd-controlnet-canny",
        adapter="h94/IP-Adapter",
        adapter_folder="models",
        adapter_file="ip-adapter_sd15.safetensors",
        options={"safety_checker": None, "requires_safety_checker": False},
    ),
    Family(
        EngineInfo(
            id="controlnet-sdxl",
            title="Stable Diffusion XL inpainting with ControlNet and IP-Adapter, 1024x1024",
            licence="CreativeML OpenRAIL++-M (base and ControlNet), Apache-2.0 (IP-Adapter)",
            weights="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
            native_size=1024,
            multiple=8,
            memory_gib=16.0,
            records_attention=False,
            steps=STEPS,
            text_guidance=5.0,
            image_guidance=1.0,
            takes_negative=True,
            memory_model_gib=10.0,
            memory_sequential_gib=3.0,
        ),
        pipeline="StableDiffusionXLControlNetInpaintPipeline",
        controlnet="diffusers/controlnet-canny-sdxl-1.0",
        adapter="h94/IP-Adapter",
        adapter_folder="sdxl_models",
        adapter_file="ip-adapter_sdxl.safetensors",
        options={"add_watermarker": False},
    ),
)


def controlnet_rows() -> list[EngineRow]:
    """The registered ControlNet inpainters for a list; nothing is loaded for it and no network asked."""
    return [_row(family) for family in FAMILIES]


def _row(family: Family) -> EngineRow:
    from huggingface_hub import constants, try_to_load_from_cache

    signs = {
        family.info.weights: "model_index.json",
        family.controlnet: "config.json",
        family.adapter: f"{family.adapter_folder}/{family.adapter_file}",
    }
    missing = [
        name for name, file in signs.items() if not isinstance(try_to_load_from_cache(name, file), str)
    ]
    if not missing:
        return EngineRow(family.info, True, "")
    if constants.HF_HUB_OFFLINE:
        why = f"{', '.join(missing)} not on this machine, and HF_HUB_OFFLINE forbids to get them"
    else:
        why = f"the first use gets {', '.join(missing)} from the hub"
    return EngineRow(family.info, False, why, downloadable=not constants.HF_HUB_OFFLINE)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A pipeline of diffusers, ready to draw.

    Attributes:
        busy: held while it draws, since a pipeline keeps its steps and scales in itself.
    """

    info: EngineInfo
    pipeline: Any
    busy: Lock


def load_model(name: str, place: "Place") -> LoadedModel:
    """The model that ``name`` means, loaded once and kept until another one takes its place.

    A folder holds what ``save_pretrained`` of one of the two pipelines wrote *before* an IP-Adapter was loaded, and
    beside it ``ip_adapter/`` with one file of IP-Adapter weights and, if the pipeline has no image encoder of its own,
    ``ip_adapter/image_encoder/``.

    Args:
        name: id of a family, or a folder.
        place: where it computes.

    Raises:
        EngineUnavailableError: weights are missing, damaged, behind a licence or of another kind, or there is not
            enough memory.
    """
    with _loading:
        if (name, place) not in _kept:
            _kept.clear()  # two of these seldom fit into memory
            _kept[name, place] = _load(name, place)
        return _kept[name, place]


_loading = Lock()
_kept: "dict[tuple[str, Place], LoadedModel]" = {}


def _load(name: str, place: "Place") -> LoadedModel:
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    from editworld_core.engines.place import check_memory

    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    logging.set_verbosity_error()  # loading an IP-Adapter warns of an empty list
    family = next((family for family in FAMILIES if family.info.id == name), None)
    if family:
        check_memory(family.info, place, "inpainter")
        pipeline, info = _from_hub(family, place), family.info
    else:
        pipeline, info = _from_folder(name, place)
    _check_parts(name, pipeline)
    # diffusers leaves SDXL's image encoder on the device when it offloads; its other pipelines do not.
    pipeline.model_cpu_offload_seq = "text_encoder->text_encoder_2->image_encoder->unet->vae"
    pipeline.set_progress_bar_config(disable=True)
    place.settle(pipeline)
    factor = pipeline.vae_scale_factor
    # diffusers takes multiples of 8 only, whatever the autoencoder.
    info = replace(info, native_size=pipeline.unet.config.sample_size * factor, multiple=math.lcm(8, factor))
    return LoadedModel(info, pipeline, Lock())


def _from_hub(family: Family, place: "Place") -> Any:
    import diffusers

    with loading(family.controlnet):
        controlnet = diffusers.ControlNetModel.from_pretrained(family.controlnet, dtype=place.dtype)
    with loading(family.info.weights):
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(
            family.info.weights, controlnet=controlnet, dtype=place.dtype, **family.options
        )
    with loading(family.adapter):
        pipeline.load_ip_adapter(
            family.adapter, subfolder=family.adapter_folder, weight_name=family.adapter_file
        )
    return pipeline


def _from_folder(name: str, place: "Place") -> tuple[Any, EngineInfo]:
    import diffusers

    folder = Path(name).expanduser()
    if not folder.is_dir():
        ids = ", ".join(family.info.id for family in FAMILIES)
        raise EngineUnavailableError(
            f"There is no inpainter {name!r}: choose engine, none, {ids}, or name a folder that holds one."
        )
    index = read_index(str(folder))
    family = _family_of(name, index["_class_name"])
    adapter = _adapter_file(name, folder / ADAPTER_FOLDER)
    _check_complete(name, folder, index, family)
    with loading(name):
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(
            folder, dtype=place.dtype, **family.options
        )
    try:
        with loading(str(adapter)):
            pipeline.load_ip_adapter(str(folder), subfolder=ADAPTER_FOLDER, weight_name=adapter.name)
    except EngineUnavailableError as error:
        if not isinstance(error.__cause__, KeyError | RuntimeError | ValueError):
            raise
        raise EngineUnavailableError(
            f"{adapter} does not fit the model in {name}: put the weights of an IP-Adapter there that was made for it."
        ) from error
    info = replace(family.info, id=name, weights=name, licence="as its own model card says")
    return pipeline, info


def _family_of(name: str, pipeline: str) -> Family:
    for family in FAMILIES:
        if family.pipeline == pipeline:
            return family
    raise EngineUnavailableError(
        f"{name} holds a {pipeline}, which is no inpainter: name a folder with a "
        f"{' or a '.join(family.pipeline for family in FAMILIES)}."
    )


def _adapter_file(name: str, folder: Path) -> Path:
    found = [path for path in sorted(folder.glob("*")) if path.suffix in (".safetensors", ".bin")]
    if len(found) != 1:
        raise EngineUnavailableError(
            f"{name} needs one file of IP-Adapter weights in its folder {ADAPTER_FOLDER} and has {len(found)}: "
            "put one .safetensors file there."
        )
    return found[0]


def _check_complete(name: str, folder: Path, index: dict[str, Any], family: Family) -> None:
    parts = [part for part, made_by in index.items() if isinstance(made_by, list) and any(made_by)]
    if "image_encoder" not in parts:
        parts.append(f"{ADAPTER_FOLDER}/image_encoder")
    for part in parts:
        if part not in family.options and not (folder / part).is_dir():
            raise EngineUnavailableError(f"{name} has no folder {part}: get it from where the rest came.")


def _check_parts(name: str, pipeline: Any) -> None:
    """Refuse what diffusers would stumble over only while it draws."""
    channels, latents = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if channels not in (latents, 2 * latents + 1):
        raise EngineUnavailableError(
            f"The UNet of {name} has {channels} input channels and cannot inpaint: "
            f"take one with {latents} or {2 * latents + 1}."
        )
    controlnet = pipeline.controlnet
    if type(controlnet).__name__ != "ControlNetModel" or (
        controlnet.config.cross_attention_dim != pipeline.unet.config.cross_attention_dim
    ):
        raise EngineUnavailableError(
            f"The ControlNet of {name} was not made for its UNet: take a single one for Canny edges that was."
        )


@dataclass(frozen=True)
class ControlNetInpainter:
    """Redraws at the model's native size and carries the change to the upload's (``images.carry_change``).

    ``settings`` gives ``inpaint_strength``, ``canny_scale``, ``image_prompt_scale``, ``outcome``, ``negative``,
    ``seed`` and ``inpaint_steps`` (the paper's 50 by default).
    """

    model: LoadedModel
    settings: EditSettings

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """See ``Inpainter``. An empty mask, or a strength of 0, leaves ``edited`` as it is.

        Raises:
            EngineUnavailableError: the memory does not suffice.
        """
        if not mask.any() or self.settings.inpaint_strength < LEAST_STRENGTH:
            return edited
        info = self.model.info
        size = native_size(original.size, info.native_size, info.multiple)
        before, after = (
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS) for image in (original, edited)
        )
        cover = whole_cells(mask, size, self.model.pipeline.vae_scale_factor)
        redrawn = self._draw(before, after, cover, self.settings.outcome or instruction, progress)
        return carry_change(original, before, redrawn)

    def _draw(
        self, before: Image.Image, after: Image.Image, cover: Mask, prompt: str, progress: Progress | None
    ) -> Image.Image:
        import torch

        settings, pipeline = self.settings, self.model.pipeline
        with self.model.busy:
            pipeline.set_ip_adapter_scale(settings.image_prompt_scale)
            try:
                drawn = pipeline(
                    prompt=prompt,
                    negative_prompt=", ".join(filter(None, (settings.negative, NEGATIVE))),
                    image=composite(before, after, cover, feather=0),
                    mask_image=Image.fromarray(cover.astype(np.uint8) * 255),
                    control_image=canny_edges(after),
                    ip_adapter_image=before,
                    width=before.width,
                    height=before.height,
                    num_inference_steps=_steps(settings),
                    strength=settings.inpaint_strength,
                    guidance_scale=self.model.info.text_guidance,
                    controlnet_conditioning_scale=float(settings.canny_scale),
                    generator=torch.Generator().manual_seed(settings.seed or 0),
                    callback_on_step_end=_reporting(progress) if progress else None,
                )
            except torch.OutOfMemoryError as error:
                raise EngineUnavailableError(
                    f"The memory does not suffice for the inpainter {self.model.info.id}: take an offload preset, "
                    "or choose a smaller inpainter."
                ) from error
            finally:
                pipeline.maybe_free_model_hooks()  # an edit that was stopped leaves its models on the device
        result: Image.Image = drawn.images[0]
        return result


def _steps(settings: EditSettings) -> int:
    """The steps asked for, or as many more as it takes for one of them to be drawn at this strength."""
    steps = settings.inpaint_steps
    while int(steps * settings.inpaint_strength) < 1:  # as diffusers counts
        steps += 1
    return steps


def _reporting(progress: Progress) -> Callable[..., dict[str, Any]]:
    def step_end(pipeline: Any, step: int, timestep: int, tensors: dict[str, Any]) -> dict[str, Any]:
        progress(step + 1, pipeline.num_timesteps)
        return tensors

    return step_end


def canny_edges(image: Image.Image) -> Image.Image:
    """White edges on black, RGB, as ControlNets for Canny were shown them (Canny 1986, thresholds ``CANNY``)."""
    edges = cv2.Canny(np.asarray(image.convert("RGB")), *CANNY)
    return Image.fromarray(np.stack([edges] * 3, axis=-1))


def whole_cells(mask: Mask, size: tuple[int, int], cell: int) -> Mask:
    """``mask`` [H, W] at ``size`` = (width, height), grown to whole squares of ``cell`` pixels.

    The model sees a mask only by latent cells, taking one pixel of each: a thin line would be lost on it. What is drawn
    too much is cut off by the composite, along the true outline.
    """
    grid = (size[0] // cell, size[1] // cell)
    touched: Mask = cv2.resize(mask.astype(np.float32), grid, interpolation=cv2.INTER_AREA) > 0
    return touched.repeat(cell, axis=0).repeat(cell, axis=1)
