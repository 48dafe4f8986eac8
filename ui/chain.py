"""The Chain tab: things happen one after the other to the same picture, and become a film."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError
from editworld_core.settings import EditSettings
from ui import checks, wording
from ui.chain_layout import FORMATS, Fields, lay_out_chain
from ui.chain_session import ChainSession
from ui.edit import HOUR, QUIET, VISITORS, Progress, Updates
from ui.edit_layout import Ask
from ui.notes import EXPIRED, progress_bar, refusal
from ui.running import Finished, Step, stepwise
from ui.studio import Studio
from ui.taking import connect_taking


def chain_tab(studio: Studio, tab: gr.Tab, ask: Ask) -> None:
    """Build the tab inside the current ``gr.Tab``, which is ``tab``; ``ask`` is the Edit tab's left column."""
    session = gr.State(None, time_to_live=HOUR, delete_callback=lambda kept: kept and kept.close())
    mine = ChainTab(studio, lay_out_chain(studio), session)
    mine.connect()
    connect_taking(tab, mine.fields.take, ask, mine.fields.image, mine.fields.instruction)


class ChainTab:
    """The tab's handlers. What a visitor has is in the ``ChainSession`` that each one is given."""

    def __init__(self, studio: Studio, fields: Fields, session: gr.State) -> None:
        self.studio, self.fields, self.session = studio, fields, session

    def connect(self) -> None:
        """Attach every handler."""
        f = self.fields
        shown = [self.session, f.waiting, f.panel, f.slider, f.note, f.save, f.frames]
        film = [f.gif, f.video, f.save_film]
        busy = [f.add, f.stop, f.status]
        work: dict[str, Any] = {
            "trigger_mode": "once",
            "concurrency_id": "visitors",
            "concurrency_limit": VISITORS,
            **QUIET,
        }
        add = gr.on(
            [f.add.click, f.instruction.submit],
            self.add,
            [self.session, f.image, f.instruction, f.engine, f.seed],
            [*busy, *shown, *film],
            validator=self.check,
            api_name="add_step_on_page",
            **work,
        )
        make = f.make.click(
            self.make,
            [self.session, f.format, f.captions, f.fade],
            [*busy, *film],
            api_name="film_on_page",
            **work,
        )
        at_once: dict[str, Any] = {"queue": False, **QUIET}
        f.stop.click(self.stop, None, f.stop, cancels=[add, make], **at_once)
        for run in (add, make):
            run.failure(self.rest, None, busy, **at_once)
        f.remove.click(self.remove, self.session, [*shown, *film], **QUIET)
        f.restart.click(self.restart, self.session, [*shown, *film], **QUIET)
        f.frames.select(self.look, self.session, [f.slider, f.note], **QUIET)

    def check(
        self, session: Any, image: str | None, instruction: str, engine: str, seed: float | None
    ) -> list[dict[str, object]]:
        """A verdict for every input of ``add``."""

        def usable() -> None:
            row = self.studio.row(engine)
            if not row.usable:
                raise BadInputError(wording.not_ready(row))

        return [
            checks.verdict(lambda: None),
            checks.verdict(lambda: checks.picture(image)),
            checks.verdict(lambda: checks.instruction(instruction)),
            checks.verdict(usable),
            checks.verdict(lambda: checks.SEED.check(seed)),
        ]

    def add(
        self, session: ChainSession | None, image: str, instruction: str, engine: str, seed: float | None
    ) -> Iterator[Updates]:
        """Let one more thing happen."""
        session = session or ChainSession()

        def work(progress: Progress) -> None:
            picture, text = checks.picture(image), checks.instruction(instruction)
            checks.SEED.check(seed)
            settings = EditSettings(
                engine=self.studio.row(engine).info.id, seed=None if seed is None else int(seed)
            )
            with session.working:
                chain = session.before(image, picture)
                with self.studio.turn(progress):
                    longer = chain.then(text, settings, self.studio.edit, progress)
                session.take(image, longer)

        # the words stay: by now the visitor may be typing the next ones
        yield from self._run(session, work, lambda: self._shown(session), "Waiting for the engine")

    def make(
        self, session: ChainSession | None, ending: str, captions: bool, fade: bool
    ) -> Iterator[Updates]:
        """Make the film of what there is."""
        if session is None:
            raise refusal(BadInputError("There is nothing to show yet; add a step first."))
        if ending not in [value for _, value in FORMATS]:
            raise refusal(BadInputError("A film is GIF or MP4; choose one of them."))

        def show() -> Updates:
            f, path = self.fields, made[0]
            return {
                f.gif: gr.update(value=path if ending == ".gif" else None, visible=ending == ".gif"),
                f.video: gr.update(value=path if ending == ".mp4" else None, visible=ending == ".mp4"),
                f.save_film: gr.update(value=path, visible=True),
            }

        made: list[str] = []

        def work(progress: Progress) -> None:
            made.append(str(session.film(ending, captions, fade)))

        yield from self._run(session, work, show, "Making the film", with_session=False)

    def _run(
        self, session: ChainSession, work: Any, show: Any, uncounted: str, with_session: bool = True
    ) -> Iterator[Updates]:
        """Do ``work`` beside the page: its steps as progress, then what there is to ``show``, or why there is not."""
        kept: Updates = {self.session: session} if with_session else {}
        yield {**kept, **self._busy(progress_bar(Step(0, 0), uncounted))}
        steps = stepwise(work)
        try:
            for step in steps:
                if isinstance(step, Finished):
                    yield {**kept, **self.rest(), **show()}
                else:
                    yield {**kept, **self._busy(progress_bar(step, uncounted))}
        except Exception as error:
            raise refusal(error) from error
        finally:
            steps.close()

    def remove(self, session: ChainSession | None) -> Updates:
        """Take the last step back."""
        if session is None or session.chain is None:
            return {self.session: session}
        session.take(session.source, session.chain.without_last())
        return self._shown(session)

    def restart(self, session: ChainSession | None) -> Updates:
        """Begin again with whatever picture is in the field."""
        if session is not None:
            session.forget()
        f = self.fields
        return {
            self.session: session,
            f.waiting: gr.update(visible=True),
            f.panel: gr.update(visible=False),
            **self._no_film(),
        }

    def look(self, session: ChainSession | None, event: gr.SelectData) -> Updates:
        """Compare the upload with the picture that was clicked on."""
        if session is None or session.chain is None or event.index >= len(session.files):
            return {self.fields.note: EXPIRED}
        return self._compared(session, event.index)

    def stop(self) -> Updates:
        """What the page shows until the run has ended, which is at the end of its step."""
        return {self.fields.stop: gr.update(value="Stopping…", interactive=False)}

    def rest(self) -> Updates:
        """What the page shows while nothing runs."""
        f = self.fields
        return {
            f.add: gr.update(visible=True),
            f.stop: gr.update(visible=False),
            f.status: gr.update(value="", visible=False),
        }

    def _busy(self, bar: str) -> Updates:
        f = self.fields
        return {
            f.add: gr.update(visible=False),
            f.stop: gr.update(value="Stop", interactive=True, visible=True),
            f.status: gr.update(value=bar, visible=True),
        }

    def _shown(self, session: ChainSession) -> Updates:
        """The chain so far, and no film, which would be another one's."""
        f, chain = self.fields, session.chain
        assert chain is not None
        captions = ["before", *chain.captions[1:]]
        return {
            self.session: session,
            f.waiting: gr.update(visible=False),
            f.panel: gr.update(visible=True),
            f.frames: [(str(file), caption) for file, caption in zip(session.files, captions, strict=True)],
            f.save: str(session.files[-1]),
            **self._compared(session, len(session.files) - 1),
            **self._no_film(),
        }

    def _compared(self, session: ChainSession, place: int) -> Updates:
        f, chain = self.fields, session.chain
        assert chain is not None
        kept = float((~type(chain)(chain.original, chain.steps[:place]).touched).mean())
        said = f"“{chain.captions[place]}”. " if place else ""
        return {
            f.slider: (str(session.files[0]), str(session.files[place])),
            f.note: f"{said}{kept:.0%} of the pixels are still your own, bit for bit.",
        }

    def _no_film(self) -> Updates:
        f = self.fields
        return {
            f.gif: gr.update(value=None, visible=False),
            f.video: gr.update(value=None, visible=False),
            f.save_film: gr.update(visible=False),
        }
