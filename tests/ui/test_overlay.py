"""The picture of where the words looked."""

from dataclasses import replace

import numpy as np
import pytest
from stand_in import editor, noise

from editworld_core.editor import EditResult
from editworld_core.settings import EditSettings
from ui.overlay import LONGEST, attention_overlay


@pytest.fixture(scope="module")
def result() -> EditResult:
    return editor().edit(noise(2, (96, 64)), "paint the left", EditSettings(seed=2))


def test_heat_is_warm_and_the_rest_only_paled(result: EditResult) -> None:
    heat = np.zeros((64, 96), np.float32)
    heat[:, 48:] = 1
    drawn = np.asarray(attention_overlay(replace(result, heat=heat, mask=np.zeros((64, 96), bool))), float)
    original = np.asarray(result.original, float)
    assert drawn.shape == original.shape
    cold, warm = drawn[:, :40].mean((0, 1)), drawn[:, 56:].mean((0, 1))
    assert warm[0] - warm[2] > 60
    assert abs(cold[0] - cold[2]) < 20
    assert np.corrcoef(drawn[:, :40].ravel(), original[:, :40].ravel())[0, 1] > 0.8


def test_the_outline_follows_the_mask(result: EditResult) -> None:
    mask = np.zeros((64, 96), bool)
    mask[20:40, 30:60] = True
    nothing = np.zeros((64, 96), np.float32)
    plain = np.asarray(attention_overlay(replace(result, heat=nothing, mask=np.zeros_like(mask))), int)
    drawn = np.asarray(attention_overlay(replace(result, heat=nothing, mask=mask)), int)
    changed = np.abs(drawn - plain).max(-1) > 8
    assert changed[20, 30:60].all()
    assert drawn[20, 45].min() > 200
    assert not changed[26:34, 36:54].any()
    assert not changed[:14].any()
    assert not changed[:, 66:].any()


def test_a_large_picture_is_drawn_small(result: EditResult) -> None:
    large = replace(
        result,
        original=result.original.resize((3000, 1500)),
        heat=np.zeros((1500, 3000), np.float32),
        mask=np.ones((1500, 3000), bool),
    )
    assert attention_overlay(large).size == (LONGEST, LONGEST // 2)
