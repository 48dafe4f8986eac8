"""The endpoint ``/post_edit``."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from editworld_core.settings import EditSettings
from ui import checks
from ui.api.calls import HIDDEN, IN_LINE, Tell, answered, drift_as_json, own_mask, refusing
from ui.fields import Picture
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.post_edit import PostEdit

INPAINTERS = tuple(name for name in checks.INPAINTERS if name not in ("auto", "engine"))  # for want of one


def kept_report(original: Image.Image, kept: "PostEdit", given: bool) -> dict[str, Any]:
    """What there is to say about a post-edit, as JSON; ``given``: its mask was, and not found by comparing."""
    from editworld_core.metrics import drift_report

    drift = drift_report(original, kept.edited, kept.final, kept.mask, alignment=kept.alignment)
    return {
        "mask_source": "given" if given else "difference",
        "mask_share": float(kept.mask.mean()),
        "alignment": asdict(kept.alignment) if kept.alignment else None,
        "drift": drift_as_json(drift),
        "seconds": dict(kept.timings),
    }


def post_edit_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, on fields that the page does not show."""

    def post_edit(
        original: str | None,
        edited: str | None,
        instruction: str,
        mask: str | None = None,
        align: bool = True,
        match_colours: bool = False,
        grow: float = 0,
        feather: float = 6,
        segmenter: str = "auto",
        segment_area: float = 0.6,
        inpainter: str = "none",
        inpaint_steps: float = 50,
        inpaint_strength: float = 0.8,
        canny_scale: float = 1.0,
        image_prompt_scale: float = 1.0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> Iterator[tuple[Any, ...]]:
        """Keep in a picture that any other editor made everything that was not meant to change.

        Args:
            original: the picture before.
            edited: what the editor made of it, of about the same proportions.
            instruction: what the editor was told, up to 500 characters.
            mask: what may change, of the original's size, in white or painted on transparency; null finds it by
                comparing.
            align: undo shift and zoom of the edited picture.
            match_colours: undo a colour cast of the edited picture.
            grow: pixels by which the mask is widened, or narrowed if negative, -64 to 64.
            feather: pixels inside the mask over which the edit fades in, 0 to 64.
            segmenter: what finds outlines: "auto" or "classical".
            segment_area: share of the picture beyond which a segment is the background, 0 to 1.
            inpainter: what draws the inside of the mask anew: "none", "controlnet-sd15" or "controlnet-sdxl".
            inpaint_steps: its denoising steps, 1 to 100.
            inpaint_strength: how much of the inside it draws anew, 0 to 1.
            canny_scale: how strictly it follows the edges of the edited picture, 0 to 2.
            image_prompt_scale: how much it sees of the original, 0 to 2.

        Returns:
            The original with only that exchanged which was meant to change; the mask of it, white on black; and a
            report with the drift that was undone, as numbers and in words.
        """
        given = locals()
        with refusing():
            before, after = checks.picture(original), checks.picture(edited)
            text = checks.instruction(instruction)
            checks.whole_numbers(given)
            known = {name: given[name] for name in asdict(EditSettings()) if given.get(name) is not None}
            settings = checks.settings(EditSettings(**known, hand_rule="replace"))
            own = own_mask(mask, before.size)

        def work(tell: Tell) -> tuple[Any, ...]:
            with studio.turn(tell):
                kept = studio.post_edit(before, after, text, settings, tell, own)
            return kept.final, Image.fromarray(kept.mask), kept_report(before, kept, own is not None)

        yield from answered(work, progress, 3)

    plain = EditSettings()
    gr.Button(**HIDDEN).click(
        post_edit,
        [
            Picture(label="original", type="filepath", format="png", **HIDDEN),
            Picture(label="edited", type="filepath", format="png", **HIDDEN),
            gr.Textbox(label="instruction", **HIDDEN),
            Picture(label="mask", type="filepath", format="png", **HIDDEN),
            gr.Checkbox(plain.align, label="align", **HIDDEN),
            gr.Checkbox(plain.match_colours, label="match_colours", **HIDDEN),
            gr.Number(plain.grow, label="grow", **HIDDEN),
            gr.Number(plain.feather, label="feather", **HIDDEN),
            gr.Radio(checks.SEGMENTERS, value=plain.segmenter, label="segmenter", **HIDDEN),
            gr.Number(plain.segment_area, label="segment_area", **HIDDEN),
            gr.Radio(INPAINTERS, value="none", label="inpainter", **HIDDEN),
            gr.Number(plain.inpaint_steps, label="inpaint_steps", **HIDDEN),
            gr.Number(plain.inpaint_strength, label="inpaint_strength", **HIDDEN),
            gr.Number(plain.canny_scale, label="canny_scale", **HIDDEN),
            gr.Number(plain.image_prompt_scale, label="image_prompt_scale", **HIDDEN),
        ],
        [
            gr.Image(label="kept", format="png", **HIDDEN),
            gr.Image(label="mask", format="png", **HIDDEN),
            gr.JSON(label="report", **HIDDEN),
        ],
        api_name="post_edit",
        **IN_LINE,
    )
