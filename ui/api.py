"""The one endpoint for programs: ``/edit``."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from editworld_core.errors import EditWorldError
from editworld_core.images import with_settings
from editworld_core.settings import EditSettings, MaskRule
from ui import checks
from ui.edit import VISITORS, refusal
from ui.fields import Picture
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.editor import EditResult


def report(result: "EditResult") -> dict[str, Any]:
    """What there is to say about ``result``, as JSON: an infinite PSNR, where nothing changed, is null."""
    drift = {name: _finite(value) for name, value in asdict(result.drift).items()}
    return {
        "instruction": result.instruction,
        "settings": asdict(result.settings),
        "keywords": list(result.keywords),
        "mask_source": result.mask_source,
        "mask_share": float(result.mask.mean()),
        "drift": drift | {"in_words": result.drift.in_words()},
        "seconds": dict(result.timings),
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def edit_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, on fields that the page does not show."""
    info = studio.default

    def edit(
        image: str | None,
        instruction: str,
        post_edit: bool,
        steps: float | None,
        text_guidance: float | None,
        image_guidance: float | None,
        seed: int | None,
        mask_rule: MaskRule,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> tuple[Image.Image, Image.Image, dict[str, Any]]:
        """Edit a picture by instruction: a command ("melt the snowman") or a cause ("the sun comes out").

        Args:
            image: the picture; any size up to 40 million pixels.
            instruction: what happens, up to 500 characters.
            post_edit: keep every pixel outside the mask as it was.
            steps: denoising steps, 1 to 100; null, here and below, takes the engine's own default.
            text_guidance: how strongly to follow the instruction, 0 to 20.
            image_guidance: how strongly to hold on to the picture, 0 to 5.
            seed: 0 to 4294967295, or -1 for a new one; the report says which it was.
            mask_rule: "otsu" or "paper".

        Returns:
            The edited picture, of the size of the given one; the mask of what was allowed to change, white on black;
            and a report with the settings, the keywords, the drift outside the mask and the seconds of each stage.
        """

        def tell(done: int, total: int) -> None:
            progress((done, total or None))

        try:
            picture, text = checks.picture(image), checks.instruction(instruction)
            checks.STEPS.check(steps)
            settings = EditSettings(
                engine=info.id,
                steps=None if steps is None else int(steps),
                text_guidance=text_guidance,
                image_guidance=image_guidance,
                seed=None if seed in (None, -1) else int(seed),
                post_edit=post_edit,
                mask_rule=mask_rule,
            )
            with studio.turn(tell):
                result = studio.edit(picture, text, checks.settings(settings), tell)
        except (EditWorldError, MemoryError) as error:
            raise refusal(error) from error
        final = with_settings(result.final, result.instruction, result.settings)
        return final, Image.fromarray(result.mask), report(result)

    hidden: dict[str, Any] = {"visible": False}
    gr.Button(**hidden).click(
        edit,
        [
            Picture(label="image", type="filepath", format="png", **hidden),
            gr.Textbox(label="instruction", **hidden),
            gr.Checkbox(True, label="post_edit", **hidden),
            gr.Number(info.steps, label="steps", **hidden),
            gr.Number(info.text_guidance, label="text_guidance", **hidden),
            gr.Number(info.image_guidance, label="image_guidance", **hidden),
            gr.Number(-1, label="seed", precision=0, **hidden),
            gr.Radio(["otsu", "paper"], value="otsu", label="mask_rule", **hidden),
        ],
        [
            gr.Image(label="edited", format="png", **hidden),
            gr.Image(label="mask", format="png", **hidden),
            gr.JSON(label="report", **hidden),
        ],
        api_name="edit",
        concurrency_limit=VISITORS,
    )
