"""Measures against scikit-image, the unmodified ST-LPIPS package, and shifts and casts made on purpose."""

import importlib.util
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from editworld_core import metrics


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A real photograph, float [300, 300, 3] in 0..255."""
    return data.chelsea()[:300, :300].astype(float)


def as_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))


def centre_mask(size: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[size // 3 : 2 * size // 3, size // 4 : 2 * size // 3] = True
    return mask


@given(st.integers(0, 10_000))
def test_psnr_is_scikit_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (2, 12, 9, 3), np.uint8)
    a[0, 0] = b[0, 0] + 1
    got = metrics.psnr(Image.fromarray(a), Image.fromarray(b))
    assert got == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), rel=1e-5)
    mask = rng.random((12, 9)) < 0.5
    mask[0, 0] = True
    masked = metrics.psnr(Image.fromarray(a), Image.fromarray(b), mask)
    assert masked == pytest.approx(peak_signal_noise_ratio(a[mask], b[mask], data_range=255), rel=1e-5)


def test_psnr_of_equal_pictures_is_infinite() -> None:
    image = Image.new("RGB", (9, 9), "teal")
    assert metrics.psnr(image, image) == float("inf")
    assert metrics.psnr(image, Image.new("RGB", (9, 9)), np.zeros((9, 9), bool)) == float("inf")


@pytest.fixture(scope="module")
def reference_metric() -> "object":
    """The package's own network. It imports two modules for its notebooks that it does not declare."""
    names = {"IPython": "embed", "torchsummary": "summary"}
    added = []
    for name, attribute in names.items():
        if importlib.util.find_spec(name) is None:
            module = types.ModuleType(name)
            setattr(module, attribute, None)
            sys.modules[name] = module
            added.append(name)
    try:
        from stlpips_pytorch import stlpips

        yield stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    finally:
        for name in added:
            del sys.modules[name]


def test_st_lpips_is_the_packages_own(photo: np.ndarray, reference_metric: "object") -> None:
    import torch

    rng = np.random.default_rng(0)
    first = as_image(photo[:256, :200])
    for second in (
        as_image(photo[40:296, 60:260]),
        as_image(photo[:256, :200] + rng.normal(0, 12, (256, 200, 3))),
        as_image(ndimage.gaussian_filter(photo[:256, :200], (2, 2, 0))),
    ):
        tensors = [
            torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
            for image in (first, second)
        ]
        with torch.no_grad():
            expected = float(reference_metric(*tensors))
        assert metrics.st_lpips(first, second) == pytest.approx(expected, rel=1e-4)


def test_st_lpips_counts_the_outside_only(photo: np.ndarray) -> None:
    mask = centre_mask(300)
    inside, outside = photo.copy(), photo.copy()
    inside[mask] = 255 - inside[mask]
    outside[~mask] = 255 - outside[~mask]
    original = as_image(photo)
    assert metrics.st_lpips_outside(original, as_image(inside), mask) == 0
    assert metrics.st_lpips_outside(original, as_image(outside), mask) > 0.1


@pytest.mark.parametrize("size", [(8, 8), (31, 200), (700, 500)])
def test_st_lpips_takes_any_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = (as_image(rng.uniform(0, 255, (*size, 3))) for _ in range(2))
    assert metrics.st_lpips(a, b) > 0


def shift_of(original: Image.Image, edited: Image.Image, mask: np.ndarray) -> tuple[float, float]:
    return metrics.drift_report(original, edited, edited, mask).shift


@pytest.mark.parametrize("shift", [(0, 0), (0.5, -0.3), (2.3, 1.2), (-7, 3.5), (15, -12), (0, 1)])
def test_shift_is_found_outside_the_mask_despite_cast_and_edit(
    photo: np.ndarray, shift: tuple[float, float]
) -> None:
    moved = ndimage.shift(photo, (shift[1], shift[0], 0), order=3, mode="reflect")
    moved = 0.92 * moved + (12, 4, 0)
    mask = centre_mask(260)
    edited = moved[20:280, 20:280].copy()
    edited[mask] = 0.2 * edited[mask] + (150, 20, 20)
    found = shift_of(as_image(photo[20:280, 20:280]), as_image(edited), mask)
    assert found == pytest.approx(shift, abs=0.15)


