"""The report as a page: nothing from elsewhere, one script of its own, and every text escaped."""

import base64
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from editworld_core.datagen.quality.charts import bar_chart
from editworld_core.evaluation.measures.answers import AnswerBook
from editworld_core.evaluation.measures.judge import QUESTIONS
from editworld_core.evaluation.measures.table import SCORES, VALUES, Score
from editworld_core.evaluation.report.charts import Bar, interval_chart, number
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.grid import grid
from editworld_core.evaluation.report.page_tables import (
    beside_table,
    category_table,
    difference_table,
    score_table,
    setup_table,
)
from editworld_core.evaluation.report.paper_tables import differences, paper_tables
from editworld_core.evaluation.report.pictures import Shown
from editworld_core.evaluation.report.script import SCRIPT
from editworld_core.evaluation.report.style import STYLE
from editworld_core.evaluation.report.summary import dynamic_of, median_of, rates

HEADINGS = {
    "Outcome": "Does the picture show the outcome?",
    "Judge": "What the vision-language model says",
    "Truth": "Against the true picture",
    "Preservation": "Does the rest stay as it was?",
    "Masks": "Masks",
    "Geometry": "Shift and zoom",
    "Cost": "Time",
}
PLOTTED = (
    "clip_score",
    "mllm",
    "judge_instruction",
    "success",
    "error",
    "psnr_outside",
    "st_lpips_outside",
    "lpips",
    "mask_iou_final",
    "seconds",
)


def draw_page(
    contents: Contents, shown: Mapping[tuple[str, str], Shown], folder: str, book: AnswerBook
) -> str:
    """The page; the small pictures lie in ``folder`` beside it."""
    sections = {
        "Scores": _scores(contents),
        "Beside the paper": _paper(contents),
        "Plots": _plots(contents),
        "Categories": _categories(contents),
        "Differences": _differences(contents),
        "Items": grid(contents, shown, folder),
        "The judge": _judge(book),
        "Setups": setup_table(contents),
        "Failures": _failures(contents),
        "Absent scores": _absent(contents.absent),
    }
    kept = {title: content for title, content in sections.items() if content}
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in kept)
    body = "".join(
        f'<section id="{_anchor(title)}"><h2>{title}</h2>{content}</section>'
        for title, content in kept.items()
    )
    name = escape(contents.data_set)
    code = base64.b64encode(sha256(SCRIPT.encode()).digest()).decode()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{code}'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: evaluation</title><style>{STYLE}</style></head><body><main>"
        f'<header><p class="eyebrow">Evaluation</p><h1>{name}</h1><p>{escape(_about(contents))}</p></header>'
        f"{_tiles(contents)}<nav>{links}</nav>{_notes(contents)}{body}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _about(contents: Contents) -> str:
    setups = "; ".join(
        label if label == setup.settings.engine else f"{label} ({setup.settings.engine})"
        for label, setup in contents.setups.items()
    )
    return f"{setups}. {contents.models_in(SCORES)}"


def _notes(contents: Contents) -> str:
    return "".join(f'<p class="note">{escape(str(note))}</p>' for note in contents.about.get("notes", ()))


