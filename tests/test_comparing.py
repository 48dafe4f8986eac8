"""Setups side by side: what each gives, scores against independent measures, and refusals that stop nothing."""

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from editworld_core.comparing import Compared, compare, next_seeds, score, setups
from editworld_core.comparing_sheet import comparing_sheet, in_short, levels
from editworld_core.errors import BadInputError, EditCancelledError, EngineUnavailableError
from editworld_core.settings import LARGEST_SEED, EditSettings

sys.path.append(str(Path(__file__).parent / "ui"))
from stand_in import Painter, editor, noise

HALF = np.zeros((48, 64), bool)
HALF[:, :32] = True


def run(settings: EditSettings, **more: object) -> Compared:
    (row,) = compare(noise(1), "paint", setups(settings), editor().edit, **more)  # type: ignore[arg-type]
    return row


def test_the_setups_are_all_combinations_and_their_labels_say_what_differs() -> None:
    found = setups(
        EditSettings(seed=9),
        ("a", "b"),
        (3,),
        {"steps": (1, 4), "post_edit": (True, False), "speed": ("fast",)},
    )
    said = [(it.settings.engine, it.settings.steps, it.settings.post_edit) for it in found]
    assert said == list(product("ab", (1, 4), (True, False)))
    assert {it.settings.seed for it in found} == {3}
    assert found[1].label == "a · steps 1 · no post-edit"
    assert len({it.label for it in found}) == len(found)
    assert setups(EditSettings())[0].label == "pocket"


def test_too_many_or_impossible_setups_are_refused() -> None:
    with pytest.raises(BadInputError, match="That would be 66 edits"):
        setups(EditSettings(), seeds=range(66))
    with pytest.raises(BadInputError, match="number of steps must lie between 1 and 1000"):
        setups(EditSettings(), variations={"steps": (0,)})


def test_every_setup_gives_what_an_edit_of_its_own_gives() -> None:
    chosen = setups(EditSettings(), seeds=(1, 2, 3))
    rows = list(compare(noise(1), " paint ", chosen, editor().edit))
    for row in rows:
        alone = editor().edit(noise(1), "paint", row.setup.settings)
        assert row.result is not None
        assert row.result.final.tobytes() == alone.final.tobytes()
    assert len({row.result.final.tobytes() for row in rows if row.result}) == 3


def test_the_scores_are_those_of_independent_measures() -> None:
    row = run(EditSettings(seed=4, hand_rule="replace", feather=0), hand=HALF[:, ::-1])
    assert row.result is not None
    before, edited = np.asarray(row.result.original), np.asarray(row.result.edited)
    scores = row.scores
    assert scores["mask_share"] == 0.5
    outside = peak_signal_noise_ratio(before[:, :32], edited[:, :32])
    assert scores["psnr_outside"] == pytest.approx(outside, abs=0.01)
    assert scores["psnr_outside_final"] == float("inf")
    assert scores["clip"] is None
    final = np.asarray(row.result.final, float)
    assert scores["change"] == pytest.approx(np.abs(final - before)[:, 32:].mean() / 255)
    lost = 255 * 10 ** (-outside / 20)
    assert levels(outside) == pytest.approx(lost)
    assert f"drift {lost:.1f} levels" in in_short(row)
    assert row.seconds == pytest.approx(sum(v for k, v in row.result.timings.items() if k != "load"))


def test_an_edit_of_everything_has_no_outside() -> None:
    row = run(EditSettings(seed=4, hand_rule="replace"), hand=np.ones((48, 64), bool))
    assert (row.scores["psnr_outside"], row.scores["st_lpips_outside"], row.scores["shift"]) == (
        None,
        None,
        None,
    )


def test_the_clip_score_is_that_of_the_model_it_was_given() -> None:
    class Brightness:
        def similarity(self, images: list[Image.Image], other: str) -> list[float]:
            assert other == "a bright place"
            return [float(np.asarray(image).mean()) for image in images]

    result = editor().edit(noise(1), "paint", EditSettings(seed=1))
    assert score(result, Brightness(), "a bright place")["clip"] == np.asarray(result.final).mean()  # type: ignore[arg-type]
    assert score(result, Brightness())["clip"] is None  # type: ignore[arg-type]


def test_a_refusal_takes_its_place_and_the_others_go_on() -> None:
    real = editor().edit

    def edit(image: Image.Image, instruction: str, settings: EditSettings, *more: object) -> object:
        if settings.seed == 2:
            raise EngineUnavailableError("The engine is not ready.")
        if settings.seed == 3:
            raise MemoryError
        return real(image, instruction, settings)

    rows = list(compare(noise(1), "paint", setups(EditSettings(), seeds=(1, 2, 3, 4)), edit))  # type: ignore[arg-type]
    assert [bool(row.result) for row in rows] == [True, False, False, True]
    assert rows[1].refusal == in_short(rows[1]) == "The engine is not ready."
    assert "not enough memory" in rows[2].refusal
    sheet = comparing_sheet(noise(1), "paint", rows)
    assert sheet.width > 4 * 256  # the upload and three in the first row, one in the second
    shown = np.asarray(sheet)
    grey = (shown == (232, 228, 220)).all(-1).sum()
    assert grey == pytest.approx(2 * 256 * 192, rel=0.01)  # the two that were refused


def test_what_cannot_be_edited_and_a_stop_end_it() -> None:
    with pytest.raises(BadInputError, match="The instruction is empty"):
        next(compare(noise(1), " ", setups(EditSettings()), editor().edit))
    painter = Painter()

    def stop(done: int, total: int) -> None:
        if painter.edits == 2:
            raise EditCancelledError("stopped")

    edit: Callable[..., object] = editor(painter).edit
    rows = compare(noise(1), "paint", setups(EditSettings(), seeds=(1, 2, 3)), edit, progress=stop)  # type: ignore[arg-type]
    assert next(rows).result
    with pytest.raises(EditCancelledError):
        next(rows)
    assert painter.edits == 2


def test_seeds_go_on_from_the_largest_at_zero() -> None:
    assert next_seeds(LARGEST_SEED - 1, 3) == (LARGEST_SEED - 1, LARGEST_SEED, 0)
