"""The Edit tab: what happens when a visitor does something."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.images import read_settings
from editworld_core.settings import EditSettings
from ui import checks, wording
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
from ui.running import Finished, Step, stepwise
from ui.session import Session
from ui.studio import Studio

log = logging.getLogger(__name__)
Updates = dict[Any, Any]
HOUR = 3600
VISITORS = 16  # runs that wait for their turn in sight of their visitor; more wait in Gradio's queue


def refusal(error: BaseException) -> gr.Error:
    """``error`` as one sentence for the visitor; what nobody foresaw goes to the log."""
    if isinstance(error, EditWorldError):
        return gr.Error(str(error), title="This did not work", print_exception=False)
    if isinstance(error, MemoryError):
        sentence = "There is not enough memory for this edit; try a smaller picture or another engine."
    else:
        log.error("an edit failed", exc_info=error)
        sentence = "Something went wrong inside the program; try again, and report it if it happens again."
    return gr.Error(sentence, title="This did not work", print_exception=False)


def edit_tab(studio: Studio) -> None:
    """Build the tab inside the current ``gr.Blocks``."""
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    with gr.Row(elem_id="workbench"):
        with gr.Column(scale=5, min_width=300):
            ask = lay_out_ask(studio)
        with gr.Column(scale=7, min_width=300):
            waiting, panel, parts = lay_out_answer()
    answer = Answer(waiting, panel, *parts, *lay_out_history())
    shelves = lay_out_examples(load_examples())
    lay_out_privacy()
    tab = EditTab(studio, session, ask, answer)
    tab.connect()
    for gallery, examples in shelves:
        tab.connect_examples(gallery, examples)


class EditTab:
    """The tab's handlers. It holds components only: what a visitor has is in the ``Session`` that each one is given."""

    def __init__(self, studio: Studio, session: gr.State, ask: Ask, answer: Answer) -> None:
        self.studio, self.session, self.ask, self.answer = studio, session, ask, answer
        choices = ask.choices
        self.settings_fields = [
            choices.engine,
            choices.steps,
            choices.text_guidance,
            choices.image_guidance,
            choices.seed,
            choices.new_seed,
            choices.post_edit,
            choices.mask_rule,
            choices.threshold,
            choices.feather,
        ]
        self.refine_fields = [choices.post_edit, choices.mask_rule, choices.threshold, choices.feather]
        self.busy_fields = [session, ask.edit, ask.stop, ask.status]
        self.asked_fields = [ask.image, ask.note, ask.instruction]
        self.help_fields = [choices.engine_note, choices.help]
        self.shown_fields = list(vars(answer).values())

    # ---- wiring

    def connect(self) -> None:
        """Attach every handler."""
        edit, refine = self._connect_runs()
        self._connect_stop(edit, refine)
        self._connect_recall()
        choices, quiet = self.ask.choices, {"api_visibility": "private", "show_progress": "hidden"}
        choices.engine.input(
            self.choose_engine,
            [choices.engine],
            [choices.steps, choices.text_guidance, choices.image_guidance, *self.help_fields],
            **quiet,
        )
        choices.mask_rule.change(
            lambda rule: gr.update(visible=rule == "paper"), choices.mask_rule, choices.threshold, **quiet
        )
        choices.seed.input(lambda: False, None, choices.new_seed, **quiet)

    def _connect_runs(self) -> tuple[gr.events.Dependency, gr.events.Dependency]:
        # A run starts at once and waits for its turn in the studio: what waits in Gradio's queue shows nothing.
        engine_work: dict[str, Any] = {
            "concurrency_id": "visitors",
            "concurrency_limit": VISITORS,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        outputs = [*self.busy_fields, *self.shown_fields, *self.settings_fields]
        asked = [self.session, self.ask.image, self.ask.instruction, self.answer.words, *self.settings_fields]
        edit = gr.on(
            [self.ask.edit.click, self.ask.instruction.submit],
            self.edit,
            asked,
            outputs,
            validator=self.check,
            trigger_mode="once",
            api_name="edit_on_page",  # the name "edit" is the programs' endpoint
            **engine_work,
        )
        choices = self.ask.choices
        refine = gr.on(
            [
                choices.post_edit.input,
                choices.mask_rule.input,
                choices.threshold.release,
                choices.feather.release,
                self.answer.words.input,
            ],
            self.refine,
            [self.session, self.answer.words, *self.refine_fields],
            outputs,
            trigger_mode="always_last",
            **engine_work,
        )
        return edit, refine

    def _connect_stop(self, edit: gr.events.Dependency, refine: gr.events.Dependency) -> None:
        at_once: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        self.ask.stop.click(self.stop, None, self.ask.stop, cancels=[edit, refine], **at_once)
        # Gradio counts a stopped run as failed, once its generator has ended; until then it ignores another Edit.
        edit.failure(self.rest, [self.session], self.busy_fields, **at_once)
        refine.failure(
            self.rest_refined,
            [self.session],
            [*self.busy_fields, self.answer.words, *self.refine_fields],
            **at_once,
        )

    def _connect_recall(self) -> None:
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        everything = [
            self.session,
            *self.asked_fields,
            *self.settings_fields,
            *self.help_fields,
            *self.shown_fields,
        ]
        self.ask.image.upload(self.restore, [self.session, self.ask.image], everything, **quiet)
        self.ask.image.clear(lambda: gr.update(visible=False), None, self.ask.note, **quiet)
        self.answer.reuse.click(self.reuse, [self.session], self.asked_fields, **quiet)
        self.answer.history.select(self.recall, [self.session], everything, **quiet)

    def connect_examples(self, gallery: gr.Gallery, examples: tuple[Any, ...]) -> None:
        """Let a click in ``gallery`` put its example into the fields."""

        def choose(event: gr.SelectData) -> Updates:
            example = examples[event.index]
            return {
                self.ask.image: str(example.image),
                self.ask.instruction: example.instruction,
                self.ask.note: gr.update(visible=False),
            }

        gallery.select(choose, None, self.asked_fields, api_visibility="private", show_progress="hidden")

    # ---- checks, before anything waits in the queue

    def check(
        self, session: Session | None, image: str | None, instruction: str, words: list[str], *fields: Any
    ) -> list[dict[str, object]]:
        """A verdict for every input of ``edit``."""
        fine = checks.verdict(lambda: None)
        engine, *_ = fields

        def ready() -> None:
            row = self.studio.row(engine)
            if not row.ready:
                raise BadInputError(wording.not_ready(row))

        verdicts = [
            fine,
            checks.verdict(lambda: checks.picture(image)),
            checks.verdict(lambda: checks.instruction(instruction)),
            fine,
            checks.verdict(ready),
            *[fine] * (len(fields) - 1),
        ]
        seed_at = 4 + self.settings_fields.index(self.ask.choices.seed)
        verdicts[seed_at] = checks.verdict(lambda: checks.SEED.check(fields[4]))
        return verdicts

    # ---- work with the engine

    def edit(
        self, session: Session | None, image: str, instruction: str, words: list[str], *fields: Any
    ) -> Iterator[Updates]:
        """Edit, and show what came of it."""
        session = session or Session()

        def work(progress: Callable[[int, int], None]) -> None:
            picture, text = checks.picture(image), checks.instruction(instruction)
            chosen = tuple(words) if session.words_of == text else ()
            settings = checks.settings(replace(self._settings(*fields), keywords=chosen))
            with self.studio.turn(progress):
                session.add(self.studio.edit(picture, text, settings, progress))

        yield from self._run(session, work)

    def refine(
        self,
        session: Session | None,
        words: list[str],
        post_edit: bool,
        mask_rule: str,
        threshold: float,
        feather: float,
    ) -> Iterator[Updates]:
        """Show the edit that is there with another mask or without post-edit; nothing to do before the first."""
        if session is None:
            return

        def work(progress: Callable[[int, int], None]) -> None:
            with self.studio.turn(progress):  # after this visitor's own edit, if it is still running
                entry = session.entry
                if entry is None:
                    return
                result = entry.shown.result
                settings = replace(
                    result.settings,
                    post_edit=post_edit,
                    mask_rule=mask_rule,
                    mask_threshold=threshold,
                    feather=int(feather),
                    keywords=tuple(words) or result.keywords,
                )
                session.show_variant(
                    entry,
                    checks.settings(settings),
                    lambda had, want: self.studio.refine(had, want, progress),
                )

        yield from self._run(session, work, "Remaking the mask")

    def _run(
        self,
        session: Session,
        work: Callable[[Callable[[int, int], None]], None],
        uncounted: str = "Waiting for the engine",
    ) -> Iterator[Updates]:
        """Do ``work`` beside the page: its steps as progress, then the session's edit, or the reason why not."""
        yield {self.session: session, **self._busy(progress_bar(Step(0, 0), uncounted))}
        steps = stepwise(work)
        try:
            for step in steps:
                if isinstance(step, Finished):
                    yield {**self.rest(session), **self._shown(session), **self._chosen(session)}
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
            return {self.ask.note: gr.update(visible=False)}
        instruction, settings = found
        session = session or Session()
        session.words_of = instruction
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
            **self._set(settings),
        }

    def reuse(self, session: Session | None) -> Updates:
        """Make the result the next edit's picture."""
        entry = session.entry if session else None
        if entry is None:
            return {self.ask.note: said("This result has expired; edit again.", "refused")}
        return {
            self.ask.image: str(entry.shown.after),
            self.ask.note: said("The result is now the picture: say what happens next."),
        }

    def recall(self, session: Session | None, event: gr.SelectData) -> Updates:
        """Bring back an edit of this session, with what it was asked for."""
        if session is None or event.index >= len(session.entries):
            return {}
        session.current = len(session.entries) - 1 - event.index
        entry = session.entries[session.current]
        session.words_of = entry.shown.result.instruction
        return {
            self.session: session,
            self.ask.image: str(entry.before),
            self.ask.instruction: entry.shown.result.instruction,
            self.ask.note: gr.update(visible=False),
            **self._shown(session),
            **self._chosen(session),
        }

    def choose_engine(self, engine: str) -> Updates:
        """Describe ``engine`` and take its own defaults."""
        info, choices = self.studio.row(engine).info, self.ask.choices
        return {
            choices.steps: info.steps,
            choices.text_guidance: info.text_guidance,
            choices.image_guidance: info.image_guidance,
            **self._explained(engine),
        }

    # ---- fields

    def _settings(
        self,
        engine: str,
        steps: float,
        text_guidance: float,
        image_guidance: float,
        seed: float | None,
        new_seed: bool,
        post_edit: bool,
        mask_rule: Any,
        threshold: float,
        feather: float,
    ) -> EditSettings:
        return EditSettings(
            engine=engine,
            steps=int(steps),
            text_guidance=text_guidance,
            image_guidance=image_guidance,
            seed=None if new_seed or seed is None else int(seed),
            post_edit=post_edit,
            mask_rule=mask_rule,
            mask_threshold=threshold,
            feather=int(feather),
        )

    def _set(self, settings: EditSettings) -> Updates:
        """Fields that say ``settings``, with its seed held fast."""
        return {
            **self._fields_of(settings),
            self.ask.choices.new_seed: settings.seed is None,
            **self._explained(settings.engine),
        }

    def _fields_of(self, settings: EditSettings) -> Updates:
        info, choices = self.studio.row(settings.engine).info, self.ask.choices
        return {
            choices.engine: settings.engine,
            choices.steps: checks.STEPS.nearest(settings.steps or info.steps),
            choices.text_guidance: checks.TEXT_GUIDANCE.nearest(settings.text_guidance or info.text_guidance),
            choices.image_guidance: checks.IMAGE_GUIDANCE.nearest(
                settings.image_guidance or info.image_guidance
            ),
            choices.seed: settings.seed,
            choices.post_edit: settings.post_edit,
            choices.mask_rule: settings.mask_rule,
            choices.threshold: gr.update(
                value=checks.THRESHOLD.nearest(settings.mask_threshold), visible=settings.mask_rule == "paper"
            ),
            choices.feather: checks.FEATHER.nearest(settings.feather),
        }

    def _explained(self, engine: str) -> Updates:
        row, choices = self.studio.row(engine), self.ask.choices
        return {choices.engine_note: wording.engine_note(row), choices.help: wording.guidance_help(row.info)}

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
                visible=result.mask_source == "attention",
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


def said(sentence: str, kind: str = "") -> Updates:
    """The note under the picture, saying ``sentence``."""
    return gr.update(value=sentence, visible=True, elem_classes=kind)


def progress_bar(step: Step, uncounted: str) -> str:
    """A bar that fills with the steps, or sways with the words ``uncounted`` while there is nothing to count."""
    if not step.total:
        return (
            f'<div class="progress" role="status"><span>{uncounted}…</span>'
            '<div class="track"><div class="bar unsure"></div></div></div>'
        )
    percent = round(100 * step.done / step.total)
    return (
        f'<div class="progress" role="status"><span>Step {step.done} of {step.total}</span>'
        f'<div class="track"><div class="bar" style="width: {percent}%"></div></div></div>'
    )
