"""The components of the Chain tab: left what happens next, right the pictures so far and the film."""

from dataclasses import dataclass

import gradio as gr

from ui.fields import Picture
from ui.studio import Studio
from ui.wording import engine_choice

WAITING = """\
<div class="waiting"><div class="waiting-frame" aria-hidden="true"><span></span><span></span></div>
<p><strong>What happens, step by step, appears here.</strong></p>
<p>“The sun comes out”, “then it snows”, “then night falls”.<br>
What no step touches stays your own picture, pixel for pixel.</p></div>"""
FORMATS = [("GIF", ".gif"), ("MP4", ".mp4")]


@dataclass(frozen=True)
class Fields:
    """Everything of the tab that handlers touch."""

    image: Picture
    take: gr.Button
    instruction: gr.Textbox
    add: gr.Button
    stop: gr.Button
    remove: gr.Button
    restart: gr.Button
    status: gr.HTML
    engine: gr.Dropdown
    seed: gr.Number
    waiting: gr.HTML
    panel: gr.Column
    slider: gr.ImageSlider
    note: gr.Markdown
    save: gr.DownloadButton
    frames: gr.Gallery
    format: gr.Radio
    captions: gr.Checkbox
    fade: gr.Checkbox
    make: gr.Button
    gif: gr.Image
    video: gr.Video
    save_film: gr.DownloadButton


def lay_out_chain(studio: Studio) -> Fields:
    """Build the tab."""
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            ask = _lay_out_ask(studio)
        with gr.Column(scale=7, min_width=300):
            answer = _lay_out_answer()
    return Fields(*ask, *answer)  # type: ignore[arg-type]


def _lay_out_ask(studio: Studio) -> tuple[object, ...]:
    image = Picture(
        label="Picture",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=300,
        elem_id="chain-picture",
        placeholder="Drop a picture here, or take that of the Edit tab",
    )
    instruction = gr.Textbox(
        label="What happens next?", placeholder="then it snows", max_lines=1, elem_id="chain-instruction"
    )
    add = gr.Button("Add step", variant="primary", elem_id="chain-add")
    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="chain-stop")
    with gr.Row():
        remove = gr.Button("Remove last", size="sm", min_width=100, elem_id="chain-remove")
        restart = gr.Button("Start over", size="sm", min_width=100, elem_id="chain-restart")
    status = gr.HTML(elem_id="chain-status", padding=False, visible=False)
    take = gr.Button("Take both from the Edit tab", size="sm", elem_id="chain-take")
    with gr.Accordion("Advanced", open=False):
        engine = gr.Dropdown(
            [engine_choice(row) for row in studio.rows],
            value=studio.default.id,
            label="Engine",
            elem_id="chain-engine",
        )
        seed = gr.Number(
            None, precision=0, label="Seed", info="Of every step; empty for a new one.", elem_id="chain-seed"
        )
    return image, take, instruction, add, stop, remove, restart, status, engine, seed


def _lay_out_answer() -> tuple[object, ...]:
    waiting = gr.HTML(WAITING, padding=False, elem_id="chain-waiting")
    with gr.Column(visible=False, elem_id="chained") as panel:
        slider = gr.ImageSlider(
            label="Your picture, and the one chosen below",
            type="filepath",
            format="png",
            interactive=False,
            buttons=["fullscreen"],
            max_height=460,
            elem_id="chain-slider",
        )
        note = gr.Markdown(elem_classes="quiet", elem_id="chain-note")
        frames = gr.Gallery(
            format="png",
            label="Step by step",
            columns=4,
            fit_columns=False,
            allow_preview=False,
            object_fit="cover",
            interactive=False,
            buttons=[],
            height="auto",
            elem_id="chain-frames",
            elem_classes="pictures",
        )
        save = gr.DownloadButton("Save last picture", elem_id="chain-save")
        kind = gr.Radio(FORMATS, value=".gif", label="Film", elem_id="chain-format")
        with gr.Row():
            captions = gr.Checkbox(True, label="Captions", min_width=120, elem_id="chain-captions")
            fade = gr.Checkbox(True, label="Cross-fade", min_width=120, elem_id="chain-fade")
        make = gr.Button("Make the film", elem_id="chain-make")
        gif = gr.Image(
            label="Film",
            type="filepath",
            interactive=False,
            visible=False,
            buttons=["fullscreen"],
            height=340,
            elem_id="chain-gif",
        )
        video = gr.Video(label="Film", interactive=False, visible=False, height=340, elem_id="chain-video")
        save_film = gr.DownloadButton("Save the film", visible=False, elem_id="chain-save-film")
    return waiting, panel, slider, note, save, frames, kind, captions, fade, make, gif, video, save_film
