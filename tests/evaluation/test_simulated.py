"""The evaluation, against editors whose scores are known: the truth, nothing, and half of each."""

import json
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.editor import EditResult
from editworld_core.errors import BadInputError, EditCancelledError
from editworld_core.evaluation.record import Item, Scored, Setup
from editworld_core.evaluation.sheet import KEPT, chosen
from editworld_core.evaluation.simulated import MOST_DB, evaluate_simulated, score_simulated
from editworld_core.metrics import drift_report
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pairs
from editworld_core.simulation.world import SimulatedPair, dynamic_names, get_dynamic

SCENES = 2
LOCAL = next(name for name in dynamic_names() if get_dynamic(name).local)
GLOBAL = next(name for name in dynamic_names() if not get_dynamic(name).local)
ONE_EACH = [
    next(name for name in dynamic_names() if get_dynamic(name).category is category) for category in Category
]
NAMES = sorted({LOCAL, GLOBAL, *ONE_EACH})


@cache
def truths() -> dict[tuple[bytes, str], SimulatedPair]:
    """The pair that belongs to a picture and its instruction."""
    return {(pair.before.tobytes(), pair.instruction): pair for pair in held_out_pairs(NAMES, SCENES)}


@dataclass
class KnowingEditor:
    """Goes ``share`` of the way to the truth inside the true mask, adds ``drift`` grey levels outside it.

    With post-edit it takes back what it did outside its mask, which is the true one grown by ``grow`` pixels.
    """

    share: float
    drift: int = 0
    seen: list[EditSettings] = field(default_factory=list)

    def edit(self, image: Image.Image, instruction: str, settings: EditSettings) -> EditResult:
        self.seen.append(settings)
        pair = truths()[image.tobytes(), instruction]
        before, after = pair.before.astype(np.float32), pair.after.astype(np.float32)
        way = before + self.share * (after - before)
        mask = pair.mask
        edited = np.where(mask[..., None], way, before + np.where(before < 128, self.drift, -self.drift))
        edited_image = Image.fromarray(np.rint(edited).astype(np.uint8))
        final = np.where(mask[..., None], np.asarray(edited_image), pair.before)
        final_image = Image.fromarray(final) if settings.post_edit else edited_image
        return EditResult(
            original=image,
            edited=edited_image,
            final=final_image,
            instruction=instruction,
            settings=settings,
            attention=None,
            words=(),
            keywords=pair.keywords,
            heat=mask.astype(np.float32),
            attention_mask=np.roll(mask, 8, axis=1),
            mask=mask,
            mask_source="difference",
            hand=None,
            timings={"edit": 0.0},
            drift=drift_report(image, edited_image, final_image, mask),
        )


def test_the_truth_succeeds_everywhere():
    found = evaluate_simulated(KnowingEditor(1.0), EditSettings(), NAMES, SCENES, quick=True)
    assert found["success"]["overall"] == 1
    assert set(found["success"]["by_category"]) == {category.value for category in Category}
    assert found["success"]["by_dynamic"] == dict.fromkeys(NAMES, 1.0)
    assert found["psnr_outside"] == MOST_DB
    assert found["mask_iou"]["final"] == 1
    assert 0 < found["mask_iou"]["attention"] < 1


def test_doing_nothing_fails_everywhere():
    found = evaluate_simulated(KnowingEditor(0.0), EditSettings(), NAMES, SCENES, quick=True)
    assert found["success"]["overall"] == 0
    assert set(found["success"]["by_dynamic"].values()) == {0}
    assert found["psnr_outside"] == MOST_DB


@pytest.mark.parametrize("share, success", [(0.4, 0), (0.6, 1)])
def test_half_the_way_is_the_limit(share, success):
    scored = score_simulated(KnowingEditor(share), EditSettings(), NAMES, 1, quick=True)
    for one in scored:
        values = one.values
        assert values["success_edited"] == success
        assert values["error_edited"] == pytest.approx((1 - share) * values["error_source"], abs=0.5 / 255)


