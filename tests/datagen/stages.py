"""Stages for workers, in a module that is quick to import there."""

import os
import signal
import time

from editworld_core.errors import BadInputError


class Counter:
    """A stage that remembers: how many items it has seen in its worker, who that is, and the item."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, item: int) -> tuple[int, int, int]:
        self.seen += 1
        time.sleep(0.01 * (item % 3))
        return self.seen, os.getpid(), item


class Unloadable:
    """A stage that cannot be sent, as where a machine of the cluster lacks a package."""

    def __reduce__(self):
        return __import__, ("a_package_that_is_not_there",)

    def __call__(self, item: int) -> int:
        return item


def refuse_seven(item: int) -> int:
    if item == 7:
        raise BadInputError("Seven is not for us.")
    return item


def die_at_seven(item: int) -> int:
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
