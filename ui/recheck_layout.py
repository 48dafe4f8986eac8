"""The components of the Recheck tab: a row to choose, a strip of progress, the pair, and what may be said of it."""

from dataclasses import dataclass

import gradio as gr

from editworld_core.categories import Category
from ui.hand_layout import mask_canvas
from ui.recheck_keys import KEYS, SCRIPT
from ui.recheck_seat import ANY, STATES

NONE_YET = (
    "Recheck lets you look through a data set and keep what is good. To have one here, make one in the Sample data "
    "tab, or start the app with `python app.py --data DIR`, where DIR holds data sets of `training.generate`."
)
BRANCHES = [
    ("any branch", ANY),
    ("text-to-image", "text_to_image"),
    ("video", "video"),
    ("simulation", "simulation"),
]
CATEGORIES = [(f"{number} {category}", category.value) for number, category in enumerate(Category, 1)]


@dataclass(frozen=True)
class Fields:
    """The tab's components, in the order of the page."""

    none_yet: gr.Markdown
    door: gr.Row
    data_set: gr.Dropdown
    reviewer: gr.Textbox
    start: gr.Button
    state: gr.Dropdown
    category_filter: gr.Dropdown
    branch: gr.Dropdown
    jump: gr.Textbox
    desk: gr.Column
    progress: gr.HTML
    pair: gr.HTML
    painting: gr.Column
    canvas: gr.ImageEditor
    use_mask: gr.Button
    cancel_mask: gr.Button
    actions: gr.Row
    previous: gr.Button
    accept: gr.Button
    drop: gr.Button
    skip: gr.Button
    undo: gr.Button
    regenerate: gr.Button
    paint: gr.Button
    outline: gr.Button
    following: gr.Button
    note: gr.Markdown
    instruction: gr.Textbox
    save: gr.Button
    category: gr.Radio
    facts: gr.HTML
    export: gr.Markdown
    shown: gr.Textbox


def lay_out_recheck() -> Fields:
    """Build the tab's components inside the current ``gr.Tab``."""
    with gr.Column(elem_id="recheck"):
        none_yet = gr.Markdown(NONE_YET, elem_id="rc-none", elem_classes="quiet")
        door = _lay_out_door()
        with gr.Column(visible=False, elem_id="rc-desk") as desk:
            progress = gr.HTML(elem_id="rc-progress", padding=False)
            with gr.Row(elem_id="rc-bench"):
                with gr.Column(scale=17, min_width=300):
                    pair = gr.HTML(elem_id="rc-pair", padding=False)
                    painting = _lay_out_painting()
                    actions = _lay_out_actions()
                    note = gr.Markdown(visible=False, elem_id="rc-note", elem_classes="note")
                with gr.Column(scale=8, min_width=280):
                    opinion = _lay_out_opinion()
            gr.HTML(KEYS, padding=False)
            export = gr.Markdown(elem_id="rc-export", elem_classes="quiet")
            # what this browser shows: a key that was pressed before it is no verdict on what comes after it
            shown = gr.Textbox(visible=False)
        gr.HTML(js_on_load=SCRIPT, padding=False)
    return Fields(none_yet, *door, desk, progress, pair, *painting, *actions, note, *opinion, export, shown)


def _lay_out_door() -> tuple[gr.components.Component | gr.Row, ...]:
    with gr.Row(visible=False, elem_id="rc-door") as door:
        data_set = gr.Dropdown([], label="Data set", scale=3, min_width=150, elem_id="rc-data-set")
        reviewer = gr.Textbox(
            label="Your name",
            placeholder="goes into the log",
            max_lines=1,
            scale=2,
            min_width=120,
            elem_id="rc-reviewer",
        )
        start = gr.Button("Start", variant="primary", scale=1, min_width=80, elem_id="rc-start")
        state = gr.Dropdown(
            list(STATES), value=STATES[0], label="Show", scale=2, min_width=120, elem_id="rc-state"
        )
        kinds = [("any category", ANY), *[(category.value, category.value) for category in Category]]
        category = gr.Dropdown(
            kinds, value=ANY, label="Category", scale=2, min_width=130, elem_id="rc-filter"
        )
        branch = gr.Dropdown(BRANCHES, value=ANY, label="Branch", scale=2, min_width=130, elem_id="rc-branch")
        jump = gr.Textbox(
            label="Go to", placeholder="number", max_lines=1, scale=1, min_width=80, elem_id="rc-jump"
        )
    return door, data_set, reviewer, start, state, category, branch, jump


def _lay_out_painting() -> tuple[gr.components.Component | gr.Column, ...]:
    with gr.Column(visible=False, elem_id="rc-painting") as painting:
        canvas = mask_canvas(buttons=[], height=380, elem_id="rc-canvas")
        with gr.Row():
            use = gr.Button(
                "Use this mask", variant="primary", size="sm", min_width=120, elem_id="rc-use-mask"
            )
            cancel = gr.Button("Leave it as it was", size="sm", min_width=120, elem_id="rc-cancel-mask")
    return painting, canvas, use, cancel


def _lay_out_actions() -> tuple[gr.Row | gr.Button, ...]:
    def button(text: str, name: str, variant: str = "secondary", scale: int = 2) -> gr.Button:
        return gr.Button(text, variant=variant, size="sm", scale=scale, min_width=44, elem_id=f"rc-{name}")

    with gr.Row(elem_id="rc-actions") as row:
        return (
            row,
            button("←", "previous", scale=1),
            button("Accept", "accept", "primary", 3),
            button("Drop", "drop", "stop", 3),
            button("Skip", "skip"),
            button("Undo", "undo"),
            button("Regenerate", "regenerate", scale=3),
            button("Paint mask", "mask", scale=3),
            button("Outline", "outline"),
            button("→", "next", scale=1),
        )


def _lay_out_opinion() -> tuple[gr.components.Component, ...]:
    instruction = gr.Textbox(
        label="Instruction", placeholder="What happens?", lines=2, max_lines=4, elem_id="rc-instruction"
    )
    save = gr.Button("Keep this instruction", size="sm", elem_id="rc-save")
    category = gr.Radio(CATEGORIES, label="Category", elem_id="rc-category")
    facts = gr.HTML(elem_id="rc-facts", padding=False)
    return instruction, save, category, facts
