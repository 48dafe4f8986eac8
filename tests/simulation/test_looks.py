"""Photo dynamics look like what they say, on a picture that a test can compute: sky, grass, a wall, a lamp."""

import cv2
import numpy as np
import pytest

from editworld_core.simulation import looks, styles
from editworld_core.simulation.looks import Look
from editworld_core.simulation.scatter import anywhere

WEATHER = ("night", "snow", "fog", "rain", "flood", "sunset", "autumn", "underwater", "apocalypse")
STYLES = ("century", "pixel_art", "sketch", "comic", "hologram")
LOOKS: dict[str, Look] = {
    name: getattr(module, name) for module, names in ((looks, WEATHER), (styles, STYLES)) for name in names
}


@pytest.fixture
def scene() -> np.ndarray:
    """Blue sky over green grass with texture, a red house with an edge, a small bright lamp."""
    rng = np.random.default_rng(0)
    picture = np.empty((256, 256, 3), np.float32)
    picture[:140] = (0.45, 0.65, 0.95)
    picture[140:] = (0.3, 0.6, 0.2)
    picture[140:] += rng.normal(0, 0.05, (116, 256, 1)).astype(np.float32)
    picture[90:200, 40:110] = (0.7, 0.2, 0.15)
    picture[180:186, 160:166] = 1
    return np.clip(picture, 0, 1)


