"""The whole way with the bundled engine: any size, the upload kept outside the mask, a stop, a refinement."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from editworld_core import EditSettings, WorldEditor
from editworld_core.editor import EditResult
from editworld_core.errors import BadInputError, EditCancelledError, EngineUnavailableError
from editworld_core.masks import Mask
from editworld_core.simulation.world import simulate

FIXED = EditSettings(seed=7)


@pytest.fixture(scope="module")
def editor() -> WorldEditor:
    return WorldEditor()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.fromarray(simulate("melt_snowman", 1, split="held_out").before)


@pytest.fixture(scope="module")
def result(editor: WorldEditor, picture: Image.Image) -> EditResult:
    return editor.edit(picture, "  melt the snowman ", FIXED)


def test_an_edit_keeps_every_pixel_outside_its_mask(result: EditResult, picture: Image.Image) -> None:
    assert result.instruction == "melt the snowman"
    assert result.original.tobytes() == picture.tobytes()
    before, final = np.asarray(result.original), np.asarray(result.final)
    assert 0 < result.mask.mean() < 1
    assert np.array_equal(before[~result.mask], final[~result.mask])
    assert not np.array_equal(before[result.mask], final[result.mask])
    assert result.mask_source == "attention"
    assert result.keywords == ("melt", "snowman")
    assert 0 <= result.heat.min() <= result.heat.max() <= 1


def test_what_was_left_open_is_written_back(result: EditResult, editor: WorldEditor) -> None:
    info = editor.engine("pocket").info
    assert (result.settings.steps, result.settings.text_guidance) == (info.steps, info.text_guidance)
    assert result.settings.image_guidance == info.image_guidance


def test_a_drawn_seed_repeats_the_edit(editor: WorldEditor, picture: Image.Image) -> None:
    first = editor.edit(picture, "night falls", EditSettings(post_edit=False))
    again = editor.edit(picture, "night falls", first.settings)
    assert first.settings.seed is not None
    assert first.final.tobytes() == again.final.tobytes()


@pytest.mark.parametrize("size", [(300, 200), (97, 411), (640, 480)])
def test_any_size_comes_back_as_it_was(
    editor: WorldEditor, picture: Image.Image, size: tuple[int, int]
) -> None:
    result = editor.edit(picture.resize(size), "melt the snowman", FIXED)
    assert result.final.size == result.edited.size == size
    assert result.mask.shape == result.heat.shape == (size[1], size[0])
    before, final = np.asarray(result.original), np.asarray(result.final)
    assert np.array_equal(before[~result.mask], final[~result.mask])


def test_refining_reuses_the_edit(editor: WorldEditor, result: EditResult) -> None:
    off = editor.refine(result, replace(result.settings, post_edit=False, seed=99, steps=50))
    assert off.final is off.edited is result.edited
    assert (off.settings.seed, off.settings.steps) == (7, result.settings.steps)
    paper = editor.refine(result, replace(result.settings, mask_rule="paper", keywords=("snowman",)))
    assert paper.keywords == ("snowman",)
    assert paper.edited is result.edited
    back = editor.refine(off, result.settings)
    assert back.final.tobytes() == result.final.tobytes()


def _square(size: tuple[int, int] = (256, 256)) -> Mask:
    mask = np.zeros(size, bool)
    mask[10:40, 200:240] = True
    return mask


def test_a_mask_drawn_by_hand_replaces_the_automatic_one(editor: WorldEditor, result: EditResult) -> None:
    hand = _square()
    replaced = editor.refine(result, replace(result.settings, hand_rule="replace"), hand=hand)
    assert np.array_equal(replaced.mask, hand)
    assert replaced.mask_source == "hand"
    assert replaced.hand is hand
    before, final = np.asarray(replaced.original), np.asarray(replaced.final)
    assert np.array_equal(before[~hand], final[~hand])
    assert replaced.edited is result.edited
    assert editor.refine(replaced, result.settings).mask.tobytes() == result.mask.tobytes()


def test_a_mask_drawn_by_hand_joins_and_grows(
    editor: WorldEditor, result: EditResult, picture: Image.Image
) -> None:
    hand = _square()
    joined = editor.refine(result, result.settings, hand=hand)
    assert np.array_equal(joined.mask, result.mask | hand)
    wide = editor.refine(result, replace(result.settings, grow=5), hand=hand)
    away = distance_transform_edt(~joined.mask)
    assert (wide.mask[away <= 4]).all()
    assert not wide.mask[away > 6].any()
    again = editor.edit(picture, "melt the snowman", FIXED, hand=hand)
    assert again.final.tobytes() == joined.final.tobytes()


def test_a_mask_of_another_size_is_refused(editor: WorldEditor, result: EditResult) -> None:
    with pytest.raises(BadInputError, match="drawn by hand is 60x50 and the picture 256x256"):
        editor.refine(result, result.settings, hand=np.ones((50, 60), bool))


def test_the_engine_is_told_the_outcome_in_place_of_the_instruction(
    editor: WorldEditor, picture: Image.Image, result: EditResult
) -> None:
    told = editor.edit(picture, "the stove gets hot", replace(FIXED, outcome="melt the snowman"))
    assert told.edited.tobytes() == result.edited.tobytes()
    assert told.instruction == "the stove gets hot"
    assert told.keywords == result.keywords


def test_the_presets_agree_where_the_engine_has_no_short_cut(
    editor: WorldEditor, picture: Image.Image, result: EditResult
) -> None:
    exact = editor.edit(picture, "melt the snowman", replace(FIXED, speed="exact"))
    assert exact.edited.tobytes() == result.edited.tobytes()


def test_a_stop_ends_within_a_step(editor: WorldEditor, picture: Image.Image) -> None:
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        raise EditCancelledError("The edit was stopped.")

    with pytest.raises(EditCancelledError):
        editor.edit(picture, "melt the snowman", replace(FIXED, steps=5), stop)
    assert seen == [1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (EditSettings(steps=0), "number of steps must lie between 1 and 1000"),
        (EditSettings(seed=-1), "seed must lie between"),
        (EditSettings(keywords=("unicorn",)), "'unicorn' is not in the instruction"),
    ],
)
def test_settings_out_of_range_are_refused(
    editor: WorldEditor, picture: Image.Image, settings: EditSettings, sentence: str
) -> None:
    with pytest.raises(BadInputError, match=sentence):
        editor.edit(picture, "melt the snowman", settings)


def test_an_unknown_engine_is_refused(editor: WorldEditor, picture: Image.Image) -> None:
    with pytest.raises(EngineUnavailableError, match="There is no engine 'dreamer'"):
        editor.edit(picture, "melt the snowman", EditSettings(engine="dreamer"))
