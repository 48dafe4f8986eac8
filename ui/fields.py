"""Gradio components with what this page needs of them."""

from typing import Any

import gradio as gr


class Picture(gr.Image):
    """A picture field that hands on the uploaded file as it is.

    ``gr.Image`` decodes the file itself, and says of a damaged one what Pillow says; here ``read_image`` decodes it,
    with its own sentences, EXIF rotation, deep and exotic pixels, and our settings in the metadata.
    """

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path of the file; None if the field is empty."""
        if payload is None or payload.path is None:
            return None
        return str(payload.path)
