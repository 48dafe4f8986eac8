"""A line of visitors, of whom the first has the turn."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARTBEAT = 0.2  # seconds between two calls of the progress of those who wait, so that they can be stopped


class Line:
    """Whoever came first is first, until they leave or pass the turn on."""

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, tell: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Wait for the turn, which ends with the context.

        The value passes the turn on, goes to the end of the line and waits for the next turn, so that nobody waits for
        all that another has ordered. ``tell`` is called while one waits, and may end that by raising.
        """
        ticket = object()

        def wait() -> None:
            while not self._is_first(ticket):
                tell()

        def pass_on() -> None:
            with self._moved:
                self._line.remove(ticket)
                self._line.append(ticket)
                self._moved.notify_all()
            wait()

        with self._moved:
            self._line.append(ticket)
        try:
            wait()
            yield pass_on
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()

    def _is_first(self, ticket: object) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self._line[0] is ticket, HEARTBEAT)
