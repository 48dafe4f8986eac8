"""The filters and quality report of a data set (EditWorld, section 3.1: what is filtered is first measured).

    DATASET/report/
      report.html       plots and samples, in one file
      report.json       the same in numbers
      scores.csv        one row a triplet
      failing.txt       ids of the triplets that fail a filter, if there are filters
      measures.sqlite   what has been measured, so that the next report only measures what is new

Triplets are taken as their reviewers left them, and dropped ones are left out.
"""

import csv
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from editworld_core.datagen.quality.cache import open_cache
from editworld_core.datagen.quality.contents import Contents, to_contents
from editworld_core.datagen.quality.filters import Filter, Sifted, read_filter, sift
from editworld_core.datagen.quality.gauges import (
    Gauge,
    clip_gauge,
    judge_gauge,
    measure_pictures,
    measure_st_lpips,
    measure_wording,
    scalar_gauge,
)
from editworld_core.datagen.quality.measures import CLIP, CLIP_HELP, JUDGE, JUDGE_HELP, MEASURES
from editworld_core.datagen.quality.measuring import measure_data_set
from editworld_core.datagen.quality.page import draw_page
from editworld_core.datagen.quality.samples import draw_samples
from editworld_core.datagen.records import locked, read_about, read_triplets, write_file, writing
from editworld_core.datagen.triplet import Triplet
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError, EngineUnavailableError

if TYPE_CHECKING:
    from editworld_core.language import LanguageModel

log = logging.getLogger(__name__)

FOLDER, PAGE, NUMBERS, TABLE, FAILING = "report", "report.html", "report.json", "scores.csv", "failing.txt"
REVIEWER = "filter"


@dataclass(frozen=True)
class QualityReport:
    """What a report found and where it is.

    Attributes:
        page, numbers, table: the files; ``failing`` is None without filters.
        triplets: how many were measured.
        measured, known: values measured now, and known from an earlier report.
        absent: why a score is not there, by name.
        findings: sentences.
        filters: what the filters did.
    """

    folder: str
    page: str
    numbers: str
    table: str
    failing: str | None
    triplets: int
    measured: int
    known: int
    absent: dict[str, str]
    findings: list[str]
    filters: Sifted | None


def write_report(
    data_set: Path,
    output: Path | None = None,
    *,
    clip: str | None = None,
    judge: "LanguageModel | None" = None,
    quick: bool = False,
    filters: Sequence[str] = (),
    drop: bool = False,
    progress: Progress | None = None,
) -> QualityReport:
    """Measure a data set and write its report.

    Args:
        data_set: of any branch.
        output: folder of the report; None takes ``DATASET/report``.
        clip: CLIP model, folder or hub id; if it cannot be had, its scores are absent.
        judge: vision-language model that looks at every pair.
        quick: leave ST-LPIPS out, which takes nearly all of the time.
        filters: such as ``sharpness>=50``; the ids of the triplets that fail one are written down.
        drop: also drop these in the recheck log, where each can be undone.
        progress: called with the number of triplets that are measured and their number.

    Raises:
        BadInputError: ``data_set`` is none, or a filter cannot be used.
        EditWorldError: something cannot be written, or the judge cannot be asked.
    """
    if drop and not filters:
        raise BadInputError("Nothing says what to drop; give --drop a --filter such as 'sharpness>=50'.")
    total = read_about(data_set)["counts"]["triplets"]
    read_filters(filters, _left_out(clip, judge, quick))
    gauges, absent = _gauges(clip, judge, quick)
    conditions = read_filters(filters, absent)
    output = data_set / FOLDER if output is None else output
    if output.exists() and not output.is_dir():
        raise BadInputError(f"{output} is a file; give a folder for the report.")
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        with open_cache(output) as cache:
            kept = _triplets(data_set)
            measured = measure_data_set(data_set, kept, total, gauges, cache, progress)
        dropped = sum(1 for _ in read_triplets(data_set)) - len(measured.rows)
        contents = to_contents(data_set.resolve().name, measured, dropped, absent)
        conditions = read_filters(filters, contents.absent)
        if conditions:
            contents = replace(contents, sifted=_sift(data_set, contents, conditions, drop))
        samples = draw_samples(data_set, _triplets(data_set, dropped_too=True), contents.sample_ids())
        _write(output, contents, draw_page(contents, samples))
    return QualityReport(
        folder=str(output),
        page=str(output / PAGE),
        numbers=str(output / NUMBERS),
        table=str(output / TABLE),
        failing=str(output / FAILING) if conditions else None,
        triplets=len(contents.rows),
        measured=measured.new,
        known=measured.known,
        absent=dict(contents.absent),
        findings=[finding.text for finding in contents.findings],
        filters=contents.sifted,
    )


