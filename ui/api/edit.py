"""The endpoint ``/edit``."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr
from PIL import Image

from editworld_core.images import with_settings
from editworld_core.settings import EditSettings, HandRule, MaskRule, Speed
from ui import checks
from ui.api.calls import HIDDEN, IN_LINE, Tell, answered, drift_as_json, own_mask, refusing, words_of
from ui.choices import settings_from
from ui.fields import Picture
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.editor import EditResult


def report(result: "EditResult") -> dict[str, Any]:
    """What there is to say about ``result``, as JSON."""
    return {
        "instruction": result.instruction,
        "settings": asdict(result.settings),
        "keywords": list(result.keywords),
        "mask_source": result.mask_source,
        "hand": result.hand is not None,
        "mask_share": float(result.mask.mean()),
        "drift": drift_as_json(result.drift),
        "seconds": dict(result.timings),
    }


def edit_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, on fields that the page does not show."""

    def edit(
        image: str | None,
        instruction: str,
        post_edit: bool = True,
        steps: float | None = None,
        text_guidance: float | None = None,
        image_guidance: float | None = None,
        seed: int | None = None,
        mask_rule: MaskRule = "otsu",
        speed: Speed = "fast",
        outcome: str = "",
        negative: str = "",
        hand: str | None = None,
        hand_rule: HandRule = "join",
        grow: float = 0,
        feather: float = 6,
        engine: str = "",
        align: bool = True,
        match_colours: bool = False,
        mask_threshold: float = 0.8125,
        keywords: str = "",
        segmenter: str = "auto",
        segment_area: float = 0.6,
        inpainter: str = "auto",
        inpaint_steps: float = 50,
        inpaint_strength: float = 0.8,
        canny_scale: float = 1.0,
        image_prompt_scale: float = 1.0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> Iterator[tuple[Any, ...]]:
        """Edit a picture by instruction: a command ("melt the snowman") or a cause ("the sun comes out").

        Args:
            image: the picture; any size up to 40 million pixels.
            instruction: what happens, up to 500 characters.
            post_edit: keep every pixel outside the mask as it was.
            steps: denoising steps, 1 to 100; null, here and below, takes the engine's own default.
            text_guidance: how strongly to follow the instruction, 0 to 20.
            image_guidance: how strongly to hold on to the picture, 0 to 5.
            seed: 0 to 4294967295, or -1 for a new one; the report says which it was.
            mask_rule: how attention becomes a mask: by Otsu's threshold, "otsu", or by the "paper"'s.
            speed: "fast" takes the short cuts that were measured to be harmless, "exact" none.
            outcome: what the engine is told in place of the instruction; empty for the instruction.
            negative: what must not be in the picture; for engines that listen to it.
            hand: a mask of your own, of the picture's size: white, or painted on transparency, may change; or null.
            hand_rule: whether it shall "join" the automatic mask or "replace" it.
            grow: pixels by which the mask is widened, or narrowed if negative, -64 to 64.
            feather: pixels inside the mask over which the edit fades in, 0 to 64.
            engine: one of this server's engines; empty for its first.
            align: undo shift and zoom of the edited picture.
            match_colours: undo a colour cast of the edited picture.
            mask_threshold: the factor of the mask rule "paper" on the attention's mean, 0.2 to 3.
            keywords: words of the instruction whose attention makes the mask, separated by commas; empty finds them.
            segmenter: what finds outlines: "auto" or "classical".
            segment_area: share of the picture beyond which a segment is the background, 0 to 1.
            inpainter: what draws the inside of the mask anew: "engine", "auto" for the engine if that helps, "none",
                "controlnet-sd15", "controlnet-sdxl".
            inpaint_steps: denoising steps of a ControlNet inpainter, 1 to 100; this and those below are for these only.
            inpaint_strength: how much of the inside it draws anew, 0 to 1.
            canny_scale: how strictly it follows the edges of the edited picture, 0 to 2.
            image_prompt_scale: how much it sees of the original, 0 to 2.

        Returns:
            The edited picture, of the size of the given one; the mask of what was allowed to change, white on black;
            and a report with the settings, the keywords, the drift outside the mask and the seconds of each stage.
        """
        given = locals()
        with refusing():
            picture, text = checks.picture(image), checks.instruction(instruction)
            settings = _settings(studio, given)
            mask = own_mask(hand, picture.size)

        def work(tell: Tell) -> tuple[Any, ...]:
            with studio.turn(tell):
                result = studio.edit(picture, text, settings, tell, mask)
            final = with_settings(result.final, result.instruction, result.settings)
            return final, Image.fromarray(result.mask), report(result)

        yield from answered(work, progress, 3)

    gr.Button(**HIDDEN).click(
        edit,
        [
            Picture(label="image", type="filepath", format="png", **HIDDEN),
            gr.Textbox(label="instruction", **HIDDEN),
            *_settings_fields(studio),
        ],
        [
            gr.Image(label="edited", format="png", **HIDDEN),
            gr.Image(label="mask", format="png", **HIDDEN),
            gr.JSON(label="report", **HIDDEN),
        ],
        api_name="edit",
        **IN_LINE,
    )


def _settings(studio: Studio, given: dict[str, Any]) -> EditSettings:
    checks.whole_numbers(given)
    said = {
        **given,
        "engine": given["engine"] or studio.default.id,
        "outcome": checks.aside(given["outcome"], "outcome"),
        "keywords": words_of(given["keywords"]),
    }
    return checks.settings(settings_from(studio, said))


def _settings_fields(studio: Studio) -> list[gr.components.Component]:
    """A field for each setting, in the order of the function's parameters."""
    plain = EditSettings()
    engines = [row.info.id for row in studio.rows]
    return [
        gr.Checkbox(plain.post_edit, label="post_edit", **HIDDEN),
        gr.Number(None, label="steps", **HIDDEN),
        gr.Number(None, label="text_guidance", **HIDDEN),
        gr.Number(None, label="image_guidance", **HIDDEN),
        gr.Number(-1, label="seed", precision=0, **HIDDEN),
        gr.Radio(get_args(MaskRule), value=plain.mask_rule, label="mask_rule", **HIDDEN),
        gr.Radio(get_args(Speed), value=plain.speed, label="speed", **HIDDEN),
        gr.Textbox(plain.outcome, label="outcome", **HIDDEN),
        gr.Textbox(plain.negative, label="negative", **HIDDEN),
        Picture(label="hand", type="filepath", format="png", **HIDDEN),
        gr.Radio(get_args(HandRule), value=plain.hand_rule, label="hand_rule", **HIDDEN),
        gr.Number(plain.grow, label="grow", **HIDDEN),
        gr.Number(plain.feather, label="feather", **HIDDEN),
        gr.Dropdown(["", *engines], value="", label="engine", **HIDDEN),
        gr.Checkbox(plain.align, label="align", **HIDDEN),
        gr.Checkbox(plain.match_colours, label="match_colours", **HIDDEN),
        gr.Number(plain.mask_threshold, label="mask_threshold", **HIDDEN),
        gr.Textbox("", label="keywords", **HIDDEN),
        gr.Radio(checks.SEGMENTERS, value=plain.segmenter, label="segmenter", **HIDDEN),
        gr.Number(plain.segment_area, label="segment_area", **HIDDEN),
        gr.Radio(checks.INPAINTERS, value=plain.inpainter, label="inpainter", **HIDDEN),
        gr.Number(plain.inpaint_steps, label="inpaint_steps", **HIDDEN),
        gr.Number(plain.inpaint_strength, label="inpaint_strength", **HIDDEN),
        gr.Number(plain.canny_scale, label="canny_scale", **HIDDEN),
        gr.Number(plain.image_prompt_scale, label="image_prompt_scale", **HIDDEN),
    ]
