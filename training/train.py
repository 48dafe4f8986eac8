"""Train an engine from simulated worlds: ``python -m training.train --config training/configs/pocket.yaml -o RUN``.

RUN holds ``checkpoint.pt`` (everything a resumed run needs), ``engine/`` (the EMA weights in diffusers format, what
``--engine RUN/engine`` loads), ``log.csv``, TensorBoard events and ``held_out-STEP.png``.
"""

import argparse
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.errors import BadInputError, EditWorldError
from training.config import TrainConfig, read_config

if TYPE_CHECKING:
    import torch

    from training.batches import Batches
    from training.objective import Batch

logger = logging.getLogger(__name__)


class Trainer:
    """The state of a run: what a checkpoint holds, and the step that moves it on."""

    def __init__(self, config: TrainConfig, batches: "Batches") -> None:
        import torch

        from editworld_core.engines.build import build_scheduler, build_unet
        from training.optimizers import make_optimizers

        torch.manual_seed(config.seed)
        self.config, self.batches, self.step = config, batches, 0
        self.unet = build_unet(**asdict(config.model)).to(memory_format=torch.channels_last)
        self.scheduler = build_scheduler()
        self.ema = [parameter.detach().clone() for parameter in self.unet.parameters()]
        self.optimizers = make_optimizers(self.unet, config.optimizer)
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=_uses_bf16(config.precision))

    def train_step(self) -> dict[str, float]:
        """One step of the optimizer and of the average; returns the loss and its parts."""
        import torch

        batch = self.batches(self.step)
        rate = learning_rate(self.step, self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with self.autocast:
            losses = self.losses(batch)
        loss = losses["error"] + self.config.loss.grounding * losses["grounding"]
        if not torch.isfinite(loss):
            raise EditWorldError(
                f"The loss is {loss.item()} at step {self.step}: lower the learning rate and resume."
            )
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.unet.parameters(), self.config.optimizer.gradient_clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.unet.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(self.config.optimizer.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.ema, [p.detach() for p in self.unet.parameters()], 1 - decay)
        parts = {name: value.item() for name, value in losses.items()}
        return {"loss": loss.item(), **parts, "gradient_norm": norm.item(), "learning_rate": rate}

    def losses(self, batch: "Batch") -> "dict[str, torch.Tensor]":
        """The error of the predicted target and the grounding of the words."""
        import torch

        from editworld_core.attention import watching
        from training.objective import grounding, relative_error

        codec = self.batches.codec
        source, target = codec.encode(batch.source), codec.encode(batch.target)
        noisy = self.scheduler.add_noise(target, batch.noise, batch.timesteps)
        inputs = torch.cat([noisy, source * batch.keep_image], dim=1).contiguous(
            memory_format=torch.channels_last
        )
        grid = (source.shape[2] // 2, source.shape[3] // 2)
        maps: list[torch.Tensor] = []

        def keep(_: str, attn: Any, hidden: "torch.Tensor", context: "torch.Tensor", mask: Any) -> None:
            from editworld_core.attention import attention_probabilities

            if hidden.shape[1] == grid[0] * grid[1]:
                maps.append(attention_probabilities(attn, hidden, context, mask))

        with watching(self.unet, keep):
            predicted = self.unet(inputs, batch.timesteps, batch.context, class_labels=batch.pooled).sample
        return {
            "error": relative_error(codec.decode(predicted.float()), batch, self.config.loss),
            "grounding": grounding(maps, grid, batch),
        }

    def save(self, folder: Path) -> None:
        """Write ``checkpoint.pt`` and then ``engine/``; a kill at any moment leaves the last good checkpoint."""
        import torch

        from editworld_core.engines.build import save_pocket

        state = {
            "step": self.step,
            "config": asdict(self.config),
            "unet": self.unet.state_dict(),
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        temporary = folder / "checkpoint.pt.tmp"
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / "checkpoint.pt")
        with self.averaged():
            save_pocket(self.unet, folder / "engine")

    def load(self, folder: Path) -> None:
        """Take up the run in ``folder`` where its last checkpoint left it."""
        import torch

        state = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
        self.unet.load_state_dict(state["unet"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.ema, self.step = state["ema"], state["step"]

    def start_from(self, folder: Path) -> None:
        """Begin with the weights of the engine in ``folder`` instead of none; it may lack the detail layers.

        Raises:
            BadInputError: it has another architecture than this run's.
            EngineUnavailableError: it cannot be loaded.
        """
        import torch

        from editworld_core.engines.pocket import load_pocket_unet

        given = load_pocket_unet(folder).state_dict()
        weights = self.unet.state_dict()
        drawn = sum(self.unet.parts[:2])
        for name in ("conv_out.weight", "conv_out.bias"):  # without detail layers, only the outputs that draw
            given[name] = torch.cat([given[name], weights[name][drawn:]])[: len(weights[name])]
        given = {**{name: weight for name, weight in weights.items() if name.startswith("detail.")}, **given}
        try:
            self.unet.load_state_dict(given)
        except RuntimeError as error:
            raise BadInputError(
                f"The engine in {folder} has another architecture than the configuration: make model: the same."
            ) from error
        self.ema = [parameter.detach().clone() for parameter in self.unet.parameters()]

    def averaged(self) -> "Averaged":
        """A context in which the UNet has the EMA weights."""
        return Averaged(self)


class Averaged:
    """Swaps the EMA weights in, and the trained ones back."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def _swap(self) -> None:
        import torch

        with torch.no_grad():
            for parameter, average in zip(self.trainer.unet.parameters(), self.trainer.ema, strict=True):
                kept = parameter.clone()
                parameter.copy_(average)
                average.copy_(kept)

    def __enter__(self) -> None:
        self._swap()
        self.trainer.unet.eval()

    def __exit__(self, *_: object) -> None:
        self._swap()
        self.trainer.unet.train()


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


def _keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next step instead of giving them back: a tenth of a step's time."""
    import ctypes

    trim_threshold, mmap_max, never = -1, -4, 2**31 - 1
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(trim_threshold, never)
        mallopt(mmap_max, 0)


def _uses_bf16(precision: str) -> bool:
    """Whether to autocast: ``auto`` does where the processor multiplies bf16 itself; elsewhere it is 3x slower."""
    from editworld_core.engines.place import multiplies_bf16

    return precision == "bf16" or (precision == "auto" and multiplies_bf16())


def run(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    max_minutes: float | None = None,
    photos: tuple[Path, ...] = (),
    pool_folder: Path | None = None,
    start_from: Path | None = None,
) -> None:
    """Train until ``config.optimizer.steps`` or ``max_minutes``, whichever comes first.

    Raises:
        BadInputError: there is a run in ``folder`` and ``resume`` is off, or the other way about; ``resume`` and
            ``start_from`` are both given, or ``start_from`` has another architecture.
        EditWorldError: the loss is not finite; the last good checkpoint stays.
    """
    if resume and start_from is not None:
        raise BadInputError("A resumed run has its own weights: leave out --start-from, or --resume.")
    _check_folder(folder, resume)
    import torch

    from editworld_core.engines.build import build_scheduler
    from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
    from training.batches import Batches
    from training.pool import open_pool
    from training.watch import Log, held_out_scores

    started = time.monotonic()
    torch.set_num_threads(config.threads)
    _keep_freed_memory()
    pool = open_pool(pool_folder or folder / "pool", config.data, photos, progress=_bar("rendering pairs"))
    codec = SpaceToDepthCodec(config.model.codec_factor)
    batches = Batches(pool, config, MiniLMEncoder(), codec, build_scheduler().config.num_train_timesteps)
    trainer = Trainer(config, batches)
    if resume:
        trainer.load(folder)
    elif start_from is not None:
        trainer.start_from(start_from)
    log = Log(folder, trainer.step)
    bar = _bar("training")
    last_saved = time.monotonic()
    try:
        while trainer.step < config.optimizer.steps:
            row = trainer.train_step()
            if trainer.step % config.watch.log_steps == 0:
                log.write(trainer.step, row)
                bar(trainer.step, config.optimizer.steps)
            if trainer.step % config.watch.held_out_steps == 0 or trainer.step == config.optimizer.steps:
                with trainer.averaged():
                    log.write(trainer.step, held_out_scores(trainer, folder))
            if time.monotonic() - last_saved > 60 * config.watch.checkpoint_minutes:
                trainer.save(folder)
                last_saved = time.monotonic()
            if max_minutes is not None and time.monotonic() - started > 60 * max_minutes:
                break
    except KeyboardInterrupt:
        logger.info("stopped at step %d", trainer.step)
    trainer.save(folder)
    log.close()


def _check_folder(folder: Path, resume: bool) -> None:
    there = (folder / "checkpoint.pt").exists()
    if there and not resume:
        raise BadInputError(
            f"{folder} holds a run already: add --resume to go on with it, or name another folder."
        )
    if resume and not there:
        raise BadInputError(
            f"{folder} holds no checkpoint.pt to resume: leave --resume out to start a run there."
        )
    folder.mkdir(parents=True, exist_ok=True)


def _bar(title: str) -> Any:
    from tqdm import tqdm

    bar = tqdm(desc=title, unit="", file=sys.stderr, mininterval=2)

    def show(done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.refresh() if done == total else bar.update(0)

    return show


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status of DESIGN section 8."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file of settings")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    parser.add_argument("--max-minutes", type=float, help="stop and save after this long")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photos for backdrops")
    parser.add_argument("--pool", type=Path, help="folder of rendered pairs; default RUN/pool")
    parser.add_argument(
        "--start-from", type=Path, metavar="ENGINE", help="engine folder whose weights to begin with"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        photos = tuple(sorted(chosen.photos.glob("*.jpg"))) if chosen.photos else ()
        if chosen.photos and not photos:
            raise BadInputError(
                f"{chosen.photos} holds no .jpg files: name a folder of photos, or leave --photos out."
            )
        run(
            read_config(chosen.config),
            chosen.output,
            resume=chosen.resume,
            max_minutes=chosen.max_minutes,
            photos=photos,
            pool_folder=chosen.pool,
            start_from=chosen.start_from,
        )
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    except (EditWorldError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
