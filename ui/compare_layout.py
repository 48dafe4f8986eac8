"""The components of the Compare tab: left what is compared, right the results as they come."""

from dataclasses import dataclass

import gradio as gr

from ui.fields import Picture
from ui.studio import Studio
from ui.wording import engine_choice

WAITING = """\
<div class="waiting"><div class="waiting-frame" aria-hidden="true"><span></span><span></span></div>
<p><strong>The results appear here, side by side.</strong></p>
<p>Choose engines, seeds, and one setting to try in several values.</p></div>"""
VARIABLE = {
    "Nothing else": "",
    "Follow the words": "text_guidance",
    "Hold on to the picture": "image_guidance",
    "Steps": "steps",
    "Speed: fast and exact": "speed",
    "Post-edit: with and without": "post_edit",
    "Mask rule: Otsu and paper": "mask_rule",
}
NUMBERS = ("text_guidance", "image_guidance", "steps")
MOST_SEEDS = 8


@dataclass(frozen=True)
class Fields:
    """Everything of the tab that handlers touch."""

    image: Picture
    take: gr.Button
    instruction: gr.Textbox
    engines: gr.CheckboxGroup
    seeds: gr.Slider
    first: gr.Number
    vary: gr.Dropdown
    values: gr.Textbox
    go: gr.Button
    stop: gr.Button
    status: gr.HTML
    waiting: gr.HTML
    panel: gr.Column
    note: gr.Markdown
    gallery: gr.Gallery
    save: gr.DownloadButton
    large: gr.Column
    slider: gr.ImageSlider
    about: gr.Markdown
    save_one: gr.DownloadButton
    table: gr.HTML


def lay_out_compare(studio: Studio) -> Fields:
    """Build the tab."""
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            ask = _lay_out_ask(studio)
        with gr.Column(scale=8, min_width=300):
            answer = _lay_out_answer()
    return Fields(*ask, *answer)  # type: ignore[arg-type]


def _lay_out_ask(studio: Studio) -> tuple[object, ...]:
    image = Picture(
        label="Picture",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=240,
        elem_id="compare-picture",
        placeholder="Drop a picture here, or take that of the Edit tab",
    )
    instruction = gr.Textbox(
        label="What happens?", placeholder="the sun comes out", max_lines=1, elem_id="compare-instruction"
    )
    take = gr.Button("Take both from the Edit tab", size="sm", elem_id="compare-take")
    ready = [engine_choice(row) for row in studio.rows if row.ready]
    engines = gr.CheckboxGroup(
        ready,
        value=[studio.default.id],
        label="Engines",
        info="Those whose weights are here.",
        elem_id="compare-engines",
    )
    with gr.Row():
        seeds = gr.Slider(1, MOST_SEEDS, 2, step=1, label="Seeds", min_width=160, elem_id="compare-seeds")
        first = gr.Number(0, precision=0, label="First seed", min_width=110, elem_id="compare-first")
    vary = gr.Dropdown(list(VARIABLE.items()), value="", label="Also try", elem_id="compare-vary")
    values = gr.Textbox(
        label="In these values", placeholder="1, 2.5, 4", max_lines=1, visible=False, elem_id="compare-values"
    )
    go = gr.Button("Compare", variant="primary", elem_id="compare")
    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="compare-stop")
    status = gr.HTML(elem_id="compare-status", padding=False, visible=False)
    return image, take, instruction, engines, seeds, first, vary, values, go, stop, status


def _lay_out_answer() -> tuple[object, ...]:
    waiting = gr.HTML(WAITING, padding=False, elem_id="compare-waiting")
    with gr.Column(visible=False, elem_id="compared") as panel:
        note = gr.Markdown(elem_id="compare-note")
        gallery = gr.Gallery(
            format="png",
            label="Click one to see it large",
            columns=3,
            fit_columns=False,
            allow_preview=False,
            object_fit="contain",
            interactive=False,
            buttons=[],
            height="auto",
            elem_id="compare-gallery",
            elem_classes="pictures",
        )
        save = gr.DownloadButton("Save the grid as PNG", elem_id="compare-save")
        with gr.Column(visible=False) as large:
            slider = gr.ImageSlider(
                label="Before and after",
                type="filepath",
                format="png",
                interactive=False,
                buttons=["fullscreen"],
                max_height=460,
                elem_id="compare-slider",
            )
            about = gr.Markdown(elem_classes="quiet", elem_id="compare-about")
            save_one = gr.DownloadButton("Save this picture", elem_id="compare-save-one")
        table = gr.HTML(padding=False, elem_id="compare-table")
    return waiting, panel, note, gallery, save, large, slider, about, save_one, table
