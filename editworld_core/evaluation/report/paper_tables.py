"""The paper's tables beside ours, as rows of numbers that the page and LaTeX draw."""

from collections.abc import Sequence
from dataclasses import dataclass

from editworld_core.evaluation.measures.base import EDITED, FINAL
from editworld_core.evaluation.report import paper
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.statistics import Mean, means

Cell = float | Mean | None
"""A number of the paper, a mean of ours, or nothing."""

Row = tuple[Sequence[str], Sequence[Cell]]
"""What it is about, and its numbers."""


@dataclass(frozen=True)
class Beside:
    """A table: what it is, the models of ours, columns of the paper and of ours, and rows with their names.

    A column of ours is a setup and ``edited`` or ``final``. The rows' cells are the paper's first, then ours.
    """

    title: str
    model: str
    paper: Sequence[str]
    ours: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    heads: Sequence[str]


def paper_tables(contents: Contents) -> list[Beside]:
    """CLIP score by branch and category, MLLM score by branch, LPIPS by method; each only if we have the score."""
    tables = (_clip(contents), _mllm(contents), _lpips(contents))
    return [
        table for table in tables if any(isinstance(cell, Mean) for _, cells in table.rows for cell in cells)
    ]


def differences(contents: Contents) -> list[str]:
    """Why the paper's numbers and ours may not be compared as they stand, in sentences."""
    count = len(contents.items)
    found = [
        "The paper's numbers are of models that were never published, ours of the engines named here.",
        "The paper's are of its test set of 300 text-to-image and 200 video items, ours of "
        f"{count:,} item{'s' * (count != 1)} of {contents.data_set}.",
    ]
    clip = contents.models.get("clip")
    if clip is not None and clip != paper.CLIP_MODEL:
        found.append(
            f"The paper's CLIP is ViT-L/14 ({paper.CLIP_MODEL}), ours {clip}: scores of different CLIP models cannot "
            "be compared."
        )
    if "judge" in contents.models:
        found.append(
            f"The paper's judge was a video-language model, ours is {contents.models['judge']}; strong engines all "
            "come close to 1."
        )
    if "lpips_edited" in contents.names:
        found.append("The paper's LPIPS is of 50 traditional edits (add, change, remove), ours of all items.")
    return found


def _columns(contents: Contents) -> list[tuple[str, str]]:
    return [(label, side) for label in contents.setups for side in contents.sides_of(label)]


def _clip(contents: Contents) -> Beside:
    columns = _columns(contents)
    keys = [*paper.CLIP_SCORE, *(key for key in contents.rows if key not in paper.CLIP_SCORE)]
    rows: list[Row] = []
    for key in keys:
        known = paper.CLIP_SCORE.get(key, (None,) * len(paper.METHODS))
        own = contents.rows.get(key, {})
        cells = [own.get(label, {}).get(f"clip_score_{side}") for label, side in columns]
        rows.append(((paper.BRANCHES.get(key[0], key[0]), key[1]), (*known, *cells)))
    return Beside(
        "CLIP score",
        contents.models.get("clip", ""),
        paper.METHODS,
        columns,
        rows,
        ("Branch", "Category"),
    )


def _mllm(contents: Contents) -> Beside:
    columns = _columns(contents)
    branches = [*paper.MLLM_SCORE, *sorted({branch for branch, _ in contents.rows} - set(paper.MLLM_SCORE))]
    rows: list[Row] = []
    for branch in branches:
        known = paper.MLLM_SCORE.get(branch, (None,) * len(paper.METHODS))
        cells = [_branch_mean(contents, branch, label, f"mllm_{side}") for label, side in columns]
        rows.append(((paper.BRANCHES.get(branch, branch) or "All",), (*known, *cells)))
    return Beside("MLLM score", contents.models.get("judge", ""), paper.METHODS, columns, rows, ("Branch",))


def _branch_mean(contents: Contents, branch: str, label: str, name: str) -> Mean | None:
    own = [one for one in contents.of_setup[label] if one.item.branch == branch]
    return means(own, [name]).get(name)


def _lpips(contents: Contents) -> Beside:
    rows: list[Row] = [((f"{method}, paper",), row) for method, row in paper.LPIPS.items()]
    for label, own in contents.overall.items():
        sides = contents.sides_of(label)
        rows.append(
            ((label,), tuple(own.get(f"lpips_{side}") if side in sides else None for side in (EDITED, FINAL)))
        )
    columns = (("", EDITED), ("", FINAL))
    return Beside("LPIPS", contents.models.get("lpips", ""), (), columns, rows, ("Method",))
