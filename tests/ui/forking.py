"""Edits in forked processes, as the package ``spaces`` makes them; what came of them, as JSON. See ``test_zero.py``."""

import json
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from editworld_core.editor import WorldEditor
from editworld_core.errors import EditCancelledError, EditWorldError
from editworld_core.settings import EditSettings
from ui import zero


def forked(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """As ``spaces.GPU`` does it: arguments and results through pickle, a fork between, a stop between two results."""

    def call(*arguments: Any) -> Iterator[Any]:
        fork = multiprocessing.get_context("fork")
        results, stop = fork.SimpleQueue(), fork.Event()
        given = pickle.dumps(arguments)

        def work() -> None:
            steps = task(*pickle.loads(given))
            for step in steps:
                if stop.is_set():
                    steps.close()
                    break
                results.put(pickle.dumps(step))
            results.put(None)

        process = fork.Process(target=work)
        process.start()
        try:
            while (result := results.get()) is not None:
                yield pickle.loads(result)
        finally:
            stop.set()
            while process.is_alive():
                process.join(0.05)
                while not results.empty():
                    results.get()
            assert process.exitcode == 0

    return call


def main() -> None:
    """Edit here, then there, be refused there, and stop there."""
    zero.ready_to_fork()
    zero.ON_ZERO, zero.steps_on_gpu = True, forked(zero.steps_on_gpu)
    editor, settings = WorldEditor(zero.load), EditSettings(seed=1)
    picture = Image.open("examples/snowman.png").convert("RGB").resize((640, 640))
    asked: dict[str, Any] = {"image": picture, "instruction": "the sun comes out", "hand": None}
    steps: list[tuple[int, int]] = []
    here = editor.edit(settings=settings, **asked)
    there = zero.run(
        editor.edit, lambda done, total: steps.append((done, total)), True, settings=settings, **asked
    )
    difference = np.abs(np.asarray(there.final).astype(int) - np.asarray(here.final))
    print(
        json.dumps(
            {
                "threads": torch.get_num_threads(),
                "difference": int(difference.max()),
                "steps": len(steps),
                "same_settings": there.settings == here.settings,
                "refused": _refused(
                    editor, EditSettings(keywords=("dragon",)), asked, lambda done, total: None
                ),
                "stopped": _refused(editor, EditSettings(steps=100), asked, _stop)[0],
                "left_running": len(multiprocessing.active_children()),
            }
        )
    )


def _stop(done: int, total: int) -> None:
    raise EditCancelledError("Enough.")


def _refused(editor: WorldEditor, settings: EditSettings, asked: dict[str, Any], progress: Any) -> list[str]:
    try:
        zero.run(editor.edit, progress, True, settings=settings, **asked)
    except EditWorldError as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


if __name__ == "__main__":
    main()