def test_errors_and_psnr_equal_their_formulas():
    """Against plain numpy, written without the library."""
    scored = score_simulated(KnowingEditor(0.5, drift=4), EditSettings(), [LOCAL], SCENES, quick=True)
    assert [one.item.about["seed"] for one in scored] == list(range(SCENES))
    for one, pair in zip(scored, held_out_pairs([LOCAL], SCENES), strict=True):
        values = one.values
        difference = np.abs(pair.before.astype(float) - pair.after)[pair.mask]
        assert values["error_source"] == pytest.approx(difference.mean() / 255, abs=1e-5)
        assert values["psnr_outside_edited"] == pytest.approx(
            20 * np.log10(255 / 4), abs=1e-3
        )  # 4 levels everywhere
        assert values["mask_share_true"] == pytest.approx(pair.mask.mean())
        rolled = np.roll(pair.mask, 8, axis=1)
        iou = (rolled & pair.mask).sum() / (rolled | pair.mask).sum()
        assert values["mask_iou_attention"] == pytest.approx(iou)


@pytest.mark.parametrize("post_edit", [True, False])
def test_drift_stays_without_post_edit(post_edit):
    settings = EditSettings(post_edit=post_edit)
    found = evaluate_simulated(KnowingEditor(1.0, drift=6), settings, [LOCAL], 1)["st_lpips_outside"]
    assert found["edited"] > 0
    assert found["final"] == (0 if post_edit else found["edited"])


def test_dynamics_of_the_whole_picture_have_no_outside():
    found = evaluate_simulated(KnowingEditor(1.0), EditSettings(), [GLOBAL], 1, quick=True)
    assert found["success"]["overall"] == 1
    assert found["psnr_outside"] is None
    assert found["mask_iou"] == {"attention": None, "final": None}
    json.dumps(found, allow_nan=False)


def test_the_summary_has_the_agreed_keys():
    found = evaluate_simulated(KnowingEditor(0.0), EditSettings(), [LOCAL], 1, quick=True)
    assert {"success", "psnr_outside", "mask_iou", "st_lpips_outside", "seconds_per_edit"} <= set(found)
    assert list(found["success"]) == ["overall", "by_category", "by_dynamic"]
    assert list(found["mask_iou"]) == ["attention", "final"]
    assert list(found["st_lpips_outside"]) == ["edited", "final"]
    assert found["seconds_per_edit"] > 0


def test_seeds_are_fixed_unless_given():
    open_seed, given_seed = KnowingEditor(1.0), KnowingEditor(1.0)
    evaluate_simulated(open_seed, EditSettings(), [LOCAL], SCENES, quick=True)
    evaluate_simulated(given_seed, EditSettings(seed=11), [LOCAL], SCENES, quick=True)
    assert [settings.seed for settings in open_seed.seen] == list(range(SCENES))
    assert {settings.seed for settings in given_seed.seen} == {11}


def test_progress_counts_and_stops():
    seen = []
    evaluate_simulated(
        KnowingEditor(1.0),
        EditSettings(),
        [LOCAL],
        SCENES,
        lambda done, total: seen.append((done, total)),
        quick=True,
    )
    assert seen == [(1, 2), (2, 2)]

    def stop(done: int, total: int) -> None:
        raise EditCancelledError("Stopped.")

    with pytest.raises(EditCancelledError):
        evaluate_simulated(KnowingEditor(1.0), EditSettings(), [LOCAL], SCENES, stop)


def test_bad_calls_are_refused():
    with pytest.raises(BadInputError, match="no dynamic named 'dance'"):
        evaluate_simulated(KnowingEditor(1.0), EditSettings(), ["dance"])
    with pytest.raises(BadInputError, match="at least 1"):
        evaluate_simulated(KnowingEditor(1.0), EditSettings(), [LOCAL], 0)


def test_the_sheet_shows_the_extremes_of_many_edits():
    """Of 200 edits whose remaining errors are known, and one that failed."""
    setup = Setup("any", EditSettings())
    errors = np.random.default_rng(0).permutation(np.arange(200) / 400)

    def scored(number: int, values: dict[str, float]) -> Scored:
        return Scored(Item(str(number), "", "", "", "", "", "", read=lambda: None), setup, values)

    some = [
        scored(number, {"error_edited": float(error), "error_source": 0.5})
        for number, error in enumerate(errors)
    ]
    found = chosen([*some, scored(200, {})])
    of_kind = {
        kind: [score for each, score, _ in found if each == kind] for kind in ("worst", "random", "best")
    }
    assert of_kind["worst"] == pytest.approx([(199 - place) / 200 for place in range(KEPT)])
    assert of_kind["best"][-1] == 0
    assert len({one.item.id for _, _, one in found}) == len(found) <= 3 * KEPT
    assert len(of_kind["random"]) > KEPT // 2
