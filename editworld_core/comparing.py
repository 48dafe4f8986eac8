"""One picture and one instruction on several setups: engines, seeds and settings side by side.

Every setup gives its result or its refusal, the seconds it took, and scores that need no weights beyond those that are
installed; the CLIP score comes in addition where a model is given and the outcome is known.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from editworld_core.errors import BadInputError, EditCancelledError, EditWorldError
from editworld_core.evaluation.record import Setup, Values
from editworld_core.images import Source, check_instruction, read_image
from editworld_core.settings import LARGEST_SEED, EditSettings, check_settings

if TYPE_CHECKING:
    from editworld_core.datagen.scoring import ClipScorer
    from editworld_core.editor import EditResult
    from editworld_core.engines.protocol import Progress
    from editworld_core.masks import Mask

MOST = 64  # setups of one comparison
TITLES = {
    "engine": "engine",
    "steps": "steps",
    "text_guidance": "text",
    "image_guidance": "image",
    "speed": "speed",
    "post_edit": "post-edit",
    "mask_rule": "mask rule",
    "outcome": "told",
}
"""What a label calls a setting; others go by their own name."""


class Edit(Protocol):
    """``WorldEditor.edit``, or anything that is called like it."""

    def __call__(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        progress: "Progress | None" = None,
        hand: "Mask | None" = None,
        /,
    ) -> "EditResult":
        """``image`` after ``instruction``."""
        ...


@dataclass(frozen=True)
class Compared:
    """What one setup gave.

    Attributes:
        result: the edit, or None if it was refused; ``refusal`` is then the sentence that says why.
        scores: see ``score``; empty if it was refused.
        seconds: of edit, mask and post-edit; the loading of weights does not count.
    """

    setup: Setup
    result: "EditResult | None"
    scores: Values
    seconds: float
    refusal: str = ""


def setups(
    base: EditSettings,
    engines: Sequence[str] = (),
    seeds: Sequence[int] = (),
    variations: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Setup, ...]:
    """Every combination of ``engines``, ``seeds`` and ``variations`` of ``base``, each under a label of its own.

    >>> [setup.label for setup in setups(EditSettings(), seeds=(1, 2), variations={"steps": (1, 4)})]
    ['seed 1 · steps 1', 'seed 1 · steps 4', 'seed 2 · steps 1', 'seed 2 · steps 4']

    Args:
        base: what none of them says.
        engines: ids; none takes that of ``base``.
        seeds: none takes that of ``base``. Engines that are compared should share their seeds.
        variations: values by the name of a setting.

    Raises:
        BadInputError: a value cannot be, or there would be more than ``MOST`` setups.
    """
    axes: dict[str, Sequence[Any]] = {"engine": engines, "seed": seeds, **(variations or {})}
    axes = {name: tuple(dict.fromkeys(values)) for name, values in axes.items() if values}
    count = int(np.prod([len(values) for values in axes.values()], dtype=np.int64))
    if count > MOST:
        raise BadInputError(f"That would be {count} edits; choose at most {MOST}.")
    found = []
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        telling = {name: value for name, value in chosen.items() if len(axes[name]) > 1} or chosen
        label = " · ".join(_said(name, value) for name, value in telling.items()) or base.engine
        found.append(Setup(label, check_settings(replace(base, **chosen))))
    return tuple(found)


def _said(name: str, value: Any) -> str:
    if name == "engine":
        return str(value)
    if isinstance(value, bool):
        return TITLES.get(name, name) if value else f"no {TITLES.get(name, name)}"
    return (
        f"{TITLES.get(name, name)} {value:g}"
        if isinstance(value, float)
        else f"{TITLES.get(name, name)} {value}"
    )


def compare(
    image: Source,
    instruction: str,
    chosen: Sequence[Setup],
    edit: Edit,
    *,
    progress: "Progress | None" = None,
    hand: "Mask | None" = None,
    clip: "ClipScorer | None" = None,
    outcome: str = "",
) -> Iterator[Compared]:
    """Edit ``image`` by ``instruction`` with each of the ``chosen`` setups, and yield what each gave as it comes.

    Args:
        image: anything that ``images.read_image`` reads.
        edit: what edits, such as ``WorldEditor().edit``.
        progress: called at every denoising step's end; what it raises ends the comparison.
        hand: bool [H, W], where the user wants the change.
        clip, outcome: a CLIP model, and the caption of what the picture shows afterwards, to score by; see ``score``.

    Raises:
        BadInputError: the image or the instruction cannot be used. What is wrong with a setup is in its ``Compared``.
        EditCancelledError: ``progress`` raised it.
    """
    original, instruction = read_image(image), check_instruction(instruction)
    for setup in chosen:
        started = time.perf_counter()
        try:
            result = edit(original, instruction, setup.settings, progress, hand)
        except EditCancelledError:
            raise
        except EditWorldError as error:
            yield Compared(setup, None, {}, time.perf_counter() - started, str(error))
        except MemoryError:
            why = "There is not enough memory for this; take a smaller picture or another engine."
            yield Compared(setup, None, {}, time.perf_counter() - started, why)
        else:
            yield Compared(setup, result, score(result, clip, outcome), seconds(result))


def seconds(result: "EditResult") -> float:
    """Of edit, mask and post-edit, without the loading of weights, which only the first edit pays for."""
    return sum(spent for name, spent in result.timings.items() if name != "load")


def score(
    result: "EditResult", clip: "ClipScorer | None" = None, outcome: str = ""
) -> dict[str, float | None]:
    """Scores of an edit by name; None where there is nothing to measure.

    - ``mask_share``: of the picture, 0..1.
    - ``change``: mean absolute change of the final picture inside the mask, 0..1 of a channel.
    - ``psnr_outside``, ``st_lpips_outside``, ``shift``: the engine's own drift, before post-edit: dB and ST-LPIPS
      outside the mask, and pixels by which the picture moved.
    - ``psnr_outside_final``: dB outside the mask afterwards; infinite after a post-edit, which leaves no drift.
    - ``sharpness``: the final picture's, as a multiple of the original's (``datagen.quality.sharpness``).
    - ``clip``: cosine of the final picture with ``outcome``, if both ``clip`` and ``outcome`` are given.
    """
    from editworld_core.datagen.quality.sharpness import sharpness
    from editworld_core.metrics import st_lpips_outside

    outside, drift = not result.mask.all(), result.drift
    return {
        "mask_share": float(result.mask.mean()),
        "change": change_inside(result),
        "psnr_outside": drift.psnr_edited if outside else None,
        "psnr_outside_final": drift.psnr_final if outside else None,
        "st_lpips_outside": st_lpips_outside(result.original, result.edited, result.mask)
        if outside
        else None,
        "shift": float(np.hypot(*drift.shift)) if outside else None,
        "sharpness": sharpness(result.final) / max(sharpness(result.original), 1e-6),
        "clip": clip.similarity([result.final], outcome)[0] if clip and outcome else None,
    }


def change_inside(result: "EditResult") -> float:
    """Mean absolute change of the final picture inside the mask, 0..1 of a channel; 0 if the mask is empty."""
    if not result.mask.any():
        return 0.0
    before, after = np.asarray(result.original, np.int16), np.asarray(result.final, np.int16)
    return float(np.abs(after - before)[result.mask].mean() / 255)


def next_seeds(first: int, count: int) -> tuple[int, ...]:
    """``count`` seeds from ``first`` on, beginning again at 0 after the largest."""
    return tuple((first + place) % (LARGEST_SEED + 1) for place in range(count))
