"""Write the report of an evaluation."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from editworld_core.datagen.records import write_file
from editworld_core.evaluation.measures.answers import FILE as ANSWERS
from editworld_core.evaluation.measures.answers import AnswerBook
from editworld_core.evaluation.record import Outcome, Scored
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.latex import to_latex
from editworld_core.evaluation.report.numbers import to_csv, to_json
from editworld_core.evaluation.report.page import draw_page
from editworld_core.evaluation.report.pictures import write_pictures

PAGE, NUMBERS, TABLE, LATEX, FILES = (
    "report.html",
    "report.json",
    "report.csv",
    "report.tex",
    "report_files",
)


def write_report(
    folder: Path,
    scored: Sequence[Scored],
    about: Mapping[str, Any],
    outcome_of: Callable[[Scored], Outcome | None],
    absent: Mapping[str, str],
) -> None:
    """Write ``report.html`` with its pictures in ``report_files``, ``report.json``, ``report.csv``, ``report.tex``.

    Args:
        folder: is made; the answers of a judge are read from ``answers.jsonl`` in it.
        scored: of one data set, one an item and setup. The first setup is what the others are compared with.
        about: ready for JSON. ``data_set``: its name; ``models``: the weights behind the numbers by family, see
            ``models_of``; ``notes``: sentences for the page, such as what was left out. What else is in it goes into
            the JSON as it is.
        outcome_of: the pictures of one, read when they are needed; None if it has none.
        absent: by family why it was not measured, as ``choose_measures`` says.

    ``report.json`` holds ``about`` and: ``setups``: by label ``settings`` and ``summary``, see ``summary``;
    ``reference`` and ``differences``: by setup and value by how much it exceeds the reference on the same items, as
    ``{"mean", "low", "high", "count"}``; ``values``: what each means; ``items``: a list with ``id``, ``category``,
    ``branch``, ``dynamic``, ``instruction``, ``scores`` and ``failures`` by setup; ``absent``; ``paper``: the paper's
    numbers.

    Raises:
        EditWorldError: the folder cannot be written.
    """
    contents = Contents(scored, about, absent)
    numbers = json.dumps(to_json(contents), indent=2, ensure_ascii=False, allow_nan=False)
    write_file(folder / NUMBERS, f"{numbers}\n".encode())
    write_file(folder / TABLE, to_csv(contents).encode())
    write_file(folder / LATEX, to_latex(contents).encode())
    book = AnswerBook(folder / ANSWERS)
    shown = write_pictures(folder / FILES, scored, outcome_of, book)
    write_file(folder / PAGE, draw_page(contents, shown, FILES, book).encode())