def read_filters(texts: Sequence[str], absent: Mapping[str, str]) -> list[Filter]:
    """Read filters; see ``read_filter``."""
    return [read_filter(text, absent) for text in texts]


def _triplets(data_set: Path, dropped_too: bool = False) -> Iterator[Triplet]:
    """The triplets as their reviewers left them."""
    from editworld_core.datagen.recheck import apply, read_log

    verdicts = read_log(data_set)
    triplets = read_triplets(data_set)
    return map(verdicts.effective, triplets) if dropped_too else apply(triplets, verdicts)


def _left_out(clip: str | None, judge: "LanguageModel | None", quick: bool) -> dict[str, str]:
    """Why scores that were not asked for are absent."""
    reasons = {}
    if clip is None:
        reasons.update(_group(CLIP, f"No CLIP weights were named; {CLIP_HELP}."))
    if judge is None:
        reasons.update(_group(JUDGE, f"No language model was asked; {JUDGE_HELP}."))
    if quick:
        why = "It was left out by --quick; run the report again without it."
        reasons.update(dict.fromkeys(("st_lpips", "st_lpips_outside"), why))
    return reasons


def _group(group: str, why: str) -> dict[str, str]:
    return {name: why for name, measure in MEASURES.items() if measure.group == group}


def _gauges(
    clip: str | None, judge: "LanguageModel | None", quick: bool
) -> tuple[list[Gauge], dict[str, str]]:
    """What can be measured here, and why the rest cannot."""
    absent = _left_out(clip, judge, quick)
    gauges = [
        scalar_gauge("pictures-1", "pictures", measure_pictures),
        scalar_gauge("wording-1", "texts", measure_wording),
    ]
    if not quick:
        gauges.append(scalar_gauge("st-lpips-1", "pictures", measure_st_lpips))
    if clip is not None:
        from editworld_core.datagen.scoring import load_clip
        from editworld_core.engines.place import best_place

        try:
            gauges.append(clip_gauge(load_clip(clip, best_place().device)))
        except EngineUnavailableError as error:
            absent |= _group(CLIP, f"{error}")
            log.warning("CLIP scores are absent: %s", error)
    if judge is not None:
        gauges.append(judge_gauge(judge))
    return gauges, absent


def _sift(data_set: Path, contents: Contents, conditions: Sequence[Filter], drop: bool) -> Sifted:
    sifted = sift([(row.id, row.values) for row in contents.rows], conditions)
    return _drop(data_set, sifted) if drop else sifted


def _drop(data_set: Path, sifted: Sifted) -> Sifted:
    """Give the verdicts; a reviewer's own decision stands, and so does their claim."""
    from editworld_core.datagen.recheck import Recheck

    desk, dropped = Recheck(data_set, REVIEWER), 0
    for item in sifted.failing:
        try:
            desk.drop(item)
            dropped += 1
        except BadInputError as error:
            log.info("%s was not dropped: %s", item, error)
    return replace(sifted, dropped=dropped, left=len(sifted.failing) - dropped)


def _write(output: Path, contents: Contents, page: str) -> None:
    write_file(output / TABLE, _table(contents).encode())
    numbers = json.dumps(contents.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_file(output / NUMBERS, f"{numbers}\n".encode())
    if contents.sifted is not None:
        lines = "".join(f"{item}\n" for item in contents.sifted.failing)
        write_file(output / FAILING, lines.encode())
    else:
        with writing(output):
            (output / FAILING).unlink(missing_ok=True)
    write_file(output / PAGE, page.encode())


def _table(contents: Contents) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("id", "branch", "category", "dynamic", *MEASURES))
    for row in contents.rows:
        values = ("" if (value := row.values.get(name)) is None else f"{value:.6g}" for name in MEASURES)
        table.writerow((*map(safe_cell, (row.id, row.branch, row.category, row.dynamic)), *values))
    return out.getvalue()


def safe_cell(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