def test_shift_of_a_large_picture_is_in_its_own_pixels(photo: np.ndarray) -> None:
    big = ndimage.zoom(photo, (4, 4, 1), order=1)
    found = shift_of(
        as_image(big[40:1140, 40:1140]), as_image(big[40:1140, 30:1130]), np.zeros((1100, 1100), bool)
    )
    assert found == pytest.approx((10, 0), abs=0.6)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(8, 60), st.integers(8, 60)), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 99)
)
def test_a_report_for_any_size_and_mask(size: tuple[int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    original, edited, final = (as_image(rng.uniform(0, 255, (*size, 3))) for _ in range(3))
    report = metrics.drift_report(original, edited, final, rng.random(size) < share)
    assert np.isfinite(report.shift).all()
    assert report.in_words().endswith(".")


def test_featureless_pictures_do_not_seem_to_move() -> None:
    grey, lighter = (Image.new("RGB", (64, 64), colour) for colour in ("#808080", "#909090"))
    assert shift_of(grey, lighter, np.zeros((64, 64), bool)) == (0, 0)
    assert shift_of(grey, lighter, np.ones((64, 64), bool)) == (0, 0)


def test_report_after_post_edit(photo: np.ndarray) -> None:
    mask = centre_mask(300)
    drifted = ndimage.shift(photo, (0, 3, 0), order=1, mode="reflect") + np.array([12, 0, -12])
    final = photo.copy()
    final[mask] = 0
    report = metrics.drift_report(as_image(photo), as_image(drifted), as_image(final), mask, perceptual=True)
    assert report.psnr_final == float("inf")
    assert report.st_lpips_final == 0
    assert report.st_lpips_edited is not None
    assert report.st_lpips_edited > 0
    assert report.shift == pytest.approx((3, 0), abs=0.15)
    assert (report.shift_final, report.scale_final, report.border_final) == ((0, 0), 1, 0)
    assert report.colour_cast_final == (0, 0, 0)
    red, _, blue = report.colour_cast
    assert red > 0.02 > -0.02 > blue
    words = report.in_words()
    assert words.startswith("Outside the mask nothing changed: every pixel is the upload's own.")
    assert "3.0 pixels right" in words
    assert "warmer" in words


def test_report_without_post_edit_and_of_a_global_edit(photo: np.ndarray) -> None:
    original, darker = as_image(photo), as_image(0.8 * photo)
    report = metrics.drift_report(original, darker, darker, centre_mask(300))
    assert report.st_lpips_edited is None
    assert "darker" in report.in_words()
    assert "upload's own" not in report.in_words()
    whole = metrics.drift_report(original, darker, darker, np.ones((300, 300), bool))
    assert "whole picture" in whole.in_words()
    same = metrics.drift_report(original, original, original, centre_mask(300))
    assert "nothing changed" in same.in_words()


@pytest.mark.parametrize(
    ("scale", "words"), [(1.02, "was zoomed in by 2.0%"), (0.98, "was zoomed out by 2.0%"), (1.002, "")]
)
def test_a_zoom_is_told_if_it_can_be_seen(photo: np.ndarray, scale: float, words: str) -> None:
    offset = 149.5 * (1 - 1 / scale)
    zoomed = ndimage.affine_transform(photo, [1 / scale, 1 / scale, 1], (offset, offset, 0), mode="reflect")
    original, edited, mask = as_image(photo), as_image(zoomed), centre_mask(300)
    report = metrics.drift_report(original, edited, edited, mask)
    assert report.scale == pytest.approx(scale, abs=5e-4)
    assert report.border == pytest.approx(150 * (scale - 1), abs=0.1)
    assert (report.scale_final, report.border_final) == (report.scale, report.border)
    said = report.in_words()
    assert words in said
    assert ("zoomed" in said) == bool(words)


def test_what_is_known_of_the_alignment_is_not_estimated_again(photo: np.ndarray) -> None:
    original, edited = as_image(photo), as_image(0.9 * photo)
    known = metrics.Alignment((5, -4), 1.05)
    report = metrics.drift_report(original, edited, original, centre_mask(300), alignment=known)
    assert (report.shift, report.scale) == (known.shift, known.scale)
    assert "zoomed in by 5.0%" in report.in_words()


@pytest.mark.parametrize(
    ("cast", "word"),
    [((0.1, 0.1, 0.1), "lighter"), ((-0.1, -0.1, -0.1), "darker"), ((0.06, 0, -0.06), "warmer"),
     ((-0.06, 0, 0.06), "cooler"), ((0, 0.06, 0), "greener"), ((0.06, 0, 0.06), "pinker")],
)  # fmt: skip
def test_casts_have_a_name(photo: np.ndarray, cast: tuple[float, float, float], word: str) -> None:
    mask = centre_mask(300)
    original, tinted = as_image(0.5 * photo + 60), as_image(0.5 * photo + 60 + 255 * np.asarray(cast))
    assert metrics.colour_cast(original, tinted, mask) == pytest.approx(cast, abs=0.01)
    assert word in metrics.drift_report(original, tinted, tinted, mask).in_words()
