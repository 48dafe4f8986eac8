"""Sentences for the visitor: in a note beside the fields, in a bar while something runs, in a refusal."""

import logging
from typing import Any

import gradio as gr

from editworld_core.errors import EditWorldError
from ui.running import Step

log = logging.getLogger(__name__)
EXPIRED = "This result has expired; edit again."


def sentence_of(error: BaseException) -> str:
    """``error`` as one sentence for the visitor; what nobody foresaw goes to the log."""
    if isinstance(error, EditWorldError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; try a smaller picture or another engine."
    log.error("something failed", exc_info=error)
    return "Something went wrong inside the program; try again, and report it if it happens again."


def refusal(error: BaseException) -> gr.Error:
    """``error`` as a message that Gradio shows, or sends to a program."""
    return gr.Error(sentence_of(error), title="This did not work", print_exception=False)


def said(sentence: str, kind: str = "") -> dict[Any, Any]:
    """A note that says ``sentence``; ``kind`` "refused" looks like one."""
    return gr.update(value=sentence, visible=True, elem_classes=["note", kind] if kind else ["note"])


def unsaid() -> dict[Any, Any]:
    """A note that says nothing."""
    return gr.update(visible=False)


def progress_bar(step: Step, uncounted: str, what: str = "Step") -> str:
    """A bar that fills with the steps, which are called ``what``, or sways with the words ``uncounted`` while there is
    nothing to count."""
    if not step.total:
        return (
            f'<div class="progress" role="status"><span>{uncounted}…</span>'
            '<div class="track"><div class="bar unsure"></div></div></div>'
        )
    percent = round(100 * step.done / step.total)
    return (
        f'<div class="progress" role="status"><span>{what} {step.done} of {step.total}</span>'
        f'<div class="track"><div class="bar" style="width: {percent}%"></div></div></div>'
    )
