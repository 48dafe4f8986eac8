"""ZeroGPU: on such a Space, edits that need a GPU run in a forked process that has one for as long as they take.

What it means for the code: ``spaces`` is imported before torch; weights are loaded in the main process, so that the
forked one has them; a call, its arguments and its results travel by pickle; of the exceptions only ``gr.Error`` comes
back with its text. Everywhere else, ``run`` simply calls.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from editworld_core.engines.protocol import Engine, Progress
from editworld_core.errors import EditWorldError
from ui.running import Finished, Step, stepwise

if TYPE_CHECKING:
    from editworld_core.engines.registry import EngineRow
    from editworld_core.settings import EditSettings

try:
    import spaces
except ImportError:  # not on a Space
    spaces = None

T = TypeVar("T")
SECONDS = 60  # declared for an edit; a visitor's quota must have as much left, so it is small
POCKET = "pocket"  # which is quicker on a processor than a GPU is to be had
ON_ZERO = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


@dataclass(frozen=True)
class Refused:
    """What an edit on the GPU was refused for, to be raised again by who waits for it."""

    error: EditWorldError | MemoryError


def _with_gpu(task: Callable[..., Iterator[T]]) -> Callable[..., Iterator[T]]:
    return spaces.GPU(duration=SECONDS)(task) if spaces else task  # type: ignore[no-any-return]


@_with_gpu
def steps_on_gpu(
    call: Callable[..., Any], arguments: dict[str, Any]
) -> Iterator[Step | Finished[Any] | Refused]:
    """The steps of ``call(**arguments, progress=…)`` and what it returns, or why it does not."""
    try:
        yield from stepwise(lambda progress: call(**arguments, progress=progress))
    except (EditWorldError, MemoryError) as error:
        yield Refused(error)


def ready_to_fork() -> None:
    """Keep OpenCV from starting threads: they do not survive a fork, and are waited for in vain after it."""
    import cv2

    cv2.setNumThreads(0)


if ON_ZERO:
    ready_to_fork()


def run(call: Callable[..., T], progress: Progress, gpu: bool, /, **arguments: Any) -> T:
    """``call(**arguments, progress=progress)``, on ZeroGPU if this is such a Space and ``gpu`` is wanted.

    Args:
        call: a function of a module, or a method of an object that pickle can take along.
        progress: what it raises stops the call.

    Raises:
        EditWorldError: as ``call`` does, or ``progress``.
    """
    if not (ON_ZERO and gpu):
        return call(**arguments, progress=progress)
    steps = steps_on_gpu(call, arguments)
    try:
        for step in steps:
            if isinstance(step, Finished):
                return step.value  # type: ignore[no-any-return]
            if isinstance(step, Refused):
                raise step.error
            progress(step.done, step.total)
    finally:
        steps.close()  # type: ignore[attr-defined]
    raise EditWorldError("The GPU was taken away before the edit was done; try again.")


def needs_gpu(settings: "EditSettings") -> bool:
    """Whether an edit with ``settings`` has work for a GPU."""
    return settings.engine != POCKET or settings.inpainter.startswith("controlnet")


def load(name: str, lora: str = "", lora_scale: float = 1.0) -> Engine:
    """``load_engine``; on ZeroGPU the bundled engine stays on the processor."""
    from editworld_core.engines.place import best_place
    from editworld_core.engines.registry import load_engine

    return load_engine(name, lora, lora_scale, best_place("cpu") if ON_ZERO and name == POCKET else None)


def offered(rows: "Sequence[EngineRow]") -> "list[EngineRow]":
    """``rows``; on ZeroGPU, where weights must be there before the first visitor, only the bundled engine."""
    return [row for row in rows if not ON_ZERO or row.info.id == POCKET]
