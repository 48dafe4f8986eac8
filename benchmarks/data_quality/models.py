"""A small pocket engine for an arm's pairs: trained, and measured on held-out worlds of all dynamics."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.engines.parts import TextConditions
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
from editworld_core.engines.protocol import Progress
from editworld_core.evaluation.simulated import MOST_DB, SUCCESS
from editworld_core.metrics import psnr
from training.config import DataConfig, LossConfig, ModelConfig, OptimizerConfig, TrainConfig

if TYPE_CHECKING:
    from editworld_core.simulation.world import SimulatedPair
    from training.pool import PairPool

DYNAMICS = (
    "night_falls",
    "autumn_comes",
    "become_sketch",
    "snow_falls",
    "melt_snowman",
    "wilt_flower",
    "inflate_cheeks",
    "turn_upside_down",
    "burn_candle",
    "kiss_frog",
)
"""Of all seven categories; every second one is what the arm with fewer dynamics has."""
AT_ONCE = 16
PLAIN = 2  # of the five held-out wordings, which run from command to cause, so many count as plain


def small_config(pairs: int, steps: int, size: int, threads: int) -> TrainConfig:
    """The settings of ``training/configs/pocket.yaml`` for a smaller model and a short run."""
    return TrainConfig(
        threads=threads,
        model=ModelConfig(channels=(32, 64), detail=False),
        data=DataConfig(pairs=pairs, size=size, dynamics=DYNAMICS),
        loss=LossConfig(squared=0.5, absolute=1.0, outside=2.0, grounding=0.1, pure_noise=0.85),
        optimizer=OptimizerConfig(
            learning_rate=1e-3, final_learning_rate=5e-5, warmup_steps=20, steps=steps, ema_decay=0.98
        ),
    )


class RememberingEncoder(MiniLMEncoder):
    """Reads every instruction once: all arms train on the same ones."""

    def __init__(self) -> None:
        self._known: dict[str, TextConditions] = {}

    def encode(self, texts: list[str], size: tuple[int, int] | None = None) -> TextConditions:
        """See ``MiniLMEncoder.encode``."""
        if len(texts) > 1:
            return super().encode(texts, size)
        if texts[0] not in self._known:
            self._known[texts[0]] = super().encode(texts, size)
        return self._known[texts[0]]


def train_small(
    config: TrainConfig, pool: "PairPool", encoder: MiniLMEncoder, folder: Path, progress: Progress
) -> dict[str, float]:
    """Train on ``pool`` and write ``folder/engine``; the mean loss of the last steps, and the seconds it took.

    Raises:
        EditWorldError: the loss was not finite.
    """
    import torch

    from editworld_core.engines.build import build_scheduler
    from training.batches import Batches
    from training.loop import Trainer, start_accelerator
    from training.pocket_task import PocketTask

    torch.set_num_threads(config.threads)
    codec = SpaceToDepthCodec(config.model.codec_factor)
    timesteps = build_scheduler().config.num_train_timesteps
    task = PocketTask(config, Batches(pool, config, encoder, codec, timesteps))
    trainer = Trainer(task, folder, start_accelerator(task.recipe))
    started, steps, loss = time.perf_counter(), config.optimizer.steps, 0.0
    for step in range(1, steps + 1):
        trainer.train_step()
        if step % 20 == 0 or step == steps:
            loss = trainer.means()["loss"]
            progress(step, steps)
    trainer.export()
    return {"last_loss": loss, "seconds": time.perf_counter() - started}


def score(engine: Any, size: int, scenes: int) -> list[dict[str, Any]]:
    """What ``engine`` makes of ``scenes`` held-out worlds of each dynamic, one row each.

    Errors are mean absolute errors to the true target inside the true mask, 0..1, as in ``evaluate simulated``.
    """
    from editworld_core.settings import EditSettings

    rows = []
    for pairs in _held_out(size, scenes):
        sources = [Image.fromarray(pair.before) for pair in pairs]
        told = [pair.instruction for pair in pairs]
        edited = engine.edit_batch(sources, told, EditSettings(seed=0))
        rows += [_row(pair, picture) for pair, picture in zip(pairs, edited, strict=True)]
    return rows


def _held_out(size: int, scenes: int) -> "Iterator[list[SimulatedPair]]":
    from editworld_core.simulation.world import simulate

    todo = [(name, seed) for name in DYNAMICS for seed in range(scenes)]
    for start in range(0, len(todo), AT_ONCE):
        yield [
            simulate(name, seed, split="held_out", size=size) for name, seed in todo[start : start + AT_ONCE]
        ]


def _row(pair: "SimulatedPair", edited: Image.Image) -> dict[str, Any]:
    source, got = (_error(picture, pair) for picture in (pair.before, np.asarray(edited)))
    local = not pair.mask.all()
    return {
        "dynamic": pair.dynamic,
        "seed": pair.seed,
        "plain": pair.phrasings.index(pair.instruction) < PLAIN,
        "error_source": source,
        "error": got,
        "success": got <= SUCCESS * source,
        "psnr_outside": min(MOST_DB, psnr(Image.fromarray(pair.before), edited, ~pair.mask))
        if local
        else None,
    }


def _error(picture: NDArray[np.uint8], pair: "SimulatedPair") -> float:
    difference = picture[pair.mask].astype(np.float32) - pair.after[pair.mask]
    return float(np.abs(difference).mean() / 255)
