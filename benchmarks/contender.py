"""One contender of ``benchmarks edit``, in a process of its own: ``python -m benchmarks.contender '{…}'``."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import peak_gib, per_step, seconds
from benchmarks.models import (
    PocketPipeline,
    pocket_engine,
    sd15_conditions,
    sd15_engine,
    sd15_pipeline,
)
from editworld_core.engines.place import DTYPES, Place
from editworld_core.evaluation.measures.truth import SUCCESS
from editworld_core.sampling import Shortcuts
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair
from editworld_core.simulation.world import dynamic_names

Edit = Callable[[Image.Image, str, int], Image.Image]


@torch.no_grad()
def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Run the contender ``asked["who"]`` on ``asked["model"]``; see ``benchmarks.edit`` for what is asked."""
    torch.set_num_threads(asked["threads"])
    edit = _edit(asked)
    found: dict[str, Any] = {}
    image = Image.fromarray(held_out_pair("melt_snowman", 0).before)
    image = image.resize((asked["size"], asked["size"]), Image.Resampling.LANCZOS)
    if asked["few"]:
        step, rest = per_step(
            lambda steps: edit(image, "the sun comes out", steps), asked["few"], asked["more"]
        )
        found |= {"seconds_per_step": step, "seconds_besides": rest}
    else:
        found["seconds"] = seconds(lambda: edit(image, "the sun comes out", 0), 5)
    if asked["scenes"]:
        found |= _quality(edit, asked["scenes"], asked["steps"])
    return found | {"peak_gib": peak_gib()}


def _edit(asked: dict[str, Any]) -> Edit:
    """An edit of an image by an instruction in some number of steps; 0 takes the engine's own."""
    place = Place("cpu", DTYPES[asked["dtype"]])
    if asked["who"] == "diffusers":
        return _pocket_pipeline(*asked["guidance"]) if asked["model"] == "pocket" else _sd15_pipeline(place)
    engine = pocket_engine(place) if asked["model"] == "pocket" else sd15_engine(place)
    if "shortcuts" in asked:
        guided, deep_every = asked["shortcuts"]
        engine = replace(engine, shortcuts=Shortcuts((0.0, guided), deep_every))
    text, image = asked["guidance"] or (None, None)
    settings = EditSettings(seed=0, speed=asked["who"], text_guidance=text, image_guidance=image)
    return lambda image, words, steps: engine.edit(image, words, replace(settings, steps=steps or None))


def _pocket_pipeline(text: float, image: float) -> Edit:
    pipeline = PocketPipeline()
    return lambda picture, words, steps: pipeline(words, picture, steps, text, image, 0)


def _sd15_pipeline(place: Place) -> Edit:
    pipeline = sd15_pipeline(place.dtype)
    told, nothing = (part.to(place.dtype) for part in sd15_conditions())
    return lambda image, text, steps: pipeline(
        prompt_embeds=told,
        negative_prompt_embeds=nothing,
        image=image,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(0),
    ).images[0]


def _quality(edit: Edit, scenes: int, steps: int) -> dict[str, Any]:
    """Share of held-out scenes that succeed, and the pictures' mean error inside the true masks, 0..255."""
    names = dynamic_names()
    errors = []
    for index in np.linspace(0, len(names) - 1, scenes).round().astype(int):
        pair = held_out_pair(names[index], 0)
        truth = pair.after[pair.mask].astype(np.float32)
        edited = np.asarray(edit(Image.fromarray(pair.before), pair.instruction, steps))[pair.mask]
        errors.append([np.abs(picture - truth).mean() for picture in (edited, pair.before[pair.mask])])
    after, before = np.array(errors).T
    return {"success": float((after <= SUCCESS * before).mean()), "error": float(after.mean())}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
