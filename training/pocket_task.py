"""Training a pocket engine on simulated worlds: a ``Task`` of the training loop."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from editworld_core.errors import BadInputError, EditWorldError
from training.config import TrainConfig
from training.objective import Batch, grounding, perceptual_error, relative_error, structural_error
from training.task import Recipe, this_process

if TYPE_CHECKING:
    from accelerate import Accelerator

    from training.batches import Batches
    from training.loop import Trainer

COLUMNS = (
    "step",
    "loss",
    "error",
    "grounding",
    "gradient_norm",
    "learning_rate",
    "seconds_per_step",
    "held_out_success",
    "held_out_relative_error",
    "held_out_psnr_outside",
)


class PocketTask:
    """See ``training.loop.Task``."""

    columns: tuple[str, ...] = COLUMNS
    wandb = ""

    def __init__(self, config: TrainConfig, batches: "Batches") -> None:
        from editworld_core.engines.build import build_scheduler, build_unet
        from editworld_core.engines.place import multiplies_bf16

        torch.manual_seed(config.seed)
        self.config, self.batches = config, batches
        self.model = build_unet(**asdict(config.model)).to(memory_format=torch.channels_last)
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(name.startswith(config.optimizer.only or ""))
        for start in config.optimizer.only:
            if not any(name.startswith(start) for name, _ in self.model.named_parameters()):
                raise BadInputError(f"No weight's name begins with {start!r}: correct optimizer.only.")
        self.scheduler = build_scheduler()
        auto = "bf16" if multiplies_bf16() or torch.cuda.is_available() else "fp32"
        self.recipe = Recipe(
            steps=config.optimizer.steps,
            learning_rate=lambda step: learning_rate(step, config),
            precision=auto if config.precision == "auto" else config.precision,
            batch_size=config.optimizer.batch_size,
            gradient_clip=config.optimizer.gradient_clip,
            ema_decay=config.optimizer.ema_decay,
            log_steps=config.watch.log_steps,
            validate_steps=config.watch.held_out_steps,
            checkpoint_minutes=config.watch.checkpoint_minutes,
            keep_frozen=True,
        )

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon and AdamW, or AdamW alone; see ``training.optimizers``."""
        from training.optimizers import make_optimizers

        return make_optimizers(self.model, self.config.optimizer)

    def micro_batches(self, step: int, process: int, processes: int) -> Iterator[Batch]:
        """The part of the step's batch that is this process's, at once."""
        batch = self.batches(step)
        device = next(self.model.parameters()).device
        share = self.recipe.batch_size // processes
        part = slice(process * share, (process + 1) * share)
        yield Batch(**{each.name: getattr(batch, each.name)[part].to(device) for each in fields(Batch)})

    def losses(self, model: torch.nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The error of the predicted target and the grounding of the words, and their sum."""
        from editworld_core.attention import attention_probabilities, watching

        codec = self.batches.codec
        source, target = codec.encode(batch.source), codec.encode(batch.target)
        noisy = self.scheduler.add_noise(target, batch.noise, batch.timesteps)
        inputs = torch.cat([noisy, source * batch.keep_image], dim=1).contiguous(
            memory_format=torch.channels_last
        )
        grid = (source.shape[2] // 2, source.shape[3] // 2)
        maps: list[Tensor] = []

        def keep(_: str, attn: Any, hidden: Tensor, context: Tensor, mask: Any) -> None:
            if hidden.shape[1] == grid[0] * grid[1]:
                maps.append(attention_probabilities(attn, hidden, context, mask))

        with watching(self.model, keep):
            predicted = model(inputs, batch.timesteps, batch.context, class_labels=batch.pooled).sample
        picture, weights = codec.decode(predicted.float()), self.config.loss
        error = relative_error(picture, batch, weights)
        grounded = grounding(maps, grid, batch)
        loss = error + weights.grounding * grounded
        if weights.perceptual:
            loss = loss + weights.perceptual * perceptual_error(picture, batch)
        if weights.structural:
            loss = loss + weights.structural * structural_error(picture, batch)
        return {
            "loss": loss,
            "error": error,
            "grounding": grounded,
        }

    def export(self, weights: dict[str, Tensor], step: int, folder: Path) -> None:
        """Write ``engine/``."""
        from editworld_core.engines.build import save_pocket

        save_pocket(self.model, folder / "engine")

    def validate(self, step: int, folder: Path, accelerator: "Accelerator") -> dict[str, float]:
        """Scores of held-out edits, which are drawn as ``held_out-STEP.png``."""
        from training.watch import held_out_scores

        scores = held_out_scores(self, step, folder) if accelerator.is_main_process else {}
        accelerator.wait_for_everyone()
        return scores

    def restore_old(self, folder: Path, trainer: "Trainer") -> bool:
        """Take up a run whose checkpoint is a ``checkpoint.pt``, as the trainer of version 1 wrote it."""
        path = folder / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            self.model.load_state_dict(state["unet"])
            for optimizer, kept in zip(trainer.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            for average, kept in zip(trainer.ema.averages, state["ema"], strict=True):
                average.copy_(kept)
            trainer.step = state["step"]
        except (RuntimeError, ValueError, KeyError, EOFError) as error:
            raise EditWorldError(
                f"{path} does not fit this configuration or is damaged ({type(error).__name__}): resume with the run's "
                "own configuration, or start a new run with --start-from."
            ) from error
        return True

    def start_from(self, folder: Path) -> None:
        """Begin with the weights of the engine in ``folder`` instead of none; it may lack the detail layers.

        Raises:
            BadInputError: it has another architecture than this run's.
            EngineUnavailableError: it cannot be loaded.
        """
        from editworld_core.engines.pocket import load_pocket_unet

        given = load_pocket_unet(folder).state_dict()
        weights = self.model.state_dict()
        drawn = sum(self.model.parts[:2])
        for name in ("conv_out.weight", "conv_out.bias"):  # without detail layers, only the outputs that draw
            given[name] = torch.cat([given[name], weights[name][drawn:]])[: len(weights[name])]
        given = {**{name: weight for name, weight in weights.items() if name.startswith("detail.")}, **given}
        try:
            self.model.load_state_dict(given)
        except RuntimeError as error:
            raise BadInputError(
                f"The engine in {folder} has another architecture than the configuration: make model: the same."
            ) from error


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, a long constant part, and a linear decay over the last ``decay_share`` of the steps.

    The constant part does not depend on the length of the run, so a run can be lengthened while it goes on.
    """
    chosen = config.optimizer
    warm = min(1.0, (step + 1) / max(1, chosen.warmup_steps))
    left = (chosen.steps - step) / max(1, chosen.decay_share * chosen.steps)
    decayed = chosen.final_learning_rate + (chosen.learning_rate - chosen.final_learning_rate) * max(
        0.0, left
    )
    return warm * min(chosen.learning_rate, decayed)


def open_pocket_task(
    config: TrainConfig,
    folder: Path,
    photos: tuple[Path, ...] = (),
    pool_folder: Path | None = None,
    start_from: Path | None = None,
) -> PocketTask:
    """The task of ``config``; its pairs are rendered into ``pool_folder``, by default ``folder/pool``, unless they are.

    Raises:
        BadInputError: ``start_from`` has another architecture.
    """
    from editworld_core.engines.build import build_scheduler
    from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
    from training.batches import Batches
    from training.pool import open_pool
    from training.watch import progress_bar

    state = this_process()
    torch.set_num_threads(config.threads)
    with state.main_process_first():  # which renders what the others then find
        pool = open_pool(
            pool_folder or folder / "pool", config.data, photos, progress=progress_bar("rendering pairs")
        )
    codec = SpaceToDepthCodec(config.model.codec_factor)
    batches = Batches(pool, config, MiniLMEncoder(), codec, build_scheduler().config.num_train_timesteps)
    task = PocketTask(config, batches)
    if start_from is not None:
        task.start_from(start_from)
    return task
