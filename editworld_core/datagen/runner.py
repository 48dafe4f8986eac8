"""Where the stage of a data set runs: in this process, in others on this machine, or on a Ray cluster.

A stage is a callable that can be pickled. Every worker gets it once and keeps it, so that what it loads for its first
item, such as a model, serves all the others. Results come in the order of the items, whoever is quick; a bounded
number is under way at once, and the one who asked for them is the only one who writes. So a data set does not depend
on the runner or on the number of workers.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from editworld_core.errors import BadInputError, EditWorldError

Item = TypeVar("Item")
Result = TypeVar("Result")
RunnerName = Literal["local", "ray"]

AHEAD = 4  # items a worker that may be under way or waiting to be fetched
DEAD_WORKER = "A worker process died, perhaps for want of memory; run the command again with fewer workers."


class Runner(Protocol):
    """Something that has work done."""

    def map(self, stage: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
        """Yield ``stage(item)`` for each of ``items`` in their order; closing it stops the workers.

        Raises:
            EditWorldError: a worker died or cannot be had. What the stage itself raises is raised here.
        """
        ...


@dataclass(frozen=True)
class LocalRunner:
    """Works in this process with one worker, else in ``workers`` processes of this machine.

    Raises:
        BadInputError: there are fewer than one.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def map(self, stage: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
        """See ``Runner.map``."""
        if self.workers == 1 or len(items) < 2:
            yield from map(stage, items)
            return
        # Spawned, not forked: a fork would inherit the data set's lock and outlive a killed parent with it.
        from multiprocessing import get_context

        pool = ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(stage,)
        )
        try:
            yield from _in_order(pool, items, AHEAD * self.workers)
        except BrokenProcessPool as error:
            raise EditWorldError(DEAD_WORKER) from error
        finally:
            pool.shutdown(cancel_futures=True)


def make_runner(
    name: RunnerName = "local", workers: int = 1, address: str | None = None, gpus: float = 0
) -> Runner:
    """The runner called ``name``.

    Args:
        workers: processes that work.
        address: of a running Ray cluster; None starts one on this machine for the time of the work.
        gpus: of each Ray worker, which may be a part of one.

    Raises:
        BadInputError: a number is too small, or an address was given to another runner than Ray.
        EditWorldError: Ray is not installed.
    """
    if name == "ray":
        from editworld_core.datagen.ray_runner import RayRunner

        return RayRunner(workers, address, gpus)
    if address is not None or gpus:
        raise BadInputError("An address and GPUs by worker are for Ray; add --runner ray.")
    return LocalRunner(workers)


def check_workers(workers: int) -> None:
    """Refuse fewer than one."""
    if workers < 1:
        raise BadInputError(f"The number of workers must be at least 1, not {workers}.")


def _in_order(pool: ProcessPoolExecutor, items: Sequence[Item], ahead: int) -> Generator[Any, None, None]:
    """Like ``pool.map``, with at most ``ahead`` results waiting in memory."""
    pending: deque[Future[Any]] = deque()
    for item in items:
        pending.append(pool.submit(_work, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


# In a worker

_stage: Callable[[Any], Any]  # of this process; an executor has no other place for it


def _start_worker(stage: Callable[[Any], Any]) -> None:
    import signal

    import cv2

    global _stage
    _stage = stage
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _work(item: Any) -> Any:
    return _stage(item)


def _end_with_parent() -> None:
    """Executors leave their workers waiting for ever when the parent is killed."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
