"""The Compare tab: one picture and one instruction on several engines, seeds and settings, side by side."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import gradio as gr
from PIL import Image

from editworld_core.comparing import compare, next_seeds, setups
from editworld_core.errors import BadInputError, EditCancelledError
from editworld_core.evaluation.record import Setup
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings, MaskRule, Speed
from ui import checks
from ui.compare_layout import MOST_SEEDS, NUMBERS, Fields, lay_out_compare
from ui.compare_session import CompareSession, scores_table
from ui.edit import HOUR, QUIET, VISITORS, Progress, Updates
from ui.edit_layout import Ask
from ui.notes import EXPIRED, progress_bar, refusal
from ui.running import Finished, Step, stepwise
from ui.studio import Studio
from ui.taking import connect_taking

MOST = 24  # edits of one comparison on the page
WHOLE_CHOICES: dict[str, tuple[Any, ...]] = {
    "speed": get_args(Speed),
    "post_edit": (True, False),
    "mask_rule": get_args(MaskRule),
}


def compare_tab(studio: Studio, tab: gr.Tab, ask: Ask) -> None:
    """Build the tab inside the current ``gr.Tab``, which is ``tab``; ``ask`` is the Edit tab's left column."""
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    mine = CompareTab(studio, lay_out_compare(studio), session)
    mine.connect()
    connect_taking(tab, mine.fields.take, ask, mine.fields.image, mine.fields.instruction)


