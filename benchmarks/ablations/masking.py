"""Tables about mask and post-edit, which no edit is made again for: parts, threshold, recorder, and what helps."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.ablations.edits import Edit, Edits, Scene, pair_of
from benchmarks.ablations.elsewhere import as_from_elsewhere
from benchmarks.ablations.measuring import (
    DEFAULT,
    Finished,
    Located,
    Variant,
    by_default,
    finish,
    located,
    over_scenes,
    unfinished,
    variant,
)
from benchmarks.ablations.summary import COLUMNS, Rows, table
from benchmarks.bootstrap import estimate
from benchmarks.tables import Column, Row, Table
from editworld_core.images import composite
from editworld_core.masks import PAPER_FACTOR

Progress = Callable[[], None]
Made = tuple[Table, dict[str, Rows]]
"""A table, and the rows of all scenes behind each of its lines."""
FACTORS = (0.6, 0.7, PAPER_FACTOR, 0.9, 1.0, 1.2, 1.5)
STEPS = 4
BLOCKS = ("down", "mid", "up")


def attention_alone(edit: Edit) -> Finished:
    """The part of the edit inside the attention's mask, put into the original."""
    prompt = unfinished(edit, located(edit)).mask
    return Finished(composite(edit.original, edit.edited, prompt, DEFAULT.feather), prompt, prompt)


def by_true_mask(scene: Scene, edit: Edit) -> Finished:
    """The part of the edit inside the true mask: what no automatic mask can surpass."""
    mask = pair_of(scene).mask
    return Finished(composite(edit.original, edit.edited, mask, DEFAULT.feather), mask, mask)


def _parts(
    edits: Edits, take: Callable[[Scene], Edit] | None = None, *, colours: bool = False
) -> dict[str, Variant]:
    def finished(**options: Any) -> Variant:
        return variant(edits, lambda _, edit: finish(edits, edit, located(edit), **options), take)

    plain, redraws = take is None, edits.engine.info.redraws
    lines = {
        "no post-edit": variant(edits, lambda _, edit: unfinished(edit, located(edit)), take),
        "attention mask alone": variant(edits, lambda _, edit: attention_alone(edit), take),
        "+ segmentation": by_default(edits) if plain and not redraws else finished(inpainter="none"),
        "+ inpainting": by_default(edits) if plain and redraws else finished(inpainter="engine"),
        "+ alignment": finished(inpainter="engine", align=True),
    }
    if colours:
        lines["+ colours"] = finished(inpainter="engine", align=True, match_colours=True)
    return lines | {"true mask, no inpainting": variant(edits, by_true_mask, take)}


def parts(edits: Edits, progress: Progress) -> Made:
    """What each part of the post-edit contributes."""
    found = over_scenes(edits, _parts(edits), progress)
    note = (
        "Each line adds a part to the one before; the last one cuts along the true mask instead. All tables below are "
        "without alignment, which has nothing to do on an engine's own edits, and without inpainting for engines that "
        "it does not help, as `pocket`."
    )
    return table("parts", "Parts of the post-edit", note, "post-edit", found), {**found}


def parts_elsewhere(edits: Edits, progress: Progress) -> Made:
    """The same on edits that were shifted, zoomed and tinted on purpose."""

    def take(scene: Scene) -> Edit:
        edit = edits.get(scene)
        return replace(edit, edited=as_from_elsewhere(edit.edited))

    found = over_scenes(edits, _parts(edits, take, colours=True), progress)
    note = (
        "The same after the edits were moved by 3 and 2 of 256 pixels, zoomed in by 1.5% and tinted, as by an editor "
        "elsewhere."
    )
    title = "Parts of the post-edit, on edits that were moved and tinted"
    return table("parts-elsewhere", title, note, "post-edit", found), {**found}


def threshold(edits: Edits, progress: Progress) -> Made:
    """Otsu's rule, and the paper's at several factors."""

    def by_factor(factor: float) -> Variant:
        return variant(edits, lambda _, edit: finish(edits, edit, located(edit, "paper", factor)))

    lines = {"Otsu": by_default(edits)} | {f"{factor:g} × mean": by_factor(factor) for factor in FACTORS}
    found = over_scenes(edits, lines, progress)
    note = f"The paper's factor on the map's mean is {PAPER_FACTOR}; Otsu's rule is the default here."
    return table("threshold", "Threshold of the attention", note, "threshold", found), {**found}


