"""What the endpoints share: hidden fields, refusals, reports, and work that ends when its caller hangs up."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr

from editworld_core.mask_files import read_mask
from editworld_core.masks import Mask
from ui import checks
from ui.edit import VISITORS
from ui.notes import refusal
from ui.running import Finished, stepwise

if TYPE_CHECKING:
    from editworld_core.metrics import DriftReport

HIDDEN: dict[str, Any] = {"visible": False}
IN_LINE: dict[str, Any] = {"concurrency_id": "visitors", "concurrency_limit": VISITORS}
"""Of what needs its turn in the studio: the page's visitors and programs together."""

Tell = Callable[[int, int], None]


@contextmanager
def refusing() -> Iterator[None]:
    """Turn whatever goes wrong into one sentence for the caller."""
    try:
        yield
    except Exception as error:
        raise refusal(error) from error


def answered(
    work: Callable[[Tell], tuple[Any, ...]], progress: gr.Progress, outputs: int
) -> Iterator[tuple[Any, ...]]:
    """What ``work(tell)`` returns, as the last of the iterator; before that nothing, in each of the ``outputs``.

    Gradio closes the iterator when the call is cancelled or its caller hangs up; that stops the work at its next step.
    """
    steps = stepwise(work)
    try:
        with refusing():
            for step in steps:
                if isinstance(step, Finished):
                    yield step.value
                else:
                    progress((step.done, step.total or None))
                    yield (None,) * outputs
    finally:
        steps.close()


def own_mask(path: str | None, size: tuple[int, int]) -> Mask | None:
    """The mask in an uploaded file for a picture of ``size`` (W, H); None if there is none."""
    return read_mask(path, size) if path else None


def words_of(text: str) -> tuple[str, ...]:
    """The words of a list that is separated by commas."""
    return tuple(word.strip() for word in checks.aside(text, "list of keywords").split(",") if word.strip())


def drift_as_json(drift: "DriftReport") -> dict[str, Any]:
    """``drift`` with its words; an infinite PSNR, where nothing changed, is null."""
    return {name: _finite(value) for name, value in asdict(drift).items()} | {"in_words": drift.in_words()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