class CompareTab:
    """The tab's handlers. What a visitor has is in the ``CompareSession`` that each one is given."""

    def __init__(self, studio: Studio, fields: Fields, session: gr.State) -> None:
        self.studio, self.fields, self.session = studio, fields, session

    def connect(self) -> None:
        """Attach every handler."""
        f = self.fields
        f.vary.change(lambda name: gr.update(visible=name in NUMBERS), f.vary, f.values, **QUIET)
        run = gr.on(
            [f.go.click, f.instruction.submit],
            self.compare,
            [self.session, f.image, f.instruction, f.engines, f.seeds, f.first, f.vary, f.values],
            [
                self.session,
                f.go,
                f.stop,
                f.status,
                f.waiting,
                f.panel,
                f.note,
                f.gallery,
                f.save,
                f.large,
                f.table,
            ],
            validator=self.check,
            trigger_mode="once",
            concurrency_id="visitors",
            concurrency_limit=VISITORS,
            api_name="compare_on_page",
            **QUIET,
        )
        f.stop.click(self.stop, self.session, f.stop, queue=False, **QUIET)
        run.failure(self.rest, None, [f.go, f.stop, f.status], queue=False, **QUIET)
        f.gallery.select(self.look, self.session, [f.large, f.slider, f.about, f.save_one], **QUIET)

    def check(
        self, session: Any, image: str | None, instruction: str, *others: Any
    ) -> list[dict[str, object]]:
        """A verdict for every input of ``compare``."""
        engines, _, first, vary, values = others
        fine = checks.verdict(lambda: None)
        return [
            fine,
            checks.verdict(lambda: checks.picture(image)),
            checks.verdict(lambda: checks.instruction(instruction)),
            checks.verdict(lambda: self._engines(engines)),
            fine,
            checks.verdict(lambda: checks.SEED.check(first)),
            fine,
            checks.verdict(lambda: tried(vary, values)),
        ]

    def chosen(
        self, engines: list[str], seeds: float, first: float | None, vary: str, values: str
    ) -> tuple[Setup, ...]:
        """The setups that the fields mean.

        Raises:
            BadInputError: a field cannot be used, or there would be too many edits.
        """
        checks.SEED.check(first)
        if not 1 <= seeds <= MOST_SEEDS:
            raise BadInputError(f"Seeds must be between 1 and {MOST_SEEDS}.")
        variations = {vary: tried(vary, values)} if vary else {}
        numbers = next_seeds(int(first or 0), int(seeds))
        found = setups(EditSettings(), self._engines(engines), numbers, variations)
        if len(found) > MOST:
            raise BadInputError(f"That would be {len(found)} edits; choose at most {MOST}.")
        for setup in found:
            checks.settings(setup.settings)
        return found

    def _engines(self, engines: list[str] | None) -> list[str]:
        if not engines:
            raise BadInputError("Choose at least one engine.")
        return [self.studio.row(engine).info.id for engine in engines]

    def compare(
        self, session: CompareSession | None, image: str, instruction: str, *others: Any
    ) -> Iterator[Updates]:
        """Edit with every setup, showing each result as it comes; stopped or done, offer the grid."""
        session = session or CompareSession()
        try:
            picture, text = checks.picture(image), checks.instruction(instruction)
            chosen = self.chosen(*others)
        except BadInputError as error:
            raise refusal(error) from error
        session.begin(picture, text)
        yield {self.session: session, **self._begin(len(chosen))}
        steps = stepwise(lambda progress: self._work(session, picture, text, chosen, progress))
        there = 0
        try:
            for step in steps:
                now = len(session.shown)
                new, there = self._shown(session, now) if now > there else {}, now
                if isinstance(step, Finished):
                    yield {self.session: session, **self._done(session, len(chosen))}
                else:
                    bar = progress_bar(Step(there, len(chosen)) if step.total else step, "Waiting", "Edit")
                    yield {
                        self.session: session,
                        **new,
                        self.fields.status: gr.update(value=bar, visible=True),
                    }
        except Exception as error:
            raise refusal(error) from error
        finally:
            steps.close()

    def _work(
        self,
        session: CompareSession,
        picture: Image.Image,
        text: str,
        chosen: tuple[Setup, ...],
        tell: Progress,
    ) -> None:
        def progress(done: int, total: int) -> None:
            tell(done, total)
            if session.stop.is_set():
                raise EditCancelledError("The comparison was stopped.")

        def edit(
            image: Image.Image,
            told: str,
            settings: EditSettings,
            listen: Any = None,
            hand: Mask | None = None,
        ) -> Any:
            with self.studio.turn(progress):  # one for each edit, so that nobody waits for all of them
                return self.studio.edit(image, told, settings, progress, hand)

        try:
            for row in compare(picture, text, chosen, edit):
                session.add(picture, row)
        except EditCancelledError:
            if not session.stop.is_set():
                raise  # the page was left

    def stop(self, session: CompareSession | None) -> dict[str, Any]:
        """End the run at the end of the step that it is in."""
        if session is not None:
            session.stop.set()
        return gr.update(value="Stopping…", interactive=False)

    def rest(self) -> Updates:
        """What the page shows while nothing runs."""
        f = self.fields
        return {
            f.go: gr.update(visible=True),
            f.stop: gr.update(visible=False),
            f.status: gr.update(value="", visible=False),
        }

    def _begin(self, count: int) -> Updates:
        f = self.fields
        return {
            f.go: gr.update(visible=False),
            f.stop: gr.update(value="Stop", interactive=True, visible=True),
            f.status: gr.update(value=progress_bar(Step(0, 0), "Waiting for the engine"), visible=True),
            f.waiting: gr.update(visible=False),
            f.panel: gr.update(visible=True),
            f.note: f"{count} edits: the first appears in a moment.",
            f.gallery: [],
            f.save: gr.update(visible=False),
            f.large: gr.update(visible=False),
            f.table: "",
        }

    def _shown(self, session: CompareSession, count: int) -> Updates:
        f, shown = self.fields, session.shown[:count]
        return {
            f.gallery: [(each.small, f"{each.label}: {each.short}") for each in shown],
            f.table: scores_table([each.row for each in shown]),
        }

    def _done(self, session: CompareSession, count: int) -> Updates:
        there, f = len(session.shown), self.fields
        refused = sum(each.file is None for each in session.shown)
        sentence = f"**{there} edits**" if there == count else f"**{there} of {count} edits**, then stopped"
        sentence += f"; {refused} refused." if refused else "."
        save = gr.update(value=str(session.sheet()), visible=True) if there else gr.update(visible=False)
        return {
            **self.rest(),
            **self._shown(session, there),
            f.note: f"{sentence} Click one to see it large.",
            f.save: save,
        }

    def look(self, session: CompareSession | None, event: gr.SelectData) -> Updates:
        """Show one result large."""
        f = self.fields
        if session is None or session.before is None or event.index >= len(session.shown):
            return {f.large: gr.update(visible=True), f.about: EXPIRED}
        shown = session.shown[event.index]
        if shown.file is None:
            return {f.large: gr.update(visible=False)}
        return {
            f.large: gr.update(visible=True),
            f.slider: (str(session.before), str(shown.file)),
            f.about: f"**{shown.label}**: {shown.short}. {shown.drift}",
            f.save_one: str(shown.file),
        }


def tried(name: str, values: str) -> tuple[Any, ...]:
    """The values of the setting ``name`` that are to be tried; numbers are read from ``values``.

    Raises:
        BadInputError: there is none, or one is no number.
    """
    if not name:
        return ()
    if name in WHOLE_CHOICES:
        return WHOLE_CHOICES[name]
    if name not in NUMBERS:
        raise BadInputError(f"{name!r} cannot be varied here; choose from the list.")
    try:
        numbers = tuple(float(part) for part in re.split(r"[\s,;]+", (values or "").strip()) if part)
        whole = tuple(int(number) for number in numbers)
    except (ValueError, OverflowError) as error:
        raise BadInputError("Write the values as numbers with commas between them: 1, 2.5, 4.") from error
    if not numbers:
        raise BadInputError("Write the values to try, with commas between them: 1, 2.5, 4.")
    if name == "steps" and whole != numbers:
        raise BadInputError("Steps are whole numbers.")
    return whole if name == "steps" else numbers
