"""The fields that make up ``EditSettings``: laid out under "Advanced", read, and set again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from editworld_core.settings import EditSettings
from ui import checks
from ui.checks import Range
from ui.studio import Studio
from ui.wording import engine_choice, engine_note, guidance_help, steps_help

Updates = dict[Any, Any]

SPEEDS = [("Fast", "fast"), ("Exact", "exact")]
MASK_RULES = [("Otsu: finds the gap by itself", "otsu"), ("Paper: a share of the mean", "paper")]
SEGMENTERS = [
    ("SAM if it is here, else classical", "auto"),
    ("Classical, without any download", "classical"),
]
INPAINTERS = [
    ("The engine's own, if that helps", "auto"),
    ("The engine's own", "engine"),
    ("None: put the edit in as it is", "none"),
    ("ControlNet and IP-Adapter, Stable Diffusion 1.5 · CreativeML OpenRAIL-M", "controlnet-sd15"),
    ("ControlNet and IP-Adapter, Stable Diffusion XL · CreativeML OpenRAIL++-M", "controlnet-sdxl"),
]
SETTINGS = (
    "engine",
    "speed",
    "steps",
    "text_guidance",
    "image_guidance",
    "negative",
    "seed",
    "new_seed",
    "post_edit",
    "mask_rule",
    "mask_threshold",
    "segmenter",
    "inpainter",
    "align",
    "match_colours",
)
REFINING = ("post_edit", "mask_rule", "mask_threshold", "segmenter", "inpainter", "align", "match_colours")
"""Those that change the mask and the post-edit only."""


@dataclass(frozen=True)
class Choices:
    """The fields, each named after its setting, and two texts about the engine."""

    engine: gr.Dropdown
    speed: gr.Radio
    steps: gr.Slider
    text_guidance: gr.Slider
    image_guidance: gr.Slider
    negative: gr.Textbox
    seed: gr.Number
    new_seed: gr.Checkbox
    post_edit: gr.Checkbox
    mask_rule: gr.Radio
    mask_threshold: gr.Slider
    segmenter: gr.Dropdown
    inpainter: gr.Dropdown
    align: gr.Checkbox
    match_colours: gr.Checkbox
    engine_note: gr.Markdown
    help: gr.Markdown

    def named(self, names: Sequence[str]) -> list[gr.components.Component]:
        """The fields of those names."""
        return [getattr(self, name) for name in names]

    @property
    def of_engine(self) -> list[gr.components.Component]:
        """What another engine, or another speed, changes."""
        names = ("steps", "text_guidance", "image_guidance", "negative", "engine_note", "help")
        return self.named(names)

    def connect(self, studio: Studio) -> None:
        """Attach the handlers of the fields that change one another."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

        def choose_engine(engine: str, speed: Any) -> Updates:
            return self.show_engine(studio, engine, speed)

        def choose_speed(engine: str, speed: Any) -> Updates:
            info = studio.row(engine).info
            return {self.steps: gr.update(value=info.steps_of(speed), info=steps_help(info, speed))}

        self.engine.input(choose_engine, [self.engine, self.speed], self.of_engine, **quiet)
        self.speed.input(choose_speed, [self.engine, self.speed], [self.steps], **quiet)
        self.mask_rule.change(
            lambda rule: gr.update(visible=rule == "paper"), self.mask_rule, self.mask_threshold, **quiet
        )
        self.seed.input(lambda: False, None, self.new_seed, **quiet)

    def show_engine(self, studio: Studio, engine: str, speed: Any) -> Updates:
        """Describe ``engine`` and take its own defaults."""
        info = studio.row(engine).info
        return {
            **self.explain(studio, engine),
            self.steps: gr.update(value=info.steps_of(speed), info=steps_help(info, speed)),
            self.text_guidance: info.text_guidance,
            self.image_guidance: info.image_guidance,
        }

    def explain(self, studio: Studio, engine: str) -> Updates:
        """What there is to say about ``engine``, and whether it listens to what must not be in the picture."""
        row = studio.row(engine)
        return {
            self.engine_note: engine_note(row),
            self.help: guidance_help(row.info),
            self.negative: gr.update(visible=row.info.takes_negative),
        }

    def show(self, studio: Studio, settings: EditSettings) -> Updates:
        """Fields that say ``settings``; what a field cannot say becomes the next to it, or the default."""
        info = studio.row(settings.engine).info
        plain = EditSettings()

        def offered(name: str, values: tuple[str, ...]) -> str:
            value = getattr(settings, name)
            return value if value in values else getattr(plain, name)

        steps = checks.STEPS.nearest(settings.steps or info.steps_of(settings.speed))
        text = info.text_guidance if settings.text_guidance is None else settings.text_guidance
        image = info.image_guidance if settings.image_guidance is None else settings.image_guidance
        return {
            self.engine: settings.engine,
            self.speed: settings.speed,
            self.steps: gr.update(value=steps, info=steps_help(info, settings.speed)),
            self.text_guidance: checks.TEXT_GUIDANCE.nearest(text),
            self.image_guidance: checks.IMAGE_GUIDANCE.nearest(image),
            self.negative: gr.update(value=settings.negative, visible=info.takes_negative),
            self.seed: settings.seed,
            self.post_edit: settings.post_edit,
            self.mask_rule: settings.mask_rule,
            self.mask_threshold: gr.update(
                value=checks.THRESHOLD.nearest(settings.mask_threshold), visible=settings.mask_rule == "paper"
            ),
            self.segmenter: offered("segmenter", checks.SEGMENTERS),
            self.inpainter: offered("inpainter", checks.INPAINTERS),
            self.align: settings.align,
            self.match_colours: settings.match_colours,
        }


