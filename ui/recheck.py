"""The Recheck tab: what happens when a reviewer presses a key or a button.

Who may open what: only the data sets that lie in the folder the app was started with, and those that the visitor's
own session made. The page sends a label, never a path.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError
from ui.draft import canvas, strokes
from ui.notes import said, sentence_of, unsaid
from ui.recheck_layout import Fields, lay_out_recheck
from ui.recheck_seat import Filter, Seat, choices, data_sets
from ui.recheck_style import RECHECK_CSS
from ui.recheck_view import done_view, facts_view, pair_view, progress_view

__all__ = ["RECHECK_CSS", "recheck_tab"]

Updates = dict[Any, Any]
Act = Callable[[Seat, str], str]
Made = Callable[[Any], Mapping[str, Path]]
HOUR = 3600
LOOK_AROUND = 15  # seconds after which the progress of others is shown
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def recheck_tab(
    tab: gr.Tab,
    root: Path | None = None,
    made: gr.State | None = None,
    made_data_sets: Made = lambda made: {},
) -> None:
    """Build the tab inside ``tab``, the current one.

    Args:
        tab: choosing it looks for data sets anew.
        root: folder of the data sets that every visitor may recheck, or one of them; None serves none.
        made: what the visitor's session has made in the Sample data tab.
        made_data_sets: the folders of the data sets in the value of ``made``, by name.
    """
    nobody = gr.State(None) if made is None else made
    seat = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.leave())
    RecheckTab(lay_out_recheck(), seat, root, made_data_sets).connect(tab, nobody)


class RecheckTab:
    """The tab's handlers. It holds components only: where a reviewer is stands in the ``Seat`` that each is given."""

    def __init__(self, fields: Fields, seat: gr.State, root: Path | None, made_data_sets: Made) -> None:
        self.fields, self.seat, self.root, self.made_data_sets = fields, seat, root, made_data_sets
        f = fields
        self.choices = [f.none_yet, f.door, f.data_set]
        # the seat is put back each time, since it is forgotten an hour after that
        self.item_fields = [seat, f.progress, f.pair, f.painting, f.canvas, f.actions, f.note]
        self.item_fields += [f.instruction, f.category, f.facts, f.jump, f.shown]
        self.timer = gr.Timer(LOOK_AROUND, active=False)

    def connect(self, tab: gr.Tab, made: gr.State) -> None:
        """Attach every handler."""
        f, item = self.fields, self.item_fields
        tab.select(self.look, [made, f.data_set], self.choices, **QUIET)
        begun = [f.desk, f.export, self.timer, *item]
        gr.on(
            [f.start.click, f.reviewer.submit],
            self.start,
            [self.seat, made, f.data_set, f.reviewer, f.state, f.category_filter, f.branch],
            begun,
            **QUIET,
        )
        acts: tuple[tuple[gr.Button, Act], ...] = (
            (f.accept, Seat.accept),
            (f.drop, Seat.drop),
            (f.skip, Seat.skip),
            (f.undo, Seat.undo),
            (f.regenerate, Seat.regenerate),
            (f.save, Seat.save),
            (f.previous, lambda seat, typed: seat.step(-1)),
            (f.following, lambda seat, typed: seat.step(1)),
        )
        for button, act in acts:
            button.click(self.doing(act), [self.seat, f.shown, f.instruction], item, **QUIET)
        f.category.input(self.doing(Seat.set_category), [self.seat, f.shown, f.category], item, **QUIET)
        f.jump.submit(self.doing(Seat.jump), [self.seat, f.shown, f.jump], item, **QUIET)
        gr.on(
            [f.state.input, f.category_filter.input, f.branch.input],
            self.choose,
            [self.seat, f.state, f.category_filter, f.branch],
            item,
            **QUIET,
        )
        f.paint.click(self.paint, [self.seat, f.shown], item, **QUIET)
        f.use_mask.click(self.use_mask, [self.seat, f.shown, f.canvas], item, **QUIET)
        f.cancel_mask.click(self.rest, [self.seat], item, **QUIET)
        self.timer.tick(self.tick, [self.seat], [f.progress], **QUIET)

    # ---- the door

    def look(self, made: Any, chosen: str | None) -> Updates:
        """The data sets that there are now."""
        f, labels = self.fields, list(self._allowed(made))
        value = chosen if chosen in labels else next(iter(labels), None)
        return {
            f.none_yet: gr.update(visible=not labels),
            f.door: gr.update(visible=bool(labels)),
            f.data_set: gr.update(choices=labels, value=value),
        }

    def start(
        self,
        seat: Seat | None,
        made: Any,
        label: str | None,
        reviewer: str,
        state: Any,
        category: str,
        branch: str,
    ) -> Updates:
        """Sit the visitor down at a data set."""
        f, folder = self.fields, self._allowed(made).get(label or "")
        try:
            if folder is None:
                raise BadInputError("There is no such data set here; choose one from the list.")
            new = Seat(folder, label or "", reviewer)
            sentence = new.choose(Filter(state, category, branch))
        except Exception as error:
            return {f.desk: gr.update(visible=seat is not None), **self._refused(error, folder)}
        if seat is not None:
            with seat.lock:
                seat.leave()
        export = (
            f"Export what was accepted: `python -m training.generate export {folder.name} "
            "--format editworld --accepted-only -o DIR`"
        )
        return {
            f.desk: gr.update(visible=True),
            f.export: export,
            self.timer: gr.Timer(active=True),
            **self.show(new, sentence),
        }

    def _allowed(self, made: Any) -> dict[str, Path]:
        return choices(data_sets(self.root), self.made_data_sets(made))

    # ---- the item

    def doing(self, act: Act) -> Callable[[Seat | None, str, str | None], Updates]:
        """A handler that does ``act`` with a text of the page, if the page shows what the reviewer has before them."""

        def handle(seat: Seat | None, shown: str, text: str | None) -> Updates:
            if seat is None:
                return self._gone()
            with seat.lock:
                if shown != (seat.current or ""):
                    return self._nothing()
                try:
                    return self.show(seat, act(seat, text or ""))
                except Exception as error:
                    return self._refused(error, seat.desk.folder)

        return handle

    def choose(self, seat: Seat | None, state: Any, category: str, branch: str) -> Updates:
        """Show what the filters let pass."""
        chosen = Filter(state, category, branch)
        return self.rest(seat, lambda: seat.choose(chosen) if seat is not None else "")

    def rest(self, seat: Seat | None, act: Callable[[], str] = lambda: "") -> Updates:
        """Show where the reviewer is, after ``act``."""
        if seat is None:
            return self._gone()
        with seat.lock:
            try:
                return self.show(seat, act())
            except Exception as error:
                return self._refused(error, seat.desk.folder)

    def paint(self, seat: Seat | None, shown: str) -> Updates:
        """Put the target and its mask onto the canvas."""
        if seat is None:
            return self._gone()
        f = self.fields
        with seat.lock:
            if shown != (seat.current or ""):
                return self._nothing()
            try:
                target, draft = seat.start_mask()
            except Exception as error:
                return self._refused(error, seat.desk.folder)
            return {
                f.pair: gr.update(visible=False),
                f.actions: gr.update(visible=False),
                f.painting: gr.update(visible=True),
                f.canvas: canvas(target, draft.on_canvas),
                f.note: unsaid(),
            }

    def use_mask(self, seat: Seat | None, shown: str, painted: dict[str, Any] | None) -> Updates:
        """Keep what was painted."""
        return self.doing(lambda at, text: at.use_mask(strokes(painted)))(seat, shown, "")

    def tick(self, seat: Seat | None) -> Updates:
        """The progress of all reviewers."""
        if seat is None:
            return {self.fields.progress: gr.skip()}
        with seat.lock:
            return {self.fields.progress: self._progress(seat)}

    def show(self, seat: Seat, sentence: str = "") -> Updates:
        """Everything about what is before the reviewer."""
        f, triplet = self.fields, seat.triplet
        seen = {
            self.seat: seat,
            f.progress: self._progress(seat),
            f.painting: gr.update(visible=False),
            f.actions: gr.update(visible=True),
            f.note: said(sentence) if sentence else unsaid(),
            f.jump: "",
            f.shown: seat.current or "",
        }
        if triplet is None:
            whole = seat.filter.category == seat.filter.branch == "any" and seat.filter.state == "to do"
            nothing = done_view(seat.desk.progress(), whole)
            gone = {f.instruction: gr.update(value="", interactive=False), f.category: None, f.facts: ""}
            return {**seen, f.pair: gr.update(value=nothing, visible=True), **gone}
        return {
            **seen,
            f.pair: gr.update(value=pair_view(seat.desk.folder, triplet), visible=True),
            f.instruction: gr.update(value=triplet.instruction, interactive=True),
            f.category: triplet.category.value,
            f.facts: facts_view(triplet, seat.desk.history(triplet.id)),
        }

    def _progress(self, seat: Seat) -> str:
        return progress_view(seat.desk.progress(), seat.listed(), seat.current)

    def _refused(self, error: Exception, folder: Path | None) -> Updates:
        sentence = sentence_of(error)
        if folder is not None:  # where it lies is nothing to a visitor
            sentence = sentence.replace(str(folder), folder.name)
        return {self.fields.note: said(sentence, "refused")}

    def _nothing(self) -> Updates:
        return {self.fields.note: gr.skip()}

    def _gone(self) -> Updates:
        return {self.fields.note: said("Your place has expired; press Start again.", "refused")}
