"""A pool of pairs goes on where it was broken off, and only if its pairs are those that would be rendered now."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from editworld_core.errors import BadInputError
from editworld_core.simulation.world import simulate
from training.config import DataConfig
from training.pool import luck_of, open_pool

DATA = DataConfig(pairs=6, size=64, dynamics=("become_sketch", "melt_snowman", "snow_falls"))


def test_a_broken_off_pool_ends_as_the_unbroken_one(tmp_path: Path) -> None:
    whole = open_pool(tmp_path / "whole", DATA, workers=1)
    open_pool(tmp_path / "broken", DATA, workers=1)
    items = tmp_path / "broken" / "items.jsonl"
    items.write_bytes(b"".join(items.read_bytes().splitlines(keepends=True)[:4]) + b'{"dynamic": "mel')
    after = np.lib.format.open_memmap(tmp_path / "broken" / "after.npy", mode="r+")
    after[4:] = 0
    pool = open_pool(tmp_path / "broken", DATA, workers=1)
    assert np.array_equal(pool.after, whole.after)
    assert np.array_equal(pool.before, whole.before)
    assert pool.names == whole.names
    assert pool.phrasings == whole.phrasings
    drawn = simulate("melt_snowman", 1, size=64, luck=luck_of(DATA, 4))
    assert np.array_equal(pool.after[4], drawn.after)


def test_a_pool_of_other_settings_is_refused(tmp_path: Path) -> None:
    open_pool(tmp_path, DATA, workers=1)
    with pytest.raises(BadInputError, match="other settings"):
        open_pool(tmp_path, replace(DATA, seed=1), workers=1)
    assert len(open_pool(tmp_path, replace(DATA, unaffected=0.5), workers=1)) == 6


@pytest.mark.parametrize("levels", [3, 30])
def test_a_pool_of_another_simulator_is_refused(tmp_path: Path, levels: int) -> None:
    kept = open_pool(tmp_path, DATA, workers=1).after.copy()
    after = np.lib.format.open_memmap(tmp_path / "after.npy", mode="r+")
    after[1, 40:44] = np.where(kept[1, 40:44] > 127, kept[1, 40:44] - levels, kept[1, 40:44] + levels)
    after.flush()
    if levels == 3:  # as another version of OpenCV may draw it
        open_pool(tmp_path, DATA, workers=1)
        return
    with pytest.raises(BadInputError, match=r"draws 'melt_snowman' differently"):
        open_pool(tmp_path, DATA, workers=1)
    assert [json.loads(line)["dynamic"] for line in (tmp_path / "items.jsonl").open()] == 2 * list(
        DATA.dynamics
    )
