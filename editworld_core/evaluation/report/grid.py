"""The data of the page's items, which its script shows, and the controls to sort and filter them."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

from editworld_core.evaluation.measures.answers import Answer
from editworld_core.evaluation.measures.table import VALUES
from editworld_core.evaluation.report import paper
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.pictures import Shown
from editworld_core.evaluation.report.summary import digits, dynamic_of

FIRST = (
    "judge_instruction_final",
    "mllm_final",
    "error_final",
    "clip_score_final",
    "dino_target_final",
    "psnr_inside_final",
    "psnr_outside_final",
)
"""What the items are sorted by at first: the first of these that somebody has."""

NO_SCRIPT = (
    "The items are shown by a script of this page's own, which is switched off here; report.csv lists them."
)


def grid(contents: Contents, shown: Mapping[tuple[str, str], Shown], folder: str) -> str:
    """The controls, the place for the items, and their data; pictures lie in ``folder`` beside the page."""
    return (
        f'<div class="controls">{_select("order", "Sort by", _orders(contents))}'
        f"{_select('end', 'Order', _options({'worst': 'worst first', 'best': 'best first'}))}"
        f"{_select('category', 'Category', _categories(contents))}"
        f"{_select('setup', 'Setup', _options({'': 'all', **{label: label for label in contents.setups}}))}"
        '<div><label for="words">Search</label>'
        '<input id="words" type="search" placeholder="words, id, dynamic"></div></div>'
        f'<p id="count" aria-live="polite"></p><div id="cases"></div>'
        '<button class="more" id="more" type="button" hidden>Show more</button>'
        f'<noscript><p class="note">{NO_SCRIPT}</p></noscript>'
        f'<script type="application/json" id="data">{_embedded(_data(contents, shown, folder))}</script>'
    )


def _select(name: str, title: str, options: str) -> str:
    return (
        f'<div><label for="{name}">{title}</label>'
        f'<select id="{name}" autocomplete="off">{options}</select></div>'
    )


def _options(choices: Mapping[str, str], chosen: str = "") -> str:
    return "".join(
        f'<option value="{escape(value)}"{" selected" * (value == chosen)}>{escape(text)}</option>'
        for value, text in choices.items()
    )


def _orders(contents: Contents) -> str:
    """Every value, under the heading of its table."""
    first = next((name for name in FIRST if name in contents.names), None)
    chosen = str(contents.names.index(first)) if first else "-1"
    places = {name: str(place) for place, name in enumerate(contents.names)}
    ordered = sorted(contents.names, key=lambda name: VALUES[name].score.table)
    groups = "".join(
        f'<optgroup label="{heading}">{_options({places[n]: _order_title(n) for n in names}, chosen)}</optgroup>'
        for heading, names in groupby(ordered, key=lambda name: VALUES[name].score.table)
    )
    return _options({"-1": "as in the data set"}, chosen) + groups


def _order_title(name: str) -> str:
    value = VALUES[name]
    return value.title if value.score.better else f"{value.title} (low first)"


def _categories(contents: Contents) -> str:
    return _options(
        {"": "all"}
        | {
            f"{branch}\n{category}": " · ".join(
                filter(None, (paper.BRANCHES.get(branch, branch), category or "none"))
            )
            for branch, category in contents.rows
        }
    )


def _data(contents: Contents, shown: Mapping[tuple[str, str], Shown], folder: str) -> dict[str, Any]:
    places = {item: place for place, item in enumerate(contents.items)}
    labels = {label: place for place, label in enumerate(contents.setups)}
    dynamics = {one.item.id: dynamic_of(one) for one in contents.scored}
    return {
        "folder": folder,
        "setups": list(labels),
        "values": [
            {
                "title": VALUES[name].title,
                "better": VALUES[name].score.better,
                "unit": f" {VALUES[name].score.unit}".rstrip(),
            }
            for name in contents.names
        ],
        "items": [
            {
                "id": item.id,
                "category": item.category,
                "branch": item.branch,
                "dynamic": dynamics[item.id],
                "instruction": item.instruction,
                "after": item.caption_after,
            }
            for item in contents.items.values()
        ],
        "cases": [
            {
                "item": places[one.item.id],
                "setup": labels[one.setup.label],
                "failure": one.failure,
                "values": [_short(one.values.get(name)) for name in contents.names],
                "size": found.size,
                "pictures": dict(found.pictures),
                "said": list(_said(found)),
            }
            for one in contents.scored
            if (found := shown[one.item.id, one.setup.label])
        ],
    }


def _short(value: float | None) -> float | None:
    found = digits(value)
    return None if found is None else float(f"{found:.4g}")


def _said(found: Shown) -> Iterator[str]:
    for title, answers in (("Without post-edit", found.edited), ("With post-edit", found.final)):
        for answer in answers:
            yield f"{title}, {answer.model} ({answer.question}): {answer_text(answer)}"


def answer_text(answer: Answer) -> str:
    """What was answered, in one line."""
    if answer.failure:
        return f"no usable answer. {answer.failure}"
    return "; ".join(f"{name}: {value}" for name, value in answer.answer.items())


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
