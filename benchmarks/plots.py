"""Plots as SVG files that stand alone: a dot for each estimate and a line for its interval."""

from collections.abc import Mapping
from html import escape

from benchmarks.bootstrap import Estimate
from editworld_core.datagen.quality.charts import number

WIDTH, LINE, NAMES, VALUES, TOP = 760, 26, 300, 70, 58
STYLE = """text { font: 14px system-ui, "Segoe UI", Roboto, sans-serif; fill: #38423f; }
.title { font-weight: 600; fill: #1d2422; } .soft { fill: #5c6863; font-size: 12px; }
.back { fill: #fffefb; } .track { stroke: #e2ddd1; } .zero { stroke: #b9650a; stroke-dasharray: 4 3; }
.line { stroke: #258b82; stroke-width: 5; stroke-linecap: round; opacity: .45; } .dot { fill: #17716b; }"""


def interval_plot(
    title: str, estimates: Mapping[str, Estimate], *, percent: bool = False, zero: bool = False
) -> str:
    """One line a name: the estimate as a dot, its interval as a line, its value at the right.

    Args:
        title: what is shown.
        estimates: by name, in the order shown; at least one.
        percent: the values are shares of one.
        zero: mark where nothing differs.
    """
    ends = [end for found in estimates.values() for end in (found.low, found.high)]
    low, high = min([*ends, *([0.0] if zero else [])]), max([*ends, *([0.0] if zero else [])])
    room = WIDTH - NAMES - VALUES - 24

    def across(value: float) -> float:
        return NAMES + 12 + room * (0.5 if high == low else (value - low) / (high - low))

    def written(value: float) -> str:
        return f"{100 * value:.0f}%" if percent else number(round(value, 3))

    height = TOP + LINE * len(estimates) + 12
    lines = "".join(
        f'<g transform="translate(0 {TOP + LINE * place})"><text x="12" y="17">{escape(name)}</text>'
        f'<line class="track" x1="{NAMES + 12}" x2="{NAMES + 12 + room}" y1="12" y2="12"/>'
        f'<line class="line" x1="{across(found.low):.1f}" x2="{across(found.high):.1f}" y1="12" y2="12"/>'
        f'<circle class="dot" cx="{across(found.value):.1f}" cy="12" r="5"/>'
        f'<text x="{WIDTH - 12}" y="17" text-anchor="end">{written(found.value)}</text></g>'
        for place, (name, found) in enumerate(estimates.items())
    )
    mark = (
        f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{TOP - 4}" y2="{height - 10}"/>'
        if zero
        else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="10"/>'
        f'<text class="title" x="12" y="24">{escape(title)}</text>'
        f'<text class="soft" x="{NAMES + 12}" y="46">{written(low)}</text>'
        f'<text class="soft" x="{NAMES + 12 + room}" y="46" text-anchor="end">{written(high)}</text>'
        f"{mark}{lines}</svg>\n"
    )
