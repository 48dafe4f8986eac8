"""What happens in "Correct the mask": the draft follows canvas, clicks and files; using it is the Edit tab's work."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from editworld_core.errors import BadInputError
from editworld_core.mask_files import read_mask
from editworld_core.masks import Mask
from ui.draft import Click, Kind, canvas, selection_picture, strokes
from ui.hand_layout import Hand
from ui.notes import EXPIRED, said, sentence_of, unsaid
from ui.session import Entry, Session
from ui.studio import Studio

Updates = dict[Any, Any]
NOTHING = "There is no mask of yours yet: paint on the picture, click on a thing, or load a mask."


class HandPanel:
    """The panel's handlers. The draft that they work on belongs to the edit on the page, in the visitor's session."""

    def __init__(
        self, studio: Studio, session: gr.State, hand: Hand, segmenter: gr.components.Component
    ) -> None:
        self.studio, self.session, self.hand, self.segmenter = studio, session, hand, segmenter
        self.shown_fields = [hand.canvas, hand.picture, hand.note]

    def connect(self) -> None:
        """Attach the handlers that need no engine."""
        hand, quiet = self.hand, {"api_visibility": "private", "show_progress": "hidden"}
        drawing = [self.session, hand.canvas]
        drawn = [*self.shown_fields, hand.hand_rule]
        hand.click.select(self.to_click, drawing, [hand.picture, hand.note], **quiet)
        hand.start.click(self.start, drawing, drawn, **quiet)
        hand.load.upload(self.load, [*drawing, hand.load], drawn, **quiet)
        selected = [hand.picture, hand.note]
        clicking: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": hand.picture,
            "trigger_mode": "multiple",
        }
        hand.picture.select(self.click, [self.session, hand.kind, self.segmenter], selected, **clicking)
        hand.undo.click(self.undo, [self.session, self.segmenter], selected, **clicking)
        hand.unselect.click(self.unselect, [self.session], selected, **quiet)

    def show(self, entry: Entry) -> Updates:
        """The panel for another edit, or for another draft of the same."""
        picture = entry.shown.result.original
        return {
            self.hand.canvas: canvas(picture, entry.draft.on_canvas),
            self.hand.picture: selection_picture(picture, entry.draft),
            self.hand.note: unsaid(),
        }

    # ---- the drawing

    def start(self, session: Session | None, painted: dict[str, Any] | None) -> Updates:
        """Put the mask on the page onto the canvas, where parts of it can be taken away."""

        def add(entry: Entry) -> Mask:
            return entry.shown.result.mask

        return self._draw(session, painted, add)

    def load(self, session: Session | None, painted: dict[str, Any] | None, path: str) -> Updates:
        """Put the mask in a file onto the canvas."""
        return self._draw(session, painted, lambda entry: read_mask(path, entry.shown.result.original.size))

    def _draw(
        self, session: Session | None, painted: dict[str, Any] | None, mask: Callable[[Entry], Mask]
    ) -> Updates:
        if session is None or session.entry is None:
            return {self.hand.note: said(EXPIRED, "refused")}
        entry = session.entry
        try:
            entry.draft.take(strokes(painted))
            entry.draft.add(mask(entry))
        except Exception as error:
            return {self.hand.note: said(sentence_of(error), "refused")}
        return {**self.show(entry), self.hand.hand_rule: "replace"}

    def drawn(self, entry: Entry, painted: dict[str, Any] | None) -> Mask | None:
        """Everything that the visitor has drawn on ``entry``, bool [H, W]; None if all of it was taken away again.

        Raises:
            BadInputError: nothing has been drawn yet, or the canvas shows another edit.
        """
        entry.draft.take(strokes(painted))
        mask = entry.draft.whole
        if mask.any():
            return mask
        if entry.hand is None:
            raise BadInputError(NOTHING)
        return None

    # ---- clicks

    def to_click(self, session: Session | None, painted: dict[str, Any] | None) -> Updates:
        """Show what was painted on the picture to click on, too."""
        if session is None or session.entry is None:
            return {self.hand.note: unsaid()}
        try:
            session.entry.draft.take(strokes(painted))
        except BadInputError as error:
            return {self.hand.note: said(str(error), "refused")}
        picture = selection_picture(session.entry.shown.result.original, session.entry.draft)
        return {self.hand.picture: picture, self.hand.note: unsaid()}

    def click(self, session: Session | None, kind: Kind, segmenter: str, event: gr.SelectData) -> Updates:
        """Take a click on the picture."""
        if session is None or session.entry is None:
            return {self.hand.note: said(EXPIRED, "refused")}
        x, y = session.entry.draft.to_upload(*event.index)
        return self._select(session.entry, Click(kind, x, y), segmenter)

    def undo(self, session: Session | None, segmenter: str) -> Updates:
        """Take the last click back."""
        if session is None or session.entry is None or not session.entry.draft.clicks:
            return {self.hand.note: unsaid()}
        return self._select(session.entry, None, segmenter)

    def unselect(self, session: Session | None) -> Updates:
        """Take all clicks back."""
        if session is None or session.entry is None:
            return {self.hand.note: unsaid()}
        entry = session.entry
        entry.draft.unselect()
        return {
            self.hand.picture: selection_picture(entry.shown.result.original, entry.draft),
            self.hand.note: unsaid(),
        }

    def _select(self, entry: Entry, click: Click | None, segmenter: str) -> Updates:
        picture = entry.shown.result.original
        try:
            entry.draft.click(
                click, lambda points, labels: self.studio.select(picture, points, labels, segmenter)
            )
        except Exception as error:
            return {self.hand.note: said(sentence_of(error), "refused")}
        return {self.hand.picture: selection_picture(picture, entry.draft), self.hand.note: unsaid()}
