"""The web app: builds the page from ``ui`` and serves it.

``--host`` and ``--port``, or else ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT``, say where; 127.0.0.1, port 7860,
if they do not. ``--engine`` adds an engine to the list: visitors choose from the list, and never name what is loaded.
"""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from editworld_core.engines.registry import EngineRow, engine_rows, load_engine
from editworld_core.errors import EditWorldError
from ui.api import edit_endpoint, think_endpoint
from ui.attention import attention_tab
from ui.attention_layout import ATTENTION_CSS
from ui.chain import chain_tab
from ui.compare import compare_tab
from ui.data import data_tab
from ui.data_session import data_sets
from ui.edit import edit_tab
from ui.examples import FOLDER as EXAMPLES
from ui.recheck import RECHECK_CSS, recheck_tab
from ui.studio import Editor, OwnEngine, Studio
from ui.theme import CSS, FAVICON, HEADER, make_theme

SENDS = {"server": "your words", "server+image": "your words and your picture"}


def build_app(
    editor: Editor | None = None,
    rows: Sequence[EngineRow] | None = None,
    load: Callable[[], object] = lambda: load_engine("pocket"),
    own: OwnEngine | None = None,
    data: Path | None = None,
    **more: Any,
) -> gr.Blocks:
    """The page, its engine already loading.

    Args:
        editor: what edits; None takes a ``WorldEditor``.
        rows: the engines to offer; None takes the registry's.
        load: makes the default engine ready.
        own: one more engine, which the page opens with.
        data: a folder under which the data sets of the Sample data tab stay, and whose data sets may be rechecked.
        more: goes to the ``Studio``.
    """
    if editor is None:
        from editworld_core.editor import WorldEditor

        editor = WorldEditor()
    studio = Studio(editor, rows or engine_rows(), load, own, **more)
    with gr.Blocks(title="EditWorld", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(HEADER, padding=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Edit", id="edit"):
                ask, edits = edit_tab(studio)
            with gr.Tab("Attention", id="attention"):
                attention_tab(studio, ask, edits)
            with gr.Tab("Compare", id="compare") as comparison:
                compare_tab(studio, comparison, ask)
            with gr.Tab("Chain", id="chain") as following:
                chain_tab(studio, following, ask)
            with gr.Tab("Sample data", id="data"):
                made = data_tab(data)
            with gr.Tab("Recheck", id="recheck") as recheck:
                recheck_tab(recheck, data, made, data_sets)
        edit_endpoint(studio)
        think_endpoint(studio)
    studio.start()
    return page.queue(max_size=32, default_concurrency_limit=8)


def launch(page: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve ``page``; ``options`` go to ``gr.Blocks.launch``."""
    return page.launch(
        theme=make_theme(),
        css=CSS + RECHECK_CSS + ATTENTION_CSS,
        favicon_path=FAVICON,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        max_file_size="64mb",
        allowed_paths=[str(EXAMPLES)],
        ssr_mode=False,
        **options,
    )


def own_engine(name: str, lora: str, lora_scale: float) -> OwnEngine:
    """The engine in a folder or file, or with a hub id, loaded: what the page says of it is what its weights say.

    Raises:
        EditWorldError: it cannot be loaded.
    """
    info = load_engine(name, lora, lora_scale).info
    return OwnEngine(EngineRow(info, True, ""), lora, lora_scale)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve EditWorld's page.")
    parser.add_argument("--engine", help="one more engine: a folder, a file of weights, or a hub id")
    parser.add_argument(
        "--lora", default="", help="LoRA weights on top of --engine: a file, a folder, a hub id"
    )
    parser.add_argument("--lora-scale", type=float, default=1.0, help="how much of the LoRA counts (1)")
    parser.add_argument(
        "--think",
        default="offline",
        help="offline, server, server+image, local, or a language model's folder",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of data sets: what is made on the page stays there, and can be rechecked",
    )
    parser.add_argument("--host", help="address to serve on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to serve on (7860)")
    given = parser.parse_args()
    if given.lora and not given.engine:
        parser.error("--lora goes on top of an engine: name it with --engine")
    return given


def main() -> int:
    """Serve the page until it is stopped; the exit status."""
    given = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    # a container is stopped like this, and the visitors' files go only with an orderly end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from editworld_core.think import load_thinker, think

    try:
        own = own_engine(given.engine, given.lora, given.lora_scale) if given.engine else None
        think_by = partial(
            think, backend=given.think if given.think == "offline" else load_thinker(given.think)
        )
        page = build_app(own=own, data=given.data, think=think_by, sends=SENDS.get(given.think, ""))
    except EditWorldError as error:
        print(error, file=sys.stderr)
        return 1
    if given.think not in SENDS:  # the first thought takes seconds, and this one costs nobody anything
        threading.Thread(target=think_by, args=("the sun comes out",), daemon=True).start()
    launch(page, server_name=given.host, server_port=given.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
