"""Tables for which scenes are edited again: think step, steps, guidance, wording, instructions of no concern."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.ablations.edits import Edit, Edits, Scene, pair_of
from benchmarks.ablations.foreign import INSTRUCTIONS
from benchmarks.ablations.masking import Made, Progress
from benchmarks.ablations.measuring import (
    Measures,
    Variant,
    by_default,
    change,
    finish,
    located,
    over_scenes,
    redrawn,
)
from benchmarks.ablations.summary import Rows, table, values
from benchmarks.bootstrap import estimate
from benchmarks.tables import Column, Row, Table
from editworld_core.datagen.quality.wording import kind_of
from editworld_core.masks import VISIBLE
from editworld_core.simulation.world import get_dynamic
from editworld_core.think import Thought, think

STEPS = (1, 2, 4, 8)
TEXT, IMAGE = (1.0, 1.5, 2.0, 3.0), (1.0, 1.5)
KINDS = {"command": "commands", "question": "questions", "statement": "statements"}


@lru_cache(maxsize=4096)
def _thought(instruction: str) -> Thought:
    return think(instruction)


def _command(instruction: str) -> str:
    return _thought(instruction).command or instruction


def think_step(edits: Edits, progress: Progress) -> Made:
    """The instruction itself, and what the offline think step makes of it."""

    def told(make: Callable[[str], str]) -> Variant:
        return lambda scene: redrawn(edits, scene, make(pair_of(scene).instruction))

    lines = {
        "off: the instruction": by_default(edits),
        "on: its outcome": told(lambda instruction: _thought(instruction).outcome),
        "on: its plain command": told(_command),
    }
    found = over_scenes(edits, lines, progress)
    note = "What the engine is told. The offline think step knows what the simulator knows."
    return table("think", "Think step", note, "think step", found), {**found}


def steps(edits: Edits, progress: Progress) -> Made:
    """How many denoising steps."""

    def with_steps(count: int) -> Variant:
        return lambda scene: redrawn(edits, scene, steps=count)

    own = edits.engine.info.steps_of(edits.settings.speed)
    lines = {f"{own} (its own)": by_default(edits)}
    lines |= {str(count): with_steps(count) for count in STEPS if count != own}
    found = over_scenes(edits, lines, progress)
    return table("steps", "Denoising steps", "At the engine's own guidance.", "steps", found), {**found}


def guidance(edits: Edits, progress: Progress) -> Made:
    """How strongly the instruction and the picture are followed."""

    def guided(text: float, image: float) -> Variant:
        return lambda scene: redrawn(edits, scene, text_guidance=text, image_guidance=image)

    own = edits.engine.info.text_guidance, edits.engine.info.image_guidance
    lines = {f"{own[0]:g}, {own[1]:g} (its own)": by_default(edits)}
    lines |= {
        f"{text:g}, {image:g}": guided(text, image)
        for image in IMAGE
        for text in TEXT
        if (text, image) != own
    }
    found = over_scenes(edits, lines, progress)
    return table("guidance", "Guidance", "At the engine's own steps.", "text, image", found), {**found}


def wording(edits: Edits, progress: Progress) -> Made:
    """Causes against plain commands: every held-out wording of every scene."""
    count = min(len(pair_of(scene).phrasings) for scene in edits.scenes)
    ordered: dict[str, list[Measures]] = {_place(place, count): [] for place in range(count)}
    thought = f"{count}, as the think step's command"
    ordered[thought] = []
    kinds: dict[str, list[Measures]] = {label: [] for label in KINDS.values()}
    for scene in edits.scenes:
        pair = pair_of(scene)
        for place, text in enumerate(pair.phrasings[:count]):
            row = by_default(edits)(scene) if text == pair.instruction else redrawn(edits, scene, text)
            ordered[_place(place, count)].append(row)
            kinds[KINDS[kind_of(text)]].append(row)
        ordered[thought].append(redrawn(edits, scene, _command(pair.phrasings[count - 1])))
        progress()
    found: dict[str, Rows] = {**ordered, **{label: rows for label, rows in kinds.items() if rows}}
    note = (
        "Each scene with all held-out wordings of its dynamic, which run from plain command to pure cause; below, the "
        "same edits by the kind of sentence, whose scenes differ from line to line."
    )
    title = "Causes against plain commands"
    return table("wording", title, note, "wording", found, unpaired=tuple(kinds)), found


def _place(place: int, count: int) -> str:
    ends = {0: ", the plainest command", count - 1: ", the purest cause"}
    return f"{place + 1}{ends.get(place, '')}"


UNAFFECTED = (
    Column("scenes", "scenes", "count"),
    Column("change", "mean change, of 255", "number"),
    Column("seen", "of the picture visibly changed", "percent"),
    Column("final", "mean change after post-edit", "number"),
    Column("final_seen", "visibly changed after post-edit", "percent"),
    Column("mask", "of the picture in the mask", "percent"),
)


def unaffected(edits: Edits, progress: Progress) -> Made:
    """What instructions do that do not concern the picture: the less the better."""
    found: dict[str, list[dict[str, Any]]] = {"its own instruction, for comparison": []}
    found |= {f"“{text}”": [] for text in INSTRUCTIONS} | {"what is said of another thing": []}
    scenes = list({name: (name, seed) for name, seed in reversed(edits.scenes)}.values())[::-1]
    for scene in scenes:
        told = ["", *INSTRUCTIONS, _of_another(scene, scenes)]
        for rows, text in zip(found.values(), told, strict=True):
            if text is not None:
                rows.append(_changed(edits, scene, edits.get(scene, text)))
        progress()
    kept: dict[str, Rows] = {label: rows for label, rows in found.items() if rows}
    lines = [Row(label, _changes(rows)) for label, rows in kept.items()]
    note = "On the first scene of each dynamic. A pixel has visibly changed if a channel did by more than 15 levels."
    title = "Instructions that do not concern the picture"
    return Table("unaffected", title, note, "instruction", UNAFFECTED, lines), kept


def _of_another(scene: Scene, scenes: Sequence[Scene]) -> str | None:
    """The instruction of the next scene that is about a thing of another kind; None if there is none."""
    place = scenes.index(scene)
    for other in [*scenes[place + 1 :], *scenes[:place]]:
        if get_dynamic(other[0]).local and get_dynamic(other[0]).category != get_dynamic(scene[0]).category:
            return pair_of(other).instruction
    return None


def _changed(edits: Edits, scene: Scene, edit: Edit) -> dict[str, Any]:
    finished = finish(edits, edit, located(edit))
    pictures = {"change": edit.edited, "final": finished.final}
    row: dict[str, Any] = {"dynamic": scene[0], "seed": scene[1], "told": edit.told}
    for name, picture in pictures.items():
        difference = np.abs(np.asarray(picture, np.int16) - np.asarray(edit.original, np.int16)).max(-1)
        row[name] = change(picture, edit.original)
        row["seen" if name == "change" else "final_seen"] = float((difference > 255 * VISIBLE).mean())
    return row | {"mask": float(finished.mask.mean())}


def _changes(rows: Rows) -> dict[str, Any]:
    keys = [column.key for column in UNAFFECTED[1:]]
    return {"scenes": len(rows), **{key: estimate(values(rows, key)) for key in keys}}
