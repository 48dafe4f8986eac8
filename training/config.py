"""A training run's settings: one YAML file, read into one dataclass."""

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml

from editworld_core.errors import BadInputError


@dataclass(frozen=True)
class ModelConfig:
    """The UNet: ``channels`` of each level, the first without attention; ``heads`` of each attention; ``detail`` adds
    ``DetailLayers``."""

    channels: tuple[int, ...] = (64, 128, 256)
    layers_per_block: int = 1
    heads: int = 4
    codec_factor: int = 8
    detail: bool = True


@dataclass(frozen=True)
class DataConfig:
    """``pairs`` simulated pairs of ``size`` pixels are rendered once; ``dynamics`` empty means all of them.

    ``unaffected`` of the draws have an instruction that does not concern the picture, which then stays as it is.
    """

    pairs: int = 16000
    size: int = 256
    seed: int = 0
    dynamics: tuple[str, ...] = ()
    horizontal_flip: bool = True
    unaffected: float = 0.0


@dataclass(frozen=True)
class LossConfig:
    """See ``training.objective``."""

    squared: float = 1.0
    absolute: float = 1.0
    outside: float = 2.0
    grounding: float = 0.05
    pure_noise: float = 0.4


@dataclass(frozen=True)
class OptimizerConfig:
    """Muon for the ``matrices`` inside the UNet, or AdamW for all; see ``training.optimizers``.

    The rate warms up, stays, and decays to ``final_learning_rate`` over the last ``decay_share`` of ``steps``.
    """

    matrices: Literal["muon", "adamw"] = "muon"
    learning_rate: float = 4e-4
    final_learning_rate: float = 4e-5
    decay_share: float = 0.3
    warmup_steps: int = 100
    steps: int = 10000
    batch_size: int = 16
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    drop_text: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05


@dataclass(frozen=True)
class WatchConfig:
    """How often to look: checkpoints by the clock, held-out edits by steps."""

    checkpoint_minutes: float = 4.0
    log_steps: int = 10
    held_out_steps: int = 500
    held_out_scenes: int = 1
    sampling_steps: int = 6
    text_guidance: float = 1.5


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run's result, apart from the machine."""

    seed: int = 0
    threads: int = 2
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)


def read_config(path: Path) -> TrainConfig:
    """Read ``path``; what it leaves out keeps its default.

    Raises:
        BadInputError: the file is missing or not YAML, or has a name that no setting has.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInputError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise BadInputError(
            f"The configuration {path} is not valid YAML: correct it and try again."
        ) from error
    return _build(TrainConfig, values, "")


def _build(kind: type, values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise BadInputError(f"The setting {prefix.rstrip('.') or 'file'} must hold names and values.")
    hints = get_type_hints(kind)
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        known = ", ".join(field.name for field in fields(kind))
        raise BadInputError(f"There is no setting {prefix}{min(unknown)}; choose from {known}.")
    return kind(**{name: _convert(hints[name], value, prefix + name) for name, value in values.items()})


def _convert(hint: Any, value: Any, name: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, f"{name}.")  # type: ignore[arg-type]
    if isinstance(value, list):
        return tuple(value)
    if hint in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise BadInputError(f"The setting {name} must be a number, not {value!r}.")
    return hint(value) if hint in (int, float) else value
