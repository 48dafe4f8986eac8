r"""The tables as LaTeX: a document that compiles as it stands, with tables to be taken out of it.

It needs booktabs, graphicx and iftex. pdfLaTeX does not know the letters of all scripts: those that it might not know
are shown by their number in Unicode; XeLaTeX and LuaLaTeX have them as they are.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from editworld_core.evaluation.measures.base import EDITED, FINAL
from editworld_core.evaluation.measures.table import SCORES, VALUES, Score
from editworld_core.evaluation.report import paper
from editworld_core.evaluation.report.contents import Contents
from editworld_core.evaluation.report.paper_tables import Beside, Cell, differences, paper_tables
from editworld_core.evaluation.statistics import Mean

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",
    "−": r"$-$",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "…": r"\dots{}",
}
LAST_KNOWN = 0x17F  # pdfLaTeX's T1 fonts have the letters of Latin-1 and Latin Extended-A
SIDES = {EDITED: "without", FINAL: "with", "": "mean"}
SHOWN = (
    "clip_score",
    "mllm",
    "judge_instruction",
    "success",
    "error",
    "psnr_outside",
    "st_lpips_outside",
    "lpips",
)
"""The scores with a table by category."""


def to_latex(contents: Contents) -> str:
    """The document."""
    groups: dict[str, list[Score]] = {}
    for score in contents.scores:
        groups.setdefault(score.table, []).append(score)
    parts = [
        *(_score_table(contents, heading, scores) for heading, scores in groups.items()),
        *map(_beside_table, paper_tables(contents)),
        *(_category_table(contents, score) for score in contents.scores if score.stem in SHOWN),
    ]
    notes = [
        *differences(contents),
        *(f"Not measured: {_absent(contents, name)}" for name in contents.absent),
    ]
    body = "\n".join(
        [*parts, r"\begin{itemize}", *(rf"\item {tex(note)}" for note in notes), r"\end{itemize}"]
    )
    return f"{_preamble(body)}\\begin{{document}}\n\\section*{{{tex(contents.data_set)}}}\n{body}\n\\end{{document}}\n"


def tex(text: str) -> str:
    """``text`` so that LaTeX prints it as it stands: no command, no ligature, no control character.

    >>> print(tex("50% of a_b"))
    50\\% of a\\_b
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(SPECIAL.get(c, c) for c in plain)


def _preamble(body: str) -> str:
    unknown = sorted({c for c in body if ord(c) > LAST_KNOWN})
    declared = "".join(f"  \\DeclareUnicodeCharacter{{{ord(c):04X}}}{{[U+{ord(c):04X}]}}\n" for c in unknown)
    return (
        "\\documentclass{article}\n\\usepackage[a4paper,margin=20mm]{geometry}\n"
        "\\usepackage{booktabs,graphicx,iftex,textcomp}\n"
        f"\\ifpdftex\n  \\usepackage[T1]{{fontenc}}\n{declared}\\fi\n"
    )


def _absent(contents: Contents, family: str) -> str:
    titles = "; ".join(score.title for score in SCORES if score.family == family)
    return f"{titles or family}. {contents.absent[family]}"


def _table(caption: str, columns: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A floating table no wider than the page; heads and cells are LaTeX already."""
    lines = "\n".join(rf"{' & '.join(row)} \\" for row in rows)
    return (
        "\\begin{table}[htbp]\n\\centering\n"
        f"\\caption{{{caption}}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{chr(10).join(heads)}\n\\midrule\n{lines}\n\\bottomrule\n"
        "\\end{tabular}}\n\\end{table}\n"
    )


def _cell(found: Cell) -> str:
    if isinstance(found, Mean):
        if found.low is None or found.high is None:
            return _number(found.mean)
        return f"{_number(found.mean)}~{{\\scriptsize [{_number(found.low)}, {_number(found.high)}]}}"
    return "--" if found is None else f"{found:.4f}"


def _bare(found: Cell) -> str:
    """A mean without its interval, for tables that are wide already."""
    return _number(found.mean) if isinstance(found, Mean) else _cell(found)


def _number(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")
    return f"$-${text[1:]}" if text.startswith("-") else text


def _title(contents: Contents, score: Score) -> str:
    unit = f" in {score.unit}" if score.unit else ""
    arrow = {"high": r" $\uparrow$", "low": r" $\downarrow$", None: ""}[score.better]
    return f"{tex(contents.title_of(score) + unit)}{arrow}"


def _score_table(contents: Contents, heading: str, scores: Sequence[Score]) -> str:
    names = [name for score in scores for name in score.names if name in contents.names]
    labels = list(contents.setups)
    heads = [
        " & ".join(["Score", "Post-edit" if any(s.sides for s in scores) else "", *map(tex, labels)]) + r" \\"
    ]
    rows = [
        [
            _title(contents, VALUES[name].score),
            SIDES[VALUES[name].side] if VALUES[name].side else "",
            *(_own_cell(contents, label, name) for label in labels),
        ]
        for name in names
    ]
    caption = (
        f"{tex(heading)}: means over the items of {tex(contents.data_set)}, with 95\\% bootstrap intervals."
    )
    return _table(caption, "ll" + "r" * len(labels), heads, rows)


def _own_cell(contents: Contents, label: str, name: str) -> str:
    told = name in contents.names_of(label, VALUES[name].score)
    return _cell(contents.overall[label].get(name) if told else None)


def _beside_table(found: Beside) -> str:
    first = [f"\\multicolumn{{{len(found.heads)}}}{{l}}{{}}"]
    if found.paper:
        first.append(f"\\multicolumn{{{len(found.paper)}}}{{c}}{{the paper}}")
    own = Counter(label for label, _ in found.ours if label)
    first += [f"\\multicolumn{{{span}}}{{c}}{{{tex(label)}}}" for label, span in own.items()]
    heads = [" & ".join(first) + r" \\"] if len(first) > 1 else []
    sides = [SIDES[side] for _, side in found.ours]
    heads.append(" & ".join([*map(tex, found.heads), *map(tex, found.paper), *sides]) + r" \\")
    rows = [[*map(tex, names), *map(_bare, cells)] for names, cells in found.rows]
    model = f" Ours by {tex(found.model)}." if found.model else ""
    caption = f"{tex(found.title)}, ours without and with post-edit.{model} The paper: {tex(paper.SOURCE)}."
    return _table(caption, "l" * len(found.heads) + "r" * (len(found.paper) + len(found.ours)), heads, rows)


def _category_table(contents: Contents, score: Score) -> str:
    columns = [(label, name) for label in contents.setups for name in contents.names_of(label, score)]
    groups = " & ".join(
        f"\\multicolumn{{{len(contents.names_of(label, score))}}}{{c}}{{{tex(label)}}}"
        for label in contents.setups
    )
    sides = [SIDES[VALUES[name].side] for _, name in columns]
    heads = [f" & & {groups} \\\\", " & ".join(["Branch", "Category", *sides]) + r" \\"]
    rows = [
        [
            tex(paper.BRANCHES.get(branch, branch)),
            tex(category),
            *(_cell(own[label].get(name)) for label, name in columns),
        ]
        for (branch, category), own in [*contents.rows.items(), (("All", ""), contents.overall)]
    ]
    caption = f"{_title(contents, score)} without and with post-edit. {tex(score.about)}"
    return _table(caption, "ll" + "r" * len(columns), heads, rows)
