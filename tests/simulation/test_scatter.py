"""Small things that are many lie where a field is highest, if there is one."""

import numpy as np
import pytest

from editworld_core.simulation import looks
from editworld_core.simulation.scatter import CELL, PICTURE, anywhere, highest
from editworld_core.simulation.world import simulate

SIDE = 256 // CELL


@pytest.fixture
def field() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((SIDE, SIDE))


def test_anywhere_is_evenly_in_the_frame() -> None:
    x, y, share = anywhere(np.random.default_rng(0))(4000, ((0, 1.2), (-0.1, 1.1))).T
    assert x.min() >= 0
    assert 1.15 < x.max() <= 1.2
    assert -0.1 <= y.min() < -0.05
    assert y.mean() == pytest.approx(0.5, abs=0.03)
    assert 0 <= share.min() < share.max() <= 1


def test_the_highest_cells_come_first_and_each_once(field: np.ndarray) -> None:
    scatter = highest(field)
    places = np.concatenate([scatter(30, PICTURE), scatter(20, PICTURE)])
    columns, rows = (places[:, :2].T * SIDE).astype(int)
    np.testing.assert_array_equal(field[rows, columns], np.sort(field, axis=None)[::-1][:50])
    assert (np.diff(places[:30, 2]) < 0).all()
    assert len(scatter(SIDE**2, PICTURE)) == SIDE**2 - 50
    assert len(scatter(1, PICTURE)) == 0


def test_a_frame_beyond_the_picture_gives_as_many_to_an_area(field: np.ndarray) -> None:
    assert len(highest(field)(90, ((0, 1.2), (-0.1, 1.1)))) == round(90 / 1.2**2)


def test_flakes_fall_where_the_field_is_high_and_nowhere_else(field: np.ndarray) -> None:
    grey = np.full((256, 256, 3), 0.4, np.float32)

    def snowed(scatter: looks.Scatter) -> np.ndarray:
        return looks.snow(grey, np.random.default_rng(0), scatter)(1.0)

    flakes = np.abs(snowed(highest(field)) - snowed(lambda *_: np.empty((0, 3)))).max(-1) > 0.02
    near = np.zeros_like(field, bool)
    near.flat[np.argsort(-field, axis=None)[:50]] = True
    cells = flakes.reshape(SIDE, CELL, SIDE, CELL).any((1, 3))
    assert cells[near].mean() > 0.9  # the others fall before the white of the ground
    grown = np.pad(near, 1)
    around = np.any([np.roll(grown, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    assert not (cells & ~around[1:-1, 1:-1]).any()


def test_luck_leaves_the_scene_as_it_is(field: np.ndarray) -> None:
    first, second = (simulate("snow_falls", 3, luck=luck) for luck in (field, field[::-1]))
    np.testing.assert_array_equal(first.before, second.before)
    different = (first.after != second.after).any(-1)
    assert 0.002 < different.mean() < 0.1
