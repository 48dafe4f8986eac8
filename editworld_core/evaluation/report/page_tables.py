"""The tables of the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape

from editworld_core.evaluation.measures.base import EDITED, FINAL
from editworld_core.evaluation.measures.table import VALUES, Score
from editworld_core.evaluation.report import paper
from editworld_core.evaluation.report.charts import number
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.paper_tables import Beside, Cell
from editworld_core.evaluation.statistics import Mean
from editworld_core.settings import EditSettings

SIDES = {EDITED: "without post-edit", FINAL: "with post-edit", "": ""}


def table(caption: str, note: str, head: str, rows: Iterable[str]) -> str:
    """A table that scrolls sideways where the screen is narrow; ``head`` and ``rows`` are markup already."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f'<div class="table"><p class="caption">{escape(caption)}{small}</p>'
        f'<div class="scroll" tabindex="0"><table aria-label="{escape(caption)}">'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def cell(found: Cell, best: bool = False, ours: bool = False) -> str:
    """A mean with its interval below it, a number of the paper, or a dash."""
    kinds = " ".join(kind for kind, yes in (("best", best), ("ours", ours)) if yes)
    start = f'<td class="{kinds}">' if kinds else "<td>"
    if isinstance(found, Mean):
        return f"{start}{number(found.mean)}<small>{_ends(found)}</small></td>"
    return f"{start}{'–' if found is None else f'{found:.4f}'}</td>"


def _ends(found: Mean) -> str:
    if found.low is None or found.high is None:
        return "one value"
    return f"{number(found.low)} to {number(found.high)}"


def score_table(contents: Contents, title: str, scores: Sequence[Score]) -> str:
    """A row a setup without and with post-edit, a column a score; the best of a column stands out."""
    sides = [side for side in (EDITED, FINAL) if any(side in score.sides for score in scores)]
    lines = [
        (label, side)
        for label in contents.setups
        for side in ([own for own in contents.sides_of(label) if own in sides] or [""])
    ]
    columns = {
        score.stem: {
            (label, side): contents.overall[label].get(f"{score.stem}_{side}" if score.sides else score.stem)
            for label, side in lines
            if score.sides or side != FINAL
        }
        for score in scores
    }
    best = {score.stem: _best(score, columns[score.stem]) for score in scores}
    head = (
        '<tr><th class="side">Setup</th>'
        + "".join(
            f'<th class="long" title="{escape(score.about)}">{escape(score.title)}{_unit(score)}'
            f"{_arrow(score)}</th>"
            for score in scores
        )
        + "</tr>"
    )
    rows = (
        f"<tr><th>{escape(label)}{f' <small>{SIDES[side]}</small>' if side else ''}</th>"
        + "".join(
            cell(columns[score.stem].get((label, side)), (label, side) == best[score.stem])
            for score in scores
        )
        + "</tr>"
        for label, side in lines
    )
    note = (
        f"Means, and the ends of their 95% bootstrap intervals over the items. {contents.models_in(scores)}"
    )
    return table(title, note, head, rows)


def _best(score: Score, column: Mapping[tuple[str, str], Mean | None]) -> tuple[str, str] | None:
    known = {key: found.mean for key, found in column.items() if found is not None}
    if score.better is None or len(set(known.values())) < 2:
        return None
    return (max if score.better == "high" else min)(known, key=lambda key: known[key])


def _arrow(score: Score) -> str:
    return {"high": " ↑", "low": " ↓", None: ""}[score.better]


def _unit(score: Score) -> str:
    return f" [{escape(score.unit)}]" if score.unit else ""


