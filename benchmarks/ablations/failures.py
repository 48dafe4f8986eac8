"""Where the post-edit fails: by category, size of the mask, and how well the mask was found."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.ablations.edits import Edits
from benchmarks.ablations.masking import LOST, Made, Progress, lost
from benchmarks.ablations.measuring import by_default, over_scenes
from benchmarks.ablations.summary import Rows, values
from benchmarks.bootstrap import estimate, estimate_difference
from benchmarks.tables import Column, Row, Table

SIZES = (0.05, 0.15, 0.4, 1.0)
"""Shares of the picture up to which a mask has a size."""
FOUND = (0.5, 0.8, 0.95, 1.0001)
MOST_NAMED = 12

COLUMNS = (
    Column("scenes", "scenes", "count"),
    Column("before", "success before", "percent"),
    Column("after", "success after", "percent"),
    LOST,
    Column("added", "error added by post-edit, of 255", "levels"),
    Column("recall", "of the true mask found", "share"),
    Column("precision", "of the mask true", "share"),
    Column("iou", "IoU of final mask", "share"),
)
NOTE = (
    "Of the successes lost: of the scenes that succeed before post-edit, how many do not after it. Found is the share "
    "of the true mask that the final mask covers."
)


def failures(edits: Edits, progress: Progress) -> Made:
    """The default post-edit's scenes, put into groups."""
    rows = over_scenes(edits, {"all": by_default(edits)}, progress)["all"]
    found: dict[str, Rows] = {"all": rows}
    found |= _grouped(rows, lambda row: f"category: {row['category']}")
    found |= _grouped(rows, lambda row: _size(row["mask_share"]))
    found |= _grouped(rows, lambda row: _between("found", row["recall"], FOUND))
    local = [row for row in rows if row["iou"] is not None]
    found |= _grouped(local, lambda row: _between("IoU of final mask", row["iou"], FOUND))
    named = _grouped([row for row in rows if row["before"]], lambda row: f"dynamic: {row['dynamic']}")
    worst = [name for name, group in named.items() if not all(row["after"] for row in group)][:MOST_NAMED]
    found |= {name: [row for row in rows if name == f"dynamic: {row['dynamic']}"] for name in worst}
    lines = [Row(label, _cells(group)) for label, group in found.items()]
    return Table("failures", "Where the post-edit fails", NOTE, "scenes", COLUMNS, lines), {"all": rows}


def _cells(rows: Rows) -> dict[str, Any]:
    return {
        "scenes": len(rows),
        "before": estimate(values(rows, "before")),
        "after": estimate(values(rows, "after")),
        "lost": lost(rows),
        "added": estimate_difference(values(rows, "error_after"), values(rows, "error_before")),
        "recall": estimate(values(rows, "recall")),
        "precision": estimate(values(rows, "precision")),
        "iou": estimate(values(rows, "iou")),
    }


def _grouped(rows: Rows, key: Callable[[Mapping[str, Any]], str]) -> dict[str, Rows]:
    return {label: [row for row in rows if key(row) == label] for label in sorted({key(row) for row in rows})}


def _size(share: float) -> str:
    return "true mask: the whole picture" if share == 1 else _between("true mask", share, SIZES)


def _between(what: str, share: float, ends: tuple[float, ...]) -> str:
    below = 0.0
    for end in ends:
        if share < end:
            return f"{what}: {100 * below:.0f}–{100 * min(end, 1):.0f}%"
        below = end
    return f"{what}: 100%"
