"""The components of the Edit tab: left what is asked, right what came of it, below the history and the examples."""

from dataclasses import dataclass

import gradio as gr

from ui import checks
from ui.checks import Range
from ui.examples import Example
from ui.fields import Picture
from ui.studio import Studio
from ui.theme import WAITING
from ui.wording import PRIVACY, engine_choice, engine_note, guidance_help

MASK_RULES = [("Otsu: finds the gap by itself", "otsu"), ("Paper: a share of the mean", "paper")]


@dataclass(frozen=True)
class Choices:
    """The fields that make up ``EditSettings``, but for the words."""

    engine: gr.Dropdown
    steps: gr.Slider
    text_guidance: gr.Slider
    image_guidance: gr.Slider
    seed: gr.Number
    new_seed: gr.Checkbox
    post_edit: gr.Checkbox
    mask_rule: gr.Radio
    threshold: gr.Slider
    feather: gr.Slider
    engine_note: gr.Markdown
    help: gr.Markdown


@dataclass(frozen=True)
class Ask:
    """The left column."""

    image: Picture
    note: gr.Markdown
    instruction: gr.Textbox
    edit: gr.Button
    stop: gr.Button
    status: gr.HTML
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
    shelf: gr.Column
    history: gr.Gallery


def _slider(bounds: Range, value: float, step: float, info: str, **more: object) -> gr.Slider:
    return gr.Slider(bounds.low, bounds.high, value, step=step, label=bounds.name, info=info, **more)


def _engine_fields(studio: Studio) -> tuple[gr.Dropdown, gr.Markdown]:
    default = studio.default
    engine = gr.Dropdown(
        [engine_choice(row) for row in studio.rows], value=default.id, label="Engine", elem_id="engine"
    )
    return engine, gr.Markdown(engine_note(studio.row(default.id)), elem_classes="quiet")


def _choices(studio: Studio) -> Choices:
    info = studio.default
    post_edit = gr.Checkbox(
        True,
        label="Post-edit: keep everything else as it was",
        info="Outside the mask every pixel stays your own.",
        elem_id="post-edit",
    )
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        engine, note = _engine_fields(studio)
        steps = _slider(checks.STEPS, info.steps, 1, "More is slower, sometimes finer.", elem_id="steps")
        text = _slider(checks.TEXT_GUIDANCE, info.text_guidance, 0.1, "Higher: a stronger change.")
        image = _slider(checks.IMAGE_GUIDANCE, info.image_guidance, 0.05, "Higher: closer to your picture.")
        with gr.Row():
            seed = gr.Number(
                label="Seed", info="Same seed, same picture.", precision=0, min_width=130, elem_id="seed"
            )
            new_seed = gr.Checkbox(True, label="New seed each time", min_width=130, elem_id="new-seed")
        rule = gr.Radio(MASK_RULES, value="otsu", label="Mask rule", elem_id="mask-rule")
        threshold = _slider(
            checks.THRESHOLD, 0.8125, 0.0125, "Share of the mean that counts (paper).", visible=False
        )
        feather = _slider(checks.FEATHER, 6, 1, "Pixels inside the mask over which the edit fades in.")
    with gr.Accordion("Not what you hoped for?", open=False):
        advice = gr.Markdown(guidance_help(info))
    return Choices(
        engine, steps, text, image, seed, new_seed, post_edit, rule, threshold, feather, note, advice
    )


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
    note = gr.Markdown(visible=False, elem_id="restored")
    instruction = gr.Textbox(
        label="What happens?",
        placeholder="the sun comes out",
        lines=1,
        max_lines=1,
        elem_id="instruction",
    )
    with gr.Row(elem_id="go"):
        edit = gr.Button("Edit", variant="primary", elem_id="edit")
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
    status = gr.HTML(elem_id="status", padding=False, visible=False)
    return Ask(image, note, instruction, edit, stop, status, _choices(studio))


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


def lay_out_answer() -> tuple[gr.HTML, gr.Column, list[gr.components.Component]]:
    """Build the right column: what waits, the panel that replaces it, and the panel's components in order."""
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
        parts = [slider, save, save_mask, reuse, *_lay_out_mask()]
    return waiting, panel, parts


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
                elem_classes="example-shelf",
            )
            shelves.append((gallery, chosen))
    return shelves


def lay_out_privacy() -> None:
    """Build the page's last words."""
    gr.Markdown(PRIVACY, elem_classes="quiet", elem_id="privacy")
