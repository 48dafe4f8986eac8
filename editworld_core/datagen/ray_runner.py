"""Stages on Ray: actors on one machine or many, each of which loads its models once. Ray is an optional requirement."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from editworld_core.datagen.runner import AHEAD, DEAD_WORKER, Item, Result, check_workers
from editworld_core.errors import BadInputError, EditWorldError

OBJECT_STORE = 256 * 2**20  # bytes of shared memory of a Ray of our own; results are fetched at once
NO_START = (
    "A worker cannot start, since this program or something that it needs is missing on its machine; "
    "install the same version on all machines of the cluster."
)
NO_RAY = "Ray cannot be reached at {}; start one with 'ray start --head', or give no address."
PATIENCE = 10.0  # seconds for a cluster to answer
DEPTH = 2  # items that an actor holds, so that it need not wait for the next


@dataclass(frozen=True)
class RayRunner:
    """Works in ``workers`` actors of a Ray cluster with one processor and ``gpus`` GPUs each.

    The machines of a cluster need this package, the files that a stage names (models, photographs) under the same
    paths, and Ray. Without an ``address`` a Ray starts on this machine and ends with the work; one that this process
    has joined already is used and left as it is.

    Raises:
        BadInputError: a number is too small.
        EditWorldError: Ray is not installed, or nobody answers at the address.
    """

    workers: int = 1
    address: str | None = None
    gpus: float = 0

    def __post_init__(self) -> None:
        check_workers(self.workers)
        if self.gpus < 0:
            raise BadInputError(f"The number of GPUs by worker must be 0 or more, not {self.gpus:g}.")
        if find_spec("ray") is None:
            raise EditWorldError(
                "Ray is not installed; install it with: pip install 'ray>=2.50,<3', or leave --runner out."
            )
        if self.address is not None:
            _check_address(self.address)

    def map(self, stage: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
        """See ``Runner.map``."""
        if not items:
            return
        import ray

        with self._cluster():
            self._check_room()
            start = ray.remote(num_cpus=1, num_gpus=self.gpus)(_Worker).remote
            given = ray.put(stage)
            actors: list[Any] = [start(given) for _ in range(self.workers)]
            try:
                for result in _in_order(actors, items, AHEAD * self.workers):
                    yield _fetch(result)
            finally:
                for actor in actors:
                    ray.kill(actor)

    @contextmanager
    def _cluster(self) -> Iterator[None]:
        import ray

        if ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        own: dict[str, Any] = {
            "num_cpus": self.workers,
            "object_store_memory": OBJECT_STORE,
            "include_dashboard": False,
        }
        options = {} if self.address else own
        try:
            ray.init(self.address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EditWorldError(
                NO_RAY.format(self.address)
                if self.address
                else f"Ray cannot start on this machine ({type(error).__name__}); leave --runner out."
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def _check_room(self) -> None:
        """Actors for which there is no room would wait for ever."""
        import ray

        there = ray.cluster_resources()
        cpus, gpus = int(there.get("CPU", 0)), there.get("GPU", 0.0)
        if cpus < self.workers or gpus < self.workers * self.gpus:
            raise BadInputError(
                f"The Ray cluster has {cpus} processors and {gpus:g} GPUs, too few for {self.workers} workers with "
                f"{self.gpus:g} GPUs each; ask for fewer."
            )


class _Worker:
    """The actor: a stage that stays."""

    def __init__(self, stage: Callable[[Any], Any]) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._stage = stage

    def work(self, item: Any) -> Any:
        return self._stage(item)


def _check_address(address: str) -> None:
    """Refuse one where nobody answers: Ray itself would try for ever."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise BadInputError(f"{address!r} is no address of Ray; give HOST:PORT, or auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise EditWorldError(NO_RAY.format(address)) from error


def _in_order(actors: Sequence[Any], items: Sequence[Any], ahead: int) -> Iterator[Any]:
    """References to finished results in the order of ``items``; who is idle gets the next item."""
    import ray

    idle = deque([*actors] * DEPTH)
    busy: dict[Any, tuple[int, Any]] = {}  # by reference: the item's number and who works on it
    done: dict[int, Any] = {}
    given = 0
    for wanted in range(len(items)):
        while wanted not in done:
            while idle and given < min(len(items), wanted + ahead):
                actor = idle.popleft()
                busy[actor.work.remote(items[given])] = given, actor
                given += 1
            for reference in ray.wait(list(busy))[0]:
                number, actor = busy.pop(reference)
                done[number] = reference
                idle.append(actor)
        yield done.pop(wanted)


def _fetch(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError as error:
        raise EditWorldError(NO_START if error.actor_init_failed else DEAD_WORKER) from error
    except ray.exceptions.RayError as error:
        raise EditWorldError(DEAD_WORKER) from error
