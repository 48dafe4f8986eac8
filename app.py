"""The web app: builds the page from ``ui`` and serves it.

``--host`` and ``--port``, or else ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT``, say where; 127.0.0.1, port 7860,
if they do not. ``--engine`` adds an engine to the list: visitors choose from the list, and never name what is loaded.
Where nobody types a command, as on a Space or in a container, the variables that ``--help`` names take their place.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from editworld_core.engines.registry import EngineRow, engine_rows
from editworld_core.errors import EditWorldError
from ui import zero
from ui.api import endpoints
from ui.attention import attention_tab
from ui.attention_layout import ATTENTION_CSS
from ui.chain import chain_tab
from ui.compare import compare_tab
from ui.data import data_tab
from ui.data_session import data_sets
from ui.edit import edit_tab
from ui.examples import FOLDER as EXAMPLES
from ui.line import Line
from ui.mcp_extra import check_mcp
from ui.recheck import RECHECK_CSS, recheck_tab
from ui.running import background, end_all
from ui.studio import Editor, OwnEngine, Studio
from ui.theme import CSS, FAVICON, HEADER, make_theme

SENDS = {"server": "your words", "server+image": "your words and your picture"}


def build_app(
    editor: Editor | None = None,
    rows: Sequence[EngineRow] | None = None,
    load: Callable[[], object] = lambda: zero.load("pocket"),
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

        editor = WorldEditor(zero.load)
    studio = Studio(editor, rows or zero.offered(engine_rows()), load, own, **more)
    samples = Line()
    with gr.Blocks(title="EditWorld", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(HEADER, padding=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Edit", id="edit"):
                ask, edits = edit_tab(studio)
            with gr.Tab("Attention", id="attention") as looking:
                attention_tab(studio, looking, ask, edits)
            with gr.Tab("Compare", id="compare") as comparison:
                compare_tab(studio, comparison, ask)
            with gr.Tab("Chain", id="chain") as following:
                chain_tab(studio, following, ask)
            with gr.Tab("Sample data", id="data"):
                made = data_tab(data, samples)
            with gr.Tab("Recheck", id="recheck") as recheck:
                recheck_tab(recheck, data, made, data_sets)
        endpoints(studio, samples)
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
    info = zero.load(name, lora, lora_scale).info
    return OwnEngine(EngineRow(info, True, ""), lora, lora_scale)


def _arguments(environment: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve EditWorld's page.")

    def add(option: str, variable: str, default: str | None, about: str, **more: Any) -> None:
        value = environment.get(variable) or default
        parser.add_argument(option, default=value, help=f"{about}; or {variable}", **more)

    add("--engine", "EDITWORLD_ENGINE", None, "one more engine: a folder, a file of weights, or a hub id")
    add("--lora", "EDITWORLD_LORA", "", "LoRA weights on top of --engine: a file, a folder, a hub id")
    add("--lora-scale", "EDITWORLD_LORA_SCALE", "1", "how much of the LoRA counts (1)", type=float)
    add(
        "--think",
        "EDITWORLD_THINK",
        "offline",
        "offline, server, server+image, local, or a language model's folder",
    )
    add(
        "--data",
        "EDITWORLD_DATA",
        None,
        "folder of data sets: what is made on the page stays there, and can be rechecked",
        type=Path,
        metavar="DIR",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=environment.get("EDITWORLD_MCP", "").lower() in ("1", "true", "yes"),
        help="offer the endpoints as tools for assistants, too; needs gradio[mcp]; or EDITWORLD_MCP=1",
    )
    parser.add_argument("--host", help="address to serve on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to serve on (7860)")
    given = parser.parse_args()
    if given.lora and not given.engine:
        parser.error("--lora goes on top of an engine: name it with --engine")
    return given


def main() -> int:
    """Serve the page until it is stopped; the exit status."""
    given = _arguments(os.environ)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    # a container is stopped like this, and the visitors' files go only with an orderly end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from editworld_core.think import load_thinker, think

    try:
        if given.mcp:
            check_mcp()
        own = own_engine(given.engine, given.lora, given.lora_scale) if given.engine else None
        think_by = partial(
            think, backend=given.think if given.think == "offline" else load_thinker(given.think)
        )
        page = build_app(own=own, data=given.data, think=think_by, sends=SENDS.get(given.think, ""))
    except EditWorldError as error:
        print(error, file=sys.stderr)
        return 1
    if given.think not in SENDS:  # the first thought takes seconds, and this one costs nobody anything
        background(partial(think_by, "the sun comes out")).start()
    try:
        launch(page, server_name=given.host, server_port=given.port, mcp_server=given.mcp)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending already
        page.close(verbose=False)
        end_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
