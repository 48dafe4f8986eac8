"""A report as JSON and as CSV."""

import csv
import io
from dataclasses import asdict
from typing import Any

from editworld_core.datagen.quality.report import safe_cell
from editworld_core.evaluation.measures.table import VALUES
from editworld_core.evaluation.report import paper
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.summary import as_json, digits, dynamic_of, summary


def to_json(contents: Contents) -> dict[str, Any]:
    """What ``report.json`` holds; see ``write_report``."""
    return {
        **{name: value for name, value in contents.about.items() if name not in ("data_set", "models")},
        "data_set": contents.data_set,
        "models": dict(contents.models),
        "setups": {
            label: {"settings": asdict(setup.settings), "summary": summary(contents.of_setup[label])}
            for label, setup in contents.setups.items()
        },
        "reference": contents.reference,
        "differences": {label: as_json(found) for label, found in contents.differences.items()},
        "values": {
            name: {
                "title": VALUES[name].title,
                "about": VALUES[name].score.about,
                "unit": VALUES[name].score.unit,
                "better": VALUES[name].score.better,
                "table": VALUES[name].score.table,
            }
            for name in contents.names
        },
        "items": _items(contents),
        "absent": dict(contents.absent),
        "paper": _paper(),
    }


def _items(contents: Contents) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for one in contents.scored:
        item = one.item
        row = rows.setdefault(
            item.id,
            {
                "id": item.id,
                "category": item.category,
                "branch": item.branch,
                "dynamic": dynamic_of(one),
                "instruction": item.instruction,
                "scores": {},
                "failures": {},
            },
        )
        if one.failure:
            row["failures"][one.setup.label] = one.failure
        else:
            row["scores"][one.setup.label] = {name: digits(one.values.get(name)) for name in contents.names}
    return list(rows.values())


def _paper() -> dict[str, Any]:
    return {
        "source": paper.SOURCE,
        "clip_score": [
            {"branch": branch, "category": category, **dict(zip(paper.METHODS, row, strict=True))}
            for (branch, category), row in paper.CLIP_SCORE.items()
        ],
        "mllm_score": [
            {"branch": branch, **dict(zip(paper.METHODS, row, strict=True))}
            for branch, row in paper.MLLM_SCORE.items()
        ],
        "lpips": [
            {"method": method, "without_post_edit": before, "with_post_edit": after}
            for method, (before, after) in paper.LPIPS.items()
        ],
    }


def to_csv(contents: Contents) -> str:
    """A row an item and setup with every value; empty where there is none."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(
        ("id", "branch", "category", "dynamic", "setup", "engine", "instruction", "failure", *contents.names)
    )
    for one in contents.scored:
        texts = (
            one.item.id,
            one.item.branch,
            one.item.category,
            dynamic_of(one),
            one.setup.label,
            one.setup.settings.engine,
            one.item.instruction,
            one.failure,
        )
        values = (
            "" if (value := one.values.get(name)) is None else f"{value:.6g}" for name in contents.names
        )
        table.writerow((*map(safe_cell, texts), *values))
    return out.getvalue()
