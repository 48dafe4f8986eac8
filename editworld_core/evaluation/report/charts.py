"""Means and their intervals as inline SVG, in the manner of ``datagen.quality.charts``."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from editworld_core.datagen.quality.charts import number as three_digits
from editworld_core.evaluation.statistics import Mean

WIDTH, LINE = 360, 22
NAMES, VALUES = 130, 56
LONGEST = 18  # letters of a name


def number(value: float) -> str:
    """``value`` in three digits, below a thousandth in four decimals.

    >>> number(0.12345), number(-0.00062), number(-0.00001)
    ('0.123', '−0.0006', '0')
    """
    if abs(value) < 0.00005:
        return "0"
    return f"{value:.4f}".replace("-", "−") if abs(value) < 0.001 else three_digits(value)


@dataclass(frozen=True)
class Bar:
    """A line of a chart: a name, a mean, and whether it is drawn hollow, as what is without post-edit."""

    name: str
    mean: Mean
    hollow: bool = False


def interval_chart(bars: Sequence[Bar], label: str) -> str:
    """By name a line over the 95% interval and a dot at the mean; ``label`` for those who cannot see it."""
    lows = [bar.mean.mean if bar.mean.low is None else bar.mean.low for bar in bars]
    highs = [bar.mean.mean if bar.mean.high is None else bar.mean.high for bar in bars]
    low, high = min(lows), max(highs)
    room = WIDTH - NAMES - VALUES - 12

    def across(value: float) -> str:
        return f"{NAMES + 6 + room * (0.5 if high == low else (value - low) / (high - low)):.1f}"

    lines = "".join(
        f'<g transform="translate(0 {place * LINE})">{_name(bar.name)}'
        f"<title>{escape(_words(bar))}</title>"
        f'<line class="span{" hollow" * bar.hollow}" x1="{across(start)}" x2="{across(end)}" y1="11" y2="11"/>'
        f'<circle class="dot{" hollow" * bar.hollow}" cx="{across(bar.mean.mean)}" cy="11" r="4.5"/>'
        f'<text x="{WIDTH - 2}" y="15" text-anchor="end">{number(bar.mean.mean)}</text></g>'
        for place, (bar, start, end) in enumerate(zip(bars, lows, highs, strict=True))
    )
    height = len(bars) * LINE
    axis = (
        f'<line class="axis" x1="{NAMES}" x2="{WIDTH - VALUES}" y1="{height + 3}" y2="{height + 3}"/>'
        f'<text x="{NAMES}" y="{height + 18}">{number(low)}</text>'
        f'<text x="{WIDTH - VALUES}" y="{height + 18}" text-anchor="end">{number(high) if high > low else ""}</text>'
    )
    return f'<svg viewBox="0 0 {WIDTH} {height + 24}" role="img" aria-label="{escape(label)}">{lines}{axis}</svg>'


def _words(bar: Bar) -> str:
    found = bar.mean
    if found.low is None or found.high is None:
        return f"{bar.name}: {number(found.mean)}, one value"
    return f"{bar.name}: {number(found.mean)}, 95% from {number(found.low)} to {number(found.high)}, n = {found.count}"


def _name(name: str) -> str:
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f'<text x="0" y="15">{escape(short)}</text>'
