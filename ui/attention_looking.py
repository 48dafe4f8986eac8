"""Looking into an edit in the Attention tab: what happens at once, without the engine."""

from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError
from editworld_core.laboratory.drawing import frames, gif
from editworld_core.laboratory.study import Study
from ui import checks
from ui.attention_layout import Seen, ViewFields
from ui.attention_session import LabSession, layers_at, usual_cells, view_of
from ui.attention_view import compared, each_word, seen, segmented, step_by_step
from ui.fields import Picture
from ui.notes import EXPIRED, refusal, said

Updates = dict[Any, Any]
VISITORS = 16  # who look at once
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Looking:
    """The handlers of the right column that need no engine.

    Attributes:
        fields: what each handler is given beside the session: the fields of the view in order, and the words of the
            second instruction.
    """

    def __init__(self, session: gr.State, view: ViewFields, answer: Seen, truth: Picture) -> None:
        self.session, self.view, self.answer, self.truth = session, view, answer, truth
        self.fields = [*view.all, answer.other_words]

    def connect(self) -> None:
        """Attach every handler."""
        v, a = self.view, self.answer
        live: dict[str, Any] = {
            "trigger_mode": "always_last",
            "concurrency_id": "attention-view",
            "concurrency_limit": VISITORS,
            **QUIET,
        }
        given = [self.session, *self.fields]
        drawn = [
            self.session,
            a.heat,
            a.said,
            a.save,
            a.first_heat,
            a.second_heat,
            a.compared_said,
        ]
        quick = [v.words.input, v.rule.input, a.other_words.input]
        gr.on(quick, self.look, given, drawn, **live)
        told = [self.session, self.truth, *self.fields]
        gr.on([self.truth.upload, self.truth.clear], self.change_truth, told, drawn, **live)
        v.threshold.input(self.move_threshold, given, outputs=[v.rule, *drawn], **live)
        everything = [*drawn, a.each, a.animation, v.layers, v.step]
        gr.on([v.layers.input, v.step.input], self.look_elsewhere, given, outputs=everything, **live)
        v.cells.input(self.change_cells, given, outputs=everything, **live)
        a.each.select(self.choose_word, given, outputs=[v.words, *drawn], **live)
        a.animate.click(self.animate, given, outputs=[self.session, a.animation], **live)

    def look(self, session: LabSession | None, *looking: Any) -> Updates:
        """Heat and mask of the view."""
        if session is None or session.study is None:
            return {self.session: session}
        return self.show(session, *looking)

    def change_truth(self, session: LabSession | None, path: str | None, *looking: Any) -> Updates:
        """The same with another true mask, or none."""
        if session is None or session.study is None:
            return {self.session: session}
        try:
            session.know(session.study, path)
        except BadInputError as error:
            return {**self.show(session, *looking), self.answer.said: said(str(error), "refused")}
        return self.show(session, *looking)

    def move_threshold(self, session: LabSession | None, *looking: Any) -> Updates:
        """The same by the paper's rule, which is the one that has a threshold."""
        if session is None or session.study is None:
            return {self.session: session}
        before, after = looking[:4], looking[5:]
        return {self.view.rule: "paper", **self.show(session, *before, "paper", *after)}

    def look_elsewhere(self, session: LabSession | None, *looking: Any) -> Updates:
        """The same when layers or step are others, which every word's map changes with."""
        if session is None or session.study is None:
            return {self.session: session}
        view = view_of(session.study, *looking[:6])
        return {
            **self.show(session, *looking),
            self.answer.each: each_word(session.study, view),
            self.answer.animation: gr.update(visible=False),
            self.view.step: step_by_step(session.study, view, looking[3]),
        }

    def change_cells(self, session: LabSession | None, words: Any, cells: Any, *others: Any) -> Updates:
        """The same at another resolution, which has other layers."""
        if session is None or session.study is None:
            return {self.session: session}
        _, *rest = others
        return {
            **self.look_elsewhere(session, words, cells, [], *rest),
            self.view.layers: gr.update(choices=_named(layers_at(session.study, int(cells))), value=[]),
        }

    def choose_word(self, event: gr.SelectData, session: LabSession | None, *looking: Any) -> Updates:
        """Look at the word that was clicked, alone."""
        if session is None or session.study is None:
            return {self.session: session}
        words = [session.study.words[event.index]]
        return {self.view.words: words, **self.show(session, words, *looking[1:])}

    def animate(self, session: LabSession | None, *looking: Any) -> Updates:
        """Heat and mask of one step after the other."""
        study = study_in(session)
        pictures = frames(study, view_of(study, *looking[:6]))
        moving = session.keep("steps.gif", gif(pictures))
        return {self.session: session, self.answer.animation: gr.update(value=str(moving), visible=True)}

    def show(self, session: LabSession, *looking: Any) -> Updates:
        """Heat and mask of the view, and beside it that of the second instruction."""
        study, *views, words = session.study, *looking
        view = view_of(study, *views)
        shown = seen(self.answer, study, view, session.truth)
        if session.second is not None:
            other = view_of(session.second, words, *views[1:])
            shown |= compared(self.answer, study, session.second, view, other)
        shown[self.answer.save] = gr.update(visible=False)  # those files are of another view
        return {self.session: session, **shown}

    def opened(self, session: LabSession, truth: str | None) -> Updates:
        """An edit that was not on the page, with its own mask, and the true one in the file ``truth``."""
        study, answer, v = study_in(session), self.answer, self.view
        usual, cells = study.usual, usual_cells(study)
        fields = [list(usual.words), cells, [], 0, usual.rule, usual.threshold]
        view, result = view_of(study, *fields), study.result
        return {
            answer.waiting: gr.update(visible=False),
            answer.panel: gr.update(visible=True),
            answer.edited: result.final,
            **segmented(answer, study, view),
            **self.change_truth(session, truth, *fields, []),
            answer.each: each_word(study, view),
            answer.animation: gr.update(visible=False),
            answer.through: gr.update(visible=len(study.steps(view)) > 1),
            answer.compared: gr.update(visible=False),
            v.words: gr.update(choices=list(study.words), value=fields[0]),
            v.cells: gr.update(choices=[(f"{side}", side) for side in study.resolutions], value=cells),
            v.layers: gr.update(choices=_named(layers_at(study, cells)), value=[]),
            v.step: step_by_step(study, view, 0),
            v.rule: usual.rule,
            v.threshold: checks.THRESHOLD.nearest(usual.threshold),
        }


def study_in(session: LabSession | None) -> Study:
    """The edit under study.

    Raises:
        gr.Error: there is none any more.
    """
    if session is None or session.study is None:
        raise refusal(BadInputError(EXPIRED))
    return session.study


def _named(layers: tuple[str, ...]) -> list[tuple[str, str]]:
    """The layers with names that fit into a field."""
    return [(name.removesuffix(".attn2").replace(".transformer_blocks", ""), name) for name in layers]
