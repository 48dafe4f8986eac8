"""``training.generate text``: quadruples, the texts of the text-to-image branch."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editworld_core.categories import Category
    from editworld_core.datagen.text import TextReport
    from editworld_core.datagen.text_sources import TextSource

SOURCES = ("simulator", "server", "local")


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = (
        "Write quadruples (original caption, instruction, outcome, keywords) for the command pairs. A server that "
        "speaks the OpenAI protocol is named by EDITWORLD_LLM_URL, EDITWORLD_LLM_MODEL and EDITWORLD_LLM_KEY."
    )
    parser = branches.add_parser("text", help="quadruples of texts", description=about)
    parser.add_argument(
        "-n", "--count", type=int, required=True, help="quadruples, spread evenly over categories and sources"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the folder to fill or continue"
    )
    parser.add_argument(
        "--sources",
        default="simulator",
        metavar="A,B",
        help=f"what writes them: {', '.join(SOURCES)} (default: %(default)s)",
    )
    parser.add_argument("--categories", metavar="A,B", help="only these of the seven (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give others (default: %(default)s)")
    parser.add_argument(
        "--similar",
        type=float,
        metavar="X",
        help="likeness from which on a quadruple is left out as a near-duplicate, 0 to 1 (default: 0.8)",
    )
    parser.add_argument("--local-model", metavar="NAME", help="folder or hub id (default: SmolLM2-135M)")
    parser.add_argument(
        "--batch", type=int, default=10, help="quadruples a request to the server (default: %(default)s)"
    )
    for name, what in (("--price-in", "read"), ("--price-out", "written")):
        parser.add_argument(
            name, type=float, metavar="X", help=f"the server's price for a million tokens {what}"
        )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the quadruples, with a bar on standard error; 1 if there are fewer than asked for."""
    from tqdm import tqdm

    from editworld_core.datagen.text import SIMILAR, generate_text

    categories, sources = _categories(options.categories), _sources(options)
    with tqdm(total=options.count, unit="quadruple", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        report = generate_text(
            options.output,
            options.count,
            sources,
            categories=categories,
            seed=options.seed,
            similar=SIMILAR if options.similar is None else options.similar,
            prices=_prices(options),
            progress=show,
        )
    if options.json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    else:
        print("\n".join(_lines(report)))
    for note in report.notes:
        print(note, file=sys.stderr)
    return 0 if report.present >= report.asked else 1


def _categories(names: str | None) -> "list[Category]":
    from editworld_core.categories import Category
    from editworld_core.think import to_category

    if names is None:
        return list(Category)
    chosen = {to_category(name) for name in names.split(",")}
    return [category for category in Category if category in chosen]


def _sources(options: argparse.Namespace) -> "list[TextSource]":
    from editworld_core.errors import BadInputError

    if options.batch < 1:
        raise BadInputError(f"A request must be for at least 1 quadruple, not {options.batch}.")
    names = dict.fromkeys(name.strip().lower() for name in options.sources.split(","))
    for name in names:
        if name not in SOURCES:
            raise BadInputError(f"There is no source {name[:40]!r}; choose from {', '.join(SOURCES)}.")
    return [_source(name, options) for name in names]


def _source(name: str, options: argparse.Namespace) -> "TextSource":
    from editworld_core.datagen.text_sources import PATIENCE, TRIES, GrammarSource, MeteredServer, ModelSource

    if name == "simulator":
        return GrammarSource()
    if name == "server":
        return ModelSource(MeteredServer(timeout=PATIENCE, tries=TRIES), options.batch)
    from editworld_core.language_local import load_local, smollm2

    where = (options.local_model,) if options.local_model else smollm2()
    return ModelSource(load_local(*where), batch=1)  # it fills in one flat object at a time


def _prices(options: argparse.Namespace) -> tuple[float, float] | None:
    from editworld_core.errors import BadInputError

    prices = (options.price_in, options.price_out)
    if prices == (None, None):
        return None
    if None in prices:
        raise BadInputError("The cost needs both prices: give --price-in and --price-out.")
    return prices


def _lines(report: "TextReport") -> list[str]:
    """The report for a reader."""
    lines = [f"{report.added} quadruples added, {report.total} in {report.folder} now."]
    if report.rejected:
        reasons = "; ".join(f"{number} × {reason}" for reason, number in report.rejected.items())
        lines.append(f"Rejected: {reasons}.")
    for source in report.sources:
        line = f"{source.model}: {source.kept} kept"
        if source.prompt_tokens is not None and source.completion_tokens is not None:
            line += f", {source.prompt_tokens} tokens read and {source.completion_tokens} written"
        lines.append(f"{line}." if source.cost is None else f"{line}, cost {source.cost:.4f}.")
    return lines
