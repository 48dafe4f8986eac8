"""Masks against independent references: scikit-image's Otsu, brute force, and maps whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu as reference_otsu

from editworld_core import masks
from editworld_core.pixels import to_image


def peaked_map(cells: int = 16, row: float = 5, column: float = 9, background: float = 0.1) -> masks.Map:
    """A map with one warm place on a cool ground."""
    y, x = np.mgrid[:cells, :cells]
    peak = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    return (0.02 * (background + (1 - background) * peak)).astype(np.float32)


def scene(size: int = 128, seed: int = 0) -> np.ndarray:
    """A textured picture, float [H, W, 3]."""
    noise = np.random.default_rng(seed).normal(size=(size, size, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.clip(0.5 + 0.12 * smooth / smooth.std(), 0, 1).astype(np.float32)


def disc(size: int, radius: float) -> masks.Mask:
    y, x = np.mgrid[:size, :size]
    return (y - size / 2) ** 2 + (x - size / 2) ** 2 < radius**2


def test_content_words_drop_the_small_words() -> None:
    words = ["What", "happens", "to", "the", "snowman", "when", "the", "sun", "comes", "out", "?"]
    assert masks.content_words(words) == ("snowman", "sun")
    assert masks.content_words(["dog's", "dog's", "it's"]) == ("dog's",)


def test_content_words_keep_all_if_nothing_is_left() -> None:
    assert masks.content_words(["what", "if"]) == ("what", "if")
    assert masks.content_words([]) == ()
    assert masks.content_words(["夜になる", "…"]) == ("夜になる",)


@given(hnp.arrays(np.float32, (7, 5), elements=st.floats(0, 4, width=32)), st.floats(0.2, 2))
def test_paper_rule_by_brute_force(values: np.ndarray, factor: float) -> None:
    top = values.max()
    scaled = values / top if top > 0 else np.zeros_like(values)
    mean = sum(float(value) for value in scaled.ravel()) / values.size
    got = masks.threshold_paper(values, factor)
    unclear = np.abs(scaled - factor * mean) < 1e-5
    assert (got == (scaled > factor * mean))[~unclear].all()


def test_paper_rule_on_a_flat_map_is_the_whole_picture() -> None:
    assert masks.threshold_paper(np.full((16, 16), 0.013, np.float32)).all()


@pytest.mark.parametrize("seed", range(5))
def test_otsu_level_is_scikit_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.2, 0.05, 3000), rng.normal(0.7, 0.1, 1000)]).astype(np.float32)
    assert masks.otsu_level(values) == pytest.approx(
        float(reference_otsu(values)), abs=float(np.ptp(values)) / 128
    )


def test_flat_and_peaked_maps_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    noisy = (0.05 * (1 + 0.1 * rng.normal(size=(16, 16)))).astype(np.float32)
    assert masks.is_flat(noisy)
    assert masks.threshold_otsu(noisy).all()
    assert masks.is_flat(np.zeros((4, 4), np.float32))
    assert not masks.is_flat(peaked_map())
    assert 0 < masks.threshold_otsu(peaked_map()).mean() < 0.4


def test_a_map_that_differs_in_its_last_digits_is_flat() -> None:
    nearly = np.full((32, 32), 0.4, np.float32)
    nearly[:16] += 1e-6
    assert 1e-6 < np.ptp(nearly / nearly.max()) < 256 * np.finfo(np.float32).eps
    assert masks.is_flat(nearly)
    assert masks.threshold_otsu(nearly).all()


@pytest.mark.parametrize("rule", ["paper", "otsu"])
def test_mask_of_several_words_is_the_union(rule: masks.MaskRule) -> None:
    first, second = peaked_map(row=4, column=4), peaked_map(row=12, column=11)
    both = masks.mask_from_maps([first, second], rule, 2.0, (256, 256))
    alone = [masks.mask_from_maps([map], rule, 2.0, (256, 256)) for map in (first, second)]
    assert (both == (alone[0] | alone[1])).all()
    assert both[4 * 16 + 8, 4 * 16 + 8]
    assert both[12 * 16 + 8, 11 * 16 + 8]
    assert not both[8, 248]


def test_one_flat_word_does_not_hide_a_telling_one_but_flat_words_together_mean_everything() -> None:
    flat = np.full((16, 16), 0.03, np.float32)
    assert masks.mask_from_maps([peaked_map(background=0), flat], "otsu", 0.8125, (64, 64)).mean() < 0.4
    assert masks.mask_from_maps([flat, flat], "otsu", 0.8125, (64, 64)).all()
    with pytest.raises(ValueError, match="at least one"):
        masks.mask_from_maps([], "otsu", 0.8125, (64, 64))


def test_mask_edges_are_smooth_not_blocks() -> None:
    mask = masks.mask_from_maps([peaked_map(row=7.5, column=7.5)], "otsu", 0.8125, (256, 256))
    widths = mask.sum(1)
    inner = widths[widths > 0]
    assert np.abs(np.diff(inner.astype(int))).max() <= 24  # a block edge of 16 px cells would jump by 32


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.tuples(st.integers(8, 90), st.integers(8, 90)))
def test_any_grid_and_size(cells: tuple[int, int], size: tuple[int, int]) -> None:
    map = np.random.default_rng(cells[0]).random(cells).astype(np.float32)
    for rule in ("paper", "otsu"):
        mask = masks.mask_from_maps([map], rule, 0.8125, size)
        assert mask.shape == size
        assert mask.dtype == bool


@given(hnp.arrays(bool, (6, 7)), hnp.arrays(bool, (6, 7)))
def test_iou_and_overlap_by_counting(a: np.ndarray, b: np.ndarray) -> None:
    pairs = list(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    both, either = sum(x and y for x, y in pairs), sum(x or y for x, y in pairs)
    assert masks.mask_iou(a, b) == pytest.approx(both / either if either else 1.0)
    assert masks.overlap(a, b) == pytest.approx(both / sum(a.ravel()) if a.any() else 0.0)


@given(hnp.arrays(bool, (9, 11)))
def test_fill_holes_is_scipys(mask: np.ndarray) -> None:
    assert (masks.fill_holes(mask) == ndimage.binary_fill_holes(mask)).all()


def test_a_cast_is_removed_and_the_edit_stays() -> None:
    first, where = scene(), disc(128, 25)
    second = np.clip(first * np.float32([1.05, 0.97, 1.0]) + np.float32([0.02, -0.01, 0.03]), 0, 1)
    second[where] = (0.9, 0.1, 0.1)
    left = np.abs(masks.remove_cast(first, second) - first)
    assert left[~where].mean() < 0.004
    assert left[where].mean() > 0.25


def test_difference_mask_finds_the_edit_through_drift() -> None:
    first, where = scene(256), disc(256, 50)
    second = first.copy()
    second[where] = 1 - 0.8 * first[where]
    second = np.clip(second + 0.03 + np.random.default_rng(1).normal(0, 0.012, first.shape), 0, 1)
    found = masks.difference_mask(to_image(first), to_image(second))
    assert masks.mask_iou(found, where) > 0.85


def test_difference_mask_of_equal_and_of_wholly_changed_pictures() -> None:
    before = to_image(scene())
    assert not masks.difference_mask(before, before).any()
    assert masks.difference_mask(before, to_image(0.25 * scene())).all()


def test_difference_mask_has_the_size_of_the_picture() -> None:
    before = to_image(scene(200)).resize((900, 500), Image.Resampling.BICUBIC)
    after = np.array(before)
    after[100:300, 200:500] = 255 - after[100:300, 200:500] // 2
    found = masks.difference_mask(before, Image.fromarray(after))
    truth = np.zeros((500, 900), bool)
    truth[100:300, 200:500] = True
    assert found.shape == (500, 900)
    assert masks.mask_iou(found, truth) > 0.8
