"""Work that can be stopped: a thread of its own, a queue of its steps, an end when nobody listens any more."""

import contextvars
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from editworld_core.errors import EditCancelledError

T = TypeVar("T")
HEARTBEAT = 0.2  # seconds; Gradio can stop a generator only at a yield, so one comes at least this often
BACKGROUND = "editworld-work"
_ending = threading.Event()


@dataclass(frozen=True)
class Step:
    """``done`` of ``total`` steps are behind; both 0 while nothing is known yet."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished(Generic[T]):
    """What the work returned."""

    value: T


def background(work: Callable[[], object]) -> threading.Thread:
    """A thread for ``work``, not started, that ``end_all`` waits for; it knows whose request it works for."""
    context = contextvars.copy_context()
    return threading.Thread(target=context.run, args=(work,), name=BACKGROUND, daemon=True)


def end_all() -> None:
    """Stop the work of all threads at the end of the step that each is in, and wait for that.

    To be called when the program ends: a thread that computes while Python goes down takes it down with an abort.
    """
    _ending.set()
    for thread in threading.enumerate():
        if thread.name == BACKGROUND:
            thread.join()


def stepwise(work: Callable[[Callable[[int, int], None]], T]) -> Generator[Step | Finished[T], None, None]:
    """Run ``work(progress)`` in a thread, once the first step is taken; yield its steps and last what it returned.

    Closing the iterator stops the work at the end of the step that it is in, and waits for that: when ``close``
    returns, nothing runs any more.

    Raises:
        Exception: whatever ``work`` raised.
    """
    cancelled = threading.Event()
    steps: queue.Queue[Step] = queue.Queue()
    outcome: list[Finished[T] | BaseException] = []

    def progress(done: int, total: int) -> None:
        if cancelled.is_set() or _ending.is_set():
            raise EditCancelledError("The edit was stopped.")
        steps.put(Step(done, total))

    def run() -> None:
        try:
            outcome.append(Finished(work(progress)))
        except BaseException as error:
            outcome.append(error)

    thread, latest = background(run), Step(0, 0)
    yield latest  # Gradio can close an iterator only after its first value: work that is stopped earlier never starts
    thread.start()
    try:
        while thread.is_alive():
            latest = _latest(steps, latest)
            yield latest
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        yield outcome[0]
    finally:
        cancelled.set()
        thread.join()


def _latest(steps: "queue.Queue[Step]", previous: Step) -> Step:
    """The newest step, waiting for one no longer than a heartbeat."""
    try:
        step = steps.get(timeout=HEARTBEAT)
        while not steps.empty():
            step = steps.get_nowait()
        return step
    except queue.Empty:
        return previous