def beside_table(found: Beside) -> str:
    """The paper's columns and ours."""
    own: dict[str, int] = {}
    for label, _ in found.ours:
        own[label] = own.get(label, 0) + 1
    groups = [("", len(found.heads)), ("the paper", len(found.paper)), *own.items()]
    first = "".join(
        f'<th class="group{" ours" * (label in own)}" colspan="{span}">{escape(label)}</th>'
        for label, span in groups
        if span
    )
    heads = "".join(f'<th class="side">{escape(head)}</th>' for head in found.heads)
    known = "".join(f'<th class="long">{escape(name)}</th>' for name in found.paper)
    ours = "".join(f'<th class="ours long">{SIDES[side]}</th>' for _, side in found.ours)
    rows = (
        "<tr>"
        + "".join(f"<th>{escape(name)}</th>" for name in names)
        + "".join(cell(one, ours=place >= len(found.paper)) for place, one in enumerate(cells))
        + "</tr>"
        for names, cells in found.rows
    )
    note = (
        f"Ours by {found.model}. The paper: {paper.SOURCE}." if found.model else f"The paper: {paper.SOURCE}."
    )
    return table(found.title, note, f"<tr>{first}</tr><tr>{heads}{known}{ours}</tr>", rows)


def category_table(contents: Contents, score: Score) -> str:
    """A row a branch and category, and all of them; a column a setup without and with post-edit."""
    columns = [(label, name) for label in contents.setups for name in contents.names_of(label, score)]
    groups = "".join(
        f'<th class="group" colspan="{len(contents.names_of(label, score))}">{escape(label)}</th>'
        for label in contents.setups
    )
    sides = "".join(f'<th class="long">{SIDES[VALUES[name].side] or "mean"}</th>' for _, name in columns)
    rows = [
        (paper.BRANCHES.get(branch, branch), category or "none", own)
        for (branch, category), own in contents.rows.items()
    ]
    lines = (
        f"<tr><th>{escape(branch)}</th><th>{escape(category)}</th>"
        + "".join(cell(own[label].get(name)) for label, name in columns)
        + "</tr>"
        for branch, category, own in [*rows, ("All", "", contents.overall)]
    )
    return table(
        contents.title_of(score),
        score.about,
        f'<tr><th colspan="2"></th>{groups}</tr>'
        f'<tr><th class="side">Branch</th><th class="side">Category</th>{sides}</tr>',
        lines,
    )


def difference_table(contents: Contents) -> str:
    """A row a value, a column a setup: by how much it exceeds the reference on the same items."""
    head = (
        '<tr><th class="side">Score</th>'
        + "".join(f'<th class="long">{escape(label)}</th>' for label in contents.differences)
        + "</tr>"
    )
    rows = (
        f"<tr><th>{escape(VALUES[name].title)}{_arrow(VALUES[name].score)}</th>"
        + "".join(_difference(found.get(name)) for found in contents.differences.values())
        + "</tr>"
        for name in contents.names
        if any(name in found for found in contents.differences.values())
    )
    note = "Paired over the items that both have; where the 95% interval leaves out 0, the number is marked."
    return table(f"Compared with {contents.reference}", note, head, rows)


def _difference(found: Mean | None) -> str:
    if found is None:
        return "<td>–</td>"
    sure = found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)
    sign = "+" if found.mean > 0 else ""
    value = f'<span class="sure">{sign}{number(found.mean)}</span>' if sure else f"{sign}{number(found.mean)}"
    return f"<td>{value}<small>{_ends(found)}</small></td>"


def setup_table(contents: Contents) -> str:
    """A row a setting that is not the default everywhere, a column a setup."""
    default = asdict(EditSettings())
    settings = {label: asdict(setup.settings) for label, setup in contents.setups.items()}
    told = [
        name
        for name in default
        if name == "engine" or any(own[name] != default[name] for own in settings.values())
    ]
    head = (
        '<tr><th class="side">Setting</th>'
        + "".join(f'<th class="long">{escape(label)}</th>' for label in settings)
        + "</tr>"
    )
    rows = (
        f"<tr><th>{escape(name.replace('_', ' '))}</th>"
        + "".join(f'<td class="long">{escape(_setting(own[name]))}</td>' for own in settings.values())
        + "</tr>"
        for name in told
    )
    return table("Settings", "Those that are not the default somewhere; report.json has all.", head, rows)


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)
