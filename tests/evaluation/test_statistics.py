"""Bootstrap intervals against scipy's, and means of cases that can be counted by hand."""

import numpy as np
import pytest
from scipy import stats

from editworld_core.evaluation.statistics import grouped, interval, mean_of, means, paired
from tests.evaluation.some import some_scored


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_interval_is_scipys(draw):
    values = getattr(np.random.default_rng(1), draw)(size=60)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    width = expected.high - expected.low
    assert interval(values) == pytest.approx((expected.low, expected.high), abs=0.05 * width)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        low, high = interval(dice.normal(3, 1, 50))
        inside += low <= 3 <= high
    assert 0.88 < inside / 200 < 0.99


def test_the_same_values_give_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).random(30)
    assert interval(values) == interval(values)
    assert interval(values) != interval(values, seed=1)


def test_large_samples_are_drawn_in_blocks():
    values = np.random.default_rng(0).normal(0, 1, 1600)  # more than are kept
    low, high = interval(values)
    error = values.std() / np.sqrt(1600)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.2 * error
    )


def test_means_know_one_value_equal_values_and_none():
    one, same = mean_of([2.0, None]), mean_of([1.0, 1.0, 1.0])
    assert (one.mean, one.low, one.high, one.count) == (2, None, None, 1)
    assert (same.mean, same.low, same.high, same.count) == (1, 1, 1, 3)
    assert mean_of([None]) is None


def test_groups():
    scored = [
        some_scored("a", values={"error_final": 0.1, "shift": None}),
        some_scored("b", values={"error_final": 0.3}),
        some_scored("c", values={"error_final": 0.8}, category="Story-Type"),
        some_scored("d", failure="No."),
    ]
    found = grouped(scored, ["error_final", "shift"], lambda one: one.item.category)
    assert list(found) == ["Long-Term", "Story-Type"]
    assert found["Long-Term"]["error_final"].mean == pytest.approx(0.2)
    assert found["Story-Type"]["error_final"].count == 1
    assert set(found["Long-Term"]) == {"error_final"}
    assert means(scored, ["error_final"])["error_final"].mean == pytest.approx(0.4)


def test_paired_differences_see_what_the_items_own_spread_hides():
    dice = np.random.default_rng(0)
    base, gain = dice.normal(0, 10, 40), dice.normal(0.5, 0.2, 40)
    scored = [some_scored(f"{i}", "old", {"shift": base[i]}) for i in range(40)]
    scored += [some_scored(f"{i}", "new", {"shift": base[i] + gain[i]}) for i in range(40)]
    scored.append(some_scored("only", "new", {"shift": 1000.0}))
    difference = paired(scored, "old", "new", ["shift", "zoom"])
    assert set(difference) == {"shift"}
    found = difference["shift"]
    assert found.count == 40
    assert found.mean == pytest.approx(gain.mean())
    assert 0 < found.low < found.mean < found.high < 1
    apart = means([one for one in scored if one.setup.label == "old"], ["shift"])["shift"]
    assert apart.low < 0 < apart.high
