"""Plots as inline SVG, drawn with classes so that the page's style sheet colours them by day and by night."""

from collections.abc import Mapping, Sequence
from html import escape

from editworld_core.datagen.quality.spread import Spread

WIDTH, LINE = 360, 22
NAMES, VALUES = 130, 56  # units that names and values of horizontal bars take
LONGEST = 18  # letters of a name


def number(value: float) -> str:
    """``value`` in three digits, without an exponent.

    >>> number(0.12345), number(1234.5), number(2)
    ('0.123', '1,234', '2')
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}".replace("-", "−")
    return (
        f"{value:#.3g}".rstrip("0").rstrip(".").replace("-", "−") if abs(value) >= 0.001 else f"{value:.0e}"
    )


def histogram_chart(counts: Sequence[int], edges: Sequence[float], found: Spread, label: str) -> str:
    """A histogram with its median marked.

    Args:
        counts, edges: of ``spread.histogram``.
        found: of the same values.
        label: what is counted, for those who cannot see it.
    """
    height, top, low, high = 118, 22, edges[0], edges[-1]
    step, most = (WIDTH - 8) / len(counts), max(counts)

    def across(value: float) -> float:
        return 4 + (WIDTH - 8) * (0.5 if high == low else (value - low) / (high - low))

    bars = "".join(
        f'<rect class="bar" x="{4 + place * step + 0.7:.1f}" y="{top + height - tall:.1f}" '
        f'width="{max(step - 1.4, 1):.1f}" height="{tall:.1f}" rx="1.5">'
        f"<title>{number(edges[place])} to {number(edges[place + 1])}: {count}</title></rect>"
        for place, count in enumerate(counts)
        if (tall := max(1.5, height * count / most) if count else 0)
    )
    middle = across(found.median)
    anchor = "start" if middle < WIDTH * 0.2 else "end" if middle > WIDTH * 0.8 else "middle"
    whole = len(counts) > 1 and float(edges[0]) % 1 == 0.5
    shown = (low + 0.5, high - 0.5) if whole else (low, high)
    return (
        f'<svg viewBox="0 0 {WIDTH} {top + height + 22}" role="img" aria-label="{escape(label)}">'
        f'{bars}<line class="axis" x1="4" x2="{WIDTH - 4}" y1="{top + height}" y2="{top + height}"/>'
        f'<line class="mark" x1="{middle:.1f}" x2="{middle:.1f}" y1="{top - 4}" y2="{top + height}"/>'
        f'<text class="mark-text" x="{middle:.1f}" y="13" text-anchor="{anchor}">median {number(found.median)}</text>'
        f'<text x="4" y="{top + height + 16}">{number(shown[0])}</text>'
        f'<text x="{WIDTH - 4}" y="{top + height + 16}" text-anchor="end">{number(shown[1])}</text></svg>'
    )


def bar_chart(
    values: Mapping[str, float], label: str, most: float | None = None, percent: bool = False
) -> str:
    """Horizontal bars with names and values.

    Args:
        values: by name, in the order shown.
        label: what they are.
        most: the value of a full bar; None takes the greatest.
        percent: values are shares.
    """
    full = most or max(values.values(), default=1) or 1
    room = WIDTH - NAMES - VALUES
    lines = "".join(
        f'<g transform="translate(0 {place * LINE})">{_name(name)}'
        f'<rect class="track" x="{NAMES}" y="4" width="{room}" height="13" rx="3"/>'
        f'<rect class="bar" x="{NAMES}" y="4" width="{room * value / full:.1f}" height="13" rx="3"/>'
        f'<text x="{WIDTH - 2}" y="15" text-anchor="end">{f"{value:.0%}" if percent else number(value)}</text></g>'
        for place, (name, value) in enumerate(values.items())
    )
    return _svg(len(values), label, lines)


def range_chart(spreads: Mapping[str, Spread], label: str) -> str:
    """By name a pale line from the 5th to the 95th percentile, a strong one over the middle half, and the median."""
    low = min((found.p5 for found in spreads.values()), default=0)
    high = max((found.p95 for found in spreads.values()), default=1)
    room = WIDTH - NAMES - VALUES - 8

    def across(value: float) -> str:
        return f"{NAMES + 4 + room * (0.5 if high == low else (value - low) / (high - low)):.1f}"

    lines = "".join(
        f'<g transform="translate(0 {place * LINE})">{_name(name)}'
        f'<line class="thin" x1="{across(found.p5)}" x2="{across(found.p95)}" y1="11" y2="11"/>'
        f'<line class="thick" x1="{across(found.p25)}" x2="{across(found.p75)}" y1="11" y2="11"/>'
        f'<circle class="dot" cx="{across(found.median)}" cy="11" r="4"/>'
        f'<text x="{WIDTH - 2}" y="15" text-anchor="end">{number(found.median)}</text></g>'
        for place, (name, found) in enumerate(spreads.items())
    )
    return _svg(len(spreads), label, lines)


def _svg(lines: int, label: str, content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {max(lines, 1) * LINE}" role="img" aria-label="{escape(label)}">{content}</svg>'


def _name(name: str) -> str:
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f'<text x="0" y="15">{escape(short)}<title>{escape(name)}</title></text>'
