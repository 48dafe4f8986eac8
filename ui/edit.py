"""The Edit tab: what happens when a visitor does something."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError
from editworld_core.images import read_settings
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings
from ui import checks, wording
from ui.choices import REFINING, SETTINGS, settings_from
from ui.edit_layout import (
    Answer,
    Ask,
    lay_out_answer,
    lay_out_ask,
    lay_out_examples,
    lay_out_history,
    lay_out_privacy,
)
from ui.examples import load_examples
from ui.hand import HandPanel
from ui.notes import EXPIRED, progress_bar, refusal, said, unsaid
from ui.running import Finished, Step, stepwise
from ui.session import Entry, Session, told
from ui.studio import Studio
from ui.think import ThinkPanel, Told, to_tell

Updates = dict[Any, Any]
Progress = Callable[[int, int], None]
HOUR = 3600
VISITORS = 16  # runs that wait for their turn in sight of their visitor; more wait in Gradio's queue
MASK_NAMES = ("hand_rule", "grow", "feather")
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def edit_tab(studio: Studio) -> tuple[Ask, gr.State]:
    """Build the tab inside the current ``gr.Blocks``; its fields and the visitor's ``Session``, for other tabs."""
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    with gr.Row(elem_id="workbench"):
        with gr.Column(scale=5, min_width=300):
            ask = lay_out_ask(studio)
        with gr.Column(scale=7, min_width=300):
            parts = lay_out_answer()
    answer = Answer(*parts, *lay_out_history())
    shelves = lay_out_examples(load_examples())
    lay_out_privacy(studio)
    tab = EditTab(studio, session, ask, answer)
    tab.connect()
    for gallery, examples in shelves:
        tab.connect_examples(gallery, examples)
    return ask, session


