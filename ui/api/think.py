"""The endpoint ``/think``."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from ui import checks
from ui.api.calls import HIDDEN, refusing
from ui.fields import Picture
from ui.studio import Studio
from ui.think import THINKERS


def think_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, on fields that the page does not show."""

    def think(instruction: str, image: str | None = None) -> dict[str, Any]:
        """Say what an instruction would do: its outcome, the nouns of what changes, and its category.

        Args:
            instruction: what happens, up to 500 characters.
            image: the picture before, for a language model that sees pictures; may be null.

        Returns:
            The instruction, "outcome", "keywords", "category", what thought so, and a note if there is one. Give the
            "command", or the outcome if that is empty, to /edit as its outcome.
        """
        with refusing():
            text = checks.instruction(instruction)
            return asdict(studio.think(text, checks.picture(image) if image else None))

    gr.Button(**HIDDEN).click(
        think,
        [
            gr.Textbox(label="instruction", **HIDDEN),
            Picture(label="image", type="filepath", format="png", **HIDDEN),
        ],
        gr.JSON(label="thought", **HIDDEN),
        api_name="think",
        concurrency_limit=THINKERS,
    )
