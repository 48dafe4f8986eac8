"""Settings of a fine-tuning run: one YAML file, read into one dataclass; ``training/configs`` has examples."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from editworld_core.errors import BadInputError
from training.config import build, read_yaml
from training.data.settings import DataSettings


def _number(default: float | None, low: float, high: float = math.inf) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class ModelSettings:
    """What is trained.

    Attributes:
        base: folder or hub id of an InstructPix2Pix or text-to-image pipeline of Stable Diffusion 1.5 or XL.
        lora_rank: 0 trains the whole UNet; otherwise only LoRA weights of this rank (Hu et al. 2022), scaled by 1.
        gradient_checkpointing: compute activations again in the backward pass: a third slower, far less memory.
    """

    base: str
    lora_rank: int = _number(0, 0, 1024)
    gradient_checkpointing: bool = False


@dataclass(frozen=True)
class ObjectiveSettings:
    """What is minimised; see ``training.finetune.objective``.

    Attributes:
        prediction: what the UNet predicts; ``base`` is what it did before.
        min_snr_gamma: of the min-SNR weighting (Hang et al. 2023), 5 in the paper; 0 for none.
        mask_weight: how much more an error inside the true mask counts than one outside; 0 for no difference.
    """

    prediction: Literal["base", "epsilon", "v_prediction", "sample"] = "base"
    min_snr_gamma: float = _number(0.0, 0, 1000)
    mask_weight: float = _number(0.0, 0, 1000)


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights move.

    Attributes:
        name: ``adamw8bit`` needs the package bitsandbytes; either with ``weight_decay`` 0 is plain Adam.
        schedule: what follows ``warmup_steps``; ``cosine`` and ``linear`` go to 0 at the last step.
        steps, epochs: the run's length; give one of them.
        batch_size: items that make one step, on all devices together.
        micro_batch_size: items that a device sees at once; the rest is accumulated.
        ema_decay: of the averaged weights, which are what is saved; 0 for none.
    """

    name: Literal["adamw", "adamw8bit"] = "adamw"
    learning_rate: float = _number(5e-6, 0, 1)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: int = _number(0, 0)
    steps: int | None = _number(None, 1)
    epochs: float | None = _number(None, 0)
    batch_size: int = _number(64, 1, 65536)
    micro_batch_size: int = _number(4, 1, 4096)
    beta1: float = _number(0.9, 0, 0.9999)
    beta2: float = _number(0.999, 0, 0.99999)
    epsilon: float = _number(1e-8, 0, 1)
    weight_decay: float = _number(0.0, 0, 10)
    gradient_clip: float = _number(1.0, 1e-6, 1e6)
    ema_decay: float = _number(0.9999, 0, 0.999999)


@dataclass(frozen=True)
class CheckpointSettings:
    """Checkpoints are taken every so many steps and at the end; the last ``keep`` stay, and every ``keep_every``-th
    step's (0 for none)."""

    steps: int = _number(500, 1)
    keep: int = _number(2, 1)
    keep_every: int = _number(0, 0)


@dataclass(frozen=True)
class ValidationSettings:
    """Edits on items that are not trained on.

    Attributes:
        dataset: a data set's folder; None for no validation.
        items: its first so many are edited.
        every: steps between validations; the last step has one too.
        steps, text_guidance, image_guidance: of the edits; None takes the engine's own.
        clip: folder or hub id of a CLIP model, for its scores; empty for none.
    """

    dataset: Path | None = None
    items: int = _number(16, 1, 10000)
    every: int = _number(1000, 1)
    steps: int | None = _number(20, 1, 1000)
    text_guidance: float | None = _number(None, 0, 50)
    image_guidance: float | None = _number(None, 0, 50)
    clip: str = ""


@dataclass(frozen=True)
class LogSettings:
    """``log.csv`` and TensorBoard have a row every so many ``steps``; ``wandb`` names a project there, or is empty."""

    steps: int = _number(10, 1)
    wandb: str = ""


@dataclass(frozen=True)
class FinetuneConfig:
    """Everything that decides a run's result, apart from the machine."""

    model: ModelSettings
    data: DataSettings
    seed: int = _number(0, 0, 2**31 - 1)
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    checkpoints: CheckpointSettings = field(default_factory=CheckpointSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            BadInputError: as it says.
        """
        chosen = self.optimizer
        if (chosen.steps is None) == (chosen.epochs is None):
            raise BadInputError("The run's length is not clear: give optimizer.steps or optimizer.epochs.")
        if chosen.batch_size % chosen.micro_batch_size:
            raise BadInputError(
                f"optimizer.batch_size {chosen.batch_size} is no multiple of optimizer.micro_batch_size "
                f"{chosen.micro_batch_size}: make it one."
            )
        if self.objective.mask_weight and not self.data.use_masks:
            raise BadInputError("objective.mask_weight needs masks: set data.use_masks to true, or it to 0.")

    def total_steps(self, items: int) -> int:
        """The run's length in steps, with ``items`` in the data set."""
        chosen = self.optimizer
        if chosen.steps is not None:
            return chosen.steps
        assert chosen.epochs is not None  # __post_init__ saw to it
        return max(1, round(chosen.epochs * items / chosen.batch_size))


def read_finetune_config(path: Path) -> FinetuneConfig:
    """Read ``path``; what it leaves out keeps its default.

    Raises:
        BadInputError: the file is missing or not YAML, or a setting is unknown, missing or wrong.
    """
    return build(FinetuneConfig, read_yaml(path))