class EditTab:
    """The tab's handlers. It holds components only: what a visitor has is in the ``Session`` that each one is given."""

    def __init__(self, studio: Studio, session: gr.State, ask: Ask, answer: Answer) -> None:
        self.studio, self.session, self.ask, self.answer = studio, session, ask, answer
        self.hand = HandPanel(studio, session, answer.hand, ask.choices.segmenter)
        self.think = ThinkPanel(studio, ask.think, ask.image, ask.instruction)
        of_mask = [getattr(answer.hand, name) for name in MASK_NAMES]
        thought = [ask.think.told, ask.think.outcome, ask.think.keywords]
        self.names = (*SETTINGS, *MASK_NAMES, "told", "outcome", "keywords")
        self.settings_fields = [*ask.choices.named(SETTINGS), *of_mask, *thought]
        self.refine_names = (*REFINING, *MASK_NAMES)
        self.refine_fields = [*ask.choices.named(REFINING), *of_mask]
        self.busy_fields = [session, ask.edit, ask.stop, ask.status]
        self.asked_fields = [ask.image, ask.note, ask.instruction, *self.think.shown_fields]
        shown = {name: field for name, field in vars(answer).items() if name != "hand"}
        self.shown_fields = [*shown.values(), *self.hand.shown_fields]

    # ---- wiring

    def connect(self) -> None:
        """Attach every handler."""
        self._connect_stop(*self._connect_runs())
        self._connect_recall()
        self.ask.choices.connect(self.studio)
        self.hand.connect()
        self.think.connect()

    def _connect_runs(self) -> list[gr.events.Dependency]:
        # A run starts at once and waits for its turn in the studio: what waits in Gradio's queue shows nothing.
        engine_work: dict[str, Any] = {
            "concurrency_id": "visitors",
            "concurrency_limit": VISITORS,
            "outputs": [*self.busy_fields, *self.shown_fields, *self._chosen_fields()],
            **QUIET,
        }
        choices, hand, words = self.ask.choices, self.answer.hand, self.answer.words
        edit = gr.on(
            [self.ask.edit.click, self.ask.instruction.submit],
            self.edit,
            [self.session, self.ask.image, self.ask.instruction, words, *self.settings_fields],
            validator=self.check,
            trigger_mode="once",
            api_name="edit_on_page",  # the name "edit" is the programs' endpoint
            **engine_work,
        )
        sliders = (choices.mask_threshold, hand.grow, hand.feather)
        plain = [field for field in choices.named(REFINING) if field not in sliders]
        refine = gr.on(
            [*[slider.release for slider in sliders], *[field.input for field in plain], words.input],
            self.refine,
            [self.session, words, *self.refine_fields],
            trigger_mode="always_last",
            **engine_work,
        )
        drawn = [self.session, hand.canvas, words, *self.refine_fields]
        use = hand.use.click(self.use_hand, drawn, trigger_mode="once", **engine_work)
        clear = hand.clear.click(
            self.clear_hand, [self.session, words, *self.refine_fields], trigger_mode="once", **engine_work
        )
        rule = hand.hand_rule.input(
            self.refine_hand,
            [self.session, words, *self.refine_fields],
            trigger_mode="always_last",
            **engine_work,
        )
        return [edit, refine, use, clear, rule]

    def _connect_stop(self, edit: gr.events.Dependency, *refinements: gr.events.Dependency) -> None:
        at_once: dict[str, Any] = {"queue": False, **QUIET}
        self.ask.stop.click(self.stop, None, self.ask.stop, cancels=[edit, *refinements], **at_once)
        # Gradio counts a stopped run as failed, once its generator has ended; until then it ignores another Edit.
        edit.failure(self.rest, [self.session], self.busy_fields, **at_once)
        put_back = [*self.busy_fields, self.answer.words, *self.refine_fields]
        for refine in refinements:
            refine.failure(self.rest_refined, [self.session], put_back, **at_once)

    def _connect_recall(self) -> None:
        everything = [
            self.session,
            *self.asked_fields,
            *self._chosen_fields(),
            self.ask.choices.engine_note,
            self.ask.choices.help,
            *self.shown_fields,
        ]
        self.ask.image.upload(self.restore, [self.session, self.ask.image], everything, **QUIET)
        self.ask.image.clear(unsaid, None, self.ask.note, **QUIET)
        self.answer.reuse.click(self.reuse, [self.session], [self.ask.image, self.ask.note], **QUIET)
        self.answer.history.select(self.recall, [self.session], everything, **QUIET)

    def _chosen_fields(self) -> list[gr.components.Component]:
        of_mask = [getattr(self.answer.hand, name) for name in MASK_NAMES]
        return [*self.ask.choices.named(SETTINGS), *of_mask]

    def connect_examples(self, gallery: gr.Gallery, examples: tuple[Any, ...]) -> None:
        """Let a click in ``gallery`` put its example into the fields."""

        def choose(event: gr.SelectData) -> Updates:
            example = examples[event.index]
            return {
                self.ask.image: str(example.image),
                self.ask.instruction: example.instruction,
                self.ask.note: unsaid(),
                **self.think.forget(),
            }

        gallery.select(choose, None, self.asked_fields, **QUIET)

    # ---- checks, before anything waits in the queue

    def check(
        self, session: Session | None, image: str | None, instruction: str, words: list[str], *fields: Any
    ) -> list[dict[str, object]]:
        """A verdict for every input of ``edit``."""
        given = dict(zip(self.names, fields, strict=True))

        def usable() -> None:
            row = self.studio.row(given["engine"])
            if not row.usable:
                raise BadInputError(wording.not_ready(row))

        judged: dict[str, Callable[[], object]] = {
            "engine": usable,
            "seed": lambda: checks.SEED.check(given["seed"]),
            "outcome": lambda: checks.aside(given["outcome"], "text of what it looks like afterwards"),
            "negative": lambda: checks.aside(given["negative"], "text of what must not be there"),
        }
        fine = checks.verdict(lambda: None)
        return [
            fine,
            checks.verdict(lambda: checks.picture(image)),
            checks.verdict(lambda: checks.instruction(instruction)),
            fine,
            *[checks.verdict(judged.get(name, lambda: None)) for name in self.names],
        ]

    # ---- work with the engine

    def edit(
        self, session: Session | None, image: str, instruction: str, words: list[str], *fields: Any
    ) -> Iterator[Updates]:
        """Edit, and show what came of it."""
        session = session or Session()
        given = dict(zip(self.names, fields, strict=True))

        def work(progress: Progress) -> None:
            picture, text = checks.picture(image), checks.instruction(instruction)
            outcome, keywords = to_tell(text, given["told"], given["outcome"], given["keywords"])
            if session.words_of == (outcome or text):
                keywords = tuple(words)
            settings = settings_from(self.studio, given | {"outcome": outcome, "keywords": keywords})
            hand = session.hand_for(picture)
            with self.studio.turn(progress):
                session.add(self.studio.edit(picture, text, checks.settings(settings), progress, hand))

        yield from self._run(session, work, lambda: self._shown_anew(session), "Waiting for the engine")

    def refine(self, session: Session | None, words: list[str], *fields: Any) -> Iterator[Updates]:
        """Show the edit that is there with another mask or without post-edit; nothing to do before the first."""
        if session is None:
            yield {self.session: None}  # a generator without a yield would empty every field
            return

        def work(progress: Progress) -> None:
            self._refine(session, words, fields, progress)

        yield from self._run(session, work, lambda: self._shown(session))

    def refine_hand(self, session: Session | None, words: list[str], *fields: Any) -> Iterator[Updates]:
        """The same for the rule of a mask drawn by hand; nothing to do while there is none."""
        if session and session.entry and session.entry.hand is not None:
            yield from self.refine(session, words, *fields)
        else:
            yield {self.session: session}

    def use_hand(
        self, session: Session | None, painted: dict[str, Any] | None, words: list[str], *fields: Any
    ) -> Iterator[Updates]:
        """Show the edit that is there with the mask that the visitor has drawn."""
        if session is None or session.entry is None:
            raise refusal(BadInputError(EXPIRED))
        entry = session.entry
        try:
            hand = self.hand.drawn(entry, painted)
        except BadInputError as error:
            yield {self.answer.hand.note: said(str(error), "refused")}
            return

        def work(progress: Progress) -> None:
            self._refine(
                session, words, fields, progress, lambda on_page: hand if on_page is entry else on_page.hand
            )
            entry.draft.settle()

        yield from self._run(session, work, lambda: self._shown_anew(session))

    def clear_hand(self, session: Session | None, words: list[str], *fields: Any) -> Iterator[Updates]:
        """Show the edit that is there with the automatic mask again, and forget the drawing."""
        if session is None or session.entry is None:
            raise refusal(BadInputError(EXPIRED))

        def work(progress: Progress) -> None:
            self._refine(session, words, fields, progress, lambda entry: None)
            if session.entry:
                session.entry.draft.clear()

        yield from self._run(session, work, lambda: self._shown_anew(session))

    def _refine(
        self,
        session: Session,
        words: list[str],
        fields: tuple[Any, ...],
        progress: Progress,
        hand: Callable[[Entry], Mask | None] = lambda entry: entry.hand,
    ) -> None:
        """Show a variant of the edit on the page, with the mask ``hand`` that was drawn on it."""
        given = dict(zip(self.refine_names, fields, strict=True))
        with self.studio.turn(progress):  # after this visitor's own edit, if it is still running
            entry = session.entry
            if entry is None:
                return
            result = entry.shown.result
            given |= {"grow": int(given["grow"]), "feather": int(given["feather"])}
            settings = replace(result.settings, **given, keywords=tuple(words) or result.keywords)
            session.show_variant(
                entry,
                checks.settings(settings),
                hand(entry),
                lambda had, want, drawn: self.studio.refine(had, want, progress, drawn),
            )

    def _run(
        self,
        session: Session,
        work: Callable[[Progress], None],
        show: Callable[[], Updates],
        uncounted: str = "Remaking the mask",
    ) -> Iterator[Updates]:
        """Do ``work`` beside the page: its steps as progress, then what there is to ``show``, or why there is not."""
        yield {self.session: session, **self._busy(progress_bar(Step(0, 0), uncounted))}
        steps = stepwise(work)
        try:
            for step in steps:
                if isinstance(step, Finished):
                    yield {**self.rest(session), **show(), **self._chosen(session)}
                else:
                    yield self._busy(progress_bar(step, uncounted))
        except Exception as error:
            raise refusal(error) from error
        finally:
            steps.close()

    def stop(self) -> Updates:
        """What the page shows until the run has ended, which is at the end of its step."""
        return {self.ask.stop: gr.update(value="Stopping…", interactive=False)}

    def rest(self, session: Session | None) -> Updates:
        """What the page shows while nothing runs."""
        return {
            self.session: session,
            self.ask.edit: gr.update(visible=True),
            self.ask.stop: gr.update(visible=False),
            self.ask.status: gr.update(value="", visible=False),
        }

    def rest_refined(self, session: Session | None) -> Updates:
        """The same after a refinement that came to nothing: its fields say again what is on the page."""
        if session is None or session.entry is None:
            return self.rest(session)
        chosen = self._chosen(session)
        return {
            **self.rest(session),
            self.answer.words: list(session.entry.shown.result.keywords),
            **{field: chosen[field] for field in self.refine_fields},
        }

    # ---- without the engine

    def restore(self, session: Session | None, image: str) -> Updates:
        """Bring back the settings of a dropped result; leave everything as it is for any other picture.

        A picture that cannot be used leaves the field, so that another one can be dropped there.
        """
        try:
            found = read_settings(checks.picture(image))
        except BadInputError as error:
            return {self.ask.image: None, self.ask.note: said(str(error), "refused")}
        if found is None:
            return {self.ask.note: unsaid()}
        instruction, settings = found
        session = session or Session()
        session.words_of = settings.outcome or instruction
        note = f"**Settings restored** from this picture, with seed {settings.seed}."
        if settings.engine not in [row.info.id for row in self.studio.rows]:
            settings = replace(settings, engine=self.studio.default.id)
            note += " It was made with an engine that is not here; the default one is chosen."
        words = list(settings.keywords)
        return {
            self.session: session,
            self.ask.instruction: instruction,
            self.ask.note: said(note),
            self.answer.words: gr.update(choices=words, value=words),
            **self._thought(instruction, settings),
            **self._fields_of(settings),
            self.ask.choices.new_seed: settings.seed is None,
            **self._explained(settings),
        }

    def reuse(self, session: Session | None) -> Updates:
        """Make the result the next edit's picture."""
        entry = session.entry if session else None
        if entry is None:
            return {self.ask.note: said(EXPIRED, "refused")}
        kept = " Your own mask stays." if entry.hand is not None else ""
        return {
            self.ask.image: str(entry.shown.after),
            self.ask.note: said(f"The result is now the picture: say what happens next.{kept}"),
        }

    def recall(self, session: Session | None, event: gr.SelectData) -> Updates:
        """Bring back an edit of this session, with what it was asked for."""
        if session is None or event.index >= len(session.entries):
            return {self.session: session}
        session.current = len(session.entries) - 1 - event.index
        entry = session.entries[session.current]
        result = entry.shown.result
        session.words_of = told(result)
        return {
            self.session: session,
            self.ask.image: str(entry.before),
            self.ask.instruction: result.instruction,
            self.ask.note: unsaid(),
            **self._thought(result.instruction, result.settings),
            **self._explained(result.settings),
            **self._shown_anew(session),
            **self._chosen(session),
        }

    # ---- fields

    def _fields_of(self, settings: EditSettings) -> Updates:
        hand = self.answer.hand
        return {
            **self.ask.choices.show(self.studio, settings),
            hand.hand_rule: settings.hand_rule,
            hand.grow: checks.GROW.nearest(settings.grow),
            hand.feather: checks.FEATHER.nearest(settings.feather),
        }

    def _explained(self, settings: EditSettings) -> Updates:
        explained = self.ask.choices.explain(self.studio, settings.engine)
        explained.pop(self.ask.choices.negative)  # whose own update says the same
        return explained

    def _thought(self, instruction: str, settings: EditSettings) -> Updates:
        if not settings.outcome:
            return self.think.forget()
        told = Told(instruction, settings.outcome)
        return self.think.show(told, settings.keywords, "The edit is told this, as it was before.")

    def _chosen(self, session: Session) -> Updates:
        """Fields that say how the edit on the page was made; its seed stays on trial unless it was held fast."""
        if session.entry is None:
            return {}
        return self._fields_of(session.entry.shown.result.settings)

    def _busy(self, bar: str) -> Updates:
        return {
            self.ask.edit: gr.update(visible=False),
            self.ask.stop: gr.update(value="Stop", interactive=True, visible=True),
            self.ask.status: gr.update(value=bar, visible=True),
        }

    def _shown_anew(self, session: Session) -> Updates:
        """The edit on the page with its own drawing, and the history."""
        return {**self._shown(session), **(self.hand.show(session.entry) if session.entry else {})}

    def _shown(self, session: Session) -> Updates:
        """The edit on the page, and the history."""
        if session.entry is None:
            return {}
        shown, answer = session.entry.shown, self.answer
        result = shown.result
        spoken = [token.word for token in result.words if any(map(str.isalnum, token.word))]
        return {
            answer.waiting: gr.update(visible=False),
            answer.panel: gr.update(visible=True),
            answer.slider: (str(shown.before), str(shown.after)),
            answer.save: str(shown.after),
            answer.save_mask: str(shown.mask),
            answer.overlay: shown.overlay,
            answer.words: gr.update(
                choices=list(dict.fromkeys([*spoken, *result.keywords])),
                value=list(result.keywords),
                # out of sight, and still there: one that comes back from nothing has lost its value
                visible=True if result.mask_source == "attention" else "hidden",
            ),
            answer.mask_note: wording.mask_note(result),
            answer.drift: result.drift.in_words(),
            answer.timings: wording.timings_line(result.timings),
            answer.shelf: gr.update(visible=True),
            answer.history: [
                (entry.thumbnail, wording.history_caption(entry.shown.result))
                for entry in reversed(session.entries)
            ],
        }