def layers_of(edit: Edit) -> dict[str, list[list[str]]]:
    """What may be recorded, by name: layers of down, mid and up blocks and of each resolution, and all of them."""
    if edit.attention is None:
        return {}
    by_side: dict[int, dict[str, list[str]]] = {}
    for name, stack in edit.attention.layers.items():
        block = next((each for each in BLOCKS if name.startswith(each)), "all")
        by_side.setdefault(max(stack.shape[2:]), {}).setdefault(block, []).append(name)
    found: dict[str, list[list[str]]] = {}
    for side, blocks in sorted(by_side.items(), reverse=True):
        found |= {f"{block}, {side} cells": [names] for block, names in blocks.items()}
        if {"down", "up"} <= blocks.keys():
            found[f"down and up, {side} cells"] = [blocks["down"] + blocks["up"]]
    if len(by_side) > 1:
        every = [[name for names in blocks.values() for name in names] for blocks in by_side.values()]
        found["all, scaled and averaged"] = every
    return found


def recorder(edits: Edits, progress: Progress) -> Made:
    """Which layers and resolutions tell best where the words acted."""

    def by_layers(name: str) -> Variant:
        return variant(
            edits, lambda _, edit: finish(edits, edit, located(edit, layers=layers_of(edit)[name]))
        )

    first = edits.get(edits.scenes[0])
    own = sorted(first.attention.nearest(16)) if first.attention else []
    names = [name for name, groups in layers_of(first).items() if [sorted(each) for each in groups] != [own]]
    lines = {"as the editor does": by_default(edits)} | {name: by_layers(name) for name in names}
    found = over_scenes(edits, lines, progress)
    note = "The editor takes the layers of the down and up blocks that are nearest to 16 cells, as the paper does."
    return table("recorder", "Layers and resolutions of the recorder", note, "layers", found), {**found}


def recorder_steps(edits: Edits, progress: Progress) -> Made:
    """Whether early or late steps tell best."""
    steps = max(STEPS, edits.engine.info.steps_of(edits.settings.speed))
    chosen: dict[str, Sequence[int] | None] = {
        "all steps": None,
        "first step": [0],
        "first half": range(steps // 2),
        "second half": range(steps // 2, steps),
        "last step": [steps - 1],
    }

    def by_steps(taken: Sequence[int] | None) -> Variant:
        return variant(
            edits,
            lambda _, edit: finish(edits, edit, located(edit, steps=taken)),
            lambda scene: edits.get(scene, steps=steps),
        )

    found = over_scenes(edits, {label: by_steps(taken) for label, taken in chosen.items()}, progress)
    note = f"Of edits with {steps} denoising steps."
    return table("recorder-steps", "Steps of the recorder", note, "steps", found), {**found}


LOST = Column("lost", "of the successes lost", "percent")
OPTIONS: dict[str, dict[str, Any]] = {
    "no soft edge": {"feather": 0},
    "wider by 4 pixels": {"grow": 4},
    "wider by 8 pixels": {"grow": 8},
}


def helps(edits: Edits, progress: Progress) -> Made:
    """What keeps more of the edit, and at what price outside."""

    def finished(**options: Any) -> Variant:
        return variant(edits, lambda _, edit: finish(edits, edit, located(edit), **options))

    def by_hand(**options: Any) -> Variant:
        return variant(
            edits,
            lambda scene, edit: finish(edits, edit, located(edit), hand=pair_of(scene).mask, **options),
        )

    lines = {"as by default": by_default(edits)}
    lines |= {label: finished(**options) for label, options in OPTIONS.items()}
    lines |= {
        "no attention: the pictures' difference": variant(
            edits, lambda _, edit: finish(edits, edit, Located(None, None))
        ),
        "true mask by hand, joined": by_hand(),
        "true mask by hand, replacing": by_hand(hand_rule="replace"),
    }
    found = over_scenes(edits, lines, progress)
    note = "Of the successes lost: of the scenes that succeed before post-edit, how many do not after it."
    columns = [*COLUMNS[:3], LOST, *COLUMNS[3:]]
    made = table("helps", "What helps the post-edit", note, "setting", found, columns)
    rows = [Row(row.label, {**row.cells, "lost": lost(found[row.label])}) for row in made.rows]
    return replace(made, rows=rows), {**found}


def lost(rows: Rows) -> Any:
    """The share of the scenes that succeed before post-edit and not after it, among those that do before."""
    return estimate([not row["after"] for row in rows if row["before"]], np.mean)
