"""Two of a kind and bystanders: only what the instruction addresses is touched, and it says so."""

import re
from collections import Counter

import numpy as np
import pytest

from editworld_core.simulation.dynamic import Mask, touched
from editworld_core.simulation.naming import UNTOUCHED, Which, leave_out, say_which
from editworld_core.simulation.stage import Split
from editworld_core.simulation.world import (
    Scene,
    _generator,
    build_scene,
    dynamic_names,
    get_dynamic,
    simulate,
)

SEEDS = range(10)
PAIRED = [name for name in dynamic_names() if not get_dynamic(name).alone]


def _scene(name: str, seed: int, split: Split = "train", size: int = 128) -> Scene:
    return build_scene(get_dynamic(name), _generator(name, seed, split), size, split, ())


def _other(scene: Scene) -> Mask:
    """Where the one that is not meant stands: what its own stage added to the empty backdrop."""
    assert scene.first is not None
    assert scene.first.notes.backdrop is not None
    assert scene.stage.half is not None
    assert scene.stage.half.scenery is not None
    return touched(scene.first.notes.backdrop.picture, scene.stage.half.scenery.picture, grow=0)


def test_only_the_one_that_is_meant_is_touched_and_it_is_on_the_side_that_is_named() -> None:
    sides: Counter[str] = Counter()
    for name in PAIRED:
        for seed in SEEDS:
            scene = _scene(name, seed)
            if scene.which is None:
                continue
            pair = simulate(name, seed, size=128)
            overlap = (pair.mask & _other(scene)).sum() / _other(scene).sum()
            assert overlap < 0.02, (name, seed, overlap)
            centre = np.nonzero(pair.mask)[1].mean()
            assert (centre < 64) == (scene.which.side == "left"), (name, seed)
            sides[scene.which.side] += 1
            word = scene.which.size or scene.which.side
            assert all(re.search(rf"\b{word}\b", text) for text in pair.phrasings), pair.phrasings
    assert min(sides["left"], sides["right"]) > 0.3 * sides.total() > 6


def test_a_named_bystander_is_in_the_scene_and_out_of_the_mask() -> None:
    named = 0
    for name in PAIRED:
        for seed in SEEDS:
            pair, scene = simulate(name, seed, size=128), _scene(name, seed)
            said = [
                b
                for b in scene.stage.notes.bystanders
                if f"nothing happens to the {b.name}" in str(pair.phrasings)
            ]
            for bystander in said:
                named += 1
                assert not pair.mask[bystander.window].any()
                assert (pair.before[bystander.window] == pair.after[bystander.window]).all()
                assert scene.happening.words.get("subject") != bystander.name
    assert named > 5


@pytest.mark.parametrize(
    ("text", "nouns", "expected"),
    [
        ("melt the snowman", ["snowman"], "melt the snowman on the left|melt the left(-hand)? snowman"),
        ("the cat's cheeks swell", ["cat"], "the left cat's cheeks swell"),
        (
            "fill the empty glass?",
            ["glass"],
            r"fill the empty glass on the left\?|fill the left(-hand)? empty glass\?",
        ),
        ("the sun comes out", ["snowman"], "the sun comes out, but only for the .*left.*"),
        ("what if it is warm?", ["snowman"], r"what if it is warm, but only for the .*left.*\?"),
        ("he buys a farm", ["man"], "the .*left.* buys a farm"),
        ("the longest bus in the world", ["bus"], "the longest bus in the world, but only for the .*left.*"),
    ],
)
def test_saying_which(text: str, nouns: list[str], expected: str) -> None:
    for seed in range(12):
        assert re.fullmatch(expected, say_which(text, nouns, Which("left"), np.random.default_rng(seed)))


def test_clauses_about_bystanders_of_the_splits_differ() -> None:
    assert not set(UNTOUCHED["train"]) & set(UNTOUCHED["held_out"])
    rng = np.random.default_rng(0)
    assert (
        leave_out("will it melt?", "vase", "train", rng) == "will it melt, but nothing happens to the vase?"
    )
