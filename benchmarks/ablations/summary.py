"""From rows of measures to a table: one line a variant, with intervals and the difference to the first line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bootstrap import estimate, estimate_difference
from benchmarks.tables import Cell, Column, Row, Table

Rows = Sequence[Mapping[str, Any]]

COLUMNS = (
    Column("scenes", "scenes", "count"),
    Column("before", "success before", "percent"),
    Column("after", "success after", "percent"),
    Column("gain", "success after, against the first line", "points"),
    Column("error_before", "error before, of 255", "number"),
    Column("error_after", "error after", "number"),
    Column("error_gain", "error after, against the first line", "levels"),
    Column("psnr", "PSNR outside, dB", "decibels"),
    Column("iou_attention", "IoU of attention", "share"),
    Column("iou", "IoU of final mask", "share"),
    Column("seconds", "seconds", "seconds"),
)
READ = (
    "Success and error are inside the true mask, before and after post-edit; in brackets 95% bootstrap intervals over "
    "scenes; differences are of the same scenes. PSNR and seconds are medians."
)


def values(rows: Rows, key: str) -> list[float | None]:
    """The values of ``key``, row by row."""
    return [row[key] for row in rows]


def cells(rows: Rows, first: Rows | None = None) -> dict[str, Cell]:
    """The cells of ``COLUMNS``; ``first`` are the rows of the same scenes in the table's first line."""
    means = ("before", "after", "error_before", "error_after", "iou_attention", "iou")
    found: dict[str, Cell] = {key: estimate(values(rows, key)) for key in means}
    found |= {"scenes": len(rows), "psnr": estimate(values(rows, "psnr"), np.median)}
    times = estimate(values(rows, "seconds"), np.median)
    found["seconds"] = times.value if times else None
    if first is not None:
        found["gain"] = estimate_difference(values(rows, "after"), values(first, "after"))
        found["error_gain"] = estimate_difference(values(rows, "error_after"), values(first, "error_after"))
    return found


def table(
    name: str,
    title: str,
    note: str,
    head: str,
    found: Mapping[str, Rows],
    columns: Sequence[Column] = COLUMNS,
    unpaired: Sequence[str] = (),
) -> Table:
    """The table of ``found``, rows by label; those of ``unpaired`` do not have the scenes of the first line."""
    first = next(iter(found.values()), None)
    lines = [
        Row(label, cells(rows, None if rows is first or label in unpaired else first))
        for label, rows in found.items()
    ]
    return Table(name, title, f"{note} {READ}", head, columns, lines)
