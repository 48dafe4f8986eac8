"""The Attention tab: what happens when a visitor looks into an edit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.laboratory.files import comparison_files, study_files
from editworld_core.laboratory.study import Study
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair
from ui import checks, wording
from ui.attention_layout import Question, Seen, ViewFields, lay_out_question, lay_out_seen
from ui.attention_looking import Looking, study_in
from ui.attention_session import LabSession, view_of
from ui.attention_view import difference, segmented
from ui.edit_layout import Ask
from ui.notes import progress_bar, refusal, said, sentence_of, unsaid
from ui.running import Finished, Step, stepwise
from ui.session import Session, same_picture
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

Updates = dict[Any, Any]
Progress = Callable[[int, int], None]
HOUR = 3600
VISITORS = 16  # as in the Edit tab
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def attention_tab(studio: Studio, tab: gr.Tab, ask: Ask, edits: gr.State) -> None:
    """Build the tab inside the current ``gr.Tab``.

    Args:
        tab: the tab itself; an empty one takes what the Edit tab has when it is opened.
        ask: the Edit tab's fields, whose picture and instruction can be taken.
        edits: the Edit tab's ``Session``, whose edit is opened as it is if it is of these.
    """
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    with gr.Row(elem_id="lab-bench"):
        with gr.Column(scale=5, min_width=300):
            question = lay_out_question(studio)
        with gr.Column(scale=7, min_width=300):
            view, answer = lay_out_seen()
    AttentionTab(studio, session, question, view, answer).connect(tab, ask, edits)


class AttentionTab:
    """The tab's handlers. What a visitor has is in the ``LabSession`` that each one is given."""

    def __init__(
        self, studio: Studio, session: gr.State, question: Question, view: ViewFields, answer: Seen
    ) -> None:
        self.studio, self.session = studio, session
        self.question, self.view, self.answer = question, view, answer
        q = question
        self.asked = [q.image, q.instruction, q.engine, q.steps, q.seed]
        self.busy_fields = [
            session,
            q.take,
            q.run,
            q.stop,
            q.status,
            answer.compare,
            answer.segment,
            answer.export,
        ]
        self.labels = {button: button.value for button in (answer.compare, answer.segment, answer.export)}
        self.looking = Looking(session, view, answer, q.truth)
        self.shown = [*view.all, *vars(answer).values()]

    # ---- wiring

    def connect(self, tab: gr.Tab, ask: Ask, edits: gr.State) -> None:
        """Attach every handler."""
        self._connect_runs()
        self.looking.connect()
        q = self.question
        taken = [ask.image, ask.instruction, ask.choices.engine, ask.choices.steps, ask.choices.seed]
        filled = [self.session, *self.asked, q.note, q.engine_note, q.truth, *self.shown]
        q.take.click(self.take, [self.session, edits, *taken], filled, **QUIET)
        tab.select(
            self.take_into_empty, [q.image, q.instruction, self.session, edits, *taken], filled, **QUIET
        )
        q.engine.input(self.choose_engine, q.engine, [q.engine_note, q.steps], **QUIET)
        scene: dict[str, Any] = {
            "inputs": [self.session, q.scene, q.number],
            "outputs": [self.session, q.image, q.instruction, q.truth, q.note],
            **QUIET,
        }
        gr.on([q.scene.input, q.number.release], self.choose_scene, **scene)
        q.image.upload(self.new_picture, None, [q.note, q.truth, q.scene], **QUIET)

    def _connect_runs(self) -> None:
        q, a = self.question, self.answer
        work: dict[str, Any] = {
            "outputs": [*self.busy_fields, q.seed, q.note, *self.shown],
            "trigger_mode": "once",
            "concurrency_id": "visitors",  # the Edit tab's: they wait for one engine
            "concurrency_limit": VISITORS,
            **QUIET,
        }
        runs = [
            gr.on(
                [q.run.click, q.instruction.submit],
                self.run,
                [self.session, *self.asked, q.truth],
                validator=self.check,
                **work,
            ),
            gr.on(
                [a.compare.click, a.other.submit],
                self.compare,
                [self.session, a.other, *self.looking.fields],
                **work,
            ),
            a.segment.click(self.segment, [self.session, *self.looking.fields], **work),
            a.export.click(self.export, [self.session, *self.looking.fields], **work),
        ]
        q.stop.click(self.stop, None, q.stop, cancels=runs, queue=False, **QUIET)
        for each in runs:  # Gradio counts a stopped run as failed
            each.failure(self.rest, self.session, self.busy_fields, queue=False, **QUIET)

    # ---- checks, before anything waits in the queue

    def check(self, session: LabSession | None, *given: Any) -> list[dict[str, object]]:
        """A verdict for every input of ``run``."""
        image, instruction, engine, steps, seed, _ = given
        fine = checks.verdict(lambda: None)
        return [
            fine,
            checks.verdict(lambda: checks.picture(image)),
            checks.verdict(lambda: checks.instruction(instruction)),
            checks.verdict(lambda: self._recordable(engine)),
            checks.verdict(lambda: checks.STEPS.check(steps)),
            checks.verdict(lambda: checks.SEED.check(seed)),
            fine,
        ]

    def _recordable(self, engine: str) -> None:
        row = self.studio.row(engine)
        if not row.usable:
            raise BadInputError(wording.not_ready(row))
        if not row.info.records_attention:
            raise BadInputError(
                f"The engine {row.info.id} does not show which words act where; choose another one."
            )

    # ---- work with the engine

    def run(
        self,
        session: LabSession | None,
        image: str,
        instruction: str,
        engine: str,
        steps: float | None,
        seed: float | None,
        truth: str | None,
    ) -> Iterator[Updates]:
        """Edit, and show where its words looked."""
        session = session or LabSession()

        def work(progress: Progress) -> None:
            picture, text = checks.picture(image), checks.instruction(instruction)
            self._recordable(engine)
            settings = EditSettings(
                engine=engine,
                steps=None if steps is None else int(steps),
                seed=None if seed is None else int(seed),
            )
            with self.studio.turn(progress):
                session.open(Study(self.studio.edit(picture, text, checks.settings(settings), progress)))

        yield from self._run(session, work, lambda: self._opened(session, truth))

    def compare(self, session: LabSession | None, other: str, *looking: Any) -> Iterator[Updates]:
        """Edit the same picture by another instruction, and lay the two side by side."""
        study = study_in(session)

        def work(progress: Progress) -> None:
            text = checks.instruction(other)
            settings = replace(study.result.settings, keywords=(), outcome="")
            with self.studio.turn(progress):
                again = self.studio.edit(study.result.original, text, checks.settings(settings), progress)
            if session.study is study:
                session.second = Study(again)

        def show() -> Updates:
            if session.second is None:
                return {}
            words = list(session.second.result.keywords)
            choices = gr.update(choices=list(session.second.words), value=words)
            return {
                self.answer.other_words: choices,
                self.answer.compared: gr.update(visible=True),
                **difference(self.answer, study, session.second),
                **self.looking.show(session, *looking[:-1], words),
            }

        yield from self._run(session, work, show)

    def segment(self, session: LabSession | None, *looking: Any) -> Iterator[Updates]:
        """Find and show the segments of the mask on the page."""
        study = study_in(session)
        view = view_of(study, *looking[:6])
        found: list[Updates] = []

        def work(progress: Progress) -> None:
            with self.studio.turn(progress):  # a segmenter may need the engine's memory
                found.append(segmented(self.answer, study, view))

        yield from self._run(session, work, lambda: found[0], "Finding the segments")

    def export(self, session: LabSession | None, *looking: Any) -> Iterator[Updates]:
        """Make the files of what is on the page, and offer them."""
        study, *views, words = study_in(session), *looking
        view, second = view_of(study, *views), session.second
        packed: list[str] = []

        def work(progress: Progress) -> None:
            with self.studio.turn(progress):
                files = study_files(study, view, session.truth)
            if second is not None:
                files |= comparison_files(study, second, view, view_of(second, words, *views[1:]))
            packed.append(str(session.pack(f"editworld-attention-{study.result.settings.seed}", files)))

        yield from self._run(
            session,
            work,
            lambda: {self.answer.save: gr.update(value=packed[0], visible=True)},
            "Making the files",
        )

    def _run(
        self,
        session: LabSession,
        work: Callable[[Progress], None],
        show: Callable[[], Updates],
        uncounted: str = "Waiting for the engine",
    ) -> Iterator[Updates]:
        """Do ``work`` beside the page: its steps as progress, then what there is to ``show``, or why there is not."""
        yield {self.session: session, **self._busy(progress_bar(Step(0, 0), uncounted))}
        steps = stepwise(work)
        try:
            for step in steps:
                if isinstance(step, Finished):
                    yield {**self.rest(session), **show()}
                else:
                    yield self._busy(progress_bar(step, uncounted))
        except Exception as error:
            raise refusal(error) from error
        finally:
            steps.close()

    def stop(self) -> Updates:
        """What the page shows until the run has ended, which is at the end of its step."""
        return {self.question.stop: gr.update(value="Stopping…", interactive=False)}

    def rest(self, session: LabSession | None) -> Updates:
        """What the page shows while nothing runs."""
        q = self.question
        return {
            self.session: session,
            q.take: gr.update(visible=True),
            q.run: gr.update(visible=True),
            q.stop: gr.update(visible=False),
            q.status: gr.update(value="", visible=False),
            **{button: gr.update(value=label, interactive=True) for button, label in self.labels.items()},
        }

    def _busy(self, bar: str) -> Updates:
        q, waiting = self.question, gr.update(value="Working…", interactive=False)
        return {
            q.take: gr.update(visible=False),
            q.run: gr.update(visible=False),
            q.stop: gr.update(value="Stop", interactive=True, visible=True),
            q.status: gr.update(value=bar, visible=True),
            **dict.fromkeys(self.labels, waiting),  # which may be far below the bar
        }

    def _opened(self, session: LabSession, truth: str | None) -> Updates:
        """An edit that was not on the page, with the seed it was made with."""
        seed = study_in(session).result.settings.seed
        return {self.question.seed: seed, self.question.note: unsaid(), **self.looking.opened(session, truth)}

    # ---- what to look at

    def take(
        self,
        session: LabSession | None,
        edits: Session | None,
        image: str | None,
        instruction: str,
        engine: str,
        steps: float,
        seed: float | None,
    ) -> Updates:
        """Take the Edit tab's picture, as it was uploaded, and instruction; open its edit if it is of these."""
        session, q = session or LabSession(), self.question
        if not image:
            note = said("There is no picture in the Edit tab yet; drop one here.", "refused")
            return {self.session: session, q.note: note}
        taken: Updates = {
            self.session: session,
            q.image: image,
            q.instruction: instruction,
            **self.choose_engine(engine),
            q.engine: engine,
            q.steps: steps,
            q.seed: seed,
            q.truth: None,
        }
        result = edits.entry.shown.result if edits and edits.entry else None
        if result is None or not _is_of(result, image, instruction):
            return {**taken, q.note: said("Press Look to see where its words act.")}
        try:
            session.open(Study(result))
        except BadInputError as error:
            return {**taken, q.note: said(str(error), "refused")}
        return {**taken, **self._opened(session, None), q.note: said("This is the edit on the Edit tab.")}

    def take_into_empty(
        self,
        own_image: str | None,
        own_instruction: str,
        session: LabSession | None,
        edits: Session | None,
        image: str | None,
        *others: Any,
    ) -> Updates:
        """The same when the tab is opened and there is nothing in it yet."""
        if own_image or own_instruction or not image:
            return {self.session: session}
        return self.take(session, edits, image, *others)

    def choose_engine(self, engine: str) -> Updates:
        """Describe ``engine`` and take its own number of steps."""
        row, plain = self.studio.row(engine), EditSettings()
        steps, help = row.info.steps_of(plain.speed), wording.steps_help(row.info, plain.speed)
        return {
            self.question.engine_note: wording.engine_note(row),
            self.question.steps: gr.update(value=steps, info=help),
        }

    def choose_scene(self, session: LabSession | None, scene: str | None, number: float) -> Updates:
        """Take a scene of the simulator, with its instruction and its true mask."""
        session, q = session or LabSession(), self.question
        if not scene:
            return {self.session: session}
        try:
            pair = held_out_pair(scene, int(number))
        except EditWorldError as error:
            return {self.session: session, q.note: said(sentence_of(error), "refused")}
        mask = Image.fromarray(np.where(pair.mask, 255, 0).astype(np.uint8))
        name = f"{scene}-{int(number)}"
        return {
            self.session: session,
            q.image: str(session.keep_picture(f"{name}.png", Image.fromarray(pair.before))),
            q.instruction: pair.instruction,
            q.truth: str(session.keep_picture(f"{name}-mask.png", mask)),
            q.note: said("Press Look to see where its words act."),
        }

    def new_picture(self) -> Updates:
        """A picture that was dropped has neither the note nor the mask of the last one."""
        q = self.question
        return {q.note: unsaid(), q.truth: None, q.scene: None}


def _is_of(result: "EditResult", image: str, instruction: str) -> bool:
    """Whether ``result`` is an edit of the picture in the file ``image`` by ``instruction``."""
    try:
        same = result.instruction == checks.instruction(instruction)
        return same and same_picture(checks.picture(image), result.original)
    except BadInputError:
        return False
