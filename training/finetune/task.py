"""Fine-tuning an InstructPix2Pix-style UNet: a ``Task`` of the training loop."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from editworld_core.engines.parts import TextConditions
from editworld_core.errors import BadInputError
from training.finetune.card import write_card
from training.finetune.config import FinetuneConfig, OptimizerSettings
from training.finetune.model import Base, trainable, write_engine, write_lora
from training.finetune.objective import draw_noise, item_errors, min_snr_weights, wanted
from training.finetune.validation import SCORES, validate
from training.task import Recipe, this_process

if TYPE_CHECKING:
    from accelerate import Accelerator

    from training.data.samples import Draw, LatentBatch, Samples
    from training.loop import Trainer


class FinetuneTask:
    """See ``training.loop.Task``."""

    columns: tuple[str, ...] = ("step", "loss", "gradient_norm", "learning_rate", "seconds_per_step", *SCORES)

    def __init__(self, config: FinetuneConfig, base: Base, samples: "Samples", precision: str) -> None:
        """Train ``base`` on ``samples``, in ``fp32``, ``bf16`` or ``fp16`` arithmetic."""
        from accelerate.utils import parse_flag_from_env

        self.config, self.base, self.samples, self.wandb = config, base, samples, config.log.wandb
        self.model = base.unet
        if not parse_flag_from_env("ACCELERATE_USE_FSDP"):  # FSDP shares out contiguous weights only
            self.model.to(memory_format=torch.channels_last)
        if config.model.lora_rank and precision != "fp32":  # what is frozen needs no more
            dtype = torch.bfloat16 if precision == "bf16" else torch.float16
            for weight in self.model.parameters():
                if not weight.requires_grad:
                    weight.data = weight.data.to(dtype)
        self.scores: dict[str, float] = {}
        self._exported = False
        self._reader = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[LatentBatch]] = {}  # by step, its first batch, already being read
        steps, chosen = config.total_steps(len(samples)), config.optimizer
        self.recipe = Recipe(
            steps=steps,
            learning_rate=lambda step: learning_rate(step, steps, chosen),
            precision=precision,
            batch_size=chosen.batch_size,
            micro_batch_size=chosen.micro_batch_size,
            gradient_clip=chosen.gradient_clip,
            ema_decay=chosen.ema_decay,
            log_steps=config.log.steps,
            validate_steps=config.validation.every,
            checkpoint_steps=config.checkpoints.steps,
            keep=config.checkpoints.keep,
            keep_every=config.checkpoints.keep_every,
        )
        scheduler = base.scheduler
        self._snr = scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW, its states in 8 bits if asked for."""
        chosen = self.config.optimizer
        options: dict[str, Any] = {
            "lr": chosen.learning_rate,
            "betas": (chosen.beta1, chosen.beta2),
            "eps": chosen.epsilon,
            "weight_decay": chosen.weight_decay,
        }
        weights = trainable(self.model)
        if chosen.name == "adamw8bit":
            from bitsandbytes.optim import AdamW8bit

            return [AdamW8bit(weights, **options)]
        return [torch.optim.AdamW(weights, fused=True, **options)]

    def micro_batches(self, step: int, process: int, processes: int) -> "Iterator[LatentBatch]":
        """The process's share of the step's draws, ``micro_batch_size`` at a time; the next is read meanwhile."""
        cuts = self._cuts(step, process, processes)
        coming = self._ahead.pop(step, None) or self._reader.submit(self.samples.load, cuts[0])
        for cut in [*cuts[1:], self._cuts(step + 1, process, processes)[0]]:
            batch = coming.result()
            coming = self._reader.submit(self.samples.load, cut)
            yield batch
        self._ahead[step + 1] = coming

    def _cuts(self, step: int, process: int, processes: int) -> "list[list[Draw]]":
        draws = self.samples.draw(step)
        share, size = len(draws) // processes, self.config.optimizer.micro_batch_size
        mine = draws[process * share : (process + 1) * share]
        return [mine[start : start + size] for start in range(0, share, size)]

    def losses(self, model: torch.nn.Module, batch: "LatentBatch") -> dict[str, Tensor]:
        """The weighted error of what the UNet predicts."""
        device, objective, scheduler = self.model.device, self.config.objective, self.base.scheduler
        noise = draw_noise(batch.draws, batch.target_mean.shape[1:], scheduler.config.num_train_timesteps)
        timesteps, added = noise.timesteps.to(device), noise.added.to(device)
        latents = self.base.scaled(
            (batch.target_mean + batch.target_std * noise.posterior).float().to(device)
        )
        seen = torch.tensor([float(draw.keep_image) for draw in batch.draws]).view(-1, 1, 1, 1)
        source = (batch.source.float() * seen).to(device)
        inputs = torch.cat([scheduler.add_noise(latents, added, timesteps), source], dim=1)
        told = TextConditions(batch.context, batch.added).arguments(inputs)
        predicted = model(inputs.contiguous(memory_format=torch.channels_last), timesteps, **told).sample
        errors = item_errors(
            predicted,
            wanted(scheduler, latents, added, timesteps),
            None if batch.mask is None else batch.mask.float().to(device),
            objective,
        )
        snr = self._snr.to(device)[timesteps]
        weights = min_snr_weights(snr, objective.min_snr_gamma, scheduler.config.prediction_type)
        return {"loss": (weights * errors).mean()}

    def export(self, weights: dict[str, Tensor], step: int, folder: Path) -> None:
        """Write ``engine/``, or ``lora/``, with its card."""
        if self.config.model.lora_rank:
            write_lora(self.base, weights, self.product(folder))
        else:
            write_engine(self.base, weights, self.product(folder), whole=not self._exported)
        self._exported = True
        write_card(self.product(folder), self.config, self.base, len(self.samples), step, self.scores)

    def product(self, folder: Path) -> Path:
        """Where in the run's ``folder`` the trained weights are."""
        return folder / ("lora" if self.config.model.lora_rank else "engine")

    def validate(self, step: int, folder: Path, accelerator: "Accelerator") -> dict[str, float]:
        """Scores of edits by the exported engine, which are drawn as ``validation-STEP.png``."""
        if self.config.validation.dataset is None:
            return {}
        self.scores = validate(self.config, self.product(folder), step, folder, accelerator)
        if accelerator.is_main_process:
            write_card(self.product(folder), self.config, self.base, len(self.samples), step, self.scores)
        return self.scores

    def restore_old(self, folder: Path, trainer: "Trainer") -> bool:
        """There was no fine-tuning in earlier versions."""
        return False