def _tiles(contents: Contents) -> str:
    tiles = [
        ("items", f"{len(contents.items):,}"),
        ("setups", f"{len(contents.setups):,}"),
        ("refused edits", f"{len(contents.failures):,}"),
    ]
    own = contents.overall.get(contents.reference, {})
    of = "" if len(contents.setups) < 2 else f", {contents.reference}"
    for name, text, percent in (
        ("success_edited", "succeed before post-edit", True),
        ("success_final", "succeed after it", True),
        ("mllm_final", "MLLM score", False),
        ("clip_score_final", "CLIP score", False),
    ):
        if name in own:
            tiles.append((f"{text}{of}", f"{own[name].mean:.0%}" if percent else number(own[name].mean)))
    if contents.scored:
        seconds = median_of(contents.of_setup[contents.reference], "seconds")
        if seconds is not None:
            tiles.append((f"median time{of}", f"{number(seconds)} s"))
    inner = "".join(
        f"<div><strong>{value}</strong><span>{escape(text)}</span></div>" for text, value in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _scores(contents: Contents) -> str:
    groups: dict[str, list[Score]] = {heading: [] for heading in HEADINGS}
    for score in contents.scores:
        groups[score.table].append(score)
    return "".join(
        score_table(contents, HEADINGS[heading], scores) for heading, scores in groups.items() if scores
    )


def _paper(contents: Contents) -> str:
    tables = paper_tables(contents)
    if not tables:
        return ""
    notes = "".join(f"<li>{escape(sentence)}</li>" for sentence in differences(contents))
    return f'<ul class="findings">{notes}</ul><br>{"".join(map(beside_table, tables))}'


def _plots(contents: Contents) -> str:
    stems = {score.stem: score for score in contents.scores}
    cards = "".join(_plot(contents, stems[stem]) for stem in PLOTTED if stem in stems)
    key = (
        '<p><span class="key"><i class="hollow"></i>without post-edit</span>'
        '<span class="key"><i></i>with post-edit, or where that makes no difference</span></p>'
    )
    return f'{key}<div class="cards">{cards}</div>{_dynamics(contents)}'


def _plot(contents: Contents, score: Score) -> str:
    bars = [
        Bar(label, found, VALUES[name].side == "edited")
        for label in contents.setups
        for name in contents.names_of(label, score)
        if (found := contents.overall[label].get(name)) is not None
    ]
    unit = f" [{escape(score.unit)}]" if score.unit else ""
    return (
        f'<article class="card"><h3>{escape(contents.title_of(score))}{unit}</h3>'
        f'<p class="note">{escape(score.about)}</p>{interval_chart(bars, f"{score.title} by setup")}</article>'
    )


def _dynamics(contents: Contents) -> str:
    cards = []
    for label, own in contents.of_setup.items():
        found = rates(own, dynamic_of)
        if found:
            ordered = dict(sorted(found.items(), key=lambda row: row[1]))
            title = f"Success by dynamic before post-edit, {label}"
            cards.append(
                f'<article class="card"><h3>{escape(title)}</h3>{bar_chart(ordered, title, 1.0, True)}</article>'
            )
    if not cards:
        return ""
    return f'<details><summary>Dynamics</summary><br><div class="cards">{"".join(cards)}</div></details>'


def _categories(contents: Contents) -> str:
    if len(contents.rows) < 2:
        return ""
    return "".join(
        f"<details{' open' * (not place)}><summary>{escape(contents.title_of(score))}</summary>"
        f"{category_table(contents, score)}</details>"
        for place, score in enumerate(contents.scores)
    )


def _differences(contents: Contents) -> str:
    return difference_table(contents) if contents.differences else ""


def _judge(book: AnswerBook) -> str:
    if not len(book):
        return ""
    return "".join(_question(book, question.version, question.system) for question in QUESTIONS)


def _question(book: AnswerBook, version: str, text: str) -> str:
    counts = "; ".join(
        f"{model}: {asked:,} pictures, {failed:,} without a usable answer"
        for model, asked, failed in book.counts(version)
    )
    return (
        f'<article class="card score"><h3>{version} <small>{escape(counts)}</small></h3>'
        f'<p class="question">{escape(text)}</p></article>'
    )


def _failures(contents: Contents) -> str:
    if not contents.failures:
        return ""
    lines = "".join(
        f"<li><strong>{escape(one.setup.label)}</strong> · {escape(one.item.id)}<br>{escape(one.failure)}</li>"
        for one in contents.failures
    )
    return (
        "<p>These edits were refused. They have no scores, so that the means are of the others only.</p>"
        f'<ul class="findings failures">{lines}</ul>'
    )


def _absent(absent: Mapping[str, str]) -> str:
    titles = {
        family: "; ".join(score.title for score in SCORES if score.family == family) for family in absent
    }
    lines = "".join(
        f"<li><strong>{escape(titles[family] or family)}</strong><br>{escape(reason)}</li>"
        for family, reason in absent.items()
    )
    return (
        f'<p>These were not measured, and nothing stands in for them.</p><ul class="findings">{lines}</ul>'
        if lines
        else ""
    )
