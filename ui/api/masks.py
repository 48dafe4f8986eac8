"""The endpoint ``/masks``."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr
import numpy as np
from PIL import Image

from editworld_core.masks import Map, enlarge, normalise
from editworld_core.settings import EditSettings, MaskRule
from ui import checks
from ui.api.calls import HIDDEN, IN_LINE, Tell, answered, refusing, words_of
from ui.choices import settings_from
from ui.fields import Picture
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.editor import EditResult


def word_maps(result: "EditResult") -> list[tuple[str, Map]]:
    """Each word that the engine was told, and where it acted: float32 [h, w] in 0..1; none without attention."""
    if result.attention is None:
        return []
    maps = result.attention
    return [(token.word, normalise(maps.map(token.positions))) for token in result.words if token.positions]


def heat_picture(map: Map, size: tuple[int, int]) -> Image.Image:
    """``map`` [h, w] in 0..1 as a grey picture of ``size`` (W, H)."""
    large = enlarge(map, (size[1], size[0]))
    return Image.fromarray(np.round(255 * np.clip(large, 0, 1)).astype(np.uint8))


def masks_endpoint(studio: Studio) -> None:
    """Add the endpoint to the current ``gr.Blocks``, on fields that the page does not show."""

    def masks(
        image: str | None,
        instruction: str,
        keywords: str = "",
        mask_rule: MaskRule = "otsu",
        mask_threshold: float = 0.8125,
        seed: int | None = None,
        steps: float | None = None,
        outcome: str = "",
        engine: str = "",
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> Iterator[tuple[Any, ...]]:
        """Say where the words of an instruction act in a picture: the attention mask, and a heat map for each word.

        Args:
            image: the picture; any size up to 40 million pixels.
            instruction: what happens, up to 500 characters.
            keywords: words of the instruction that make the mask, separated by commas; empty finds them.
            mask_rule: how attention becomes a mask: by Otsu's threshold, "otsu", or by the "paper"'s.
            mask_threshold: the factor of the rule "paper" on the attention's mean, 0.2 to 3.
            seed: 0 to 4294967295, or -1 for a new one; the report says which it was.
            steps: denoising steps, 1 to 100; null takes the engine's own default.
            outcome: what the engine is told in place of the instruction; empty for the instruction.
            engine: one of this server's engines; empty for its first.

        Returns:
            The attention mask before any segmenting, white on black, of the picture's size; a grey heat map of that
            size for each word, with the word as its caption; and a report with the words' maps as numbers, rows of
            0 to 1, the keywords, and whether the mask came from attention or, for engines that cannot be watched, from
            the difference of the pictures.
        """
        given = locals()
        with refusing():
            picture, text = checks.picture(image), checks.instruction(instruction)
            checks.whole_numbers(given)
            said = {
                **given,
                "engine": engine or studio.default.id,
                "post_edit": False,
                "outcome": checks.aside(outcome, "outcome"),
                "keywords": words_of(keywords),
                "negative": "",
            }
            settings = checks.settings(settings_from(studio, said))

        def work(tell: Tell) -> tuple[Any, ...]:
            with studio.turn(tell):
                result = studio.edit(picture, text, settings, tell)
            maps = word_maps(result)
            pictures = [(heat_picture(map, picture.size), word) for word, map in maps]
            return Image.fromarray(result.attention_mask), pictures, _report(result, maps)

        yield from answered(work, progress, 3)

    plain = EditSettings()
    engines = [row.info.id for row in studio.rows]
    gr.Button(**HIDDEN).click(
        masks,
        [
            Picture(label="image", type="filepath", format="png", **HIDDEN),
            gr.Textbox(label="instruction", **HIDDEN),
            gr.Textbox("", label="keywords", **HIDDEN),
            gr.Radio(get_args(MaskRule), value=plain.mask_rule, label="mask_rule", **HIDDEN),
            gr.Number(plain.mask_threshold, label="mask_threshold", **HIDDEN),
            gr.Number(-1, label="seed", precision=0, **HIDDEN),
            gr.Number(None, label="steps", **HIDDEN),
            gr.Textbox("", label="outcome", **HIDDEN),
            gr.Dropdown(["", *engines], value="", label="engine", **HIDDEN),
        ],
        [
            gr.Image(label="mask", format="png", **HIDDEN),
            gr.Gallery(label="heat maps", format="png", **HIDDEN),
            gr.JSON(label="report", **HIDDEN),
        ],
        api_name="masks",
        **IN_LINE,
    )


def _report(result: "EditResult", maps: list[tuple[str, Map]]) -> dict[str, Any]:
    return {
        "instruction": result.instruction,
        "settings": asdict(result.settings),
        "keywords": list(result.keywords),
        "mask_source": result.mask_source,
        "mask_share": float(result.attention_mask.mean()),
        "words": [{"word": word, "map": np.round(map.astype(float), 4).tolist()} for word, map in maps],
        "seconds": dict(result.timings),
    }