def settings_from(studio: Studio, given: dict[str, Any]) -> EditSettings:
    """The settings that fields say; ``given`` holds their values by name, None for a default, others are ignored.

    Raises:
        BadInputError: the page does not offer that engine, or a text cannot be used.
    """
    info = studio.row(given["engine"]).info
    known = {field.name for field in fields(EditSettings)}
    values = {name: value for name, value in given.items() if name in known and value is not None}
    listens = info.takes_negative and given.get("negative")
    for name in ("steps", "grow", "feather"):
        if name in values:
            values[name] = int(values[name])
    drawn = given.get("new_seed") or given.get("seed") in (None, -1)
    values |= {
        "seed": None if drawn else int(given["seed"]),
        "negative": checks.aside(given["negative"], "text of what must not be there") if listens else "",
    }
    return EditSettings(**values)


def slider(bounds: Range, value: float, step: float, info: str, **more: object) -> gr.Slider:
    """A slider with the name and the bounds of ``bounds``."""
    return gr.Slider(bounds.low, bounds.high, value, step=step, label=bounds.name, info=info, **more)


def lay_out_choices(studio: Studio) -> Choices:
    """Build the fields: one switch in sight, everything else under "Advanced"."""
    info, plain = studio.default, EditSettings()
    post_edit = gr.Checkbox(
        plain.post_edit,
        label="Post-edit: keep everything else as it was",
        info="Outside the mask every pixel stays your own.",
        elem_id="post-edit",
    )
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        engine = gr.Dropdown(
            [engine_choice(row) for row in studio.rows], value=info.id, label="Engine", elem_id="engine"
        )
        note = gr.Markdown(engine_note(studio.row(info.id)), elem_classes="quiet", elem_id="engine-note")
        speed = gr.Radio(
            SPEEDS,
            value=plain.speed,
            label="Speed",
            info="Fast takes the short cuts that were measured to be harmless.",
            elem_id="speed",
        )
        steps = slider(
            checks.STEPS, info.steps_of(plain.speed), 1, steps_help(info, plain.speed), elem_id="steps"
        )
        text = slider(checks.TEXT_GUIDANCE, info.text_guidance, 0.1, "Higher: a stronger change.")
        image = slider(checks.IMAGE_GUIDANCE, info.image_guidance, 0.05, "Higher: closer to your picture.")
        negative = gr.Textbox(
            label="Not in the picture",
            placeholder="people, text",
            max_lines=1,
            visible=info.takes_negative,
            elem_id="negative",
        )
        with gr.Row():
            seed = gr.Number(
                label="Seed", info="Same seed, same picture.", precision=0, min_width=130, elem_id="seed"
            )
            new_seed = gr.Checkbox(True, label="New seed each time", min_width=130, elem_id="new-seed")
        mask = _lay_out_mask_choices(plain)
    with gr.Accordion("Not what you hoped for?", open=False):
        advice = gr.Markdown(guidance_help(info))
    return Choices(
        engine, speed, steps, text, image, negative, seed, new_seed, post_edit, *mask, note, advice
    )


def _lay_out_mask_choices(plain: EditSettings) -> list[Any]:
    with gr.Accordion("Mask and post-edit", open=False, elem_id="mask-choices"):
        rule = gr.Radio(MASK_RULES, value=plain.mask_rule, label="Mask rule", elem_id="mask-rule")
        threshold = slider(
            checks.THRESHOLD, plain.mask_threshold, 0.0125, "Share of the mean that counts.", visible=False
        )
        segmenter = gr.Dropdown(
            SEGMENTERS,
            value=plain.segmenter,
            label="Segmenter",
            info="Finds the outline of the thing that the mask means.",
            elem_id="segmenter",
        )
        inpainter = gr.Dropdown(
            INPAINTERS,
            value=plain.inpainter,
            label="Inpainter",
            info="Redraws the inside of the mask so that it fits its surroundings.",
            elem_id="inpainter",
        )
        align = gr.Checkbox(
            plain.align,
            label="Align",
            info="Undo it if the engine has shifted or zoomed the picture.",
            elem_id="align",
        )
        colours = gr.Checkbox(
            plain.match_colours,
            label="Match colours",
            info="Undo a colour cast over the whole picture; off if it is what you asked for.",
            elem_id="match-colours",
        )
    return [rule, threshold, segmenter, inpainter, align, colours]
