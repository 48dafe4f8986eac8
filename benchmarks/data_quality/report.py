"""The tables of the experiment with data, from the rows of its arms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bootstrap import Estimate, estimate, estimate_difference
from benchmarks.data_quality.arms import ARMS, Arm, kept_dynamics
from benchmarks.plots import interval_plot
from benchmarks.tables import Cell, Column, Row, Table, in_markdown, in_words

Found = Mapping[str, Mapping[str, Any]]
"""By arm what was measured: ``pairs``, ``last_loss``, and ``scenes``, one row each."""

SCORES = (
    Column("pairs", "pairs", "count"),
    Column("success", "success", "percent"),
    Column("left", "error left", "share"),
    Column("change", "against all pairs", "difference"),
    Column("psnr", "PSNR outside, dB", "decibels"),
    Column("loss", "last training loss", "share"),
)
SPLITS = (
    Column("kept", "dynamics that `half-dynamics` has", "share"),
    Column("kept_change", "against all pairs", "difference"),
    Column("other", "the others", "share"),
    Column("other_change", "against all pairs", "difference"),
    Column("plain", "commands", "share"),
    Column("plain_change", "against all pairs", "difference"),
    Column("cause", "causes", "share"),
    Column("cause_change", "against all pairs", "difference"),
)
NOTE = (
    "Error left is the error inside the true mask as a share of the unedited picture's, mean over held-out scenes: "
    "0 is perfect, 1 no better than doing nothing. In brackets 95% bootstrap intervals over scenes; differences are of "
    "the same scenes. What another seed changes is what chance does."
)


def tables(found: Found) -> list[Table]:
    """Scores by arm, and the error left by what the scenes have."""
    arms = [arm for arm in ARMS if arm.name in found]
    return [
        Table(
            "data",
            "Scores by data",
            NOTE,
            "data",
            SCORES,
            [Row(arm.title, _scores(found, arm)) for arm in arms],
        ),
        Table(
            "data-splits",
            "Error left by dynamics and wording",
            "The five held-out wordings of a dynamic run from command to cause; the first two count as commands.",
            "data",
            SPLITS,
            [Row(arm.title, _splits(found, arm)) for arm in arms],
        ),
    ]


def plot(found: Found) -> str:
    """What each arm's error left exceeds that of the first one by, as SVG."""
    first, *others = (arm for arm in ARMS if arm.name in found)
    differences = {arm.title: _difference(found, arm, first, _all) for arm in others}
    known = {title: each for title, each in differences.items() if each}
    return interval_plot("Error left, against all pairs", known, zero=True) if known else ""


def in_page(made: Sequence[Table], plots: Mapping[str, str] | None = None) -> str:
    """What the tables say, and the tables, as Markdown."""
    said = "\n".join(f"- {sentence}" for sentence in findings(made))
    return f"### What they say\n\n{said}\n\n{in_markdown(made, plots)}"


def findings(made: Sequence[Table]) -> list[str]:
    """One sentence an arm: whether its error left differs from the first one's by more than chance may make.

    It must do so over the scenes, and by more than another seed does.
    """
    first, *others = made[0].rows
    changes = {row.label: change for row in others if isinstance(change := row.cells["change"], Estimate)}
    seeds = [arm.title for arm in ARMS if arm.seed != ARMS[0].seed]
    chance = max((abs(changes[title].value) for title in seeds if title in changes), default=0.0)
    return [
        f"{title[0].upper()}{title[1:]}: error left {in_words(change, 'difference')} against {first.label}, "
        f"{_verdict(change, chance)}."
        for title, change in changes.items()
        if title not in seeds
    ]


def _verdict(difference: Estimate, chance: float) -> str:
    if difference.low <= 0 <= difference.high:
        return "which other scenes may undo"
    if abs(difference.value) <= chance:
        return "no more than another seed makes"
    return "worse than chance explains" if difference.value > 0 else "better than chance explains"


def _scores(found: Found, arm: Arm) -> dict[str, Cell]:
    scenes = found[arm.name]["scenes"]
    return {
        "pairs": found[arm.name]["pairs"],
        "success": estimate([scene["success"] for scene in scenes]),
        "left": estimate(_left(scenes, _all)),
        "change": _against_first(found, arm, _all),
        "psnr": estimate([scene["psnr_outside"] for scene in scenes], np.median),
        "loss": found[arm.name]["last_loss"],
    }


def _splits(found: Found, arm: Arm) -> dict[str, Cell]:
    scenes = found[arm.name]["scenes"]
    kept = kept_dynamics([scene["dynamic"] for scene in scenes])
    parts = {
        "kept": lambda scene: scene["dynamic"] in kept,
        "other": lambda scene: scene["dynamic"] not in kept,
        "plain": lambda scene: scene["plain"],
        "cause": lambda scene: not scene["plain"],
    }
    cells: dict[str, Cell] = {}
    for name, part in parts.items():
        cells |= {name: estimate(_left(scenes, part)), f"{name}_change": _against_first(found, arm, part)}
    return cells


def _all(scene: Mapping[str, Any]) -> bool:
    return True


def _left(scenes: Sequence[Mapping[str, Any]], part: Any) -> list[float]:
    return [scene["error"] / max(scene["error_source"], 1e-6) for scene in scenes if part(scene)]


def _against_first(found: Found, arm: Arm, part: Any) -> Estimate | None:
    first = next(each for each in ARMS if each.name in found)
    return None if arm == first else _difference(found, arm, first, part)


def _difference(found: Found, arm: Arm, first: Arm, part: Any) -> Estimate | None:
    ours, theirs = (_left(found[each.name]["scenes"], part) for each in (arm, first))
    return estimate_difference(ours, theirs)
