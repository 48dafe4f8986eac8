"""The held-out set is what it was: its recipe, and what its pictures look like.

After a deliberate change of a dynamic: ``python -m tests.evaluation.test_held_out`` notes the new looks.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from editworld_core.simulation.held_out import SCENES, SIZE, held_out_pair, held_out_pairs, held_out_scenes
from editworld_core.simulation.world import dynamic_names, get_dynamic, simulate

LOOKS = Path(__file__).with_name("held_out.json")
NOTED = 4  # scenes of each dynamic whose looks are noted
TOLERANCE = 3  # grey levels, or hundredths of the mask: what another version of OpenCV may do


def look(name: str, seed: int) -> list[int]:
    """What a scene looks like, in ten numbers: mean colours before, after and of the lower half, share of the mask."""
    pair = held_out_pair(name, seed)
    parts = (pair.before, pair.after, pair.after[SIZE // 2 :])
    return [
        *(round(float(value)) for part in parts for value in part.mean((0, 1))),
        round(100 * pair.mask.mean()),
    ]


def looks() -> dict[str, list[list[int]]]:
    return {name: [look(name, seed) for seed in range(NOTED)] for name in dynamic_names()}


def test_the_recipe():
    scenes = list(held_out_scenes())
    assert SCENES == 20
    assert len(scenes) == len(set(scenes)) == 20 * len(dynamic_names())
    assert list(held_out_scenes(["melt_snowman"], 3)) == [
        ("melt_snowman", 0),
        ("melt_snowman", 1),
        ("melt_snowman", 2),
    ]
    with pytest.raises(ValueError, match="dance"):
        held_out_scenes(["dance"])


def test_scenes_repeat_and_keep_to_their_split():
    for pair in held_out_pairs(scenes=1):
        again, train = held_out_pair(pair.dynamic, 0), simulate(pair.dynamic, 0)
        assert pair.before.shape == (256, 256, 3)
        assert np.array_equal(pair.before, again.before)
        assert np.array_equal(pair.after, again.after)
        assert pair.instruction == again.instruction
        assert not np.array_equal(pair.before, train.before)
        assert not set(get_dynamic(pair.dynamic).held_out) & set(get_dynamic(pair.dynamic).phrasings)
        assert pair.mask.any()


@pytest.mark.parametrize("name", dynamic_names())
def test_the_set_looks_as_it_did(name):
    noted = json.loads(LOOKS.read_text())
    assert name in noted, f"{name} is new: note its looks (see the top of this file)"
    for seed, expected in enumerate(noted[name]):
        assert look(name, seed) == pytest.approx(expected, abs=TOLERANCE)


def test_no_dynamic_left_the_set():
    assert set(json.loads(LOOKS.read_text())) <= set(dynamic_names())


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(scenes)}" for name, scenes in looks().items())
    LOOKS.write_text(f"{{\n{lines}\n}}\n")
