"""The endpoints for programs, one module each. Their docstrings become the API's pages and the tools of MCP."""

from ui.api.edit import edit_endpoint
from ui.api.generate import generate_endpoint
from ui.api.masks import masks_endpoint
from ui.api.post_edit import post_edit_endpoint
from ui.api.think import think_endpoint
from ui.line import Line
from ui.studio import Studio


def endpoints(studio: Studio, samples: Line) -> None:
    """Add all endpoints to the current ``gr.Blocks``; ``samples`` is the line of those who let data be made."""
    edit_endpoint(studio)
    post_edit_endpoint(studio)
    masks_endpoint(studio)
    think_endpoint(studio)
    generate_endpoint(samples)
