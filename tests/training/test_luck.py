"""What a world leaves to chance is in the noise that its pair is trained with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from editworld_core.engines.build import build_scheduler
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
from editworld_core.simulation.scatter import CELL
from training.batches import Batches, with_luck
from training.config import DataConfig, TrainConfig
from training.pool import luck_of, open_pool


def means(noise: torch.Tensor) -> np.ndarray:
    """Means of [B, 3, H, W] over cells, scaled to unit variance, [B, H / 4, W / 4]."""
    batch, _, height, width = noise.shape
    cells = noise.reshape(batch, 3, height // CELL, CELL, width // CELL, CELL)
    return cells.mean((1, 3, 5)).numpy() * (3 * CELL**2) ** 0.5


def test_normal_noise_stays_normal_and_tells_the_luck() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, luck = torch.randn(2, 3, 64, 96, generator=generator), torch.randn(2, 16, 24, generator=generator)
    lucky = with_luck(noise, luck)
    np.testing.assert_allclose(means(lucky), luck.numpy(), atol=1e-5)
    assert kstest(lucky.flatten().numpy(), "norm").pvalue > 0.01
    neighbours = (lucky[..., 1:] * lucky[..., :-1]).mean()
    assert abs(float(neighbours)) < 0.02
    added = (lucky - noise).reshape(2, 3, 16, CELL, 24, CELL)
    assert float(added.std(3).max()) < 1e-5  # nothing but the cells' means has changed


@pytest.mark.parametrize("flip", [False, True])
def test_a_batchs_noise_is_turned_with_its_pictures(tmp_path: Path, flip: bool) -> None:
    data = DataConfig(pairs=4, size=64, dynamics=("melt_snowman", "snow_falls"), horizontal_flip=flip)
    pool = open_pool(tmp_path / "pool", data, workers=1)
    codec = SpaceToDepthCodec(8)
    config = TrainConfig(data=data, optimizer=replace(TrainConfig().optimizer, batch_size=4))
    steps = build_scheduler().config.num_train_timesteps
    batches = Batches(pool, config, MiniLMEncoder(), codec, steps)
    turned = set()
    for step in range(8):
        batch = batches(step)
        sources = ((batch.source + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        for row in range(4):  # a batch is sorted by its rows, each of which it holds once
            mirrored = not np.array_equal(sources[row], pool.before[row])
            turned.add((pool.names[row], mirrored))
            luck = luck_of(data, row)
            np.testing.assert_allclose(
                means(codec.decode(batch.noise[row : row + 1]))[0],
                luck[:, ::-1] if mirrored else luck,
                atol=1e-5,
            )
    # what comes over a photograph has its side, like the moon and the slant of the rain
    plain = {("melt_snowman", False), ("snow_falls", False)}
    assert turned == (plain | {("melt_snowman", True)} if flip else plain)
