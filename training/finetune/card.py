"""The model card of a run: what was trained, on what, how, and how well it does."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from training.finetune.config import FinetuneConfig
from training.finetune.model import Base, place_of

CARD = """---
{head}---

# {title}

{what}, trained with EditWorld's `training.train` for {step} steps of {batch} pictures.

- Base: `{base}`. Its licence ({licence}) holds for these weights as well.
- Data: `{data}`, {items} pairs of pictures with an instruction{made_of}.
- The UNet alone was trained; it predicts {prediction}.

## Use

```
{use}
```

The files are in diffusers' format: {pipeline} loads them as well.

## Scores

{scores}

## Limits

It knows what its base and its data show, with their errors and prejudices. Pictures that it makes are not evidence of
anything. Measure it on your own pictures before you rely on it.

## Settings

```yaml
{settings}```
"""
MEANING = {
    "st_lpips_target": "ST-LPIPS to the target (0 is equal)",
    "mask_iou": "IoU of the attention mask and the true mask",
    "psnr_outside": "PSNR outside the true mask, dB",
    "st_lpips_outside": "ST-LPIPS outside the true mask (0 is equal)",
    "clip_caption": "CLIP similarity to the target's caption",
    "clip_target": "CLIP similarity to the target",
}
PREDICTIONS = {"epsilon": "the noise", "v_prediction": "the velocity v", "sample": "the clean picture"}


def write_card(
    folder: Path, config: FinetuneConfig, base: Base, items: int, step: int, scores: dict[str, float]
) -> None:
    """Write ``README.md`` beside the weights in ``folder``.

    Args:
        items: in the data set.
        scores: of ``training.finetune.validation``; empty if nothing was validated.
    """
    from editworld_core.datagen.records import write_file

    lora = bool(config.model.lora_rank)
    licence = licence_of(config.model.base)
    values = {
        "head": _head(config, base, licence, lora),
        "title": f"{'LoRA' if lora else 'Fine-tuned'} instruction editor on {_name(base.source)}",
        "what": f"LoRA weights of rank {config.model.lora_rank}" if lora else "An InstructPix2Pix-style UNet",
        "step": step,
        "batch": config.optimizer.batch_size,
        "base": _name(base.source),
        "licence": licence or "see its own card",
        "data": _name(config.data.dataset or config.data.precomputed),
        "items": items,
        "made_of": _made_of(config),
        "prediction": PREDICTIONS[base.scheduler.config.prediction_type],
        "pipeline": _pipeline(base, lora),
        "use": _use(config, folder, lora),
        "scores": _table(config, scores),
        "settings": yaml.safe_dump(_plain(asdict(config)), sort_keys=False, allow_unicode=True),
    }
    write_file(folder / "README.md", CARD.format(**values).encode())


def licence_of(base: str) -> str:
    """The licence of ``base``, as our catalogue or its own model card says; empty if neither does."""
    from editworld_core.engines.registry import CATALOGUE

    for info in CATALOGUE:
        if info.weights == base:
            return info.licence
    card = Path(place_of(base)) / "README.md"
    if not card.is_file():
        return ""
    from huggingface_hub.repocard import metadata_load

    try:
        about = metadata_load(card) or {}
    except (ValueError, OSError, yaml.YAMLError):
        return ""
    return str(about.get("license_name") or about.get("license") or "")


def _head(config: FinetuneConfig, base: Base, licence: str, lora: bool) -> str:
    from editworld_core.engines.hub import is_hub_id

    kind = "adapter" if lora else "finetune"
    of_hub = {"base_model": base.source, "base_model_relation": kind} if is_hub_id(base.source) else {}
    head = of_hub | {
        "library_name": "diffusers",
        "license": "other",
        "license_name": licence or "that of the base model",
        "pipeline_tag": "image-to-image",
        "tags": ["image-editing", "instruct-pix2pix", "editworld", *(["lora"] if lora else [])],
    }
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _use(config: FinetuneConfig, folder: Path, lora: bool) -> str:
    chosen = (
        f"--engine {_name(config.model.base)} --lora {folder.name}" if lora else f"--engine {folder.name}"
    )
    return f'python -m editworld_core edit picture.png "the candle burns down" -o edited.png {chosen}'


def _pipeline(base: Base, lora: bool) -> str:
    kind = f"`StableDiffusion{'XL' if base.xl else ''}InstructPix2PixPipeline"
    return f"{kind}.load_lora_weights`" if lora else f"{kind}.from_pretrained`"


def _made_of(config: FinetuneConfig) -> str:
    """By which branches the data set was made, if it is a data set of ours."""
    import json

    if config.data.dataset is None:
        return ""
    try:
        about = json.loads((config.data.dataset / "dataset.json").read_text(encoding="utf-8"))
        branches = about["counts"]["by_branch"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return " (" + ", ".join(f"{count} by {name.replace('_', ' ')}" for name, count in branches.items()) + ")"


def _table(config: FinetuneConfig, scores: dict[str, float]) -> str:
    if not scores:
        return "Not measured in this run."
    lines = [f"| {MEANING[name]} | {value:.4g} |" for name, value in scores.items()]
    steps = config.validation.steps or "the engine's own number of"
    about = (
        f"Means over up to {config.validation.items} held-out items of `{_name(config.validation.dataset)}`"
    )
    return "\n".join([f"{about}, {steps} denoising steps.", "", "| measure | value |", "|---|---|", *lines])


def _name(path: Any) -> str:
    """A hub id as it is; of a path only its end, which is nobody's business elsewhere."""
    from editworld_core.engines.hub import is_hub_id

    return str(path) if is_hub_id(str(path)) else Path(path or "").name


def _plain(value: Any, key: str = "") -> Any:
    """``value`` for YAML."""
    if isinstance(value, dict):
        return {name: _plain(each, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Path) or key in ("base", "clip"):
        return _name(value) if value else value
    return value