def _after(look: Look, picture: np.ndarray, t: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(look(picture, rng, anywhere(rng))(t), 0, 1)


@pytest.mark.parametrize("name", LOOKS)
def test_follows_mostly_from_the_picture_not_from_chance(name: str, scene: np.ndarray) -> None:
    """Two draws of the details differ by far less than the look changes the picture: it can be learned."""
    first, second = (_after(LOOKS[name], scene, seed=seed) for seed in (0, 1))
    change = np.abs(first - scene).mean()
    assert change > 0.05
    assert np.abs(first - second).mean() < 0.3 * change


@pytest.mark.parametrize("name", LOOKS)
def test_leaves_the_photo_alone_and_begins_near_it(name: str, scene: np.ndarray) -> None:
    scene.setflags(write=False)
    rng = np.random.default_rng(0)
    develop = LOOKS[name](scene, rng, anywhere(rng))
    faint, full = (np.abs(np.clip(develop(t), 0, 1) - scene).mean() for t in (0.02, 1.0))
    # Pixels grow in steps; everything else comes smoothly.
    assert faint < (0.7 if name == "pixel_art" else 0.2) * full


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_flat_pictures_are_no_trouble(name: str, fill: float) -> None:
    picture = np.full((64, 64, 3), fill, np.float32)
    after = _after(LOOKS[name], picture)
    assert after.shape == picture.shape
    assert after.dtype == np.float32
    assert np.isfinite(after).all()


def test_open_sky_finds_sky_and_neither_house_nor_grass(scene: np.ndarray) -> None:
    sky = looks.open_sky(scene)
    assert sky[5:80].mean() > 0.9
    assert sky[150:].mean() < 0.05
    assert sky[100:190, 50:100].mean() < 0.05
    assert looks.open_sky(np.full((64, 64, 3), 0.1, np.float32)).max() == 0


def test_night_is_dark_and_blue_but_the_lamp_shines(scene: np.ndarray) -> None:
    after = _after(looks.night, scene)
    grass = after[215:250, 120:250]
    assert grass.mean() < 0.5 * scene[215:250, 120:250].mean()
    assert grass[..., 2].mean() > grass[..., 0].mean()
    lamp = after[181:185, 161:165].mean((0, 1))
    assert lamp[0] > 0.6
    assert lamp[0] > lamp[2]


def test_snow_whitens_the_ground(scene: np.ndarray) -> None:
    after = _after(looks.snow, scene)[200:]
    assert after.mean() > 0.75
    assert (after.max(-1) - after.min(-1)).mean() < 0.12


def test_fog_takes_contrast_most_where_it_is_far(scene: np.ndarray) -> None:
    after = _after(looks.fog, scene)
    assert after[:128].std() < 0.06
    assert after[100:200, 20:120].std() < 0.5 * scene[100:200, 20:120].std()
    nearness = np.abs(after - scene).mean((1, 2))
    assert nearness[150:180].mean() > nearness[-20:].mean()


def test_flood_leaves_what_is_above_the_water_and_mirrors_it(scene: np.ndarray) -> None:
    after = _after(looks.flood, scene)
    changed = np.abs(after - scene).max(-1) > 0
    rows = np.nonzero(changed.any(1))[0]
    assert 0.5 * 256 < rows[0] < 0.65 * 256
    assert rows[-1] == 255
    # The red house above the water line is red below it, beside it there is no red.
    line = rows[0] + 14
    house, beside = after[line : line + 12, 60:90].mean((0, 1)), after[line : line + 12, 180:210].mean((0, 1))
    assert house[0] - house[2] > beside[0] - beside[2] + 0.1


def test_water_always_rises_as_high(scene: np.ndarray) -> None:
    floods = [looks.flood(scene, rng, anywhere(rng))(1.0) for rng in map(np.random.default_rng, (0, 1))]
    assert np.array_equal(*floods)


def test_water_rises_with_time(scene: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    develop = looks.flood(scene, rng, anywhere(rng))
    tops = [np.nonzero((develop(t) != scene).any((1, 2)))[0][0] for t in (0.3, 0.6, 1.0)]
    assert tops[0] > tops[1] > tops[2]


def test_autumn_turns_green_to_orange_and_spares_the_house(scene: np.ndarray) -> None:
    after = _after(looks.autumn, scene)
    grass, house = after[160:200, 180:240].mean((0, 1)), after[100:190, 50:100].mean((0, 1))
    assert grass[0] > grass[1] > grass[2]
    assert np.abs(house - scene[100:190, 50:100].mean((0, 1))).max() < 0.15


def test_sunset_and_apocalypse_redden_but_only_one_burns(scene: np.ndarray) -> None:
    dusk, doom = _after(looks.sunset, scene), _after(looks.apocalypse, scene)
    for after in (dusk, doom):
        assert after[..., 0].mean() > after[..., 2].mean() + 0.1
    assert dusk.mean() > doom.mean() + 0.1


def test_century_is_sepia(scene: np.ndarray) -> None:
    after = _after(styles.century, scene)
    red, green, blue = (after[..., channel].mean() for channel in range(3))
    assert red > green > blue
    hue = (after[..., 0] - after[..., 2]).std()
    assert hue < 0.15


def test_pixel_art_is_made_of_flat_squares_of_few_colours(scene: np.ndarray) -> None:
    after = _after(styles.pixel_art, scene)
    squares = after.reshape(32, 8, 32, 8, 3)
    assert np.ptp(squares, axis=(1, 3)).max() < 1e-6
    assert len(np.unique(after.round(4))) <= 6


@pytest.mark.parametrize("size", [256, 512])
def test_a_sketchs_hatching_fits_the_cells_of_eight_pixels(size: int) -> None:
    after = _after(styles.sketch, np.full((size, size, 3), 0.1, np.float32)).mean(-1)
    hatched = after[: size - size // 32]
    assert hatched.std() > 0.04
    below = after[size // 32 :]
    assert np.abs(hatched - below).mean() < 0.02  # the paper's grain


def test_sketch_is_grey_lines_on_light_paper(scene: np.ndarray) -> None:
    after = _after(styles.sketch, scene)
    assert (after.max(-1) - after.min(-1)).max() < 0.08
    assert after[10:60].mean() > 0.85
    edge = after[120:130, 36:46].min()  # the house's left side against the sky
    assert edge < 0.6


def test_comic_has_ink_at_the_edges_and_vivid_areas(scene: np.ndarray) -> None:
    after = _after(styles.comic, scene)
    assert after[100:130, 38:46].min() < 0.2
    before_spread, after_spread = (np.ptp(p[150:190, 60:90], axis=-1).mean() for p in (scene, after))
    assert after_spread > before_spread


def test_hologram_glows_cyan_and_underwater_is_blue_green(scene: np.ndarray) -> None:
    for look in (styles.hologram, looks.underwater):
        after = _after(look, scene).mean((0, 1))
        assert after[1] > after[0] + 0.15
        assert after[2] > after[0] + 0.15


def test_rain_is_greyer_and_darker_and_has_streaks(scene: np.ndarray) -> None:
    after = _after(looks.rain, scene)
    assert after.mean() < 0.8 * scene.mean()
    assert np.ptp(after, axis=-1).mean() < 0.7 * np.ptp(scene, axis=-1).mean()
    sky = after[10:80].mean(-1)
    assert (sky - cv2.GaussianBlur(sky, (0, 0), 4) > 0.05).mean() > 0.005
