"""What no recolouring explains counts more: against least squares, and against the same world with other luck."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from editworld_core.engines.build import build_scheduler
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
from editworld_core.simulation.world import simulate
from training.batches import Batches
from training.config import DataConfig, TrainConfig
from training.novelty import AROUND, BESIDE, NEW, RIDGE, novelty
from training.pool import open_pool


def photo(seed: int = 0) -> torch.Tensor:
    """Something with texture and colour, [1, 3, 64, 64] in -1..1."""
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) - 0.5


def test_it_is_what_least_squares_leave_over() -> None:
    source, target = photo(0), photo(1) * 0.2 + photo(0)
    shares = novelty(source, target)[0, 0].numpy()
    grey, change = source[0].mean(0).numpy(), (target - source)[0].numpy()
    half = AROUND // 2

    def left(row: int, column: int) -> float:
        place = np.s_[row - half : row + half + 1, column - half : column + half + 1]
        basis = np.stack([grey[place].ravel(), np.ones(AROUND**2)], 1)
        ridge = np.array([[(RIDGE * AROUND**2) ** 0.5, 0]])  # of the slope only
        fits = [
            np.linalg.lstsq(np.vstack([basis, ridge]), np.append(channel[place].ravel(), 0), rcond=None)[0]
            for channel in change
        ]
        errors = [c[row, column] - f @ (grey[row, column], 1) for c, f in zip(change, fits, strict=True)]
        return float(np.abs(errors).mean())

    for row, column in ((20, 30), (31, 17), (40, 44)):
        beside = range(-BESIDE, BESIDE + 1)
        most = max(left(row + down, column + right) for down in beside for right in beside)
        assert shares[row, column] == pytest.approx(min(most / NEW, 1), abs=1e-3)


def test_a_recolouring_is_not_new_but_a_moon_is() -> None:
    source = photo()
    target = 0.4 * source.mean(1, keepdim=True) * torch.tensor([0.3, 0.5, 1.0])[None, :, None, None]
    dark = source + target - 0.3
    assert float(novelty(source, source).max()) == 0
    assert float(novelty(source, dark).max()) < 0.05
    disc = torch.hypot(torch.arange(64)[:, None] - 32.0, torch.arange(64) - 32.0) < 4
    shares = novelty(source, torch.where(disc, torch.tensor(0.9), dark))[0, 0]
    assert float(shares[disc].min()) == 1
    far = torch.hypot(torch.arange(64)[:, None] - 32.0, torch.arange(64) - 32.0) > 4 + 1.5 * AROUND
    assert far.any()
    assert float(shares[far].max()) < 0.05


def test_what_luck_has_put_somewhere_counts_more(tmp_path: Path) -> None:
    names = ("night_falls", "rain_pours", "snow_falls", "world_ends", "autumn_comes")
    data = DataConfig(pairs=len(names), dynamics=names)
    pool = open_pool(tmp_path / "pool", data, workers=1)
    config = TrainConfig(
        data=data,
        loss=replace(TrainConfig().loss, novel=7.0),
        optimizer=replace(TrainConfig().optimizer, batch_size=len(names)),
    )
    steps = build_scheduler().config.num_train_timesteps
    batch = Batches(pool, config, MiniLMEncoder(), SpaceToDepthCodec(8), steps)(0)
    nothing = np.zeros((64, 64), np.float32)
    nothing[0] = 1  # all that is scattered lies along the upper edge
    for row, name in enumerate(names):
        without = simulate(name, 0, luck=nothing).after.astype(int)
        put = np.abs(pool.after[row] - without).max(-1) > 12
        put[:48] = False
        counts = batch.weight[row, 0].numpy()
        assert put.sum() > 100, name
        assert counts[put].mean() > 2 * counts.mean(), name
