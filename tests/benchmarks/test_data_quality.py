"""The arms of the data experiment are what their names say, and no arm is trained twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.data_quality import arms, models
from benchmarks.data_quality.report import findings, tables
from editworld_core.simulation.world import get_dynamic, simulate
from training.pool import PairPool

NAMES = ("melt_snowman", "night_falls", "kiss_frog")


@pytest.fixture(scope="module")
def pool() -> PairPool:
    pairs = [simulate(NAMES[i % 3], i // 3, size=64) for i in range(30)]
    return PairPool(
        before=np.stack([pair.before for pair in pairs]),
        after=np.stack([pair.after for pair in pairs]),
        masks=np.packbits(np.stack([pair.mask for pair in pairs]), axis=-1),
        phrasings=[pair.phrasings for pair in pairs],
        names=[pair.dynamic for pair in pairs],
    )


def _changed(arm: str, pool: PairPool) -> PairPool:
    chosen = next(each for each in arms.ARMS if each.name == arm)
    return chosen.change(pool, np.random.default_rng(1))


def test_fewer_pairs_are_the_first_ones(pool: PairPool) -> None:
    half = _changed("half", pool)
    assert len(half) == 15
    np.testing.assert_array_equal(half.after, pool.after[:15])
    assert half.phrasings == pool.phrasings[:15]
    assert len(_changed("all", pool)) == 30


def test_fewer_dynamics_keep_all_of_their_pairs(pool: PairPool) -> None:
    fewer = _changed("half-dynamics", pool)
    assert sorted(set(fewer.names)) == ["kiss_frog", "melt_snowman"]
    assert len(fewer) == 20


def test_noisy_targets_differ_from_the_true_ones_and_all_else_stays(pool: PairPool) -> None:
    noisy = _changed("noisy-targets", pool)
    errors = np.abs(noisy.after.astype(float) - pool.after).mean((1, 2, 3))
    assert errors.min() > 1
    assert errors.mean() < 30
    np.testing.assert_array_equal(noisy.before, pool.before)
    np.testing.assert_array_equal(noisy.masks, pool.masks)


def test_noisy_masks_are_masks_that_miss_and_exceed(pool: PairPool) -> None:
    noisy, true = (np.unpackbits(each.masks, axis=-1) > 0 for each in (_changed("noisy-masks", pool), pool))
    local = [i for i, name in enumerate(pool.names) if get_dynamic(name).local]
    iou = [(noisy[i] & true[i]).sum() / (noisy[i] | true[i]).sum() for i in local]
    assert 0.1 < np.mean(iou) < 0.8
    assert (noisy & ~true).any()
    assert (true & ~noisy).any()


def test_a_fifth_of_the_instructions_is_of_another_dynamic(pool: PairPool) -> None:
    wrong = _changed("wrong-instructions", pool)
    own = {name: {pool.phrasings[i] for i in range(30) if pool.names[i] == name} for name in NAMES}
    strange = [i for i in range(30) if wrong.phrasings[i] not in own[wrong.names[i]]]
    assert len(strange) == 6
    assert all(wrong.phrasings[i] == pool.phrasings[i] for i in range(30) if i not in strange)


def test_one_wording_is_the_plainest_and_few_are_some_of_all(pool: PairPool) -> None:
    assert _changed("one-wording", pool).phrasings[0] == (pool.phrasings[0][0],)
    few = arms.few_wordings(pool, np.random.default_rng(0))
    assert all(len(set(texts)) == arms.WORDINGS for texts in few.phrasings)
    assert all(set(texts) <= set(pool.phrasings[row]) for row, texts in enumerate(few.phrasings))
    assert len(set(few.phrasings)) > 10


class Oracle:
    """Gives the true picture after; or, if it is idle, the picture before."""

    def __init__(self, idle: bool) -> None:
        self.idle = idle

    def edit_batch(self, images: list[Image.Image], told: list[str], settings: object) -> list[Image.Image]:
        if self.idle:
            return images
        known = {
            pair.before.tobytes(): pair.after
            for name in models.DYNAMICS
            for pair in [simulate(name, 0, split="held_out", size=64)]
        }
        return [Image.fromarray(known[image.tobytes()]) for image in images]


def test_scores_tell_the_truth_from_doing_nothing() -> None:
    perfect, idle = (models.score(Oracle(idle), 64, 1) for idle in (False, True))
    assert [row["dynamic"] for row in perfect] == list(models.DYNAMICS)
    assert all(row["success"] and row["error"] == 0 for row in perfect)
    assert not any(row["success"] for row in idle)
    assert all(row["error"] == row["error_source"] > 0 for row in idle)
    assert {row["psnr_outside"] for row in perfect} == {100.0, None}
    found = {
        "all": {"pairs": 1, "last_loss": 1.0, "scenes": perfect},
        "seed": {"pairs": 1, "last_loss": 1.0, "scenes": idle},
    }
    scores = tables(found)[0].rows
    assert [row.cells["left"].value for row in scores] == [0, 1]
    assert scores[1].cells["change"].value == 1
    half = found | {"half": found["seed"], "noisy-masks": found["all"]}
    assert findings(tables(half)) == [
        "Half of the pairs: error left +1.00 (+1.00 … +1.00) against all pairs, no more than another seed makes.",
        "Masks shifted, too wide or too narrow: error left 0.00 (0.00 … 0.00) against all pairs, which other scenes "
        "may undo.",
    ]
    assert findings(tables(half | {"seed": found["all"]}))[0].endswith("worse than chance explains.")


def test_the_command_trains_no_arm_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["data", "--pairs", "256", "--steps", "2", "--size", "64", "--scenes", "1", "--threads", "1"]
    call += ["-o", str(tmp_path)]
    assert main([*call, "--arm", "all", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in report["tables"][0]["rows"]] == ["all pairs"]
    path = tmp_path / "arms" / "all.json"
    made = path.stat().st_mtime_ns
    assert main([*call, "--arm", "all", "--arm", "quarter"]) == 0
    assert path.stat().st_mtime_ns == made
    assert "| a quarter of the pairs | 64 |" in (tmp_path / "data.md").read_text()
    assert (tmp_path / "data.svg").read_text().count("circle") == 1
    assert main([*call[:-2], "--scenes", "2", "-o", str(tmp_path)]) == 2
    assert "made with other settings" in capsys.readouterr().err
    assert main([*call, "--size", "72"]) == 2
    assert "a multiple of 16 pixels, not 72" in capsys.readouterr().err
    assert main([*call, "--arm", "most"]) == 2
    assert "There is no arm 'most'" in capsys.readouterr().err
    assert main([*call, "--arm", "photos"]) == 2
    assert "needs --photos" in capsys.readouterr().err
