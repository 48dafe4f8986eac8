"""The web app: builds the page from ``ui`` and serves it.

``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` say where; 127.0.0.1, port 7860, if they do not.
"""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from editworld_core.engines.registry import EngineRow, engine_rows, load_engine
from ui.api import edit_endpoint
from ui.edit import edit_tab
from ui.examples import FOLDER as EXAMPLES
from ui.studio import Editor, Studio
from ui.theme import CSS, FAVICON, HEADER, make_theme


def build_app(
    editor: Editor | None = None,
    rows: Sequence[EngineRow] | None = None,
    load: Callable[[], object] = lambda: load_engine("pocket"),
) -> gr.Blocks:
    """The page, its engine already loading.

    Args:
        editor: what edits; None takes a ``WorldEditor``.
        rows: the engines to offer; None takes the registry's.
        load: makes the default engine ready.
    """
    if editor is None:
        from editworld_core.editor import WorldEditor

        editor = WorldEditor()
    studio = Studio(editor, rows or engine_rows(), load)
    with gr.Blocks(title="EditWorld", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(HEADER, padding=False)
        edit_tab(studio)
        edit_endpoint(studio)
    studio.start()
    return page.queue(max_size=32, default_concurrency_limit=8)


def launch(page: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve ``page``; ``options`` go to ``gr.Blocks.launch``."""
    return page.launch(
        theme=make_theme(),
        css=CSS,
        favicon_path=FAVICON,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        max_file_size="64mb",
        allowed_paths=[str(EXAMPLES)],
        ssr_mode=False,
        **options,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    # a container is stopped like this, and the visitors' files go only with an orderly end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    launch(build_app())
