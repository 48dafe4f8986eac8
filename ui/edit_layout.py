"""The components of the Edit tab: left what is asked, right what came of it, below the history and the examples."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.choices import Choices, lay_out_choices
from ui.examples import Example
from ui.fields import Picture
from ui.hand_layout import Hand, lay_out_hand
from ui.studio import Studio
from ui.theme import WAITING
from ui.think import ThinkFields, lay_out_think, lay_out_think_button
from ui.wording import privacy


@dataclass(frozen=True)
class Ask:
    """The left column."""

    image: Picture
    note: gr.Markdown
    instruction: gr.Textbox
    edit: gr.Button
    stop: gr.Button
    status: gr.HTML
    think: ThinkFields
    choices: Choices


@dataclass(frozen=True)
class Answer:
    """The right column and the history."""

    waiting: gr.HTML
    panel: gr.Column
    slider: gr.ImageSlider
    save: gr.DownloadButton
    save_mask: gr.DownloadButton
    reuse: gr.Button
    overlay: gr.Image
    words: gr.CheckboxGroup
    mask_note: gr.Markdown
    drift: gr.Markdown
    timings: gr.Markdown
    hand: Hand
    shelf: gr.Column
    history: gr.Gallery


def lay_out_ask(studio: Studio) -> Ask:
    """Build the left column."""
    image = Picture(
        label="Picture",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        buttons=["fullscreen"],
        height=340,
        elem_id="picture",
        placeholder="Drop a picture here, or a saved result to get its settings back",
    )
    note = gr.Markdown(visible=False, elem_id="restored", elem_classes="note")
    instruction = gr.Textbox(
        label="What happens?",
        placeholder="the sun comes out",
        lines=1,
        max_lines=1,
        elem_id="instruction",
    )
    with gr.Row(elem_id="go"):
        think = lay_out_think_button()
        edit = gr.Button("Edit", variant="primary", scale=2, min_width=120, elem_id="edit")
        stop = gr.Button("Stop", variant="stop", visible=False, scale=2, min_width=120, elem_id="stop")
    status = gr.HTML(elem_id="status", padding=False, visible=False)
    thought = lay_out_think(think)
    return Ask(image, note, instruction, edit, stop, status, thought, lay_out_choices(studio))


def _lay_out_mask() -> tuple[gr.Image, gr.CheckboxGroup, gr.Markdown, gr.Markdown, gr.Markdown]:
    with gr.Row():
        overlay = gr.Image(
            label="Where the words looked",
            format="png",
            interactive=False,
            buttons=["fullscreen"],
            min_width=260,
            elem_id="overlay",
        )
        with gr.Column(min_width=260):
            words = gr.CheckboxGroup(
                label="Words that make the mask",
                info="Click the words of what may change.",
                elem_id="words",
            )
            mask_note = gr.Markdown(elem_classes="quiet", elem_id="mask-note")
            drift = gr.Markdown(elem_id="drift")
            timings = gr.Markdown(elem_classes="quiet", elem_id="timings")
    return overlay, words, mask_note, drift, timings


def lay_out_answer() -> tuple[Any, ...]:
    """Build the right column: the parts of ``Answer`` in order, but for the history."""
    waiting = gr.HTML(WAITING, padding=False, elem_id="waiting")
    with gr.Column(visible=False, elem_id="answer") as panel:
        slider = gr.ImageSlider(
            label="Before and after",
            type="filepath",
            format="png",
            interactive=False,
            buttons=["fullscreen"],
            max_height=460,
            elem_id="slider",
        )
        with gr.Row():
            save = gr.DownloadButton("Save picture", min_width=120, elem_id="save")
            save_mask = gr.DownloadButton("Save mask", min_width=120, elem_id="save-mask")
            reuse = gr.Button("Use as input", min_width=120, elem_id="reuse")
        mask = _lay_out_mask()
        hand = lay_out_hand()
    return waiting, panel, slider, save, save_mask, reuse, *mask, hand


def lay_out_history() -> tuple[gr.Column, gr.Gallery]:
    """Build the shelf of this session's edits."""
    with gr.Column(visible=False, elem_classes="shelf") as shelf:
        gr.Markdown("### Your edits so far")
        history = gr.Gallery(
            format="png",
            show_label=False,
            columns=6,
            fit_columns=False,
            allow_preview=False,
            object_fit="cover",
            interactive=False,
            buttons=[],
            height="auto",
            elem_id="history",
            elem_classes="pictures",
        )
    return shelf, history


def lay_out_examples(examples: tuple[Example, ...]) -> list[tuple[gr.Gallery, tuple[Example, ...]]]:
    """Build one small gallery a category."""
    shelves = []
    if not examples:
        return shelves
    gr.Markdown("### Try one of these", elem_classes="shelf")
    with gr.Row(elem_id="examples-grid"):
        for category in dict.fromkeys(example.category for example in examples):
            chosen = tuple(example for example in examples if example.category == category)
            gallery = gr.Gallery(
                [(str(example.image), example.instruction) for example in chosen],
                format="png",
                label=category,
                columns=2,
                fit_columns=False,
                allow_preview=False,
                object_fit="cover",
                interactive=False,
                buttons=[],
                height="auto",
                min_width=240,
                elem_classes="example-shelf pictures",
            )
            shelves.append((gallery, chosen))
    return shelves


def lay_out_privacy(studio: Studio) -> None:
    """Build the page's last words."""
    gr.Markdown(privacy(studio.sends), elem_classes="quiet", elem_id="privacy")
