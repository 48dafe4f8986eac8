"""Carrying a small edit to the upload's size, judged against the same edit made at full size."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from editworld_core.images import carry_change, native_size, to_float, to_image


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(data.astronaut())


def shrunk(image: Image.Image) -> Image.Image:
    return image.resize(native_size(image.size, 128, 16), Image.Resampling.LANCZOS)


def night(image: Image.Image) -> Image.Image:
    """Darker, bluer, less colourful, with a lamp: what happens at full size."""
    pixels = to_float(image)
    rows, columns = np.mgrid[0 : image.height, 0 : image.width]
    away = ((rows / image.height - 0.4) ** 2 + (columns / image.width - 0.6) ** 2) / 0.1
    grey = pixels.mean(-1, keepdims=True)
    light = 0.15 + 0.6 * np.exp(-away)[..., None]
    return to_image((0.6 * grey + 0.4 * pixels) * light * np.array([0.7, 0.8, 1.1]))


def decibels(a: Image.Image, b: Image.Image) -> float:
    return float(-10 * np.log10(np.mean((to_float(a) - to_float(b)) ** 2)))


def sharpness(image: Image.Image) -> float:
    return float(cv2.Laplacian(to_float(image).mean(-1), cv2.CV_32F).var())


def enlarged(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC)


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(8, 300), st.integers(8, 300)),
    small=st.tuples(st.integers(8, 80), st.integers(8, 80)),
    seed=st.integers(0, 99),
)
def test_no_change_is_no_change_at_any_size(size: tuple[int, int], small: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    original = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    before = original.resize(small, Image.Resampling.LANCZOS)
    if original.size != small:
        assert carry_change(original, before, before.copy()).tobytes() == original.tobytes()
    after = Image.fromarray(rng.integers(0, 256, (small[1], small[0], 3), np.uint8))
    carried = carry_change(original, before, after)
    assert (carried.mode, carried.size) == ("RGB", size)


def test_at_the_native_size_the_engine_has_the_last_word(photo: Image.Image) -> None:
    small = shrunk(photo)
    assert carry_change(small, small, night(small)).tobytes() == night(small).tobytes()


def test_a_change_of_light_keeps_the_texture_of_the_upload(photo: Image.Image) -> None:
    truth, small = night(photo), shrunk(photo)
    after = shrunk(truth)
    carried = carry_change(photo, small, after)
    assert decibels(carried, truth) > 40
    assert decibels(carried, truth) > decibels(enlarged(after, photo.size), truth) + 6
    assert sharpness(carried) == pytest.approx(sharpness(truth), rel=0.1)


def test_the_blur_and_noise_of_an_engine_do_not_reach_the_upload(photo: Image.Image) -> None:
    small = shrunk(photo)
    rng = np.random.default_rng(0)
    rough = cv2.GaussianBlur(to_float(small), (0, 0), 0.8) + rng.normal(0, 0.015, (*small.size[::-1], 3))
    carried = carry_change(photo, small, to_image(rough))
    assert decibels(carried, photo) > 35
    assert sharpness(carried) > 0.85 * sharpness(photo)


@pytest.mark.parametrize("striped", [False, True])
def test_a_new_object_appears_and_nothing_shines_through(photo: Image.Image, striped: bool) -> None:
    rows, columns = np.mgrid[0:512, 0:512]
    disc = (rows - 250) ** 2 + (columns - 160) ** 2 < 110**2
    colour = np.stack(
        [0.7 + 0.3 * np.sin(columns / 9) * striped, np.full_like(rows, 0.2, float), rows / 900], -1
    )
    truth = to_image(np.where(disc[..., None], colour, to_float(photo)))
    carried = carry_change(photo, shrunk(photo), shrunk(truth))
    inner = cv2.erode(disc.astype(np.uint8), np.ones((9, 9))) > 0
    outside = cv2.dilate(disc.astype(np.uint8), np.ones((41, 41))) == 0
    error = np.abs(to_float(carried) - to_float(truth)).mean(-1)
    assert error[inner].mean() < 0.02
    assert np.percentile(error[inner], 99) < 0.08
    assert error[outside].mean() < 0.002
    assert decibels(carried, truth) > decibels(enlarged(shrunk(truth), photo.size), truth) + 6


def test_an_upload_smaller_than_the_grid_keeps_what_did_not_change(photo: Image.Image) -> None:
    tiny = photo.resize((40, 40), Image.Resampling.LANCZOS)
    before = tiny.resize((128, 128), Image.Resampling.LANCZOS)
    after = to_float(before)
    after[:, 64:] *= 0.5
    carried = to_float(carry_change(tiny, before, to_image(after)))
    assert np.array_equal(carried[:, :18], to_float(tiny)[:, :18])
    assert np.abs(carried - 0.5 * to_float(tiny))[:, 22:].mean() < 0.01


def test_strips_leave_no_seams(photo: Image.Image) -> None:
    """A smooth change of a smooth picture is smooth across the rows where the strips meet."""
    smooth = photo.resize((4, 4)).resize((300, 700), Image.Resampling.BICUBIC)
    after = to_image(to_float(shrunk(smooth)) ** 1.5)
    steps = np.abs(np.diff(to_float(carry_change(smooth, shrunk(smooth), after)), axis=0)).max((1, 2))
    assert steps.max() < 4 / 255


@pytest.mark.slow
def test_twelve_megapixels_take_seconds_and_little_memory(photo: Image.Image) -> None:
    large = photo.resize((4000, 3000))
    small = shrunk(large)
    started = time.process_time()  # how busy the machine is does not count
    carry_change(large, small, night(small))
    assert time.process_time() - started < 5


def test_small_pictures_of_different_sizes_are_refused(photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="differ in size"):
        carry_change(photo, shrunk(photo), photo)


def test_what_blurs_the_picture_blurs_the_upload(photo: Image.Image) -> None:
    def blurred(image: Image.Image) -> Image.Image:
        return to_image(cv2.GaussianBlur(to_float(image), (0, 0), image.width / 60))

    carried = carry_change(photo, shrunk(photo), blurred(shrunk(photo)))
    assert sharpness(carried) < 0.1 * sharpness(photo)
    assert decibels(carried, blurred(photo)) > 28


def test_a_drawing_after_the_picture_has_the_uploads_lines(photo: Image.Image) -> None:
    """A sketch is no map of colours, so it counts as new; but its texture is the picture's."""

    def sketch(image: Image.Image) -> Image.Image:
        grey = to_float(image).mean(-1)
        lines = (grey + 0.03) / (cv2.GaussianBlur(grey, (0, 0), 0.022 * image.width) + 0.03)
        return to_image(np.repeat(np.clip(lines, 0, 1)[..., None] ** 2.6, 3, -1))

    truth, after = sketch(photo), sketch(shrunk(photo))
    carried = carry_change(photo, shrunk(photo), after)
    assert decibels(carried, truth) > decibels(enlarged(after, photo.size), truth) + 2
    assert sharpness(carried) > 3 * sharpness(enlarged(after, photo.size))


def test_squares_of_pixel_art_hold_nothing_of_the_uploads_texture(photo: Image.Image) -> None:
    small = shrunk(photo)
    cells = to_float(small.resize((16, 16), Image.Resampling.BOX))
    squares = to_image(np.rint(4 * cells.repeat(8, 0).repeat(8, 1)) / 4)
    carried = to_float(carry_change(photo, small, squares)).reshape(16, 32, 16, 32, 3)
    upload = to_float(photo).reshape(16, 32, 16, 32, 3)
    inside = (slice(None), slice(10, 22), slice(None), slice(10, 22))
    left, there = (pictures[inside].std((1, 3)).mean() for pictures in (carried, upload))
    assert left < 0.03 * there
