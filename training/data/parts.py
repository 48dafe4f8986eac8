"""The frozen parts of a model, which a run needs only to read its data: the autoencoder and the text encoders."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from editworld_core.engines.hub import is_hub_id, loading, read_index
from editworld_core.engines.place import Place
from editworld_core.engines.stable_diffusion import SD15_CLASSES, SDXL_CLASSES
from editworld_core.errors import EngineUnavailableError

NOTHING = None
"""In place of a text: nothing is said, which to some models of SDXL is another thing than the empty text."""

Words = tuple[Tensor, ...]
"""Of a text: embeddings [L, D], and for SDXL the pooled ones [P]."""


@dataclass(frozen=True)
class FrozenParts:
    """Autoencoder and text encoders of an InstructPix2Pix or text-to-image pipeline of Stable Diffusion 1.5 or XL.

    Attributes:
        vae: diffusers' ``AutoencoderKL``.
        embed: from texts, ``NOTHING`` among them, to their ``Words``; these are of ``place.dtype``.
    """

    vae: Any
    embed: Callable[[Sequence[str | None]], list[Words]]
    place: Place

    @torch.no_grad()
    def moments(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, which is the mode, and standard deviation of the posterior, each [B, C, h, w], not scaled.

        Args:
            pixels: [B, 3, H, W] in -1..1.
        """
        found = self.vae.encode(pixels.to(self.place.device, self.vae.dtype)).latent_dist
        return found.mean.cpu(), found.std.cpu()


@dataclass(frozen=True)
class PartsFolder:
    """A pipeline's folder on this machine.

    Attributes:
        path: the folder; of a hub id, that in the cache.
        xl: whether it is of SDXL.
    """

    path: Path
    xl: bool

    @cached_property
    def multiple(self) -> int:
        """Of pixels, which sides of pictures must be: what the autoencoder and the UNet halve them to."""
        return int(self.factor * 2 ** (len(self._config("unet")["block_out_channels"]) - 1))

    @cached_property
    def factor(self) -> int:
        """Pixels a side of one latent cell."""
        return int(2 ** (len(self._config("vae")["block_out_channels"]) - 1))

    @cached_property
    def vae_revision(self) -> str | None:
        """A hash of the autoencoder; None if it is not here."""
        return _hash(self.path, ["vae"])

    @cached_property
    def text_revision(self) -> str | None:
        """A hash of the text encoders and how they are used; None if they are not here."""
        if not self.xl:
            return _hash(self.path, ["tokenizer", "text_encoder"])
        zeros = read_index(str(self.path)).get("force_zeros_for_empty_prompt", True)
        return _hash(self.path, ["tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2"], str(zeros))

    def load(self, place: Place) -> FrozenParts:
        """Read the parts, and nothing of the UNet.

        Raises:
            EngineUnavailableError: one is missing or damaged, or does not fit into memory.
        """
        from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
        from diffusers.utils import logging

        logging.disable_progress_bar()
        kind = StableDiffusionXLInstructPix2PixPipeline if self.xl else StableDiffusionInstructPix2PixPipeline
        options: dict[str, Any] = {"dtype": place.dtype, "unet": None}
        if not self.xl:
            options |= {"safety_checker": None, "requires_safety_checker": False}
        with loading(str(self.path)):
            pipeline = kind.from_pretrained(self.path, **options)
            if place.dtype == torch.float16 and pipeline.vae.config.force_upcast:
                pipeline.vae.to(torch.float32)  # it overflows in half precision
            pipeline.to(place.device)
        embed = _embed_xl if self.xl else _embed
        return FrozenParts(pipeline.vae, lambda texts: embed(pipeline, place, texts), place)

    def _config(self, part: str) -> dict[str, Any]:
        with loading(str(self.path)):
            config: dict[str, Any] = json.loads((self.path / part / "config.json").read_text())
        return config


def find_parts(model: str) -> PartsFolder:
    """The folder of ``model``, a folder in diffusers format or a hub id; nothing is loaded.

    Of a hub id, what is not in the cache is downloaded, but for the weights of the UNet.

    Raises:
        EngineUnavailableError: it is missing, or no pipeline of Stable Diffusion 1.5 or XL.
    """
    kind = read_index(model)["_class_name"]
    if kind not in SD15_CLASSES + SDXL_CLASSES:
        raise EngineUnavailableError(
            f"{model} holds a {kind}, which is not trained so: name a pipeline of Stable Diffusion 1.5 or XL."
        )
    path = Path(model).expanduser()
    if is_hub_id(model):
        from diffusers import DiffusionPipeline
        from huggingface_hub import hf_hub_download

        with loading(model):
            hf_hub_download(model, "unet/config.json")
            path = Path(DiffusionPipeline.download(model, unet=None, safety_checker=None))
    return PartsFolder(path, kind in SDXL_CLASSES)


def _hash(folder: Path, parts: list[str], more: str = "") -> str | None:
    """A hash of ``more`` and of the files of ``parts``, which are folders in ``folder``; None if one is not there."""
    digest = hashlib.sha256()
    for part in parts:
        files = sorted(path for path in (folder / part).glob("*") if path.is_file())
        if not any(path.suffix in (".safetensors", ".bin") or part.startswith("tokenizer") for path in files):
            return None
        for path in files:
            with path.open("rb") as file:
                digest.update(
                    f"{part}/{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
    digest.update(more.encode())
    return digest.hexdigest()[:16]


@torch.no_grad()
def _embed(pipeline: Any, place: Place, texts: Sequence[str | None]) -> list[Words]:
    tokens = pipeline.tokenizer(
        [text or "" for text in texts],
        padding="max_length",
        truncation=True,
        max_length=pipeline.tokenizer.model_max_length,
        return_tensors="pt",
    )
    context = pipeline.text_encoder(tokens.input_ids.to(place.device))[0].cpu()
    return [(each,) for each in context]


@torch.no_grad()
def _embed_xl(pipeline: Any, place: Place, texts: Sequence[str | None]) -> list[Words]:
    told = [text for text in texts if text is not None] or [""]
    context, nothing, pooled, pooled_nothing = pipeline.encode_prompt(
        told, device=place.device, do_classifier_free_guidance=None in texts
    )
    words = iter(zip(context.cpu(), pooled.cpu(), strict=True))
    return [(nothing[0].cpu(), pooled_nothing[0].cpu()) if text is None else next(words) for text in texts]
