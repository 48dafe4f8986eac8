"""Alignment, cast and fitting on real photographs that SciPy moved, zoomed, tinted, cropped and squeezed."""

import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import data

from editworld_core.alignment import Alignment, align, estimate_alignment, undone
from editworld_core.colours import Cast, estimate_cast, without_cast
from editworld_core.errors import BadInputError
from editworld_core.fitting import fit

PHOTOS = {
    "cat": data.chelsea()[:300, :300].astype(float),
    "coffee": data.coffee()[20:320, 150:450].astype(float),
    "astronaut": data.astronaut()[:400, 60:460].astype(float),
}


def as_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))


def moved(pixels: np.ndarray, shift: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """``pixels`` with the content zoomed about the centre and shifted right and down, by SciPy's splines."""
    centre = (np.array(pixels.shape[:2]) - 1) / 2
    down_right = np.array(shift[::-1])
    offset = centre - (centre + down_right) / scale
    channels = [
        ndimage.affine_transform(channel, np.array([1, 1]) / scale, offset, order=3, mode="reflect")
        for channel in np.moveaxis(pixels, -1, 0)
    ]
    return np.stack(channels, -1)


def returned(pixels: np.ndarray, seed: int = 0) -> Image.Image:
    """``pixels`` as an editor gives them back: blurred, tinted, noisy, and saved as JPEG 85."""
    rng = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(pixels, (0.6, 0.6, 0))
    tinted = soft * rng.uniform(0.95, 1.05, 3) + rng.uniform(-6, 6, 3) + rng.normal(0, 3, pixels.shape)
    file = io.BytesIO()
    as_image(tinted).save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB")


def with_edit(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``pixels`` with something else in a sixth of them, and where."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), bool)
    mask[height // 3 : 3 * height // 4, width // 4 : 2 * width // 3] = True
    edited = pixels.copy()
    edited[mask] = np.flip(255 - pixels, 0)[mask]
    return edited, mask


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("shift", "scale"),
    [((0.6, -0.4), 1.0), ((3.3, 1.2), 1.0), ((-14, 9.5), 1.0), ((0, 0), 1.006), ((1.5, -2), 0.99),
     ((-9, 12), 1.08), ((14, 13), 0.92)],
)  # fmt: skip
def test_shift_and_scale_are_found_despite_edit_blur_cast_and_noise(
    name: str, shift: tuple[float, float], scale: float, known: bool
) -> None:
    edited, mask = with_edit(moved(PHOTOS[name], shift, scale))
    found = estimate_alignment(as_image(PHOTOS[name]), returned(edited), mask if known else None)
    assert found.shift == pytest.approx(shift, abs=0.1)
    assert found.scale == pytest.approx(scale, abs=5e-4)


def test_a_large_picture_is_aligned_in_its_own_pixels_and_in_time() -> None:
    photo = ndimage.zoom(data.astronaut().astype(float), (2, 2, 1), order=1)
    edited, mask = with_edit(moved(photo, (21, -17.5), 1.03))
    original, after = as_image(photo), as_image(edited)
    started = time.process_time()
    aligned = align(original, after, mask)
    assert time.process_time() - started < 1.5  # about 0.25 s on an idle core
    assert aligned.transform.shift == pytest.approx((21, -17.5), abs=0.1)
    assert aligned.transform.scale == pytest.approx(1.03, abs=5e-4)


@pytest.mark.parametrize("scale", [0.95, 1.04])
def test_what_is_undone_lies_on_the_original_and_the_original_fills_the_rest(scale: float) -> None:
    photo = PHOTOS["cat"]
    original, edited = as_image(photo), as_image(moved(photo, (4, -6), scale) + 40)
    image = align(original, edited).image
    difference = np.asarray(image, float) - np.asarray(original, float)
    unclipped = np.asarray(original).max(-1) < 210
    middle = np.zeros((300, 300), bool)
    middle[20:-20, 20:-20] = True
    assert np.abs(difference[middle & unclipped] - 40).mean() < 2  # the tint is not alignment's to undo
    if scale > 1:  # zoomed in and moved up: rows at the top were lost, columns at both sides as well
        assert (difference[:10] == 0).all()
        assert (difference[:, -6:] == 0).all()
    else:
        assert (difference != 0).mean() > 0.9  # everything is in the zoomed-out picture


def test_less_than_half_a_pixel_is_left_alone() -> None:
    image = as_image(moved(PHOTOS["cat"], (0.2, 0.1), 1.001))
    aligned = align(as_image(PHOTOS["cat"]), image)
    assert aligned.image is image
    assert aligned.transform.shift == pytest.approx((0.2, 0.1), abs=0.1)
    zoom = Alignment(scale=1.004)  # only at the border is it a pixel
    assert undone(as_image(PHOTOS["cat"]), image, zoom) is not image


def test_no_estimate_without_texture_or_likeness() -> None:
    grey, lighter = (Image.new("RGB", (64, 64), colour) for colour in ("#808080", "#909090"))
    photo, other = as_image(PHOTOS["cat"]), as_image(PHOTOS["coffee"])
    noise = as_image(np.random.default_rng(0).uniform(0, 255, (300, 300, 3)))
    for first, second in ((grey, lighter), (photo, photo), (photo, other), (photo, noise), (grey, grey)):
        assert estimate_alignment(first, second) == Alignment()
    assert estimate_alignment(photo, other, np.ones((300, 300), bool)) == Alignment()


def test_noise_and_an_edit_alone_do_not_seem_to_move() -> None:
    for name, photo in PHOTOS.items():
        found = estimate_alignment(as_image(photo), returned(with_edit(photo)[0]))
        assert found.farthest((300, 300)) < 0.25, name


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(8, 60), st.integers(8, 60)), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99)
)
def test_any_size_and_mask(size: tuple[int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    original, edited = (as_image(rng.uniform(0, 255, (*size, 3))) for _ in range(2))
    aligned = align(original, edited, rng.random(size) < share)
    assert aligned.image.size == original.size
    assert np.isfinite([*aligned.transform.shift, aligned.transform.scale]).all()


@pytest.mark.parametrize("known", [True, False])
def test_a_cast_is_found_despite_the_edit_and_undone(known: bool) -> None:
    photo = 0.6 * PHOTOS["coffee"] + 40
    edited, mask = with_edit(photo * (0.9, 1.05, 1.1) + (30, -8, -12))
    cast = estimate_cast(as_image(photo), as_image(edited), mask if known else None)
    assert cast.gain == pytest.approx((1 / 0.9, 1 / 1.05, 1 / 1.1), abs=0.02)
    plain = np.asarray(without_cast(as_image(edited), cast), float)
    assert np.abs(plain - photo)[~mask].mean() < 1.5


def test_a_cast_does_not_come_from_clipping_or_from_nothing() -> None:
    photo = as_image(PHOTOS["cat"])
    assert estimate_cast(photo, Image.new("RGB", photo.size, "white")) == Cast()
    assert estimate_cast(photo, photo, np.ones((300, 300), bool)) == Cast()
    assert without_cast(photo, Cast()) is photo
    none = estimate_cast(photo, photo)
    assert (*none.gain, *none.offset) == pytest.approx((1, 1, 1, 0, 0, 0), abs=1e-3)


@pytest.mark.parametrize("way", ["squeezed", "cropped"])
def test_rounded_sides_are_understood(way: str) -> None:
    original = as_image(data.coffee()[:400])  # 600x400, whose width is no multiple of 16 or 8
    edited = (
        original.resize((584, 400), Image.Resampling.LANCZOS)
        if way == "squeezed"
        else original.crop((8, 0, 592, 400))
    )
    fitted = fit(original, edited)
    error = np.abs(np.asarray(fitted.aligned.image, float) - np.asarray(original, float))
    assert fitted.image.size == original.size
    assert error[:, 12:-12].mean() < 2.5
    if way == "cropped":
        assert fitted.aligned.transform.farthest(original.size) < 0.5
        assert error.mean() < 0.5


def test_a_small_picture_is_aligned_before_it_is_enlarged() -> None:
    photo = data.coffee()[:400].astype(float)
    original = as_image(photo)
    small = np.asarray(original.resize((300, 200), Image.Resampling.LANCZOS), float)
    edited = small.copy()
    edited[60:120, 80:160] = (200, 30, 30)
    fitted = fit(original, as_image(moved(edited, (3, -2), 1.01)))
    assert fitted.aligned.transform.shift == pytest.approx((6, -4), abs=0.2)
    assert fitted.aligned.transform.scale == pytest.approx(1.01, abs=1e-3)
    result = np.asarray(fitted.aligned.image, float)
    assert np.abs(result[130:230, 170:310] - (200, 30, 30)).mean() < 6
    far = np.abs(result - photo)[20:-20, 340:-20]
    assert far.mean() < 4
    assert far.mean() < 0.6 * np.abs(np.asarray(fitted.image, float) - photo)[20:-20, 340:-20].mean()


def test_other_proportions_are_refused() -> None:
    with pytest.raises(BadInputError, match="same proportions"):
        fit(as_image(PHOTOS["cat"]), as_image(PHOTOS["cat"][:250]))
