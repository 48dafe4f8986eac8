"""The evaluation, against editors whose scores are known: the truth, nothing, and half of each."""

import csv
import json
import statistics
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.editor import EditResult
from editworld_core.errors import BadInputError, EditCancelledError
from editworld_core.evaluation.showcase import KEPT, Showcase
from editworld_core.evaluation.simulated import MOST_DB, evaluate_simulated
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
    found = evaluate_simulated(KnowingEditor(1.0), EditSettings(), NAMES, SCENES).as_dict()
    assert found["success"]["overall"] == 1
    assert set(found["success"]["by_category"]) == {category.value for category in Category}
    assert found["success"]["by_dynamic"] == dict.fromkeys(NAMES, 1.0)
    assert found["psnr_outside"] == MOST_DB
    assert found["mask_iou"]["final"] == 1
    assert 0 < found["mask_iou"]["attention"] < 1
    assert found["st_lpips_outside"] == {"edited": 0, "final": 0}


def test_doing_nothing_fails_everywhere():
    found = evaluate_simulated(KnowingEditor(0.0), EditSettings(), NAMES, SCENES).as_dict()
    assert found["success"]["overall"] == 0
    assert set(found["success"]["by_dynamic"].values()) == {0}
    assert found["psnr_outside"] == MOST_DB


@pytest.mark.parametrize("share, success", [(0.4, 0), (0.6, 1)])
def test_half_the_way_is_the_limit(share, success):
    report = evaluate_simulated(KnowingEditor(share), EditSettings(), NAMES, 1)
    assert report.as_dict()["success"]["overall"] == success
    for row in report.rows:
        assert row.error_edited == pytest.approx((1 - share) * row.error_source, abs=0.5 / 255)


def test_errors_and_psnr_equal_their_formulas():
    """Against plain numpy, written without the library."""
    report = evaluate_simulated(KnowingEditor(0.5, drift=4), EditSettings(), [LOCAL], SCENES)
    assert [row.seed for row in report.rows] == list(range(SCENES))
    for row, pair in zip(report.rows, held_out_pairs([LOCAL], SCENES), strict=True):
        difference = np.abs(pair.before.astype(float) - pair.after)[pair.mask]
        assert row.error_source == pytest.approx(difference.mean() / 255, abs=1e-5)
        assert row.psnr_outside == pytest.approx(20 * np.log10(255 / 4), abs=1e-3)  # 4 levels everywhere
        assert row.mask_share == pytest.approx(pair.mask.mean())
        rolled = np.roll(pair.mask, 8, axis=1)
        assert row.iou_attention == pytest.approx((rolled & pair.mask).sum() / (rolled | pair.mask).sum())
        assert row.st_lpips_edited > row.st_lpips_final == 0


def test_without_post_edit_the_drift_stays():
    settings = EditSettings(post_edit=False)
    found = evaluate_simulated(KnowingEditor(1.0, drift=6), settings, [LOCAL], 1).as_dict()
    assert found["st_lpips_outside"]["final"] == found["st_lpips_outside"]["edited"] > 0


def test_dynamics_of_the_whole_picture_have_no_outside():
    found = evaluate_simulated(KnowingEditor(1.0), EditSettings(), [GLOBAL], 1).as_dict()
    assert found["success"]["overall"] == 1
    assert found["psnr_outside"] is None
    assert found["mask_iou"] == {"attention": None, "final": None}
    json.dumps(found, allow_nan=False)


def test_the_summary_has_the_agreed_keys():
    found = evaluate_simulated(KnowingEditor(0.0), EditSettings(), [LOCAL], 1).as_dict()
    assert list(found) == ["success", "psnr_outside", "mask_iou", "st_lpips_outside", "seconds_per_edit"]
    assert list(found["success"]) == ["overall", "by_category", "by_dynamic"]
    assert list(found["mask_iou"]) == ["attention", "final"]
    assert list(found["st_lpips_outside"]) == ["edited", "final"]
    assert found["seconds_per_edit"] > 0


def test_seeds_are_fixed_unless_given():
    open_seed, given_seed = KnowingEditor(1.0), KnowingEditor(1.0)
    evaluate_simulated(open_seed, EditSettings(), [LOCAL], SCENES)
    evaluate_simulated(given_seed, EditSettings(seed=11), [LOCAL], SCENES)
    assert [settings.seed for settings in open_seed.seen] == list(range(SCENES))
    assert {settings.seed for settings in given_seed.seen} == {11}


def test_the_report_is_written(tmp_path):
    report = evaluate_simulated(KnowingEditor(0.7), EditSettings(seed=3), NAMES, SCENES)
    folder = tmp_path / "deep" / "report"
    report.write(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.csv", "report.json", "sheet.png"]
    summary = json.loads((folder / "report.json").read_text())
    assert {name: summary[name] for name in report.as_dict()} == report.as_dict()
    assert summary["settings"]["seed"] == 3
    assert summary["scenes"] == len(NAMES) * SCENES
    with (folder / "report.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(NAMES) * SCENES
    overall = statistics.fmean(row["success"] == "True" for row in rows)
    assert overall == pytest.approx(report.as_dict()["success"]["overall"], abs=1e-4)
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 2 * 5 * 160


def test_progress_counts_and_stops():
    seen = []
    evaluate_simulated(
        KnowingEditor(1.0), EditSettings(), [LOCAL], SCENES, lambda done, total: seen.append((done, total))
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


def test_the_showcase_keeps_the_extremes_of_many_scenes():
    editor, showcase = KnowingEditor(1.0), Showcase()
    pair = next(iter(truths().values()))
    result = editor.edit(Image.fromarray(pair.before), pair.instruction, EditSettings())
    scores = np.random.default_rng(0).permutation(np.arange(200) / 100)
    for score in scores:
        showcase.see(float(score), pair, result)
    titles = [panel.title for panel in showcase.panels()]
    assert len(titles) <= 3 * KEPT
    worst = [title for title in titles if title.startswith("worst")]
    best = [title for title in titles if title.startswith("best")]
    assert [title.split("· ")[1].split("%")[0] for title in worst] == [str(199 - i) for i in range(KEPT)]
    assert best[-1].split("· ")[1].startswith("0%")
    assert sum(title.startswith("random") for title in titles) > KEPT // 2
