"""The components of "Correct the mask", under the result."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from editworld_core.settings import EditSettings
from ui import checks
from ui.choices import slider

RULES = [("Join the automatic mask", "join"), ("Replace it", "replace")]
CLICKS = [("This may change", "add"), ("Not this", "not"), ("Box: two corners", "corner")]
BRUSHES = [("#f2b84b", 0.6), ("#1428c8", 0.6)]  # draft.PAINT and draft.STAYS, as a browser writes them


@dataclass(frozen=True)
class Hand:
    """What a visitor corrects the mask with; ``hand_rule``, ``grow`` and ``feather`` are named after their settings."""

    click: gr.Tab
    canvas: gr.ImageEditor
    start: gr.Button
    load: gr.UploadButton
    kind: gr.Radio
    picture: gr.Image
    undo: gr.Button
    unselect: gr.Button
    note: gr.Markdown
    hand_rule: gr.Radio
    use: gr.Button
    clear: gr.Button
    grow: gr.Slider
    feather: gr.Slider


def lay_out_hand() -> Hand:
    """Build the panel, closed."""
    plain = EditSettings()
    with gr.Accordion("Correct the mask", open=False, elem_id="hand"):
        with gr.Tabs():
            with gr.Tab("Paint"):
                painting = _lay_out_canvas()
            with gr.Tab("Click") as click:
                clicking = _lay_out_clicks()
        note = gr.Markdown(visible=False, elem_id="hand-note", elem_classes="note")
        rule = gr.Radio(RULES, value=plain.hand_rule, label="Your own mask should", elem_id="hand-rule")
        with gr.Row():
            use = gr.Button("Use this mask", variant="primary", min_width=140, elem_id="use-mask")
            clear = gr.Button("Remove my mask", min_width=140, elem_id="clear-mask")
        with gr.Row():
            grow = slider(
                checks.GROW,
                plain.grow,
                1,
                "By how many pixels; less than 0 narrows.",
                min_width=200,
                elem_id="grow",
            )
            feather = slider(
                checks.FEATHER,
                plain.feather,
                1,
                "Pixels inside the mask over which the edit fades in.",
                min_width=200,
                elem_id="feather",
            )
    return Hand(click, *painting, *clicking, note, rule, use, clear, grow, feather)


def mask_canvas(**more: Any) -> gr.ImageEditor:
    """A canvas on which a mask is painted in the colours of ``BRUSHES``."""
    return gr.ImageEditor(
        type="numpy",
        format="png",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(colors=BRUSHES, default_color=BRUSHES[0], color_mode="fixed"),
        show_label=False,
        **more,
    )


def _lay_out_canvas() -> tuple[gr.ImageEditor, gr.Button, gr.UploadButton]:
    gr.Markdown(
        "Amber may change. For what must stay, choose blue from the palette; the eraser takes strokes back. "
        "In a file, white may change.",
        elem_classes="quiet",
    )
    canvas = mask_canvas(buttons=["fullscreen"], height=430, elem_id="canvas")
    with gr.Row():
        start = gr.Button("Start from the current mask", size="sm", min_width=140, elem_id="start-mask")
        load = gr.UploadButton(
            "Load a mask",
            size="sm",
            file_types=["image"],
            min_width=140,
            elem_id="load-mask",
        )
    return canvas, start, load


def _lay_out_clicks() -> tuple[gr.Radio, gr.Image, gr.Button, gr.Button]:
    gr.Markdown(
        "A click selects the thing under it, in teal, and the next ones correct that. "
        "What is selected joins your painting when you use the mask.",
        elem_classes="quiet",
    )
    kind = gr.Radio(CLICKS, value="add", show_label=False, container=False, elem_id="click-kind")
    picture = gr.Image(
        label="Click on what may change",
        format="png",
        interactive=False,
        buttons=[],
        elem_id="click-picture",
    )
    with gr.Row():
        undo = gr.Button("Undo the last click", size="sm", min_width=140, elem_id="undo-click")
        unselect = gr.Button("Clear the clicks", size="sm", min_width=140, elem_id="clear-clicks")
    return kind, picture, undo, unselect
