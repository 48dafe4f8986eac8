"""The components of the Attention tab: left what is asked, right what the recorder saw and what comes of it."""

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import SCENES
from editworld_core.simulation.world import dynamic_names
from ui import checks
from ui.choices import MASK_RULES, slider
from ui.fields import Picture
from ui.studio import Studio
from ui.wording import engine_choice, engine_note, steps_help

WAITING = """\
<div class="waiting"><div class="waiting-frame" aria-hidden="true"><span></span><span></span></div>
<p><strong>Where each word looks appears here.</strong></p>
<p>Give a picture and an instruction, or take those of the Edit tab.<br>
A scene of the simulator comes with the mask of what truly changes.</p></div>"""

ATTENTION_CSS = """
.word-picker label { border-radius: 999px; padding: 4px 12px; }
.word-picker label span { margin: 0; }
.word-picker input { position: absolute; opacity: 0; pointer-events: none; }
.word-picker label:focus-within { outline: 2px solid var(--primary-500); outline-offset: 1px; }
.lab-picture img { width: 100%; max-height: 420px; object-fit: contain; }
#each-word .grid-wrap { min-height: 0; max-height: none; height: auto; }
#each-word .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(120px, 40%), 1fr)); }
#each-word .grid-container { padding-top: 24px; } /* the label stands above the pictures */
#each-word .caption-label { left: 0; right: 0; bottom: 0; max-width: none; border: 0; border-radius: 0;
  text-align: left; padding: 3px 8px; }
"""


@dataclass(frozen=True)
class Question:
    """The left column."""

    image: Picture
    note: gr.Markdown
    instruction: gr.Textbox
    take: gr.Button
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    engine: gr.Dropdown
    engine_note: gr.Markdown
    steps: gr.Slider
    seed: gr.Number
    truth: Picture
    scene: gr.Dropdown
    number: gr.Slider


