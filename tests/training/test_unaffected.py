"""What a pocket engine is shown: hard dynamics more often, and instructions that do not concern the picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from editworld_core.engines.build import build_scheduler
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
from editworld_core.errors import BadInputError
from editworld_core.simulation.world import dynamic_names, get_dynamic
from training.batches import Batches
from training.config import DataConfig, TrainConfig
from training.objective import relative_error
from training.pool import PairPool, open_pool
from training.unaffected import instruction_of_another, unknown_instruction

DATA = DataConfig(pairs=8, size=64, dynamics=("melt_snowman", "night_falls"))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> PairPool:
    return open_pool(tmp_path_factory.mktemp("pool"), DATA, workers=1)


def _batches(pool: PairPool, unaffected: float, hard: tuple[str, ...] = (), batch_size: int = 8) -> Batches:
    plain = TrainConfig()
    config = replace(
        plain,
        data=replace(DATA, unaffected=unaffected, hard=hard, horizontal_flip=False),
        optimizer=replace(plain.optimizer, batch_size=batch_size),
    )
    steps = build_scheduler().config.num_train_timesteps
    return Batches(pool, config, MiniLMEncoder(), SpaceToDepthCodec(8), steps)


def test_unaffected_items_keep_their_source_and_have_no_mask(pool: PairPool) -> None:
    batch = _batches(pool, 1.0)(0)
    assert torch.equal(batch.source, batch.target)
    assert not batch.mask.any()
    perfect = relative_error(batch.source, batch, TrainConfig().loss)
    wrecked = relative_error(batch.source.flip(1), batch, TrainConfig().loss)
    assert perfect == 0 < wrecked


def test_their_share_is_the_setting(pool: PairPool) -> None:
    batches = _batches(pool, 0.25)
    kept = [
        float((batch.source == batch.target).flatten(1).all(1).sum()) for batch in map(batches, range(40))
    ]
    assert 0.15 < sum(kept) / (40 * 8) < 0.35


def test_hard_dynamics_are_drawn_three_times_as_often(pool: PairPool) -> None:
    batches = _batches(pool, 0.0, ("night_falls",), batch_size=1)
    nights = np.stack(
        [before for before, name in zip(pool.before, pool.names, strict=True) if name == "night_falls"]
    )
    shown = [((batches(step).source[0] + 1) * 127.5).round().byte().permute(1, 2, 0) for step in range(200)]
    drawn = [any(np.array_equal(picture, night) for night in nights) for picture in shown]
    assert 0.65 < np.mean(drawn) < 0.85


def test_a_hard_dynamic_without_pairs_is_refused(pool: PairPool) -> None:
    with pytest.raises(BadInputError, match="no pairs of 'melt_snowmen'"):
        _batches(pool, 0.0, ("melt_snowmen",))


def test_unknown_instructions_are_none_of_the_simulators() -> None:
    rng = np.random.default_rng(0)
    made = {unknown_instruction(rng) for _ in range(400)}
    known = {text for name in dynamic_names() for text in get_dynamic(name).phrasings}
    assert len(made) > 250
    assert not made & known
    assert not any("{" in text for text in made)


def test_what_is_said_of_another_thing_is_never_of_any_picture(pool: PairPool) -> None:
    rng = np.random.default_rng(0)
    snowman = pool.names.index("melt_snowman")
    night = pool.names.index("night_falls")

    def local(name: str) -> bool:
        return get_dynamic(name).local

    said = {instruction_of_another(night, pool.names, pool.phrasings, local, rng) for _ in range(30)}
    about_snowmen = [texts for name, texts in zip(pool.names, pool.phrasings, strict=True) if "snow" in name]
    assert said <= {text for texts in about_snowmen for text in texts}
    # of the two dynamics only the snowman's needs a thing: about it there is nothing of another to say
    other = {instruction_of_another(snowman, pool.names, pool.phrasings, local, rng) for _ in range(30)}
    assert not other & {text for texts in pool.phrasings for text in texts}


def test_a_pool_serves_any_share(pool: PairPool, tmp_path: Path) -> None:
    open_pool(tmp_path / "pool", DATA, workers=1)
    again = open_pool(tmp_path / "pool", replace(DATA, unaffected=0.5), workers=1)
    assert np.array_equal(again.before, pool.before)
