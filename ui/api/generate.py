"""The endpoint ``/generate``."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from editworld_core.categories import Category
from editworld_core.datagen.triplet import Triplet
from editworld_core.simulation.world import dynamic_names
from ui.api.calls import HIDDEN, Tell, answered, refusing
from ui.data import MAKERS, whole
from ui.data_orders import COUNT, Order, dynamics_of
from ui.data_session import pack, triplets_in
from ui.line import Line

ANY = "any"


def generate_endpoint(line: Line) -> None:
    """Add the endpoint to the current ``gr.Blocks``; who calls it stands in ``line`` with the tab's visitors."""

    def generate(
        count: float = 8,
        category: str = ANY,
        dynamic: str = ANY,
        seed: float = 0,
        size: float = 256,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> Iterator[tuple[Any, ...]]:
        """Let simulated worlds happen: pairs of pictures before and after, with instruction and exact mask.

        Args:
            count: how many pairs, 1 to 200.
            category: one of the seven categories of world instructions, or "any".
            dynamic: one thing that happens, such as "melt_snowman", or "any" of the category.
            seed: 0 to 4294967295; the same seed makes the same pairs.
            size: side of the pictures in pixels, 64 to 512.

        Returns:
            A zip of the data set, which training and evaluation take as it is; and a list of its pairs: instruction,
            category, captions before and after, keywords, and the names of the pictures in the zip.
        """
        with refusing():
            order = _order(count, category, dynamic, seed, size)
        with TemporaryDirectory(
            prefix="editworld-generate-"
        ) as root:  # Gradio copies the zip when it is yielded
            folder = Path(root) / order.name

            def work(tell: Tell) -> tuple[Any, ...]:
                with line.turn(lambda: tell(0, 0)) as pass_on:

                    def told(done: int, total: int) -> None:
                        tell(done, total)
                        pass_on()

                    order.make(folder, told)
                file = pack(folder, Path(root) / f"editworld-{order.name}.zip", tell)
                return str(file), [_about(folder.name, triplet) for triplet in triplets_in(folder)]

            yield from answered(work, progress, 2)

    gr.Button(**HIDDEN).click(
        generate,
        [
            gr.Number(8, label="count", **HIDDEN),
            gr.Dropdown([ANY, *map(str, Category)], value=ANY, label="category", **HIDDEN),
            gr.Dropdown([ANY, *dynamic_names()], value=ANY, label="dynamic", **HIDDEN),
            gr.Number(0, label="seed", **HIDDEN),
            gr.Number(256, label="size", **HIDDEN),
        ],
        [gr.File(label="zip", **HIDDEN), gr.JSON(label="pairs", **HIDDEN)],
        api_name="generate",
        **MAKERS,
    )


def _order(count: float, category: str, dynamic: str, seed: float, size: float) -> Order:
    categories = [each for each in Category if category in (ANY, str(each))]
    dynamics = [name for each in categories for name in dynamics_of(each) if dynamic in (ANY, name)]
    number = whole(COUNT.name, count)
    numbers = {"count": number, "seed": whole("The seed", seed), "size": whole("Size", size)}
    return Order("simulation", tuple(categories), tuple(dynamics), **numbers).check()


def _about(folder: str, triplet: Triplet) -> dict[str, Any]:
    return {
        "id": triplet.id,
        "category": str(triplet.category),
        "instruction": triplet.instruction,
        "caption_before": triplet.original_caption,
        "caption_after": triplet.target_caption,
        "keywords": list(triplet.keywords),
        "original": f"{folder}/{triplet.original_image}",
        "target": f"{folder}/{triplet.target_image}",
        "mask": f"{folder}/{triplet.mask}" if triplet.mask else None,
    }
