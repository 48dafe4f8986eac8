"""The Sample data tab: a visitor orders pairs, watches them come, stops, and takes the data set."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from editworld_core.categories import Category
from editworld_core.datagen.quadruple import read_quadruples
from editworld_core.errors import BadInputError, EditCancelledError
from ui.data_layout import Fields, lay_out_data
from ui.data_orders import Order, Tell
from ui.data_session import SHOWN, DataSession, pack, triplets_in
from ui.line import Line
from ui.notes import refusal
from ui.running import Finished, Step, stepwise

Updates = dict[Any, Any]
HOUR = 3600
MAKERS: dict[str, Any] = {"concurrency_id": "samples", "concurrency_limit": 8}
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
ABOUT = {
    "simulation": "",
    "video": "The two frames of each shot between which most happens. Their instructions stay empty, for the recheck.",
    "text_to_image": "Texts are written first, then Stable Diffusion draws: minutes a pair on a large GPU.",
    "text": "Captions before and afterwards, the instruction between them, and keywords; no pictures.",
}


def data_tab(keep: Path | None = None, line: Line | None = None) -> gr.State:
    """Build the tab inside the current ``gr.Tab``.

    Args:
        keep: a folder under which data sets stay; None keeps them only as long as the visitor.
        line: where visitors wait for their turn; None takes one of the tab's own.

    Returns:
        The visitor's ``DataSession``, or None before the first run; see ``data_session.data_sets``.
    """
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    DataTab(lay_out_data(), session, keep, line).connect()
    return session


class DataTab:
    """The tab's handlers. What a visitor has is in the ``DataSession`` that each one is given."""

    def __init__(
        self, fields: Fields, session: gr.State, keep: Path | None = None, line: Line | None = None
    ) -> None:
        self.fields, self.session, self.keep = fields, session, keep
        self.line = line or Line()

    def connect(self) -> None:
        """Attach every handler."""
        f = self.fields
        f.branch.change(
            self.choose_branch,
            f.branch,
            [f.about, f.categories, f.more, f.films, f.count, f.seed, f.size],
            **QUIET,
        )
        f.categories.change(self.choose_categories, f.categories, f.dynamics, **QUIET)
        shown = [f.make, f.stop, f.status, f.waiting, f.panel, f.note, f.save, f.chips, f.gallery]
        run = f.make.click(
            self.make,
            [self.session, f.branch, f.categories, f.count, f.seed, f.size, f.films, *f.dynamics],
            [self.session, *shown, f.texts, f.command],
            trigger_mode="once",
            api_name="make_samples_on_page",
            **MAKERS,
            **QUIET,
        )
        f.stop.click(self.stop, self.session, f.stop, queue=False, **QUIET)
        run.failure(self.rest, None, [f.make, f.stop, f.status], queue=False, **QUIET)

    def choose_branch(self, branch: str) -> Updates:
        """Show the fields that ``branch`` has a use for."""
        f, films = self.fields, branch == "video"
        return {
            f.about: gr.update(value=ABOUT.get(branch, ""), visible=branch != "simulation"),
            f.categories: gr.update(visible=not films),
            f.more: gr.update(visible=branch == "simulation"),
            f.films: gr.update(visible=films),
            f.count: gr.update(visible=not films),
            f.seed: gr.update(visible=not films),
            f.size: gr.update(visible=branch in ("simulation", "video")),
        }

    def choose_categories(self, chosen: list[str]) -> Updates:
        """Show the dynamics of the ``chosen`` categories."""
        groups = zip(Category, self.fields.dynamics, strict=True)
        return {group: gr.update(visible=str(category) in chosen) for category, group in groups}

    def stop(self, session: DataSession | None) -> dict[str, Any]:
        """End the run after the pair in the making."""
        if session is not None:
            session.stop.set()
        return gr.update(value="Stopping…", interactive=False)

    def rest(self) -> Updates:
        """What the page shows while nothing runs."""
        f = self.fields
        return {
            f.make: gr.update(visible=True),
            f.stop: gr.update(visible=False),
            f.status: gr.update(value="", visible=False),
        }

    def make(
        self,
        session: DataSession | None,
        branch: Any,
        categories: list[str],
        count: float | None,
        seed: float | None,
        size: int,
        films: list[str] | None,
        *dynamics: list[str],
    ) -> Iterator[Updates]:
        """Carry out an order, showing what there is as it comes; stopped or done, hand over what was made."""
        session = session or DataSession()
        session.stop.clear()
        try:
            order = Order(
                branch,
                tuple(each for each in Category if each in categories),
                tuple(
                    name
                    for each, names in zip(Category, dynamics, strict=True)
                    if each in categories
                    for name in names or ()
                ),
                whole("How many", count),
                whole("The seed", seed),
                size,
                tuple(map(Path, films or ())),
            ).check()
        except BadInputError as error:
            raise refusal(error) from error
        folder = (self.keep or session.root / "sets") / order.name
        yield {self.session: session, **self._begin(order)}
        shown, clock = _Shown(), _Clock()
        steps = stepwise(lambda progress: self._work(session, order, folder, progress))
        try:
            for step in steps:
                new = self._new(session, order, folder, shown)
                if isinstance(step, Finished):
                    yield {self.session: session, **new, **self._done(session, order, folder, step.value)}
                else:
                    bar = gr.update(value=clock.bar(step), visible=True)
                    yield {self.session: session, **new, self.fields.status: bar}
        except Exception as error:
            raise refusal(error) from error
        finally:
            steps.close()

    def _work(self, session: DataSession, order: Order, folder: Path, progress: Tell) -> Path | None:
        """Make the pairs in turn with other visitors, then the zip; None if nothing was made."""

        def tell(done: int, total: int) -> None:
            progress(done, total)
            if session.stop.is_set():
                raise EditCancelledError("The run was stopped.")

        try:
            with self.line.turn(lambda: tell(0, 0)) as pass_on:

                def told(done: int, total: int) -> None:
                    tell(done, total)
                    pass_on()

                order.make(folder, told)
        except EditCancelledError:
            if not session.stop.is_set():
                raise  # the page was left
        held = _held(order, folder)
        if not held:
            return None
        partial = session.stop.is_set() and held < order.count and order.branch != "video"
        name = f"{folder.name}-first{held}" if partial else folder.name
        return pack(folder, session.root / "zips" / f"editworld-{name}.zip", progress)

    def _begin(self, order: Order) -> Updates:
        f, is_text = self.fields, order.branch == "text"
        return {
            f.make: gr.update(visible=False),
            f.stop: gr.update(value="Stop", interactive=True, visible=True),
            f.status: gr.update(value=_Clock().bar(Step(0, 0)), visible=True),
            f.save: gr.update(visible=False),
            f.command: gr.update(visible=False),
            f.note: gr.update(value="", visible=False),
            f.gallery: gr.update(value=[], visible=not is_text),
            f.texts: gr.update(value=[], visible=is_text),
            f.chips: "",
        }

    def _new(self, session: DataSession, order: Order, folder: Path, shown: "_Shown") -> Updates:
        """What is there and not yet on the page, newest first."""
        f = self.fields
        if order.branch == "text":
            rows = [
                [str(q.category), q.original_caption, q.instruction, q.target_caption]
                for q in (read_quadruples(folder) if _held(order, folder) else ())
            ]
            if len(rows) == shown.count:
                return {}
            shown.count, counts = len(rows), Counter(row[0] for row in rows)
            updates: Updates = {f.texts: rows[::-1], f.chips: chips(counts)}
        else:
            new = triplets_in(folder, shown.count)
            if not new:
                return {}
            session.made[folder.name] = folder
            shown.count += len(new)
            shown.counts.update(str(each.category) for each in new)
            pairs = [
                (
                    str(session.strip(folder, each)),
                    f"{each.instruction or 'no instruction yet'} · {each.category}",
                )
                for each in new[-SHOWN:]
            ]
            shown.pairs = [*reversed(pairs), *shown.pairs][:SHOWN]
            updates = {f.gallery: list(shown.pairs), f.chips: chips(shown.counts)}
        return {f.waiting: gr.update(visible=False), f.panel: gr.update(visible=True), **updates}

    def _done(self, session: DataSession, order: Order, folder: Path, file: Path | None) -> Updates:
        f = self.fields
        if file is None:
            sentence = "Nothing was made" + (
                "." if session.stop.is_set() else ": no shot in these videos changes enough."
            )
        else:
            held, what = _held(order, folder), "texts" if order.branch == "text" else "pairs"
            of = "" if order.branch == "video" or held >= order.count else f" of {order.count}"
            sentence = f"**{held}{of} {what}**" + (
                " so far; the same settings go on from here." if of and session.stop.is_set() else " made."
            )
            if self.keep is not None:
                sentence += f" They are in `{folder}`."
        return {
            **self.rest(),
            f.waiting: gr.update(visible=False),
            f.panel: gr.update(visible=True),
            f.note: gr.update(value=sentence, visible=True),
            f.save: gr.update(value=str(file) if file else None, visible=file is not None),
            f.command: gr.update(value=order.command(folder.name), visible=file is not None),
        }


