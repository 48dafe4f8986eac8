"""The components of the Sample data tab: left what is ordered, right the pairs as they come and how to take them."""

from dataclasses import dataclass

import gradio as gr

from editworld_core.categories import Category
from ui.data_orders import BRANCHES, COUNT, dynamics_of

WAITING = """\
<div class="waiting"><div class="waiting-frame" aria-hidden="true"><span></span><span></span></div>
<p><strong>Pairs appear here while they are made.</strong></p>
<p>Each is a picture, what happens in it, and the picture afterwards.<br>
The simulator needs no GPU and no network.</p></div>"""


@dataclass(frozen=True)
class Fields:
    """Everything of the tab that handlers touch."""

    branch: gr.Radio
    about: gr.Markdown
    categories: gr.CheckboxGroup
    more: gr.Accordion
    dynamics: list[gr.CheckboxGroup]
    films: gr.File
    count: gr.Slider
    seed: gr.Number
    size: gr.Radio
    make: gr.Button
    stop: gr.Button
    status: gr.HTML
    waiting: gr.HTML
    panel: gr.Column
    note: gr.Markdown
    save: gr.DownloadButton
    chips: gr.HTML
    gallery: gr.Gallery
    texts: gr.Dataframe
    command: gr.Code


def lay_out_data() -> Fields:
    """Build the tab."""
    with gr.Row(elem_id="data-bench"):
        with gr.Column(scale=5, min_width=300):
            order = _lay_out_order()
        with gr.Column(scale=7, min_width=300):
            made = _lay_out_made()
    return Fields(*order, *made)  # type: ignore[arg-type]


def _lay_out_order() -> tuple[object, ...]:
    branch = gr.Radio(
        list(BRANCHES.items()), value="simulation", label="Where the pairs come from", elem_id="branch"
    )
    about = gr.Markdown(visible=False, elem_classes="quiet", elem_id="branch-about")
    categories = gr.CheckboxGroup(
        [str(each) for each in Category],
        value=[str(each) for each in Category],
        label="Categories",
        show_select_all=True,
        elem_id="categories",
    )
    with gr.Accordion("What may happen in each", open=False, elem_id="dynamics") as more:
        dynamics = [
            gr.CheckboxGroup(
                [(name.replace("_", " "), name) for name in dynamics_of(each)],
                value=dynamics_of(each),
                label=str(each),
                show_select_all=True,
            )
            for each in Category
        ]
    films = gr.File(
        file_count="multiple", file_types=["video"], label="Videos", visible=False, elem_id="films"
    )
    count = gr.Slider(COUNT.low, COUNT.high, value=24, step=1, label="How many", elem_id="count")
    with gr.Row():
        seed = gr.Number(0, precision=0, label="Seed", min_width=120, elem_id="data-seed")
        size = gr.Radio([256, 512], value=256, label="Size in pixels", min_width=150, elem_id="data-size")
    make = gr.Button("Make samples", variant="primary", elem_id="make")
    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop-data")
    status = gr.HTML(elem_id="data-status", padding=False, visible=False)
    return branch, about, categories, more, dynamics, films, count, seed, size, make, stop, status


def _lay_out_made() -> tuple[object, ...]:
    waiting = gr.HTML(WAITING, padding=False, elem_id="data-waiting")
    with gr.Column(visible=False, elem_id="made") as panel:
        note = gr.Markdown(elem_id="data-note")
        save = gr.DownloadButton("Save as zip", variant="primary", visible=False, elem_id="save-data")
        chips = gr.HTML(padding=False, elem_id="data-chips")
        gallery = gr.Gallery(
            show_label=False,
            columns=2,
            fit_columns=False,
            object_fit="contain",
            interactive=False,
            buttons=["fullscreen"],
            height="auto",
            elem_id="pairs",
            elem_classes="pictures",
        )
        texts = gr.Dataframe(
            headers=["Category", "Before", "Instruction", "Afterwards"],
            interactive=False,
            wrap=True,
            visible=False,
            max_height=520,
            elem_id="texts",
        )
        command = gr.Code(
            label="The same on the command line",
            language="shell",
            interactive=False,
            wrap_lines=True,
            show_line_numbers=False,
            visible=False,
            elem_id="command",
        )
    return waiting, panel, note, save, chips, gallery, texts, command
