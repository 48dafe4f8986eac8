"""A training run's settings: one YAML file, read into one dataclass. Here are those of a pocket engine."""

import math
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from editworld_core.errors import BadInputError

Kind = TypeVar("Kind")


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
    Pairs of the dynamics that are ``hard`` are drawn ``hard_times`` as often as the others.
    """

    pairs: int = 16000
    size: int = 256
    seed: int = 0
    dynamics: tuple[str, ...] = ()
    horizontal_flip: bool = True
    unaffected: float = 0.0
    hard: tuple[str, ...] = ()
    hard_times: float = field(default=3.0, metadata={"low": 1, "high": math.inf})


@dataclass(frozen=True)
class LossConfig:
    """See ``training.objective``; ``novel`` is how much more a pixel counts that no recolouring of the source explains
    (``training.novelty``)."""

    squared: float = 1.0
    absolute: float = 1.0
    outside: float = 2.0
    edges: float = 0.0
    perceptual: float = 0.0
    structural: float = 0.0
    novel: float = 0.0
    grounding: float = 0.05
    pure_noise: float = 0.4


@dataclass(frozen=True)
class OptimizerConfig:
    """Muon for the ``matrices`` inside the UNet, or AdamW for all; see ``training.optimizers``.

    ``only`` trains the weights whose names begin with one of these ("detail.") and freezes the others. The rate warms
    up, stays, and decays to ``final_learning_rate`` over the last ``decay_share`` of ``steps``.
    """

    only: tuple[str, ...] = ()
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
    """Read the settings of a pocket engine from ``path``; what it leaves out keeps its default.

    Raises:
        BadInputError: the file is missing or not YAML, or a setting is unknown or of the wrong kind.
    """
    return build(TrainConfig, read_yaml(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The names and values in ``path``.

    Raises:
        BadInputError: the file is missing, or is not YAML of names and values.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInputError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"The configuration {path} is not valid YAML: correct it and try again."
        ) from error
    if not isinstance(values, dict):
        raise BadInputError("The setting file must hold names and values.")
    return values


def build(kind: type[Kind], values: Any, prefix: str = "") -> Kind:
    """The dataclass ``kind`` with ``values``; a field's metadata ``low`` and ``high`` bound its number.

    Raises:
        BadInputError: a name is unknown or missing, or a value is of the wrong kind or out of its range.
    """
    if not isinstance(values, dict):
        raise BadInputError(f"The setting {prefix.rstrip('.') or 'file'} must hold names and values.")
    hints = get_type_hints(kind)
    entries = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in values if name not in entries)
    if unknown:
        raise BadInputError(f"There is no setting {prefix}{unknown[0]}; choose from {', '.join(entries)}.")
    for name, entry in entries.items():
        if entry.default is MISSING and entry.default_factory is MISSING and name not in values:
            raise BadInputError(f"The setting {prefix}{name} is missing: give it a value.")
    built = {name: _convert(hints[name], value, prefix + name) for name, value in values.items()}
    for name, value in built.items():
        low, high = (entries[name].metadata.get(end) for end in ("low", "high"))
        if low is not None and value is not None and not low <= value <= high:
            up_to = "" if high == math.inf else f" and at most {high}"
            raise BadInputError(f"The setting {prefix}{name} must be at least {low}{up_to}, not {value}.")
    return kind(**built)


def _convert(hint: Any, value: Any, name: str) -> Any:
    if is_dataclass(hint):
        return build(hint, value, f"{name}.")  # type: ignore[arg-type]
    choices = get_args(hint)
    if type(None) in choices:
        kinds = [choice for choice in choices if choice is not type(None)]
        return None if value is None else _convert(kinds[0], value, name)
    if get_origin(hint) is Literal:
        if value not in choices or isinstance(value, bool) != isinstance(choices[0], bool):
            listed = ", ".join(map(str, choices))
            raise BadInputError(f"The setting {name} must be one of {listed}, not {value!r}.")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise BadInputError(f"The setting {name} must be a list, not {value!r}.")
        return tuple(_convert(choices[0], each, name) for each in value)
    return _convert_plain(hint, value, name)


def _convert_plain(hint: Any, value: Any, name: str) -> Any:
    if hint in (str, Path):
        if not isinstance(value, str) or "\0" in value:
            raise BadInputError(f"The setting {name} must be text, not {value!r}.")
        return hint(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise BadInputError(f"The setting {name} must be true or false, not {value!r}.")
        return value
    if isinstance(value, str) and hint is float:  # YAML 1.1 reads 5e-6 as text
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInputError(f"The setting {name} must be a number, not {value!r}.")
    if hint is int and value != int(value):
        raise BadInputError(f"The setting {name} must be a whole number, not {value!r}.")
    return hint(value)