class _Shown:
    """What is on the page already."""

    def __init__(self) -> None:
        self.count, self.counts, self.pairs = 0, Counter[str](), list[tuple[str, str]]()


class _Clock:
    """Estimates the time left from what this run has made."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def bar(self, step: Step) -> str:
        """The progress bar."""
        if not step.total:
            return (
                '<div class="progress" role="status"><span>Getting ready…</span>'
                '<div class="track"><div class="bar unsure"></div></div></div>'
            )
        now = time.monotonic()
        start, had = self._first = self._first or (now, step.done)
        left = ""
        if step.done > had:
            seconds = round((now - start) / (step.done - had) * (step.total - step.done))
            left = f", about {seconds} s left" if seconds < 90 else f", about {round(seconds / 60)} min left"
        return (
            f'<div class="progress" role="status"><span>{step.done} of {step.total}{left}</span><div class="track">'
            f'<div class="bar" style="width: {100 * step.done / step.total:.0f}%"></div></div></div>'
        )


def chips(counts: Counter[str]) -> str:
    """How many there are of each category."""
    each = (f"<span>{escape(name)} <b>{counts[name]}</b></span>" for name in Category if counts[name])
    return f'<div class="chips">{"".join(each)}</div>'


def _held(order: Order, folder: Path) -> int:
    """How many pairs, or texts, are there by now."""
    if order.branch != "text":
        return len(triplets_in(folder))
    try:
        return sum(1 for _ in read_quadruples(folder))
    except BadInputError:  # nothing is written yet
        return 0


def whole(name: str, value: float | None) -> int:
    """``value`` of the field ``name`` as an integer.

    Raises:
        BadInputError: it is none.
    """
    if value is None or not math.isfinite(value) or value != int(value):
        raise BadInputError(f"{name} must be a whole number.")
    return int(value)
