"""Estimates, tables and plots of the benchmarks say what is known from elsewhere."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bootstrap import Estimate, estimate, estimate_difference
from benchmarks.plots import interval_plot
from benchmarks.tables import Column, Row, Table, in_words, write_between
from editworld_core.errors import BadInputError


def test_intervals_are_those_of_theory_and_of_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).normal(5, 2, 400)
    found = estimate(list(values))
    error = values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.25 * error
    )
    theirs = bootstrap((values,), np.median, method="percentile", n_resamples=2000, rng=1).confidence_interval
    median = estimate(list(values), np.median)
    assert (median.low, median.high) == pytest.approx((theirs.low, theirs.high), abs=0.05)


def test_missing_values_do_not_count_and_none_give_no_estimate() -> None:
    assert estimate([1.0, None, 3.0]).value == 2
    assert estimate([1.0, None, 3.0]).count == 2
    assert estimate([None]) is None


def test_a_difference_of_the_same_scenes_does_not_spread_as_the_scenes_do() -> None:
    values = np.random.default_rng(0).uniform(0, 100, 50)
    found = estimate_difference(list(values + 1), list(values))
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))
    assert estimate_difference([1.0, None], [0.0, 5.0]).count == 1
    with pytest.raises(ValueError, match="longer"):
        estimate_difference([1.0], [1.0, 2.0])


def test_a_table_reads_as_it_was_written() -> None:
    columns = [Column("a", "share", "percent"), Column("b", "change", "points"), Column("c", "who", "text")]
    rows = [Row("x", {"a": Estimate(0.714, 0.6, 0.8, 98), "b": -0.02, "c": "p|q"}), Row("y", {"a": None})]
    table = Table("t", "T", "", "line", columns, rows)
    lines = table.markdown().splitlines()
    assert lines[0] == "| line | share | change | who |"
    assert lines[2] == "| x | 71% (60–80) | −2 | p\\|q |"
    assert lines[3] == "| y | – | – | – |"
    assert Table.from_dict(table.as_dict()).markdown() == table.markdown()
    assert in_words(Estimate(3.0, 3.0, 3.0, 1), "number") == "3.0"
    assert in_words(Estimate(-0.001, -0.2, 0.1, 9), "difference") == "0.00 (−0.20 … +0.10)"


def test_tables_take_the_place_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- data: begin -->\nold\n<!-- data: end -->\nbelow\n")
    for _ in range(2):
        write_between(page, "data", "new\n")
        assert page.read_text() == "above\n<!-- data: begin -->\n\nnew\n\n<!-- data: end -->\nbelow\n"
    with pytest.raises(BadInputError, match="lacks the marks <!-- ablations: begin -->"):
        write_between(page, "ablations", "new")
    with pytest.raises(BadInputError, match="cannot be read"):
        write_between(tmp_path / "none.md", "data", "new")


def test_a_plot_shows_each_estimate_where_its_value_is() -> None:
    estimates = {"a < b": Estimate(0.0, -1.0, 1.0, 5), "c": Estimate(3.0, 2.0, 4.0, 5)}
    drawn = ElementTree.fromstring(interval_plot("T", estimates, zero=True))
    name = "{http://www.w3.org/2000/svg}"
    dots = [float(dot.get("cx", "")) for dot in drawn.iter(f"{name}circle")]
    lines = [line for line in drawn.iter(f"{name}line") if line.get("class") == "line"]
    ends = [(float(line.get("x1", "")), float(line.get("x2", ""))) for line in lines]
    assert dots == pytest.approx([(low + high) / 2 for low, high in ends], abs=0.11)
    unit = (ends[1][1] - ends[0][0]) / 5
    assert dots[1] - dots[0] == pytest.approx(3 * unit, abs=0.2)
    zero = next(line for line in drawn.iter(f"{name}line") if line.get("class") == "zero")
    assert float(zero.get("x1", "")) == pytest.approx(dots[0], abs=0.11)
