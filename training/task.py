"""What the training loop is told: what to train, and how long and how fast."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from editworld_core.errors import BadInputError

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState

    from training.loop import Trainer


@dataclass(frozen=True)
class Recipe:
    """What the loop must know of a run.

    Attributes:
        steps: its length.
        learning_rate: of a step, 0-based.
        precision: ``fp32``, ``bf16`` or ``fp16`` arithmetic; the weights are in fp32.
        batch_size: items that make one step, on all processes together.
        gradient_clip: largest norm of the gradient.
        ema_decay: see ``Ema``.
        log_steps, validate_steps, checkpoint_steps: each happens every so many steps.
        micro_batch_size: items that a process sees at once; None for all of its share.
        checkpoint_minutes: and a checkpoint after so long; infinite for never.
        keep, keep_every: see ``checkpoints.prune``.
        keep_frozen: whether checkpoints hold frozen weights too, which come from nowhere else.
    """

    steps: int
    learning_rate: Callable[[int], float]
    precision: str
    batch_size: int
    gradient_clip: float
    ema_decay: float
    log_steps: int
    validate_steps: int
    micro_batch_size: int | None = None
    checkpoint_steps: float = math.inf
    checkpoint_minutes: float = math.inf
    keep: int = 1
    keep_every: int = 0
    keep_frozen: bool = False


class Task(Protocol):
    """A model to train, with its data and its loss."""

    recipe: Recipe
    model: torch.nn.Module
    columns: tuple[str, ...]
    """Of ``log.csv``."""
    wandb: str
    """A project at Weights & Biases to report to; empty for none."""

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that move the model's weights, which by now are where they will be trained."""
        ...

    def micro_batches(self, step: int, process: int, processes: int) -> Iterable[Any]:
        """The batches that one of the processes sees in ``step``, of equal size."""
        ...

    def losses(self, model: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """``loss``, which is minimised, the mean over the items of ``batch``; and others to be logged.

        Args:
            model: ``self.model``, or what accelerate wrapped it in.
        """
        ...

    def export(self, weights: dict[str, Tensor], step: int, folder: Path) -> None:
        """Write into the run's ``folder`` what its user wants: the model with ``weights``, after ``step`` steps."""
        ...

    def validate(self, step: int, folder: Path, accelerator: "Accelerator") -> dict[str, float]:
        """Scores of the model, which has the averaged weights and was just exported; every process is in it."""
        ...

    def restore_old(self, folder: Path, trainer: "Trainer") -> bool:
        """Take up a run of an earlier version of this program; False if ``folder`` holds none."""
        ...


def this_process() -> "PartialState":
    """accelerate's state of this process and of those that were started with it.

    accelerate looks for its fellows on processors only if it is told that there is nothing else.

    Raises:
        BadInputError: it was started as one of several, and finds no others.
    """
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != state.num_processes:
        raise BadInputError(
            f"{launched} processes were launched, and this one is to work as one of {state.num_processes}: launch "
            "them all for GPUs, or all with ACCELERATE_USE_CPU=true in the environment."
        )
    return state
