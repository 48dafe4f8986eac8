"""Backdrops: every place in both splits, photos where there are some, and nobody can write to a backdrop."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from editworld_core.simulation.backdrops import HELD_OUT_PHOTOS, PLACES, make_backdrop, make_photograph
from editworld_core.simulation.places import PLACES as PAINTED
from editworld_core.simulation.places import _palettes
from editworld_core.simulation.stage import Split, Stage


def _stage(seed: int, split: Split = "train", size: int = 256, photos: tuple[Path, ...] = ()) -> Stage:
    return Stage(np.random.default_rng(seed), size, split, photos)


@pytest.fixture
def green_photo(tmp_path: Path) -> Path:
    path = tmp_path / "green.jpg"
    picture = np.zeros((120, 200, 3), np.uint8)
    picture[..., 1] = 200
    cv2.imwrite(str(path), picture)
    return path


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("place", PLACES)
def test_every_place(place: str, split: Split) -> None:
    for size in (64, 256):
        backdrop = make_backdrop(_stage(0, split, size), (place,))
        again = make_backdrop(_stage(0, split, size), (place,))
        np.testing.assert_array_equal(backdrop.picture, again.picture)
        assert backdrop.picture.shape == (size, size, 3)
        assert backdrop.picture.dtype == np.float32
        assert 0 <= backdrop.picture.min() < backdrop.picture.max() <= 1
        assert 0.4 * size < backdrop.horizon < 0.95 * size
        assert backdrop.place


@pytest.mark.parametrize("place", PLACES)
def test_places_vary_and_the_splits_look_different(place: str) -> None:
    mean = {
        split: np.array(
            [make_backdrop(_stage(seed, split), (place,)).picture.mean((0, 1)) for seed in range(8)]
        )
        for split in ("train", "held_out")
    }
    assert mean["train"].std(0).max() > 0.008
    # Same seeds, same drawing, other colours.
    assert np.abs(mean["train"] - mean["held_out"]).max() > 0.02


def test_palettes_of_the_splits_share_no_colour() -> None:
    from editworld_core.simulation import places

    for name, value in vars(places).items():
        if isinstance(value, dict) and set(value) == {"train", "held_out"}:
            colours = {split: {colour for row in rows for colour in row} for split, rows in value.items()}
            assert not colours["train"] & colours["held_out"], name
    assert _palettes("ffffff 000000", "808080")["train"] == [((1, 1, 1), (0, 0, 0))]


def test_the_ground_begins_at_the_horizon() -> None:
    """Below it the colours are those of grass, above it those of sky, in the place where that is sure."""
    for seed in range(6):
        backdrop = make_backdrop(_stage(seed), ("meadow",))
        horizon = int(backdrop.horizon)
        ground, air = backdrop.picture[horizon + 2 :], backdrop.picture[: horizon // 2]
        assert (ground[..., 1] > ground[..., 2]).mean() > 0.95
        assert (air[..., 2] >= air[..., 1] - 0.05).mean() > 0.8


@pytest.mark.parametrize("make", [lambda stage: make_backdrop(stage, ()), make_photograph])
def test_backdrops_cannot_be_written_to(make, green_photo: Path) -> None:
    for seed in range(12):
        picture = make(_stage(seed, photos=(green_photo,))).picture
        with pytest.raises(ValueError, match="read-only"):
            picture[0, 0] = 0


def test_photos_come_when_there_are_some_and_not_when_a_place_is_named(green_photo: Path) -> None:
    def is_photo(picture: np.ndarray) -> bool:
        return bool(picture.std((0, 1)).max() < 0.01 and picture[..., 1].mean() > 0.7)

    count = 40
    anywhere, photographs, named = (
        sum(is_photo(make(_stage(seed, photos=(green_photo,))).picture) for seed in range(count))
        for make in (
            lambda s: make_backdrop(s, ()),
            make_photograph,
            lambda s: make_backdrop(s, ("room", "beach")),
        )
    )
    assert 0.2 * count < anywhere < 0.6 * count
    assert 0.6 * count < photographs < count
    assert named == 0


def test_held_out_photographs_come_from_the_installed_wheel() -> None:
    skimage = pytest.importorskip("skimage")
    folder = Path(skimage.__file__).parent / "data"
    present = [name for name in HELD_OUT_PHOTOS if (folder / name).is_file()]
    assert len(present) >= 4
    assert any(make_photograph(_stage(seed, "held_out")).place == "a photograph" for seed in range(10))


def test_unreadable_photo_and_unknown_place_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read"):
        [make_photograph(_stage(seed, photos=(broken,))) for seed in range(20)]
    with pytest.raises(ValueError, match="no place named 'moon'"):
        make_backdrop(_stage(0), ("moon",))


def test_names_are_those_that_the_painters_have() -> None:
    assert set(PLACES) == set(PAINTED)
