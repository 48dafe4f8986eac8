"""Strength, against the simulator's own middle: true for light and weather, a mere dissolve for what moves."""

import numpy as np
import pytest
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.simulation.world import simulate
from editworld_core.strength import at_strength


def left(name: str, strength: float = 0.5) -> float:
    """The error to the true picture at ``strength``, as a share of that of the nearer end."""
    pair, true = (simulate(name, 1, split="held_out", size=128, strength=s) for s in (1.0, strength))
    shown = at_strength(Image.fromarray(pair.before), Image.fromarray(pair.after), strength)

    def error(picture: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(np.abs(picture.astype(int) - true.after)[pair.mask].mean())

    return error(np.asarray(shown)) / min(error(pair.before), error(pair.after))


@pytest.mark.parametrize("name", ["night_falls", "rain_pours", "sun_sets", "century_passes", "snow_falls"])
def test_light_and_weather_have_a_middle(name: str) -> None:
    assert left(name) < 0.25


@pytest.mark.parametrize("name", ["walk_away", "melt_snowman", "pop_balloon", "fall_over", "grow_gigantic"])
def test_what_moves_has_none(name: str) -> None:
    assert left(name) > 0.8


def test_the_ends_are_the_pictures_and_what_is_equal_stays() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    after = before.copy()
    after[:4] = 255 - after[:4]
    first, second = Image.fromarray(before), Image.fromarray(after)
    assert np.array_equal(at_strength(first, second, 0), before)
    assert np.array_equal(at_strength(first, second, 1), after)
    half = np.asarray(at_strength(first, second, 0.5))
    assert np.array_equal(half[4:], before[4:])
    assert np.abs(half[:4] - (before[:4].astype(float) + after[:4]) / 2).max() <= 0.5
    with pytest.raises(BadInputError, match=r"between 0 and 1, not 1\.2"):
        at_strength(first, second, 1.2)
