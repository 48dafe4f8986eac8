"""Weights of a diffusers pipeline under the names of the original Stable Diffusion files."""

import re
from pathlib import Path
from typing import Any

import torch

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_weights(pipeline: Any) -> dict[str, torch.Tensor]:
    """The weights of a Stable Diffusion 1.5 pipeline under their original names."""
    unet, levels = pipeline.unet, len(pipeline.unet.config.block_out_channels)
    per_level = unet.config.layers_per_block + 1
    found = {
        f"model.diffusion_model.{_unet_name(name, per_level, levels)}": value
        for name, value in unet.state_dict().items()
    }
    for name, value in pipeline.vae.state_dict().items():
        flat = ".attentions." in name and value.ndim == 2
        found[f"first_stage_model.{_vae_name(name, levels)}"] = value[..., None, None] if flat else value
    for name, value in pipeline.text_encoder.state_dict().items():
        bare = name.removeprefix("text_model.")
        found[f"cond_stage_model.transformer.text_model.{bare}"] = value
    return {name: value.contiguous() for name, value in found.items()}


def _unet_name(name: str, per_level: int, levels: int) -> str:
    for ours, theirs in _UNET_ENDS.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, index, rest = match.groups()
        place = 1 if kind == "attentions" else 2 * int(index)
        return f"middle_block.{place}.{_renamed(rest, _RESNET) if kind == 'resnets' else rest}"
    side, level, kind, index, rest = _parts(name)
    first = int(level) * per_level
    if kind == "downsamplers":
        return f"input_blocks.{first + per_level}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{first + per_level - 1}.2.{rest}"
    block = (
        f"input_blocks.{first + int(index) + 1}" if side == "down" else f"output_blocks.{first + int(index)}"
    )
    return f"{block}.{0 if kind == 'resnets' else 1}.{_renamed(rest, _RESNET) if kind == 'resnets' else rest}"


def _vae_name(name: str, levels: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    if match := re.match(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        coder, kind, index, rest = match.groups()
        if kind == "attentions":
            return f"{coder}.mid.attn_1.{_renamed(rest, _ATTENTION)}"
        return f"{coder}.mid.block_{int(index) + 1}.{rest}"
    if not re.search(r"(down|up)_blocks", name):
        return name
    coder, rest = name.split(".", 1)
    side, level, kind, index, rest = _parts(rest)
    place = f"{coder}.{side}.{level if side == 'down' else levels - 1 - int(level)}"
    return f"{place}.block.{index}.{rest}" if kind == "resnets" else f"{place}.{side}sample.{rest}"


def _parts(name: str) -> tuple[str, str, str, str, str]:
    match = re.match(
        r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name
    )
    assert match, name
    return match.groups()  # type: ignore[return-value]


def _renamed(name: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        if name.startswith(f"{ours}."):
            return theirs + name[len(ours) :]
    return name


def into_hub_cache(pipeline: Any, hub_id: str, cache: Path) -> None:
    """Lay the configuration of ``pipeline`` where the hub's client keeps what it has downloaded; no weights."""
    revision = "0" * 40
    home = cache / f"models--{hub_id.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(revision)
    pipeline.save_pretrained(home / "snapshots" / revision)
    for weights in home.rglob("*.safetensors"):
        weights.unlink()
