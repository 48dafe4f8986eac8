"""Sprites are bent and pasted as their pixels say, checked against arithmetic on tiny ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editworld_core.simulation.sprites import (
    crossfade,
    fade,
    flip,
    load_sprite,
    paste,
    resize,
    rotate,
    shadow,
    tint,
)


def _block(height: int, width: int, colour: tuple[float, float, float] = (1, 0, 0)) -> np.ndarray:
    return np.tile(np.array([*colour, 1], np.float32), (height, width, 1))


@settings(max_examples=60, deadline=None)
@given(x=st.integers(-30, 70), base=st.integers(-30, 90), height=st.integers(1, 25), width=st.integers(1, 25))
def test_paste_cuts_at_every_border(x: int, base: int, height: int, width: int) -> None:
    picture = np.zeros((50, 40, 3), np.float32)
    paste(picture, _block(height, width), x, base)
    canvas = np.zeros((300, 300), bool)  # the same on a canvas with room all around, offset by 100
    left, top = round(x - width / 2) + 100, base - height + 100
    canvas[top : top + height, left : left + width] = True
    np.testing.assert_array_equal(picture[..., 0] == 1, canvas[100:150, 100:140])
    assert not picture[..., 1:].any()


def test_paste_mixes_by_alpha() -> None:
    picture = np.full((10, 10, 3), 0.2, np.float32)
    half = fade(_block(4, 4, (1, 1, 0)), 0.5)
    paste(picture, half, 5, 8)
    np.testing.assert_allclose(picture[5, 5], (0.6, 0.6, 0.1), atol=1e-6)
    np.testing.assert_allclose(picture[0, 0], 0.2)


def test_crossfade_ends_are_the_two_sprites_on_one_base() -> None:
    first, second = _block(6, 4, (1, 0, 0)), _block(10, 8, (0, 0, 1))
    start, end, middle = (crossfade(first, second, t) for t in (0.0, 1.0, 0.5))
    assert start.shape == end.shape == (10, 8, 4)
    np.testing.assert_allclose(start[4:, 2:6], first, atol=1e-5)
    assert not start[:4, :, 3].any()
    assert not start[:, :2, 3].any()
    np.testing.assert_allclose(end, second, atol=1e-5)
    np.testing.assert_allclose(middle[9, 4], (0.5, 0, 0.5, 1), atol=1e-5)
    np.testing.assert_allclose(middle[0, 0], (0, 0, 1, 0.5), atol=1e-5)


def test_flip_mirrors_and_is_its_own_inverse() -> None:
    sprite = load_sprite("snowman", 60)
    np.testing.assert_array_equal(flip(sprite)[:, 0], sprite[:, -1])
    np.testing.assert_array_equal(flip(flip(sprite)), sprite)


def test_rotate_by_a_quarter_turns_counter_clockwise() -> None:
    sprite = _block(20, 20, (0, 0, 0))
    sprite[:5, :, 0] = 1  # red on top must come to lie on the left
    turned = rotate(sprite, 90)
    middle = turned.shape[0] // 2
    red = turned[middle, :, 0] * turned[middle, :, 3] > 0.5
    assert red[: len(red) // 4].any()
    assert not red[len(red) // 2 :].any()


@pytest.mark.parametrize("degrees", [17, 45, 133, 260])
def test_rotate_keeps_area_and_makes_no_fringe(degrees: float) -> None:
    sprite = _block(40, 24, (0.2, 0.9, 0.4))
    turned = rotate(sprite, degrees)
    assert turned[..., 3].sum() == pytest.approx(40 * 24, rel=0.05)
    solid = turned[..., 3] > 0.5
    np.testing.assert_allclose(turned[solid][:, :3], np.tile((0.2, 0.9, 0.4), (solid.sum(), 1)), atol=0.01)


def test_resize_makes_no_dark_fringe() -> None:
    sprite = np.zeros((40, 40, 4), np.float32)  # transparent black around opaque white
    sprite[10:30, 10:30] = 1
    for size in (13, 57):
        small = resize(sprite, size, size)
        assert small[small[..., 3] > 0.05][:, :3].min() > 0.99


@pytest.mark.parametrize("height", [9, 64, 300])
def test_load_sprite_has_the_height_asked_for_and_touches_its_box(height: int) -> None:
    sprite = load_sprite("house", height)
    assert sprite.shape[0] == height
    assert sprite.dtype == np.float32
    assert 0 <= sprite.min() <= sprite.max() <= 1
    assert all(edge[..., 3].max() > 0 for edge in (sprite[0], sprite[-1], sprite[:, 0], sprite[:, -1]))


def test_helpers_leave_their_input_alone() -> None:
    sprite = load_sprite("tulip", 50)
    copy = sprite.copy()
    for bend in (
        lambda: fade(sprite, 0.3),
        lambda: tint(sprite, (1, 0, 0), 0.8),
        lambda: rotate(sprite, 30),
        lambda: crossfade(sprite, sprite, 0.4),
        lambda: resize(sprite, 20, 90),
    ):
        bend()
        np.testing.assert_array_equal(sprite, copy)


def test_tint_moves_the_colour_towards_the_one_given() -> None:
    grey = _block(4, 4, (0.5, 0.5, 0.5))
    red = tint(grey, (1, 0, 0), 1.0)
    assert red[0, 0, 0] > 0.8
    assert red[0, 0, 1] == red[0, 0, 2] == 0
    np.testing.assert_array_equal(tint(grey, (1, 0, 0), 0.0), grey)


def test_shadow_only_darkens_and_only_near_the_base() -> None:
    picture = np.full((100, 100, 3), 0.8, np.float32)
    shadow(picture, _block(30, 20), 50, 70)
    assert picture[70, 50, 0] < 0.6
    assert picture.max() <= np.float32(0.8)
    np.testing.assert_allclose(picture[:50], 0.8)
    np.testing.assert_allclose(picture[:, :15], 0.8)
    shadow(picture, _block(30, 20), -500, 70)  # out of sight
