"""The endpoints for programs: ``/edit`` and ``/think``."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr
from PIL import Image

from editworld_core.errors import EditWorldError
from editworld_core.images import with_settings
from editworld_core.mask_files import read_mask
from editworld_core.settings import EditSettings, HandRule, MaskRule, Speed
from ui import checks
from ui.choices import settings_from
from ui.edit import VISITORS
from ui.fields import Picture
from ui.notes import refusal
from ui.studio import Studio
from ui.think import THINKERS

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
        "hand": result.hand is not None,
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
            speed: "fast" takes the short cuts that were measured to be harmless, "exact" none.
            outcome: what the engine is told in place of the instruction; empty for the instruction.
            negative: what must not be in the picture; for engines that listen to it.
            hand: a mask of your own, of the picture's size: white, or painted on transparency, may change; or null.
            hand_rule: whether it shall "join" the automatic mask or "replace" it.
            grow: pixels by which the mask is widened, or narrowed if negative, -64 to 64.
            feather: pixels inside the mask over which the edit fades in, 0 to 64.

        Returns:
            The edited picture, of the size of the given one; the mask of what was allowed to change, white on black;
            and a report with the settings, the keywords, the drift outside the mask and the seconds of each stage.
        """

        def tell(done: int, total: int) -> None:
            progress((done, total or None))

        try:
            picture, text = checks.picture(image), checks.instruction(instruction)
            checks.STEPS.check(steps)  # and no whole number near it
            checks.GROW.check(grow)
            checks.FEATHER.check(feather)
            given = {
                "engine": info.id,
                "steps": steps,
                "text_guidance": text_guidance,
                "image_guidance": image_guidance,
                "seed": seed,
                "post_edit": post_edit,
                "mask_rule": mask_rule,
                "speed": speed,
                "outcome": checks.aside(outcome, "outcome"),
                "negative": negative,
                "hand_rule": hand_rule,
                "grow": grow,
                "feather": feather,
            }
            settings = checks.settings(settings_from(studio, given))
            mask = read_mask(hand, picture.size) if hand else None
            with studio.turn(tell):
                result = studio.edit(picture, text, settings, tell, mask)
        except (EditWorldError, MemoryError) as error:
            raise refusal(error) from error
        final = with_settings(result.final, result.instruction, result.settings)
        return final, Image.fromarray(result.mask), report(result)

    plain, hidden = EditSettings(), {"visible": False}
    gr.Button(**hidden).click(
        edit,
        [
            Picture(label="image", type="filepath", format="png", **hidden),
            gr.Textbox(label="instruction", **hidden),
            gr.Checkbox(True, label="post_edit", **hidden),
            gr.Number(None, label="steps", **hidden),
            gr.Number(None, label="text_guidance", **hidden),
            gr.Number(None, label="image_guidance", **hidden),
            gr.Number(-1, label="seed", precision=0, **hidden),
            gr.Radio(get_args(MaskRule), value=plain.mask_rule, label="mask_rule", **hidden),
            gr.Radio(get_args(Speed), value=plain.speed, label="speed", **hidden),
            gr.Textbox(plain.outcome, label="outcome", **hidden),
            gr.Textbox(plain.negative, label="negative", **hidden),
            Picture(label="hand", type="filepath", format="png", **hidden),
            gr.Radio(get_args(HandRule), value=plain.hand_rule, label="hand_rule", **hidden),
            gr.Number(plain.grow, label="grow", precision=0, **hidden),
            gr.Number(plain.feather, label="feather", precision=0, **hidden),
        ],
        [
            gr.Image(label="edited", format="png", **hidden),
            gr.Image(label="mask", format="png", **hidden),
            gr.JSON(label="report", **hidden),
        ],
        api_name="edit",
        concurrency_limit=VISITORS,
    )


def think_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, as above."""

    def think(instruction: str, image: str | None = None) -> dict[str, Any]:
        """Say what an instruction would do: its outcome, the nouns of what changes, and its category.

        Args:
            instruction: what happens, up to 500 characters.
            image: the picture before, for a language model that sees pictures; may be null.

        Returns:
            The instruction, "outcome", "keywords", "category", what thought so, and a note if there is one. Give the
            "command", or the outcome if that is empty, to /edit as its outcome.
        """
        try:
            text = checks.instruction(instruction)
            thought = studio.think(text, checks.picture(image) if image else None)
        except (EditWorldError, MemoryError) as error:
            raise refusal(error) from error
        return asdict(thought)

    hidden: dict[str, Any] = {"visible": False}
    gr.Button(**hidden).click(
        think,
        [
            gr.Textbox(label="instruction", **hidden),
            Picture(label="image", type="filepath", format="png", **hidden),
        ],
        gr.JSON(label="thought", **hidden),
        api_name="think",
        concurrency_limit=THINKERS,
    )
