"""The report as one HTML file: no script, nothing from elsewhere, and every text of the data set escaped."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from editworld_core.datagen.quality.balance import Balance
from editworld_core.datagen.quality.charts import bar_chart, histogram_chart, number, range_chart
from editworld_core.datagen.quality.contents import Contents
from editworld_core.datagen.quality.measures import MEASURES, Measure
from editworld_core.datagen.quality.samples import Sample
from editworld_core.datagen.quality.spread import Ends, histogram, spread
from editworld_core.datagen.quality.style import STYLE

MOST_BARS = 24
TITLES = {
    "category": "Categories",
    "branch": "Branches",
    "kind": "Kinds of sentence",
    "dynamic": "Dynamics",
    "keyword": "Keywords",
}


def draw_page(contents: Contents, samples: Mapping[str, Sample]) -> str:
    """The page of a report; ``samples`` has those that ``contents`` names, by id."""
    groups = list(dict.fromkeys(measure.group for measure in MEASURES.values()))
    sections = {
        "What to look at": _findings(contents),
        "Balance": _balances(contents),
        **{group: _group(contents, samples, group) for group in groups},
        "Scores in the records": _stored(contents),
        "Absent scores": _absent(contents.absent),
    }
    shown = {title: content for title, content in sections.items() if content}
    links = "".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title in shown)
    body = "".join(
        f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{content}</section>'
        for title, content in shown.items()
    )
    name = escape(contents.name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: quality report</title><style>{STYLE}</style></head><body><main>"
        f'<header><p class="eyebrow">Quality report</p><h1>{name}</h1><p>{escape(contents.summary)}</p></header>'
        f"{_tiles(contents)}<nav>{links}</nav>{body}</main></body></html>\n"
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _tiles(contents: Contents) -> str:
    tiles = [("triplets", f"{len(contents.rows):,}")]
    even = contents.balances["category"].evenness
    if even is not None:
        tiles.append(("evenness of categories", number(even)))
    for name, text in (
        ("repeats_pictures", "repeat pictures"),
        ("cause", "tell a cause"),
        ("judge_alignment", "aligned, says the judge"),
    ):
        values = contents.values(name)
        if values:
            tiles.append((text, f"{sum(values) / len(values):.0%}"))
    for name, text in (("clip_direction", "median CLIP direction"), ("coherence", "median coherence")):
        values = contents.values(name)
        if values:
            tiles.append((text, number(spread(values).median)))
    inner = "".join(f"<div><strong>{value}</strong><span>{text}</span></div>" for text, value in tiles)
    return f'<div class="tiles">{inner}</div>'


def _findings(contents: Contents) -> str:
    lines = [
        f"<li>{escape(finding.text)}"
        + (f" <code>--filter '{escape(finding.filter)}'</code>" if finding.filter else "")
        + "</li>"
        for finding in contents.findings
    ]
    sifted = contents.sifted
    if sifted is not None:
        parts = "; ".join(f"{name}: {count}" for name, count in sifted.by_filter.items())
        lines.append(
            f"<li>The filters fail {len(sifted.failing):,} triplets ({escape(parts)}): failing.txt.</li>"
        )
        if sifted.dropped or sifted.left:
            lines.append(
                f"<li>{sifted.dropped:,} of them were dropped in the recheck log by “filter”; {sifted.left:,} were "
                "left to the reviewers who hold or have decided on them.</li>"
            )
    return f'<ul class="findings">{"".join(lines) or "<li>Nothing stands out.</li>"}</ul>'


def _balances(contents: Contents) -> str:
    cards = [_balance(TITLES[name], found) for name, found in contents.balances.items() if found.counts]
    words = contents.vocabulary
    if words:
        cards.append(_balance("Content words", words))
    return f'<div class="cards">{"".join(cards)}</div>'


def _balance(title: str, found: Balance) -> str:
    shown = dict(list(found.counts.items())[:MOST_BARS])
    rest = len(found.counts) - len(shown)
    even = "" if found.evenness is None else f" · evenness {number(found.evenness)}"
    more = f'<p class="note">and {rest:,} more</p>' if rest else ""
    return (
        f'<article class="card"><h3>{escape(title)} <small>{len(found.counts):,}{even}</small></h3>'
        f"{bar_chart(shown, title)}{more}</article>"
    )


def _group(contents: Contents, samples: Mapping[str, Sample], group: str) -> str:
    inner = "".join(
        _measure(contents, samples, measure)
        for name, measure in MEASURES.items()
        if measure.group == group and contents.values(name)
    )
    if group == "Repetitions" and inner:
        inner += _repetitions(contents, samples)
    return inner


def _measure(contents: Contents, samples: Mapping[str, Sample], measure: Measure) -> str:
    values = contents.values(measure.name)
    found, by_category = spread(values), contents.by_category(measure.name)
    if measure.flag:
        yes = sum(values) / len(values)
        shares = {name: sum(own) / len(own) for name, own in by_category.items()}
        plots = (
            f'<div class="big">{yes:.1%}<small>{sum(value > 0 for value in values):,} of {len(values):,}</small></div>'
            + (
                bar_chart(shares, f"{measure.title} by category", most=1.0, percent=True)
                if 0 < yes < 1
                else ""
            )
        )
    else:
        counts, edges = histogram(values)
        plots = histogram_chart(counts, edges, found, f"Histogram of {measure.title}") + range_chart(
            {name: spread(own) for name, own in by_category.items()}, f"{measure.title} by category"
        )
    missing = len(contents.rows) - len(values)
    note = f" {missing:,} triplets have no such value." if missing else ""
    return (
        f'<article class="card score"><h3>{escape(measure.title)} <code>{measure.name}</code></h3>'
        f'<p>{escape(measure.about)}{note}</p><div class="plots">{plots}</div>'
        f"{_ends(contents, samples, measure)}</article>"
    )


def _ends(contents: Contents, samples: Mapping[str, Sample], measure: Measure) -> str:
    found = contents.ends.get(measure.name)
    if found is None:
        return ""
    columns = "".join(
        f"<div><h4>{title}</h4>{''.join(_sample(contents, samples, place, measure.name) for place in places)}</div>"
        for title, places in _titled(found, measure)
    )
    return (
        f"<details><summary>Samples</summary>"
        f'<p class="note">Original, target, and where there is a mask what it covers in amber.</p>'
        f'<div class="samples">{columns}</div></details>'
    )


def _titled(found: Ends, measure: Measure) -> Iterator[tuple[str, Sequence[int]]]:
    yield {"high": "Worst", "low": "Best", None: "Lowest"}[measure.better], found.lowest
    yield {"high": "Best", "low": "Worst", None: "Highest"}[measure.better], found.highest
    yield "Drawn by lot", found.drawn


def _sample(contents: Contents, samples: Mapping[str, Sample], place: int, name: str = "") -> str:
    row = contents.rows[place]
    sample = samples[row.id]
    one = sample.triplet
    told = f"“{escape(one.instruction)}”" if one.instruction.strip() else "<em>no instruction</em>"
    value = row.values.get(name)
    score = f"<b>{number(value)}</b> " if value is not None else ""
    picture = (
        f'<img src="{sample.strip}" width="{sample.size[0]}" height="{sample.size[1]}" '
        f'alt="Original and target of {escape(row.id)}">'
        if sample.strip
        else '<p class="note">Its pictures cannot be read.</p>'
    )
    caption = f"{score}{told}<small>{escape(row.category)} · {escape(row.id)}</small>"
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _repetitions(contents: Contents, samples: Mapping[str, Sample]) -> str:
    cards = []
    for kind, groups in contents.shown_groups.items():
        if not groups:
            continue
        inner = "".join(
            f"<div><h4>{len(group)} alike</h4>{''.join(_sample(contents, samples, place) for place in group[:3])}</div>"
            for group in groups
        )
        total = len(contents.groups[kind])
        title = f"Triplets with nearly the same {kind}"
        cards.append(
            f'<article class="card score"><h3>{title} <small>{total:,} group{"s" * (total > 1)}</small></h3>'
            f'<div class="samples">{inner}</div></article>'
        )
    return "".join(cards)


def _stored(contents: Contents) -> str:
    cards = []
    for name, values in contents.stored.items():
        counts, edges = histogram(values)
        plot = histogram_chart(counts, edges, spread(values), f"Histogram of {name}")
        stage, _, score = name.rpartition("/")
        title = f"{escape(stage.replace('_', ' '))} · {escape(score)}" if stage else escape(score)
        cards.append(
            f'<article class="card"><h3>{title} <small>{len(values):,} values</small></h3>{plot}</article>'
        )
    if not cards:
        return ""
    about = "What the branches noted while they made the triplets, of every draw of a stage, not only the one chosen."
    return f'<p>{about}</p><div class="cards">{"".join(cards)}</div>'


def _absent(absent: Mapping[str, str]) -> str:
    lines = "".join(
        f"<li><strong>{escape(MEASURES[name].title)}</strong> <code>{name}</code><br>{escape(why)}</li>"
        for name, why in absent.items()
    )
    return (
        f'<p>These were not measured, and nothing stands in for them.</p><ul class="findings">{lines}</ul>'
        if lines
        else ""
    )