def check_optimizer(settings: OptimizerSettings) -> None:
    """Refuse what is not installed.

    Raises:
        BadInputError: the package bitsandbytes is missing.
    """
    if settings.name == "adamw8bit" and find_spec("bitsandbytes") is None:
        raise BadInputError(
            "The package bitsandbytes is not installed: install it, or set optimizer.name to adamw."
        )


def learning_rate(step: int, steps: int, settings: OptimizerSettings) -> float:
    """The rate of a 0-based ``step`` of ``steps``: a linear warm-up, and then the schedule."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    left = (steps - step) / max(1, steps - settings.warmup_steps)
    share = {
        "constant": 1.0,
        "linear": min(1.0, left),
        "cosine": 0.5 - 0.5 * math.cos(math.pi * min(1.0, left)),
    }[settings.schedule]
    return settings.learning_rate * warm * share


def open_finetune_task(config: FinetuneConfig) -> FinetuneTask:
    """The task of ``config``: its base is loaded and its data opened. What would fail later is refused first.

    Raises:
        BadInputError: a setting does not suit the base, the data or the machine.
        EngineUnavailableError: the base is missing, damaged or of another kind.
    """
    from editworld_core.engines.place import DTYPES, best_place
    from training.data.samples import open_samples
    from training.finetune.model import load_base
    from training.finetune.validation import check_validation
    from training.watch import check_wandb

    check_optimizer(config.optimizer)
    if config.log.wandb:
        check_wandb()
    check_validation(config)
    place = best_place(str(this_process().device), None if config.precision == "auto" else config.precision)
    torch.manual_seed(config.seed)  # of the first LoRA weights
    base = load_base(config)
    samples = open_samples(config.data, config.model.base, place, config.optimizer.batch_size, config.seed)
    precision = next(name for name, dtype in DTYPES.items() if dtype == place.dtype)
    return FinetuneTask(config, base, samples, precision)
