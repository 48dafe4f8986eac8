"""What ``benchmarks train`` trains: Stable Diffusion 1.5 at full size, or a tiny one, with random weights.

Good for time and memory, and for nothing else.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Options = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """Options of diffusers' and transformers' classes."""

    unet: Options
    vae: Options
    text: Options


FULL = Shape(
    unet={"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    vae={
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": 512,
    },
    text={
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    },
)
TINY = Shape(
    unet={
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
    },
    vae={
        "block_out_channels": (8, 16),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 4,
        "norm_num_groups": 4,
        "sample_size": 16,
    },
    text={
        "vocab_size": 200,
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
)


def shape_of(tiny: bool) -> Shape:
    """The sizes of the model."""
    return TINY if tiny else FULL


def make_unet(tiny: bool) -> Any:
    """The UNet of InstructPix2Pix, with the weights that diffusers draws for a new one."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(in_channels=8, out_channels=4, **shape_of(tiny).unet)


def make_scheduler() -> Any:
    """The noise levels of Stable Diffusion."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def save_parts(folder: Path, tiny: bool) -> None:
    """Write a pipeline's folder without the weights of its UNet, which each contender makes in memory."""
    from diffusers import AutoencoderKL, StableDiffusionInstructPix2PixPipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    shape = shape_of(tiny)
    tokenizer = _letters(folder / "letters")
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    StableDiffusionInstructPix2PixPipeline(
        vae=AutoencoderKL(**shape.vae),
        text_encoder=CLIPTextModel(CLIPTextConfig(**shape.text, **ends)),
        tokenizer=tokenizer,
        unet=None,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    with torch.device("meta"):
        make_unet(tiny).save_config(folder / "unet")


def _letters(folder: Path) -> Any:
    """A CLIP tokenizer that knows letters only: an encoder's work does not depend on the words."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


class Stopwatch:
    """Adds up the seconds that calls of chosen methods take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, part: str) -> None:
        """Count what ``owner.method`` takes as ``part``."""
        import time

        inner = getattr(owner, method)

        def timed(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return inner(*given, **named)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

        setattr(owner, method, timed)

    def per_step(self, steps: int) -> dict[str, float]:
        """Seconds of each part in a step."""
        return {part: seconds / steps for part, seconds in self.seconds.items()}
