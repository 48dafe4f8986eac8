"""The Edit tab behind a stand-in engine, and the values that its fields hand in."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from stand_in import BROKEN, COMING, ROW, Painter, Squares, editor

from editworld_core.settings import EditSettings
from ui.choices import REFINING, SETTINGS
from ui.edit import MASK_NAMES, EditTab
from ui.edit_layout import Answer, lay_out_answer, lay_out_ask, lay_out_history
from ui.session import Session
from ui.studio import Studio, Think
from ui.think import Told

PLAIN = EditSettings(steps=3, text_guidance=5.0, image_guidance=1.5, seed=7)
BESIDE = {"new_seed": False, "told": Told(), "outcome": "", "keywords": ""}


def fields(**changed: Any) -> list[Any]:
    """What the fields of settings hand in, but for those that are ``changed``."""
    given = vars(PLAIN) | BESIDE | changed
    return [given[name] for name in (*SETTINGS, *MASK_NAMES, "told", "outcome", "keywords")]


def refining(**changed: Any) -> list[Any]:
    """The same of those that refine."""
    given = vars(PLAIN) | changed
    return [given[name] for name in (*REFINING, *MASK_NAMES)]


def value(update: Any) -> Any:
    """What an update, or a bare value, puts into its field."""
    return update["value"] if isinstance(update, dict) and "value" in update else update


@dataclass
class Page:
    """The tab, the engine and the segmenter behind it, and a picture to upload."""

    tab: EditTab
    painter: Painter
    squares: Squares
    picture: str

    def edit(
        self, session: Session | None = None, instruction: str = "paint the left", **changed: Any
    ) -> Session:
        """Edit the picture, and return the visitor's session."""
        *_, last = self.tab.edit(session, self.picture, instruction, [], *fields(**changed))
        return last[self.tab.session]  # type: ignore[no-any-return]


def open_page(picture: str, think: Think | None = None) -> Page:
    """The tab, connected."""
    painter, squares = Painter(), Squares()
    more = {"think": think} if think else {}
    studio = Studio(editor(painter), [ROW, BROKEN, COMING], lambda: None, segmenter=squares, **more)
    with gr.Blocks():
        answer = Answer(*lay_out_answer(), *lay_out_history())
        tab = EditTab(studio, gr.State(None), lay_out_ask(studio), answer)
        tab.connect()
    return Page(tab, painter, squares, picture)
