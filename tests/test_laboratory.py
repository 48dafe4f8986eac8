"""A study against what its engine is known to have looked at, and the bundled engine's against the recorder's own."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from editworld_core import EditSettings, WorldEditor
from editworld_core.attention import AttentionMaps
from editworld_core.errors import BadInputError
from editworld_core.laboratory.comparison import compare
from editworld_core.laboratory.drawing import frames, gif
from editworld_core.laboratory.files import comparison_files, file_names, maps_npz, study_files
from editworld_core.laboratory.study import Study, View, study_edit
from editworld_core.masks import enlarge, threshold_otsu, threshold_paper
from editworld_core.simulation.world import simulate
from tests.attender import GRIDS, INFO, Attender, attending_editor, looks

SIZE = (56, 72)  # height, width; a size that the engine takes as it is
WORDS = "the red door opens"
SETTINGS = EditSettings(seed=5)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def study(picture: Image.Image) -> Study:
    return study_edit(picture, WORDS, SETTINGS, editor=attending_editor())


def seen(layers: list[str], steps: list[int], position: int) -> np.ndarray:
    """The mean of what the engine recorded, straight from its definition."""
    return np.mean([looks(layer, step, 5, SIZE)[position] for layer in layers for step in steps], axis=0)


@pytest.mark.parametrize(
    ("view", "layers", "steps"),
    [
        (View(), ["down_blocks.0", "up_blocks.0"], [1, 2, 3]),
        (View(cells=40), ["up_blocks.1"], [1, 2, 3]),
        (View(layers=("mid_block",), steps=(2,)), ["mid_block"], [2]),
        (View(steps=(3, 1)), ["down_blocks.0", "up_blocks.0"], [1, 3]),
    ],
)
def test_a_words_map_is_the_mean_of_its_layers_and_steps(
    study: Study, view: View, layers: list[str], steps: list[int]
) -> None:
    for position, word in enumerate(WORDS.split(), 1):
        (map,) = study.maps(replace(view, words=(word,)))
        np.testing.assert_allclose(map, seen(layers, steps, position), rtol=1e-5)


def test_layers_of_several_resolutions_meet_on_the_finest_grid(study: Study) -> None:
    (map,) = study.maps(View(words=("red",), layers=("mid_block", "up_blocks.1"), steps=(1,)))
    fine, coarse = seen(["up_blocks.1"], [1], 2), seen(["mid_block"], [1], 2)
    np.testing.assert_allclose(map, (fine + enlarge(coarse, fine.shape)) / 2, rtol=1e-5)


@pytest.mark.parametrize(("rule", "threshold"), [("paper", 0.8125), ("paper", 2.0), ("otsu", 0.8125)])
def test_the_mask_is_the_union_of_the_words_masks(study: Study, rule: str, threshold: float) -> None:
    view = View(words=("red", "opens"), rule=rule, threshold=threshold)
    large = [enlarge(map, SIZE) for map in study.maps(view)]
    each = [threshold_paper(map, threshold) if rule == "paper" else threshold_otsu(map) for map in large]
    mask = study.mask(view)
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(mask, each[0] | each[1])


def test_the_heat_of_words_together_is_their_sum(study: Study) -> None:
    red, opens, both = (study.heat(View(words=words)) for words in (("red",), ("opens",), ("red", "opens")))
    np.testing.assert_allclose(both, (red + opens) / (red + opens).max(), atol=0.02)
    assert red.max() == both.max() == 1


def test_a_word_said_twice_counts_at_both_places(picture: Image.Image) -> None:
    twice = study_edit(picture, "door to door", SETTINGS, editor=attending_editor())
    assert twice.words == ("door", "to")
    assert len(twice.maps(View(words=("door",)))) == 2


def test_the_usual_view_is_the_edits_own_mask_and_its_segments(study: Study) -> None:
    result = study.result
    np.testing.assert_array_equal(study.mask(study.usual), result.attention_mask)
    np.testing.assert_array_equal(study.heat(study.usual), result.heat)
    assert study.segments(study.usual) is result.found
    # without post-edit there is nothing to take over, and the same comes of it
    plain = attending_editor().refine(result, replace(result.settings, post_edit=False))
    found, known = Study(plain).segments(study.usual), result.found
    assert plain.found is None
    assert known is not None
    np.testing.assert_array_equal(found.edit, known.edit)
    for one, other in ((found.original, known.original), (found.edited, known.edited)):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_the_chosen_segments_are_among_those_proposed(study: Study) -> None:
    found = study.segments(replace(study.usual, words=("the",)))
    assert found.proposed_original
    for chosen, proposed in (
        (found.original, found.proposed_original),
        (found.edited, found.proposed_edited),
    ):
        best = max(proposed, key=lambda segment: segment.overlap)
        assert chosen.overlap == best.overlap
        np.testing.assert_array_equal(chosen.mask, best.mask)  # this picture is compared at its own size


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        (View(words=("blue",)), "The word 'blue' is not in the instruction: choose among the, red, door, op"),
        (View(layers=("attic",)), "The layer 'attic' was not recorded: choose among down_blocks.0, mid"),
        (View(steps=(4,)), r"The step 4 was not recorded: choose among 1, 2, 3\."),
    ],
)
def test_what_was_not_recorded_is_refused(study: Study, view: View, sentence: str) -> None:
    with pytest.raises(BadInputError, match=sentence):
        study.mask(view)


def test_an_engine_that_cannot_be_recorded_is_refused_before_it_works(picture: Image.Image) -> None:
    blind = Attender(replace(INFO, records_attention=False))
    with pytest.raises(BadInputError, match="does not show which words act where; choose one that does"):
        study_edit(picture, WORDS, SETTINGS, editor=attending_editor(blind))
    assert blind.edits == 0
    unseen = attending_editor(blind).edit(picture, WORDS, SETTINGS)
    with pytest.raises(BadInputError, match="does not show which words act where"):
        Study(unseen)


def test_an_unknown_word_is_refused_before_the_engine_works(picture: Image.Image) -> None:
    engine = Attender()
    with pytest.raises(BadInputError, match="The word 'blue' is not in the instruction"):
        study_edit(picture, WORDS, replace(SETTINGS, keywords=("blue",)), editor=attending_editor(engine))
    assert engine.edits == 0


def test_steps_that_a_short_cut_left_out_keep_their_numbers(study: Study) -> None:
    every = study.attention.layers
    kept = AttentionMaps(
        {name: stack[[0, 2]] if name == "mid_block" else stack for name, stack in every.items()},
        {"mid_block": (1, 3)},
    )
    gappy = Study(replace(study.result, attention=kept))
    deep = View(words=("red",), layers=("mid_block",), steps=(3,))
    assert gappy.steps(deep) == (1, 3)
    np.testing.assert_array_equal(gappy.maps(deep)[0], study.maps(deep)[0])
    with pytest.raises(BadInputError, match=r"The step 2 was not recorded: choose among 1, 3\."):
        gappy.mask(replace(deep, steps=(2,)))


def test_the_npz_holds_all_maps_and_says_what_they_are(study: Study) -> None:
    truth = np.zeros(SIZE, bool)
    truth[10:30, 5:40] = True
    view = View(words=("red",), steps=(1,), rule="paper")
    with np.load(io.BytesIO(maps_npz(study, view, truth)), allow_pickle=False) as file:
        found = dict(file)
    assert list(found["layers"]) == list(GRIDS)
    for layer in GRIDS:
        stack = np.stack([looks(layer, step, 5, SIZE) for step in (1, 2, 3)])
        assert found[f"maps/{layer}"].dtype == np.float16
        np.testing.assert_allclose(found[f"maps/{layer}"], stack, rtol=1e-3)
        assert list(found[f"steps/{layer}"]) == [1, 2, 3]
    assert list(found["words"]) == WORDS.split()
    assert list(found["positions"]) == [0, 1, 2, 3, 4]
    assert list(found["word_of_position"]) == [-1, 0, 1, 2, 3]
    of_red = seen(["down_blocks.0", "up_blocks.0"], [1], 2)
    assert found["heat"].dtype == np.float32
    np.testing.assert_allclose(found["heat"][1], of_red / of_red.max(), rtol=1e-5)
    mask = threshold_paper(enlarge(of_red.astype(np.float32), SIZE))
    np.testing.assert_array_equal(found["mask"], mask)
    both, either = (mask & truth).sum(), (mask | truth).sum()
    assert found["iou"] == pytest.approx(both / either)
    assert (str(found["instruction"]), int(found["seed"])) == (WORDS, 5)
    assert [str(each) for each in found["chosen_layers"]] == ["down_blocks.0", "up_blocks.0"]


def test_the_files_of_a_study(study: Study) -> None:
    view = View(words=("door",))
    files = study_files(study, view)
    assert set(files) == {
        *(f"heat_{word}.png" for word in WORDS.split()),
        *("maps.npz", "mask.png", "figure.png", "segments_before.png", "segments_after.png", "steps.gif"),
    }
    mask = np.asarray(Image.open(io.BytesIO(files["mask.png"])))
    np.testing.assert_array_equal(mask == 255, study.mask(view))
    # a spot of heat is redder than the same place without it
    door, opens = (
        np.asarray(Image.open(io.BytesIO(files[f"heat_{word}.png"])), int) for word in ("door", "opens")
    )
    hottest = np.unravel_index(study.heat(View(words=("door",))).argmax(), SIZE)
    cold = np.unravel_index(
        (study.heat(View(words=("opens",))) - study.heat(View(words=("door",)))).argmin(), SIZE
    )
    assert door[hottest][0] - door[hottest][2] > 40
    assert (door[cold] - opens[cold])[0] - (door[cold] - opens[cold])[2] > 20
    with Image.open(io.BytesIO(files["figure.png"])) as figure:
        assert figure.width > 4 * 120
    with Image.open(io.BytesIO(files["steps.gif"])) as animation:
        assert animation.n_frames == 3  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0


def test_the_animation_shows_each_step_by_itself(study: Study) -> None:
    pictures = [np.asarray(each, int)[: SIZE[0]] for each in frames(study, View(words=("red",)))]
    assert len(pictures) == 3
    warmth = [(each[..., 0] - each[..., 2])[:, : SIZE[1]] for each in pictures]
    rows = [np.average(np.arange(SIZE[0]), weights=np.maximum(each, 0).sum(1)) for each in warmth]
    assert rows == sorted(rows)  # the spots move down
    assert gif([Image.new("RGB", (8, 8), shade) for shade in ("black", "white")])[:6] == b"GIF89a"


def test_one_step_gives_no_animation(picture: Image.Image) -> None:
    single = study_edit(picture, WORDS, replace(SETTINGS, steps=1), editor=attending_editor())
    assert "steps.gif" not in study_files(single, single.usual)


def test_a_true_mask_of_another_size_is_refused(study: Study) -> None:
    with pytest.raises(BadInputError, match="The true mask is 9x8 pixels and the picture 72x56"):
        study_files(study, study.usual, np.ones((8, 9), bool))


def test_two_instructions_on_one_picture(study: Study, picture: Image.Image) -> None:
    other = study_edit(picture, "the red window", SETTINGS, editor=attending_editor())
    views = View(words=("red",)), View(words=("window",))
    found = compare(study, other, *views)
    first, second = study.mask(views[0]), other.mask(views[1])
    assert found.iou == (first & second).sum() / (first | second).sum()
    pixels = [np.asarray(each.result.edited, int) for each in (study, other)]
    np.testing.assert_allclose(found.difference, np.abs(pixels[0] - pixels[1]).max(-1) / 255, atol=1e-6)
    assert found.difference.max() > 0.1
    files = comparison_files(study, other, *views)
    grey = np.asarray(Image.open(io.BytesIO(files["difference.png"])), int)
    np.testing.assert_array_equal(grey, np.abs(pixels[0] - pixels[1]).max(-1))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files["against_mask.png"]))) > 0, second)
    same = compare(study, study, views[0], views[0])
    assert (same.iou, same.difference.max()) == (1.0, 0.0)
    elsewhere = study_edit(picture.rotate(180), WORDS, SETTINGS, editor=attending_editor())
    with pytest.raises(BadInputError, match="start from different pictures"):
        compare(study, elsewhere, *views)


def test_names_of_files_are_names_whatever_the_words() -> None:
    assert file_names(["The", "the", "snow-man", "../up", "?", "été", "CON/"]) == [
        "The",
        "the-2",
        "snow-man",
        "up",
        "word-5",
        "été",
        "CON",
    ]
    assert len(file_names(["x" * 300])[0]) == 40


def test_the_bundled_engines_maps_are_the_recorders() -> None:
    pair = simulate("melt_snowman", 1, split="held_out")
    settings = EditSettings(seed=7, steps=2)
    study = study_edit(Image.fromarray(pair.before), "melt the snowman", settings, editor=WorldEditor())
    (token,) = (token for token in study.result.words if token.word == "snowman")
    recorded = study.attention
    for side in study.resolutions:
        layers = [name for name in recorded.layers if recorded.layers[name].shape[-1] == side]
        (map,) = study.maps(View(words=("snowman",), layers=tuple(layers), steps=(2,)))
        stacks = [recorded.layers[name][1, list(token.positions)].sum(0) for name in layers]
        np.testing.assert_allclose(map, np.mean(stacks, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(study.mask(study.usual), study.result.attention_mask)
    assert study.steps(View()) == (1, 2)
