"""What other tabs take over from the Edit tab: its picture, as it was uploaded, and its instruction."""

from typing import Any

import gradio as gr

from ui.edit_layout import Ask
from ui.fields import Picture

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


def take(image: str | None, instruction: str) -> list[Any]:
    """Picture and instruction of the Edit tab; what is empty there leaves the field here as it is."""
    return [image or gr.skip(), instruction or gr.skip()]


def take_into_empty(image: str | None, instruction: str, own_image: str | None, own: str) -> list[Any]:
    """The same for fields in which there is nothing yet."""
    return [
        image if image and not own_image else gr.skip(),
        instruction if instruction and not own else gr.skip(),
    ]


def connect_taking(tab: gr.Tab, button: gr.Button, ask: Ask, image: Picture, instruction: gr.Textbox) -> None:
    """Fill empty fields when ``tab`` is opened, and both when ``button`` is pressed."""
    theirs, own = [ask.image, ask.instruction], [image, instruction]
    tab.select(take_into_empty, [*theirs, *own], own, **QUIET)
    button.click(take, theirs, own, **QUIET)