@dataclass(frozen=True)
class ViewFields:
    """What the visitor looks at."""

    words: gr.CheckboxGroup
    cells: gr.Radio
    layers: gr.Dropdown
    step: gr.Slider
    rule: gr.Radio
    threshold: gr.Slider

    @property
    def all(self) -> list[Any]:
        """The fields in order."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Seen:
    """The right column, but for the fields of the view."""

    waiting: gr.HTML
    panel: gr.Column
    heat: gr.Image
    edited: gr.Image
    said: gr.Markdown
    each: gr.Gallery
    animate: gr.Button
    animation: gr.Image
    through: gr.Accordion
    segment: gr.Button
    before: gr.Image
    after: gr.Image
    segments_said: gr.Markdown
    other: gr.Textbox
    compare: gr.Button
    compared: gr.Column
    other_words: gr.CheckboxGroup
    first_heat: gr.Image
    second_heat: gr.Image
    second_edited: gr.Image
    difference: gr.Image
    compared_said: gr.Markdown
    difference_said: gr.Markdown
    export: gr.Button
    save: gr.DownloadButton


def lay_out_question(studio: Studio) -> Question:
    """Build the left column."""
    image = Picture(
        label="Picture",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        buttons=["fullscreen"],
        height=300,
        elem_id="lab-picture",
        placeholder="Drop a picture here",
    )
    note = gr.Markdown(visible=False, elem_id="lab-note", elem_classes="note")
    instruction = gr.Textbox(
        label="What happens?",
        placeholder="the sun comes out",
        lines=1,
        max_lines=1,
        elem_id="lab-instruction",
    )
    with gr.Row():
        take = gr.Button("From the Edit tab", min_width=140, elem_id="lab-take")
        run = gr.Button("Look", variant="primary", min_width=120, elem_id="lab-run")
        stop = gr.Button("Stop", variant="stop", visible=False, min_width=120, elem_id="lab-stop")
    status = gr.HTML(elem_id="lab-status", padding=False, visible=False)
    engine = _lay_out_engine(studio)
    return Question(image, note, instruction, take, run, stop, status, *engine, *_lay_out_truth())


def _lay_out_engine(studio: Studio) -> tuple[Any, ...]:
    info, plain = studio.default, EditSettings()
    with gr.Accordion("Engine, steps and seed", open=False, elem_id="lab-engine"):
        engine = gr.Dropdown([engine_choice(row) for row in studio.rows], value=info.id, label="Engine")
        about = gr.Markdown(engine_note(studio.row(info.id)), elem_classes="quiet")
        usual = info.steps_of(plain.speed)
        steps = slider(checks.STEPS, usual, 1, steps_help(info, plain.speed), elem_id="lab-steps")
        seed = gr.Number(0, label="Seed", info="Same seed, same picture.", precision=0, elem_id="lab-seed")
    return engine, about, steps, seed


def _lay_out_truth() -> tuple[Any, ...]:
    with gr.Accordion("True mask", open=False, elem_id="lab-truth-panel"):
        gr.Markdown(
            "White where the picture truly changes; the overlap with it is shown.", elem_classes="quiet"
        )
        truth = Picture(
            label="Mask",
            type="filepath",
            format="png",
            sources=["upload", "clipboard"],
            buttons=[],
            height=160,
            elem_id="lab-truth",
            placeholder="Drop a mask here",
        )
        scene = gr.Dropdown(
            [(name.replace("_", " "), name) for name in dynamic_names()],
            value=None,
            label="Or a scene of the simulator",
            info="With its instruction and its true mask; no training has seen it.",
            elem_id="lab-scene",
        )
        number = gr.Slider(0, SCENES - 1, 0, step=1, label="Which of its scenes", elem_id="lab-number")
    return truth, scene, number


def lay_out_seen() -> tuple[ViewFields, Seen]:
    """Build the right column."""
    waiting = gr.HTML(WAITING, padding=False, elem_id="lab-waiting")
    with gr.Column(visible=False, elem_id="lab-seen") as panel:
        with gr.Row():
            heat = _picture("Where the words look", "lab-heat")
            edited = _picture("Afterwards", "lab-edited")
        said = gr.Markdown(elem_id="lab-said")
        view = _lay_out_view()
        each = _lay_out_each()
        through = _lay_out_steps()
        segments = _lay_out_segments()
        comparison = _lay_out_comparison()
        with gr.Row():
            export = gr.Button("Prepare the files", min_width=140, elem_id="lab-export")
            save = gr.DownloadButton(
                "Save all as zip", variant="primary", visible=False, min_width=140, elem_id="lab-save"
            )
    return view, Seen(
        waiting, panel, heat, edited, said, each, *through, *segments, *comparison, export, save
    )


def _lay_out_view() -> ViewFields:
    plain = EditSettings()
    words = gr.CheckboxGroup(
        label="Words",
        info="Those chosen act together.",
        elem_id="lab-words",
        elem_classes="word-picker",
    )
    with gr.Row():
        rule = gr.Radio(
            MASK_RULES, value=plain.mask_rule, label="Mask rule", min_width=240, elem_id="lab-rule"
        )
        threshold = slider(
            checks.THRESHOLD,
            plain.mask_threshold,
            0.0125,
            "The paper's rule: the share of the mean that counts.",
            min_width=200,
            elem_id="lab-threshold",
        )
    with gr.Row():
        cells = gr.Radio(label="Resolution in cells", min_width=160, elem_id="lab-cells")
        step = gr.Slider(
            0, 1, 0, step=1, label="Step", info="0 is the mean of all.", min_width=200, elem_id="lab-step"
        )
    layers = gr.Dropdown(
        multiselect=True,
        label="Layers",
        info="None chosen: the mean of those in the down and up blocks.",
        elem_id="lab-layers",
    )
    return ViewFields(words, cells, layers, step, rule, threshold)


def _lay_out_each() -> gr.Gallery:
    return gr.Gallery(
        format="png",
        label="Each word alone; click one to choose it",
        columns=4,
        fit_columns=False,
        allow_preview=False,
        object_fit="cover",
        interactive=False,
        buttons=[],
        height="auto",
        elem_id="each-word",
    )


def _lay_out_steps() -> tuple[Any, ...]:
    with gr.Accordion("Through the steps", open=False, visible=False, elem_id="lab-through") as through:
        animate = gr.Button("Show them one after the other", elem_id="lab-animate")
        animation = gr.Image(
            label="Step by step",
            format="png",
            type="filepath",
            interactive=False,
            buttons=["download"],
            visible=False,
            elem_id="lab-animation",
            elem_classes="lab-picture",
        )
    return animate, animation, through


def _lay_out_segments() -> tuple[Any, ...]:
    with gr.Accordion("Segments", open=False, elem_id="lab-segments"):
        said = gr.Markdown(elem_classes="quiet", elem_id="lab-segments-said")
        with gr.Row():
            before = _picture("Of the original", "lab-segments-before")
            after = _picture("Of the edited picture", "lab-segments-after")
        segment = gr.Button("Find the segments of the mask above", elem_id="lab-segment")
    return segment, before, after, said


def _lay_out_comparison() -> tuple[Any, ...]:
    with gr.Accordion("Compare with another instruction", open=False, elem_id="lab-comparison"):
        other = gr.Textbox(
            label="What else could happen?",
            info="With the same picture, engine, steps and seed.",
            lines=1,
            max_lines=1,
            elem_id="lab-other",
        )
        compare = gr.Button("Compare", elem_id="lab-compare")
        with gr.Column(visible=False) as compared:
            said = gr.Markdown(elem_id="lab-compared-said")
            words = gr.CheckboxGroup(
                label="Words of the second", elem_id="lab-other-words", elem_classes="word-picker"
            )
            with gr.Row():
                first = _picture("First", "lab-first-heat")
                second = _picture("Second", "lab-second-heat")
            with gr.Row():
                edited = _picture("Second, afterwards", "lab-second-edited")
                difference = _picture("Difference of the edits", "lab-difference")
            apart = gr.Markdown(elem_classes="quiet", elem_id="lab-difference-said")
    return other, compare, compared, words, first, second, edited, difference, said, apart


def _picture(label: str, name: str) -> gr.Image:
    return gr.Image(
        label=label,
        format="png",
        interactive=False,
        buttons=["fullscreen", "download"],
        min_width=240,
        elem_id=name,
        elem_classes="lab-picture",
    )
